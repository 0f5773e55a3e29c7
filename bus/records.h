/* records.h — the records of a bus's topics as they stand in the log, for people to look at. */
#ifndef SHOAL_BUS_RECORDS_H
#define SHOAL_BUS_RECORDS_H

#include "common/error.h"
#include "common/strlist.h"
#include "schemas/messages.h"

#include <stdbool.h>
#include <stdint.h>

struct bus;

/* Valid until the callback returns. */
struct bus_record
{
  const char *topic; /* its whole name */
  int32_t partition;
  int64_t offset;
  int64_t time;    /* UTC ms */
  const char *key; /* "": none */
  bool tombstone;  /* it has no value */
  /* in single-object encoding where it could be unpacked, else as it came */
  struct bytes message;
  const struct strlist *headers; /* name, value, … */
  const char *refused;           /* why it doesn't count; NULL: its signature is as it must be */
};

struct bus_tail
{
  const char *topic; /* "jobs", "shards.QUEUE" …, or the whole name */
  int64_t count;     /* of the last records, those of all partitions together */
  bool follow;       /* and what comes, for ever */
};

/* Calls EACH for the last records of TAIL's topic in order of their time, until it returns
 * non-zero, which is returned. A topic that isn't the bus's is ERROR_USER, and so is any on a bus
 * without topics. */
int bus_tail_records (struct bus *bus, const struct bus_tail *tail,
                      int (*each) (void *context, const struct bus_record *record), void *context,
                      struct error *err);

#endif

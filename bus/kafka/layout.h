/* layout.h — over how many partitions of events the jobs of a bus are spread.
 *
 * A job's events are in the partition that its id hashes to, so that number must be the same for
 * all and for ever, whatever partitions are added. The first word of it in the leases is the
 * number:
 *
 *     leases  ──── 8 ──────── 13 ──── 8 ────►      8 from the first word on; who said 13 didn't
 *                  │          │       │            know the first one, and used 8 when he read his
 *                first      late   answer          own word back
 *
 * A service says a number only when it has read the leases and found none, and uses none before it
 * has read one. A word that comes too late is answered by who knows the first one, so that
 * compaction, which keeps the last word, keeps that number. Words are said again from time to time,
 * because the leases have a retention. Commands say nothing: where no service has said a number
 * they use as many partitions as there are.
 */
#ifndef SHOAL_BUS_KAFKA_LAYOUT_H
#define SHOAL_BUS_KAFKA_LAYOUT_H

#include "bus/kafka/reader.h"

#include "schemas/messages.h"

struct kafka_layout
{
  struct kafka_producer *producer;
  bool says;         /* this is a service */
  int64_t say_at;    /* boot ms of our next word */
  int32_t other;     /* that the last word in the leases says; 0: the number itself */
  int64_t answer_at; /* boot ms, at the earliest */
  int32_t warned_of; /* so many partitions */
};

/* A record of the leases, which may be word of the number. */
void layout_take_in (struct kafka_layout *layout, const char *key, const struct claim *claim);

/* Says how many partitions there are, of a service that found no word. */
int layout_say_first (struct kafka_layout *layout, struct error *err);

/* Says the number again when it is time to, and warns of partitions that stay empty. */
void layout_pump (struct kafka_layout *layout);

/* -1 with ERR when there are fewer partitions than jobs are spread over. */
int layout_check (struct kafka_layout *layout, struct error *err);

/* The number as the leases say, 0: none is said; -1. */
int32_t layout_read (struct kafka_producer *producer, struct error *err);

#endif

/* members.h — which workers read a queue, by their own word in the leases.
 *
 * A worker says so when it begins to read and every third of a lease; a tombstone takes it back.
 * These records are no claims: nothing is decided by them but who reads what (share.h).
 */
#ifndef SHOAL_BUS_KAFKA_MEMBERS_H
#define SHOAL_BUS_KAFKA_MEMBERS_H

#include "bus/kafka/producer.h"
#include "schemas/messages.h"

struct queue_member
{
  char *name;
  int64_t heard; /* by the clock of the leases, ms */
  int64_t lease_ms;
};

/* Of one queue. All zero at first. */
struct kafka_members
{
  struct queue_member *items;
  size_t count;
  bool joined;    /* we are one of them */
  int64_t say_at; /* boot ms at which we say so next */
};

/* Takes in the word of WRITER at TIME of the leases' clock; LEASE_MS 0: it is taken back. */
void members_hear (struct kafka_members *members, const char *writer, int64_t time,
                   int64_t lease_ms);

/* Writes into the leases, under KEY, that this handle is there for a lease. It is no claim. */
void members_announce (struct kafka_producer *producer, const char *key);

/* Says that this handle reads QUEUE, when it is time to. WHERE the leases' clock is NOW, members
 * that died long ago are forgotten, here and in the log. */
void members_pump (struct kafka_members *members, struct kafka_producer *producer,
                   const char *queue, int64_t now);

/* Takes back that this handle reads QUEUE. */
void members_leave (struct kafka_members *members, struct kafka_producer *producer,
                    const char *queue);

/* The names of those whose word holds when the leases' clock says NOW. The caller frees the array
 * (not the names); *COUNT is how many they are. */
const char **members_living (const struct kafka_members *members, int64_t now, size_t *count);

void members_release (struct kafka_members *members);

#endif

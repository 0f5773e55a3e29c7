/* group.h — a member of a group that follows the events.
 *
 * A group's members share the partitions by claims in the topic of leases: who holds a partition's
 * gets its events, as long as he holds it. Each member claims a name of its own as well, so that
 * all know how many they are: nobody takes more than his share, and who has more gives back what no
 * unfinished job needs.
 */
#ifndef SHOAL_BUS_KAFKA_GROUP_H
#define SHOAL_BUS_KAFKA_GROUP_H

#include "bus/kafka/leases.h"

/* A partition of the events. */
struct slice
{
  struct cursor cursor;
  char *key;          /* of its lease; NULL without a group */
  bool held;          /* … and ours, or there is no group; opened when it is read */
  int64_t free_since; /* boot ms at which its lease was first seen to have run out; 0: not */
  int64_t begun;      /* offset it was opened at */
  int64_t delivered;  /* offset behind the last event that was delivered */
  int64_t committed;
};

struct kafka_group
{
  struct kafka_leases *leases;
  struct kafka_producer *producer;
  char *name; /* NULL: no group, and all slices are held */
  char *writer;
  char *member; /* the key of our own name */
  struct slice *slices;
  int32_t first; /* partition of the first slice */
  int32_t count;
  int32_t share;  /* partitions, at most */
  int64_t joined; /* boot ms of … */
  int64_t renewed;
  int64_t shared;
  bool lost; /* a partition was taken from us: nothing until the rewind */
};

/* Becomes a member, and tries for partitions. */
int group_join (struct kafka_group *group, struct error *err);

/* Sees to the leases: what is held is renewed, what was taken from us is noticed, what is free is
 * tried for. */
int group_tend (struct kafka_group *group, struct error *err);

/* Whether the lease of SLICE is ours, as far as it was read. */
bool group_has (struct kafka_group *group, const struct slice *slice);

/* How many are held. */
int32_t group_held (const struct kafka_group *group);

/* Gives back what is held, and the name. */
void group_leave (struct kafka_group *group);

#endif

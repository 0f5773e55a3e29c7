/* partition.h — one partition of work: its messages in order, and the claims on them.
 *
 *     messages ─► parcel: OPEN, WAITING for its time or another's lease, OURS, SETTLED
 *     claims   ─► fold (claims.h) ─► parcels change
 *
 * A message that is settled and has none unsettled before it is committed; with it an offset of the
 * claims, from which a reader that begins there knows all that matters.
 */
#ifndef SHOAL_BUS_KAFKA_PARTITION_H
#define SHOAL_BUS_KAFKA_PARTITION_H

#include "bus/bus.h"
#include "bus/kafka/claims.h"
#include "bus/kafka/producer.h"
#include "bus/kafka/reader.h"

struct kafka_bus;

struct lot;

struct kafka_work
{
  struct kafka_bus *bus;
  enum bus_queue queue;
  int messages; /* the topic of … and that of the claims on them */
  int claims;
  struct lot **lots;
  int lot_count;
  int turn;       /* the lot that is looked at first */
  int64_t looked; /* boot ms of … */
  int64_t committed_at;
};

enum parcel_state
{
  PARCEL_OPEN,    /* in lot->open: to be claimed */
  PARCEL_WAITING, /* in lot->waiting, until look_at */
  PARCEL_OURS,    /* there is a holding for it */
  /* in lot->orphans: how it ended was decided by a handle that is gone since, to be published by
     another */
  PARCEL_ORPHANED,
  PARCEL_SETTLED,
};

struct parcel
{
  struct lot *lot;
  struct claims_entry *entry;
  struct parcel *twin; /* the same thing published again */
  int64_t offset;
  enum parcel_state state;
  int64_t time;       /* from when it may be run, on the broker's clock, ms */
  int64_t due;        /* boot ms; 0: at once */
  int64_t look_at;    /* boot ms */
  int64_t expired;    /* another's lease that was seen to have run out, on the log's clock … */
  int64_t expired_at; /* … and when that was seen, boot ms */
  char *job_id;
  uint32_t generation;
  int unread; /* how often it couldn't be read when it was to be claimed */
  struct buffer payload;
  TAILQ_ENTRY (parcel) order;
  TAILQ_ENTRY (parcel) links; /* open, waiting or orphans */
};

TAILQ_HEAD (parcels, parcel);

struct lot_gauges
{
  struct metric *watermark;
  struct metric *incomplete;
  struct metric *lag;
  struct metric *retries;
};

struct lot
{
  struct kafka_work *work;
  int32_t partition;
  struct cursor messages;
  struct cursor claims_cursor; /* not for jobs: theirs is the bus's */
  struct claims *claims;
  bool loaded; /* the claims are read to what was the end at opening */
  int64_t
      caught_up; /* the log\'s clock when the messages were last read to their end; 0: not yet */
  struct parcels order;
  struct parcels open;
  struct parcels waiting;
  struct parcels orphans;
  size_t count; /* parcels */
  size_t unsettled;
  size_t open_count;
  size_t bytes;
  int64_t ticked;    /* boot ms */
  int64_t asked;     /* boot ms of the oldest tick that we haven't read yet; 0: none */
  int64_t slow_at;   /* boot ms at which a tick was read that had been long on its way; 0: never */
  int64_t contested; /* boot ms at which another was faster than we; 0: never */
  int64_t committed;
  struct lot_gauges gauges; /* made when they are first shown */
  int64_t buried;           /* what can't be read below this offset is a letter already */
};

/* Opens the lot at what was committed of it. NULL with ERR. */
struct lot *lot_open (struct kafka_work *work, int32_t partition, int64_t committed,
                      const char *metadata, struct error *err);
void lot_close (struct lot *lot);

/* Looks again at the parcels whose time has come. */
void lot_look (struct lot *lot);

/* Where a parcel stands now, by its entry; moves it between the lists. */
void parcel_update (struct parcel *parcel);
void parcel_set (struct parcel *parcel, enum parcel_state state, int64_t look_at);

/* All parcels of ENTRY. */
void lot_entry_changed (struct claims_entry *entry);

/* The offset to commit, and the text that goes with it (the caller frees). As long as the brokers
 * haven't got all letters it is what was committed, without a text: whoever reads from there writes
 * them again. Of jobs all are read again by whoever comes: what is committed is how far those that
 * can't be read have become letters. */
int64_t lot_watermark (const struct lot *lot, char **metadata);

/* How many retries wait for their time. */
size_t lot_retries (const struct lot *lot);

/* Now on the broker's clock, as far as we know it, ms; and how far that is from ours. */
int64_t lot_now (const struct lot *lot);
int64_t lot_skew (const struct lot *lot);

int32_t lot_claims_partition (const struct lot *lot);

/* Reads the messages that have come, as far as there is room, and forgets what is settled. */
void lot_read_messages (struct lot *lot);

/* A tick of ours was read. */
void lot_note_tick (struct lot *lot);

/* Asks for the log's clock: a record that means nothing, and whose time everybody sees. */
int claims_tick (struct kafka_bus *bus, int topic, int32_t partition, struct receipt *receipt,
                 struct error *err);

#endif

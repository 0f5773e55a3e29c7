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

#include "bus/kafka/kafka.h"

enum parcel_state
{
  PARCEL_OPEN,    /* in lot->open: to be claimed */
  PARCEL_WAITING, /* in lot->waiting, until look_at */
  PARCEL_OURS,    /* there is a holding for it */
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
  TAILQ_ENTRY (parcel) links; /* open or waiting */
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

/* Reads what has come, of claims first. */
void lot_pump (struct lot *lot);

/* Reads the claims to where they end now. */
int lot_sync (struct lot *lot, struct error *err);

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

/* The first open parcel of JOB_ID (NULL: any) whose job is alive; dead ones are dropped on the
 * way. */
struct parcel *lot_candidate (struct lot *lot, const char *job_id);

/* How many retries wait for their time. */
size_t lot_retries (const struct lot *lot);

/* Now on the broker's clock, as far as we know it, ms; and how far that is from ours. */
int64_t lot_now (const struct lot *lot);
int64_t lot_skew (const struct lot *lot);

int32_t lot_claims_partition (const struct lot *lot);

/* ---- metrics.c */

void kafka_show_lots (struct kafka_work *work);

/* ---- partitions.c: all lots of a queue */

enum
{
  LOTS_COMMIT_MS = 1000, /* between two commits, and for the last one */
};

/* Opens what isn't open of the partitions that are known. */
int lots_open (struct kafka_work *work, struct error *err);

/* Commits how far each is settled: now and then, without waiting; or now, waiting for up to
 * WAIT_MS. */
void lots_commit (struct kafka_work *work, int wait_ms);
void lots_close (struct kafka_work *work);

/* ---- inflight.c, told of each record that was read from the claims of LOT (NULL: of leases
 * that aren't jobs) */

void work_on_claim (struct kafka_bus *bus, struct lot *lot, const struct claim *claim,
                    struct claims_entry *entry, enum claims_verdict verdict);

/* Somebody decided how PARCEL ended and died before all was published. */
void work_redo (struct parcel *parcel);

/* Sends a claims record of KIND for ENTRY that nobody waits for. */
void work_note (struct lot *lot, const struct claims_entry *entry, enum claim_kind kind);

/* Takes a record of CURSOR into CLAIMS and tells the work of LOT. */
void claims_take_in (struct kafka_bus *bus, struct cursor *cursor, struct claims *claims,
                     struct lot *lot, const rd_kafka_message_t *message);

/* Asks for the log's clock: a record that means nothing, and whose time everybody sees. */
int claims_tick (struct kafka_bus *bus, int topic, int32_t partition, struct receipt *receipt,
                 struct error *err);

/* All that have come, without waiting. */
void claims_pump (struct kafka_bus *bus, struct cursor *cursor, struct claims *claims,
                  struct lot *lot);

#endif

/* partition.h — one partition of work: its messages in order, and the claims on them.
 *
 *     messages ─► OPEN, WAITING for its time or another's lease, OURS, ORPHANED, SETTLED
 *     claims   ─► fold (claims.h) ─► messages change
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
#include "bus/kafka/tables.h"

struct partition;

struct partition_set
{
  enum bus_queue kind;
  struct kafka_reader *reader; /* NULL until something is taken */
  struct kafka_tables *tables;
  /* of jobs: the claims on them, which are the leases */
  const struct cursor *leases_cursor;
  struct claims *leases;
  int messages; /* their topic */
  int claims;   /* the topic of the claims on them */
  struct partition **items;
  int count;
  int turn;             /* the partition that is looked at first */
  int64_t turned;       /* boot ms at which it became that */
  int64_t met_at;       /* boot ms at which another was faster than we; 0: never */
  int64_t looked;       /* boot ms of … */
  int64_t committed_at; /* likewise: what is owed was committed */
  int64_t all_at;       /* likewise: all was */
};

enum message_state
{
  MESSAGE_OPEN,    /* in partition->open: to be claimed */
  MESSAGE_WAITING, /* in partition->waiting, until look_at */
  MESSAGE_OURS,    /* this handle has a claim on it, or is about to */
  /* in partition->orphans: how it ended was decided by a handle that is gone since, to be published
     by another */
  MESSAGE_ORPHANED,
  MESSAGE_SETTLED,
};

struct message
{
  struct partition *partition;
  struct claims_entry *entry;
  struct message *twin; /* the same thing published again */
  int64_t offset;
  enum message_state state;
  int64_t time;       /* from when it may be run, on the broker's clock, ms */
  int64_t due;        /* boot ms; 0: at once */
  int64_t look_at;    /* boot ms */
  int64_t expired;    /* another's lease that was seen to have run out, on the log's clock … */
  int64_t expired_at; /* … and when that was seen, boot ms */
  char *job_id;
  uint32_t generation;
  int unread; /* how often it couldn't be read when it was to be claimed */
  struct buffer payload;
  TAILQ_ENTRY (message) order;
  TAILQ_ENTRY (message) links; /* open, waiting or orphans */
};

TAILQ_HEAD (message_list, message);

struct partition_gauges
{
  struct metric *watermark;
  struct metric *incomplete;
  struct metric *lag;
  struct metric *retries;
};

struct partition
{
  struct partition_set *set;
  int32_t number;
  struct cursor messages;
  struct cursor claims_cursor; /* not for jobs: theirs is the bus's */
  struct claims *claims;
  bool loaded; /* the claims are read to what was the end at opening */
  int64_t
      caught_up; /* the log\'s clock when the messages were last read to their end; 0: not yet */
  struct message_list order;
  struct message_list open;
  struct message_list waiting;
  struct message_list orphans;
  size_t count; /* messages */
  size_t unsettled;
  size_t open_count;
  size_t bytes;
  int64_t ticked;     /* boot ms */
  int64_t asked;      /* boot ms of the oldest tick that we haven't read yet; 0: none */
  int64_t slow_at;    /* boot ms at which a tick was read that had been long on its way; 0: never */
  int64_t contested;  /* boot ms at which another was faster than we; 0: never */
  int64_t head;       /* offset of the open message that was seen to be the first … */
  int64_t head_since; /* … since then, boot ms */
  int64_t committed;  /* by this handle, or before it came */
  int64_t owed;       /* where what this handle has settled ends: it is to commit that */
  unsigned int awaited;           /* records of ours in the claims that we haven't read back */
  unsigned int epoch;             /* the producer's when the last of them was sent */
  bool stolen;                    /* opened for want of other work: not of our share */
  struct partition_gauges gauges; /* made when they are first shown */
};

static inline struct kafka_producer *
partition_producer (const struct partition *partition)
{
  return partition->set->reader->producer;
}

/* Opens the partition at what was committed of it. NULL with ERR. */
struct partition *partition_open (struct partition_set *set, int32_t number, int64_t committed,
                                  const char *metadata, struct error *err);
void partition_close (struct partition *partition);

/* Looks again at the messages whose time has come. */
void partition_refresh (struct partition *partition);

/* Where a message stands now, by its entry; moves it between the lists. */
void message_update (struct message *message);
void message_set (struct message *message, enum message_state state, int64_t look_at);

/* This handle has settled the message at OFFSET. */
static inline void
partition_owe (struct partition *partition, int64_t offset)
{
  if (partition->owed <= offset)
    partition->owed = offset + 1;
}

/* A record of ours was sent to the claims, or read back. What a producer that was replaced sent may
 * be lost. */
void partition_note_sent (struct partition *partition);
void partition_note_read (struct partition *partition);

/* Whether all that was sent has been read back. */
bool partition_is_quiet (const struct partition *partition);

/* All messages of ENTRY. */
void partition_entry_changed (struct claims_entry *entry);

/* The offset to commit, and the text that goes with it (the caller frees; NULL: not wanted). As
 * long as the brokers haven't got all dead letters it is what was committed, without a text:
 * whoever reads from there writes them again. Of jobs all are read again by whoever comes: what is
 * committed is how far those that can't be read have become dead letters. */
int64_t partition_watermark (const struct partition *partition, char **metadata);

/* How many retries wait for their time. */
size_t partition_retries (const struct partition *partition);

/* Now on the broker's clock, as far as we know it, ms; and how far that is from ours. */
int64_t partition_now (const struct partition *partition);
int64_t partition_skew (const struct partition *partition);

int32_t partition_claims_partition (const struct partition *partition);

/* Reads the messages that have come, as far as there is room, and forgets what is settled. */
void partition_read_messages (struct partition *partition);

/* A tick of ours was read. */
void partition_note_tick (struct partition *partition);

/* Asks for the log's clock: a record that means nothing, and whose time everybody sees. */
int claims_tick (struct kafka_producer *producer, int topic, int32_t partition,
                 struct delivery_report *report, struct error *err);

#endif

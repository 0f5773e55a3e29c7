/* Which message is claimed next. */
#include "bus/kafka/choice.h"

#include "bus/kafka/client.h"
#include "bus/kafka/inflight.h"
#include "bus/kafka/partition.h"
#include "bus/kafka/producer.h"
#include "bus/kafka/queues.h"
#include "bus/kafka/share.h"
#include "bus/kafka/tables.h"

#include "common/clock.h"
#include "common/memory.h"

#include <string.h>

enum
{
  STAY_MS = 1000, /* at a partition, before the next one is looked at first */
  CONTESTED_MS = 1000,
  MET_MS = 300000, /* after another was faster, messages are shared out by hash for so long */
  BLOCK = 16,      /* neighbours, which one worker claims in one request */
  WINDOW = 256,    /* open messages that are looked at … */
  SPREAD = 4096,   /* … no further than this behind the first of them */
  HEAD_MS = 3000,  /* the first waits once to twice as long for the one whose hash is highest */
  FAIR_TURNS = 8,  /* one in so many begins with another queue than the preferred one */
};

/* ---- jobs that are left to others ------------------------------------------------------- */

/* The place in the list, or where it ends. */
static size_t
find_backed_off (const struct kafka_choice *choice, const char *job_id)
{
  size_t at = 0;
  while (at < choice->backed_off_count && strcmp (choice->backed_off[at].job_id, job_id) != 0)
    at++;
  return at;
}

void
choice_back_off (struct kafka_choice *choice, const char *job_id, int64_t ms)
{
  size_t at = find_backed_off (choice, job_id);
  if (at == choice->backed_off_count)
    {
      choice->backed_off = xrealloc (choice->backed_off, at + 1, sizeof *choice->backed_off);
      choice->backed_off[choice->backed_off_count++] =
          (struct backed_off){ .job_id = xstrdup (job_id) };
    }
  choice->backed_off[at].until = clock_boot_ms () + ms;
}

static bool
is_backed_off (struct kafka_choice *choice, const char *job_id)
{
  size_t at = find_backed_off (choice, job_id);
  if (at == choice->backed_off_count)
    return false;
  if (choice->backed_off[at].until > clock_boot_ms ())
    return true;
  free (choice->backed_off[at].job_id);
  choice->backed_off[at] = choice->backed_off[--choice->backed_off_count];
  return false;
}

static bool
choice_leaves (struct kafka_choice *choice, const struct message *message)
{
  return is_backed_off (choice, message->job_id)
         || tables_is_paused (choice->work->tables, message->job_id, message->generation);
}

/* ---- sharing out by hash ---------------------------------------------------------------- */

static uint64_t
seed_of (struct kafka_choice *choice)
{
  if (choice->seed == 0)
    for (const char *at = choice->work->producer->client->writer; *at != '\0'; at++)
      choice->seed = share_mix (choice->seed * 31 + (unsigned char) *at);
  return choice->seed;
}

/* How much this worker is meant for MESSAGE's block. */
static uint64_t
score_of (struct kafka_choice *choice, const struct message *message)
{
  const struct partition *partition = message->partition;
  uint64_t block = (uint64_t) (message->offset / BLOCK);
  uint64_t place = (uint64_t) partition->set->messages << 16 | (uint64_t) partition->number;
  return share_mix (seed_of (choice) ^ share_mix (place << 32 ^ block));
}

/* Where this worker comes to MESSAGE on its way around the block. */
static uint64_t
way_to (const struct message *message, uint64_t score)
{
  return ((uint64_t) message->offset + score) % BLOCK;
}

struct best
{
  struct message *head;
  struct message *message;
  uint64_t score;
};

static void
best_weigh (struct kafka_choice *choice, struct best *best, struct message *message)
{
  bool same = best->message != NULL && best->message->offset / BLOCK == message->offset / BLOCK;
  uint64_t score = same ? best->score : score_of (choice, message);
  if (best->message != NULL
      && (same ? way_to (message, score) >= way_to (best->message, score) : score <= best->score))
    return;
  best->message = message;
  best->score = score;
}

/* The first is taken when it has been the first for long: the one that is meant for it may be busy
 * for hours. Workers come to that at different times. */
static bool
head_is_old (struct kafka_choice *choice, const struct message *head)
{
  struct partition *partition = head->partition;
  int64_t now = clock_boot_ms ();
  if (partition->head != head->offset)
    {
      partition->head = head->offset;
      partition->head_since = now;
    }
  return now - partition->head_since
         >= HEAD_MS + (int64_t) (score_of (choice, head) / BLOCK % HEAD_MS);
}

static bool
has_met_others (const struct partition_set *set)
{
  return set->met_at != 0 && clock_boot_ms () - set->met_at < MET_MS;
}

static struct message *
best_open (struct kafka_choice *choice, struct partition *partition, const char *job_id)
{
  bool shard = partition->set->kind == BUS_SHARDS;
  struct best best = { 0 };
  struct message *message = NULL;
  int seen = 0;
  TAILQ_FOREACH (message, &partition->open, links)
    {
      if ((job_id != NULL && strcmp (message->job_id, job_id) != 0)
          || (shard && choice_leaves (choice, message)))
        continue;
      if (best.head == NULL)
        best.head = message;
      if (!shard || !has_met_others (partition->set))
        return message;
      if (seen++ == WINDOW || message->offset > best.head->offset + SPREAD)
        break;
      best_weigh (choice, &best, message);
    }
  return best.head != NULL && head_is_old (choice, best.head) ? best.head : best.message;
}

static struct message *
candidate_of (struct kafka_choice *choice, struct partition *partition, const char *job_id)
{
  for (;;)
    {
      struct message *message = best_open (choice, partition, job_id);
      if (message == NULL || partition->set->kind != BUS_SHARDS
          || tables_is_live (choice->work->tables, message->job_id, message->generation))
        return message;
      if (message->entry->base >= 0)
        inflight_note (partition, message->entry, CLAIM_DONE);
      message_set (message, MESSAGE_SETTLED, 0);
      partition_owe (partition, message->offset);
    }
}

/* ---- partitions, queues ----------------------------------------------------------------- */

/* Partitions where another was faster lately are left to him as long as there is work elsewhere: so
 * workers part company without talking about it. One is stayed at for a while, and no longer: what
 * lies in others has its turn. */
static struct message *
next_candidate (struct kafka_choice *choice, struct partition_set *set, const char *job_id)
{
  int64_t now = clock_boot_ms ();
  int64_t recently = now - CONTESTED_MS;
  int first = now - set->turned > STAY_MS ? set->turn + 1 : set->turn;
  for (int pass = 0; pass < 2; pass++)
    for (int i = 0; i < set->count; i++)
      {
        int at = (first + i) % set->count;
        struct partition *partition = set->items[at];
        bool contested = partition->contested != 0 && partition->contested > recently;
        struct message *message =
            contested == (pass == 1) ? candidate_of (choice, partition, job_id) : NULL;
        if (message == NULL)
          continue;
        set->turned = at == set->turn ? set->turned : now;
        set->turn = at;
        return message;
      }
  return NULL;
}

/* The queues in order of preference; now and then another one comes first, so that none starves. */
struct message *
choice_next (struct kafka_choice *choice, enum bus_queue queue, const char *job_id)
{
  if (queue == BUS_JOBS)
    return next_candidate (choice, &choice->work->jobs, job_id);
  unsigned int turn = choice->turns++;
  unsigned int count = (unsigned int) choice->work->queues->served_count;
  unsigned int first = turn % FAIR_TURNS == 0 ? turn / FAIR_TURNS % count : 0;
  struct message *message = NULL;
  for (unsigned int i = 0; message == NULL && i < count; i++)
    message = next_candidate (choice, &choice->work->shards[(first + i) % count], job_id);
  return message;
}

void
choice_release (struct kafka_choice *choice)
{
  for (size_t i = 0; i < choice->backed_off_count; i++)
    free (choice->backed_off[i].job_id);
  free (choice->backed_off);
}

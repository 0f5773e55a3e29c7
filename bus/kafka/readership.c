/* Which partitions of a queue this worker reads now. */
#include "bus/kafka/readership.h"

#include "bus/kafka/inflight.h"
#include "bus/kafka/leases.h"
#include "bus/kafka/members.h"
#include "bus/kafka/metadata.h"
#include "bus/kafka/partitions.h"
#include "bus/kafka/producer.h"
#include "bus/kafka/queues.h"
#include "bus/kafka/share.h"
#include "bus/kafka/trouble.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"

#include <string.h>
#include <sys/random.h>

enum
{
  TEND_MS = 1000,
  PAUSE_MS = 200, /* without work before the brokers are asked; twice as long each time … */
  PAUSE_MAX_MS = 4000,
};

/* ---- our share -------------------------------------------------------------------------- */

static struct kafka_client *
readership_client (const struct readership *readership)
{
  return readership->work->producer->client;
}

/* While brokers are in trouble everybody is silent, and says so again only after it. */
static bool
members_are_known (const struct readership *readership)
{
  const struct kafka_client *client = readership_client (readership);
  int64_t trouble = kafka_trouble_at (&readership->work->producer->client->trouble);
  return trouble == 0 || clock_boot_ms () - trouble > client->lease_ms;
}

static void
readership_choose (struct readership *readership)
{
  int32_t count = partitions_known (readership->set);
  if (readership->count == count && !members_are_known (readership))
    return;
  if (readership->count != count)
    {
      size_t old = (size_t) readership->count;
      size_t new = (size_t) count;
      readership->share = xrealloc (readership->share, new, sizeof *readership->share);
      readership->barren = xrealloc (readership->barren, new, sizeof *readership->barren);
      if (new > old)
        memset (&readership->barren[old], 0, (new - old) * sizeof *readership->barren);
      readership->count = count;
    }
  size_t others_count = 0;
  auto_free const char **others = members_living (
      &readership->queue->members, claims_now (readership->work->leases->claims), &others_count);
  share_choose (readership_client (readership)->writer, others, others_count, readership->share,
                count);
}

/* ---- opening, closing ------------------------------------------------------------------- */

static bool
is_in_use (const struct readership *readership, const struct partition *partition)
{
  if (!partition_is_quiet (partition) || !TAILQ_EMPTY (&partition->orphans))
    return true;
  const struct inflight *inflight = NULL;
  TAILQ_FOREACH (inflight, &readership->work->inflight->list, links)
    if (inflight->partition == partition)
      return true;
  return false;
}

/* Whether all of PARTITION is read, up to the end when it was opened. */
static bool
is_read (const struct partition *partition)
{
  return partition->loaded && cursor_is_at_end (&partition->messages);
}

static bool
may_close (const struct readership *readership, const struct partition *partition)
{
  if (partition->stolen && (!is_read (partition) || partition->open_count > 0))
    return false;
  return !is_in_use (readership, partition);
}

static void
close_foreign (struct readership *readership)
{
  struct partition_set *set = readership->set;
  for (int i = set->count - 1; i >= 0; i--)
    {
      struct partition *partition = set->items[i];
      int32_t number = partition->number;
      bool ours = number < readership->count && readership->share[number];
      partition->stolen = partition->stolen && !ours;
      if (ours || !may_close (readership, partition))
        continue;
      if (partition->stolen && number < readership->count)
        readership->barren[number] =
            (struct barren){ .end = partition->messages.next,
                             .until = clock_boot_ms () + readership_client (readership)->lease_ms };
      log_debug ("partition_closed", "queue=%s partition=%d stolen=%d", readership->queue->name,
                 number, partition->stolen);
      partitions_close_one (set, partition);
    }
}

int
readership_tend (struct readership *readership, struct error *err)
{
  int64_t now = clock_boot_ms ();
  bool first = readership->set->count == 0;
  if (!first
      && (now - readership->tended < TEND_MS
          || kafka_is_doubted (&readership->work->producer->client->trouble)))
    return 0;
  readership->tended = now;
  readership_choose (readership);
  close_foreign (readership);
  return partitions_open (readership->set, readership->share, readership->count, err);
}

/* ---- stealing --------------------------------------------------------------------------- */

void
readership_feed (struct readership *readership)
{
  readership->hungry_since = 0;
  readership->asked = 0;
  readership->pause_ms = PAUSE_MS;
}

/* Whether what is open may still turn out to have something. What is open to be claimed, and wasn't
 * chosen, isn't for us now. */
static bool
is_still_reading (const struct readership *readership)
{
  for (int i = 0; i < readership->set->count; i++)
    if (!is_read (readership->set->items[i]) && readership->set->items[i]->open_count == 0)
      return true;
  return false;
}

/* What is committed beyond the end was so in another log. */
static bool
is_promising (const struct readership *readership, int32_t number, int64_t committed, int64_t end)
{
  const struct barren *barren = &readership->barren[number];
  return end > 0 && end != committed && partitions_find (readership->set, number) == NULL
         && !(barren->end == end && clock_boot_ms () < barren->until);
}

/* One of the partitions that have more than is committed; -1: there is none, as far as the brokers
 * say. */
static int32_t
find_promising (const struct readership *readership)
{
  int32_t count = readership->count;
  auto_free int64_t *ends = xcalloc ((size_t) count, sizeof *ends);
  auto_free int64_t *committed = xcalloc ((size_t) count, sizeof *committed);
  struct error ignored = ERROR_INIT;
  /* The ends come last: what others commit meanwhile isn't beyond them. */
  if (partitions_read_offsets (readership->set, committed, count, &ignored) != 0
      || metadata_find_ends (readership->work->producer, readership->set->messages, ends, count,
                             &ignored)
             != 0)
    return -1;
  uint32_t first = 0;
  (void) getrandom (&first, sizeof first, 0);
  for (int32_t i = 0; i < count; i++)
    {
      int32_t at = (int32_t) ((first + (uint32_t) i) % (uint32_t) count);
      if (is_promising (readership, at, committed[at], ends[at]))
        return at;
    }
  return -1;
}

static void
readership_steal (struct readership *readership, int32_t number)
{
  struct error why = ERROR_INIT;
  auto_free bool *wanted = xcalloc ((size_t) readership->count, sizeof *wanted);
  wanted[number] = true;
  if (partitions_open (readership->set, wanted, readership->count, &why) != 0)
    {
      log_failure (LOG_INFO, "partition_not_opened", &why, "queue=%s partition=%d",
                   readership->queue->name, number);
      return;
    }
  partitions_find (readership->set, number)->stolen = true;
  readership->pause_ms = PAUSE_MS;
  log_debug ("partition_stolen", "queue=%s partition=%d", readership->queue->name, number);
}

void
readership_seek (struct readership *readership)
{
  int64_t now = clock_boot_ms ();
  if (readership->set->count >= readership->count)
    return;
  if (readership->hungry_since == 0 || is_still_reading (readership))
    {
      readership->hungry_since = now;
      readership->pause_ms = PAUSE_MS;
      return;
    }
  int64_t since =
      readership->asked > readership->hungry_since ? readership->asked : readership->hungry_since;
  if (now - since < readership->pause_ms
      || kafka_is_doubted (&readership->work->producer->client->trouble))
    return;
  int32_t number = find_promising (readership);
  readership->pause_ms *= 2;
  if (readership->pause_ms > PAUSE_MAX_MS)
    readership->pause_ms = PAUSE_MAX_MS;
  readership->asked = clock_boot_ms ();
  if (number >= 0)
    readership_steal (readership, number);
}

void
readership_release (struct readership *readership)
{
  free (readership->share);
  free (readership->barren);
}

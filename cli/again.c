#include "cli/again.h"

#include "cli/changes.h"
#include "cli/linked_attempt.h"
#include "cli/summary.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/memory.h"
#include "producer/producer.h"
#include "result/result.h"

#include <stdio.h>
#include <string.h>

static int
set_update (void *context, const char *value, struct error *err)
{
  (void) value;
  (void) err;
  ((struct again_args *) context)->update = true;
  return 0;
}

static int
set_again (void *context, const char *value, struct error *err)
{
  (void) value;
  (void) err;
  ((struct again_args *) context)->again = true;
  return 0;
}

const struct option_spec again_options[] = {
  { 0, "update", NULL, NULL, "run shards with new or changed inputs, reuse the rest", GROUP_RUN,
    true, set_update },
  { 0, "again", NULL, NULL, "begin anew; the old result is replaced by the whole new one",
    GROUP_RUN, true, set_again },
  { 0 },
};

/* ---- what the earlier job made ------------------------------------------------------------- */

struct made
{
  uint8_t digest[DIGEST_SIZE]; /* of the atoms */
  uint32_t index;
  char *folder;
  struct attempt_report report; /* its strings are NULL */
};

struct harvest
{
  struct made *items;
  size_t count;
  int folder_fd; /* of the earlier result */
  bool by_index; /* the command knows its shard's number */
};

static void
harvest_release (struct harvest *harvest)
{
  for (size_t i = 0; i < harvest->count; i++)
    free (harvest->items[i].folder);
  free (harvest->items);
  auto_fd_ (&harvest->folder_fd);
}

static bool
again_names_index (const struct strlist *words)
{
  for (size_t i = 0; i < words->count; i++)
    if (strstr (words->items[i], "SHARD_INDEX") != NULL
        || strstr (words->items[i], "SHARD_COUNT") != NULL)
      return true;
  return false;
}

bool
again_knows_index (const struct job *job)
{
  return job->needs_count || again_names_index (&job->command)
         || again_names_index (&job->entrypoint) || again_names_index (&job->env);
}

static int
compare_made (const void *a, const void *b)
{
  return memcmp (((const struct made *) a)->digest, ((const struct made *) b)->digest, DIGEST_SIZE);
}

struct made_list
{
  struct made **by_index;
  int64_t shards;
};

/* The report of an attempt that counts, from its event. */
static void
add_report (void *context, const struct event *event)
{
  const struct made_list *list = context;
  struct made *made =
      event->kind == EVENT_FINISHED && event->shard_kind == SHARD_MAP && event->index < list->shards
          ? list->by_index[event->index]
          : NULL;
  if (made == NULL || event->report.folder == NULL
      || strcmp (event->report.folder, made->folder) != 0)
    return;
  made->report = event->report;
  made->report.folder = NULL;
  made->report.reason = NULL;
}

static int
gather_shards (const struct session *session, const struct fold *fold, struct harvest *harvest,
               struct made **by_index, struct error *err)
{
  int64_t shards = fold_shards (fold);
  for (uint32_t i = 0; i < shards; i++)
    {
      auto_shard struct shard shard = { 0 };
      auto_free char *folder = fold_folder_name (fold, i);
      if (fold_shard (fold, i)->state != SHARD_SUCCEEDED || folder == NULL)
        continue;
      int stands = bus_get_shard (session->bus, session->job.id, i, &shard, err);
      if (stands > 0)
        stands = changes_shard_stands (session, &shard, err);
      if (stands < 0)
        return -1;
      if (stands == 0)
        continue;
      struct made *made = &harvest->items[harvest->count++];
      *made = (struct made){ .index = i, .folder = take (&folder) };
      memcpy (made->digest, shard.digest, DIGEST_SIZE);
      by_index[i] = made;
    }
  return 0;
}

static int
again_gather (const struct session *session, struct harvest *harvest, struct error *err)
{
  const struct job *job = &session->job;
  auto_counters struct counters counters = { 0 };
  if (summary_read (session, &counters, err) != 0)
    return -1;
  int64_t shards = fold_shards (counters.fold);
  int changed = shards < 0 ? 1 : changes_whole_volumes (session, err);
  harvest->folder_fd = fs_open_folder (session->folder_fd, ".", err);
  if (changed != 0 || job->glob == NULL || harvest->folder_fd < 0)
    return changed < 0 || harvest->folder_fd < 0 ? -1 : 0;
  harvest->by_index = again_knows_index (job);
  harvest->items = xcalloc ((size_t) shards + 1, sizeof *harvest->items);
  struct made_list list = { .by_index = xcalloc ((size_t) shards + 1, sizeof *list.by_index),
                            .shards = shards };
  int result = gather_shards (session, counters.fold, harvest, list.by_index, err);
  if (result == 0)
    result = session_each_event (session, add_report, &list, err);
  free (list.by_index);
  qsort (harvest->items, harvest->count, sizeof *harvest->items, compare_made);
  return result;
}

static const struct made *
find_made (const struct harvest *harvest, const struct shard *shard)
{
  struct made wanted = { 0 };
  memcpy (wanted.digest, shard->digest, DIGEST_SIZE);
  const struct made *made = harvest->count == 0 ? NULL
                                                : bsearch (&wanted, harvest->items, harvest->count,
                                                           sizeof *harvest->items, compare_made);
  return made != NULL && harvest->by_index && made->index != shard->index ? NULL : made;
}

/* ---- taking it over -------------------------------------------------------------------------- */

static int
again_settle_shard (const struct session *session, struct bus *bus, const struct harvest *harvest,
                    struct delivery *delivery, const struct made *made, struct error *err)
{
  const struct shard *shard = &delivery->shard;
  auto_free char *folder =
      result_attempt_name (shard->index, shard->generation, shard->attempt, delivery->starts);
  if (linked_attempt_make (harvest->folder_fd, made->folder, session->folder_fd, folder, err) != 0)
    return -1;
  struct event event = { .kind = EVENT_FINISHED,
                         .job_id = session->job.id,
                         .time = clock_wall_ms (),
                         .writer = (char *) (uintptr_t) bus_writer (bus),
                         .generation = shard->generation,
                         .index = shard->index,
                         .attempt = shard->attempt,
                         .starts = delivery->starts,
                         .atoms = shard->atom_count,
                         .bytes = shard->bytes,
                         .report = made->report };
  memcpy (event.digest, shard->digest, DIGEST_SIZE);
  event.report.folder = folder;
  return bus_settle_wait (bus, delivery, &event, NULL, err) < 0 ? -1 : 0;
}

/* Settles DELIVERY with what was made of the same atoms: 1; 0 when nothing was; or -1. */
static int
reuse (const struct session *session, struct bus *bus, const struct harvest *harvest,
       struct delivery *delivery, struct error *err)
{
  const struct made *made = find_made (harvest, &delivery->shard);
  if (made == NULL)
    return 0;
  return again_settle_shard (session, bus, harvest, delivery, made, err) == 0 ? 1 : -1;
}

static int
again_take_over (const struct session *session, const struct harvest *harvest, int64_t *reused,
                 struct error *err)
{
  auto_strlist struct strlist queues = { 0 };
  strlist_add (&queues, session->job.queue);
  auto_free char *url = session_bus_url (session, err);
  const struct bus_options options = { .client = "cli", .queues = &queues, .lease_ms = 600000 };
  auto_bus struct bus *bus = url == NULL ? NULL : bus_open (url, &options, err);
  struct delivery **left = NULL; /* they run */
  size_t count = 0;
  int got = bus == NULL ? -1 : 1;
  while (got > 0)
    {
      struct delivery *delivery = NULL;
      got = bus_take (bus, BUS_SHARDS, session->job.id, &delivery, err);
      if (got <= 0)
        break;
      int used = reuse (session, bus, harvest, delivery, err);
      if (used > 0)
        {
          (*reused)++;
          delivery_free (delivery);
          continue;
        }
      left = xrealloc (left, count + 1, sizeof *left);
      left[count++] = delivery;
      got = used < 0 ? -1 : got;
    }
  for (size_t i = 0; i < count; i++)
    {
      if (bus_release (bus, left[i], got < 0 ? NULL : err) < 0)
        got = -1;
      delivery_free (left[i]);
    }
  free (left);
  return got;
}

static int
plan_now (const struct session *session, struct error *err)
{
  auto_free char *url = session_bus_url (session, err);
  const struct producer_options options = { .bus_url = url, .job_id = session->job.id };
  return url == NULL ? -1 : producer_run (&options, err);
}

int
again_begin (struct session *session, const struct job *job, bool update, int64_t *reused,
             struct error *err)
{
  struct harvest harvest = { .folder_fd = -1 };
  auto_free char *location = xstrdup (session->location);
  auto_job struct job begun = { 0 };
  job_copy (&begun, job);
  if (update) /* what is taken over may be of several images */
    strlist_extend (&begun.earlier_images, &session->job.earlier_images);
  int result = update ? again_gather (session, &harvest, err) : 0;
  if (result == 0)
    result = result_begin_again (location, err);
  if (result == 0)
    {
      session_release (session);
      session->access = BUS_MAKES;
      result = session_open_location (session, location, err);
    }
  if (result == 0)
    result = session_lock (session, err);
  if (result == 0)
    {
      job_copy (&session->job, &begun);
      result = bus_submit (session->bus, &begun, err) < 0 ? -1 : 0;
    }
  if (result == 0 && harvest.count > 0)
    {
      result = plan_now (session, err);
      if (result == 0)
        result = again_take_over (session, &harvest, reused, err);
    }
  harvest_release (&harvest);
  return result;
}

#include "schemas/messages.h"

#include "common/clock.h"
#include "common/memory.h"
#include "schemas/job_bounds.h"

#include <string.h>
#include <strings.h>

/* ---- job -------------------------------------------------------------------------------- */

enum
{
  EVERY_SHARD = 10000,     /* basis points */
  MEMORY_GROWTH_USUAL = 8, /* times a job's memory, at most, by --retry-memory */
};

void
job_init (struct job *job)
{
  *job = (struct job){
    .batch_size = 1,
    .batch_bytes = -1,
    .shards = -1,
    .memory = -1,
    .cpus = -1,
    .pids = -1,
    .timeout_ms = -1,
    .job_timeout_ms = -1,
    .stage_timeout_ms = -1,
    .collect_timeout_ms = -1,
    .max_output_bytes = -1,
    .max_output_files = -1,
    .log_limit = JOB_LOG_LIMIT_USUAL,
    .retries = JOB_RETRIES_USUAL,
    .retry_memory = -1,
    .retry_memory_max = -1,
    .min_success = EVERY_SHARD,
    .max_failures = -1,
    .max_failures_bp = -1,
    .pilot = -1,
    .max_parallel = -1,
    .runtime = xstrdup ("oci"),
    .queue = xstrdup ("default"),
    .init = true,
    .stop_timeout_ms = -1,
    .shm_size = -1,
  };
  job->success_codes.has[0] = true;
}

int64_t
job_memory_most (const struct job *job)
{
  if (job->memory < 0 || job->retry_memory < 0)
    return job->memory;
  return job->retry_memory_max > 0                           ? job->retry_memory_max
         : job->memory > JOB_BYTES_MAX / MEMORY_GROWTH_USUAL ? JOB_BYTES_MAX
                                                             : job->memory * MEMORY_GROWTH_USUAL;
}

void
job_release (struct job *job)
{
  char *strings[] = { job->id,           job->results,         job->image,       job->workdir,
                      job->user,         job->runtime,         job->glob,        job->base_path,
                      job->reduce_image, job->queue,           job->webhook,     job->credentials,
                      job->image_id,     job->reduce_image_id, job->stop_signal, job->hostname,
                      job->platform };
  for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++)
    free (strings[i]);
  struct strlist *lists[] = { &job->command, &job->entrypoint,  &job->env,
                              &job->tmpfs,   &job->exclude,     &job->reduce_command,
                              &job->groups,  &job->cap_drop,    &job->ulimits,
                              &job->devices, &job->quarantined, &job->earlier_images };
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
    strlist_release (lists[i]);
  for (size_t i = 0; i < job->volume_count; i++)
    {
      free (job->volumes[i].source);
      free (job->volumes[i].path);
    }
  free (job->volumes);
  for (size_t i = 0; i < job->output_count; i++)
    {
      free (job->outputs[i].name);
      free (job->outputs[i].path);
    }
  free (job->outputs);
  *job = (struct job){ 0 };
}

static struct strlist
list_copy (const struct strlist *list)
{
  struct strlist copy = { 0 };
  strlist_extend (&copy, list);
  return copy;
}

void
job_copy (struct job *to, const struct job *from)
{
  *to = *from;
  char **strings[] = { &to->id,           &to->results,         &to->image,       &to->workdir,
                       &to->user,         &to->runtime,         &to->glob,        &to->base_path,
                       &to->reduce_image, &to->queue,           &to->webhook,     &to->credentials,
                       &to->image_id,     &to->reduce_image_id, &to->stop_signal, &to->hostname,
                       &to->platform };
  for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++)
    *strings[i] = xstrdup (*strings[i]);
  struct strlist *lists[] = { &to->command, &to->entrypoint,  &to->env,
                              &to->tmpfs,   &to->exclude,     &to->reduce_command,
                              &to->groups,  &to->cap_drop,    &to->ulimits,
                              &to->devices, &to->quarantined, &to->earlier_images };
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
    *lists[i] = list_copy (lists[i]);
  to->volumes = xcalloc (from->volume_count, sizeof *to->volumes);
  for (size_t i = 0; i < from->volume_count; i++)
    to->volumes[i] = (struct volume){ .source = xstrdup (from->volumes[i].source),
                                      .path = xstrdup (from->volumes[i].path),
                                      .shared = from->volumes[i].shared };
  to->outputs = xcalloc (from->output_count, sizeof *to->outputs);
  for (size_t i = 0; i < from->output_count; i++)
    to->outputs[i] = (struct output){ .name = xstrdup (from->outputs[i].name),
                                      .path = xstrdup (from->outputs[i].path) };
}

/* ---- the others ------------------------------------------------------------------------- */

void
shard_release (struct shard *shard)
{
  free (shard->job_id);
  buffer_release (&shard->atoms);
  strlist_release (&shard->volume_pins);
  *shard = (struct shard){ 0 };
}

void
shard_copy (struct shard *to, const struct shard *from)
{
  *to = *from;
  to->job_id = xstrdup (from->job_id);
  to->atoms = (struct buffer){ 0 };
  buffer_append (&to->atoms, from->atoms.data, from->atoms.size);
  to->volume_pins = list_copy (&from->volume_pins);
}

const char *
shard_volume_pin (const struct shard *shard, size_t volume)
{
  const struct strlist *pins = &shard->volume_pins;
  return volume < pins->count && pins->items[volume][0] != '\0' ? pins->items[volume] : NULL;
}

void
attempt_report_release (struct attempt_report *report)
{
  free (report->folder);
  free (report->reason);
  *report = (struct attempt_report){ 0 };
}

void
event_release (struct event *event)
{
  free (event->job_id);
  free (event->writer);
  attempt_report_release (&event->report);
  strlist_release (&event->volume_pins);
  free (event->indexes);
  free (event->reason);
  free (event->class_name);
  *event = (struct event){ 0 };
}

void
control_release (struct control *control)
{
  free (control->job_id);
  free (control->reason);
  *control = (struct control){ 0 };
}

void
job_status_reopen (struct job_status *status, const char *id, uint32_t generation)
{
  if (status->job_id == NULL)
    *status = (struct job_status){ .job_id = xstrdup (id), .shards = -1, .atoms = -1 };
  status->state = JOB_RUNNING;
  status->generation = generation;
  status->updated = clock_wall_ms ();
  free (take (&status->reason));
}

void
job_status_release (struct job_status *status)
{
  free (status->job_id);
  free (status->result);
  free (status->reason);
  free (status->class_name);
  free (status->webhook);
  *status = (struct job_status){ 0 };
}

void
claim_release (struct claim *claim)
{
  free (claim->writer);
  buffer_release (&claim->event);
  buffer_release (&claim->retry);
  *claim = (struct claim){ 0 };
}

/* ---- names ------------------------------------------------------------------------------ */

static const char *const outcome_names[] = { "succeeded", "failed", "oom", "timeout",
                                             "cancelled", "infra",  NULL };
static const char *const job_state_names[] = { "queued",    "running",   "merging",
                                               "succeeded", "partial",   "failed",
                                               "conflict",  "cancelled", NULL };
static const char *const on_conflict_names[] = {
  "fail", "first", "last", "rename", "concat", NULL
};
static const char *const event_kind_names[] = { "unknown",  "planned",  "started",
                                                "finished", "reopened", "cancelled",
                                                "failed",   "remerge",  NULL };
static const char *const network_names[] = { "none", "host", NULL };
static const char *const symlinks_names[] = { "beneath", "follow", "skip", NULL };
static const char *const shard_order_names[] = { "index", "size", NULL };
static const char *const stage_mode_names[] = { "auto", "link", "copy", "bind", NULL };
static const char *const output_links_names[] = { "follow", "keep", "fail", NULL };

static int
from_name (const char *const names[], const char *name)
{
  for (int i = 0; names[i] != NULL; i++)
    if (strcasecmp (names[i], name) == 0)
      return i;
  return -1;
}

const char *
outcome_name (enum outcome outcome)
{
  return outcome_names[outcome];
}

const char *
job_state_name (enum job_state state)
{
  return job_state_names[state];
}

const char *
on_conflict_name (enum on_conflict policy)
{
  return on_conflict_names[policy];
}

const char *
event_kind_name (enum event_kind kind)
{
  return event_kind_names[kind];
}

const char *
network_name (enum network network)
{
  return network_names[network];
}

const char *
symlinks_name (enum symlinks symlinks)
{
  return symlinks_names[symlinks];
}

const char *
shard_order_name (enum shard_order order)
{
  return shard_order_names[order];
}

const char *
stage_mode_name (enum stage_mode mode)
{
  return stage_mode_names[mode];
}

const char *
output_links_name (enum output_links links)
{
  return output_links_names[links];
}

int
job_state_from_name (const char *name)
{
  return from_name (job_state_names, name);
}

int
on_conflict_from_name (const char *name)
{
  return from_name (on_conflict_names, name);
}

int
network_from_name (const char *name)
{
  return from_name (network_names, name);
}

int
symlinks_from_name (const char *name)
{
  return from_name (symlinks_names, name);
}

bool
job_wants_sizes (const struct job *job)
{
  return job->batch_bytes > 0 || job->order == ORDER_SIZE;
}

int
shard_order_from_name (const char *name)
{
  return from_name (shard_order_names, name);
}

int
stage_mode_from_name (const char *name)
{
  return from_name (stage_mode_names, name);
}

int
output_links_from_name (const char *name)
{
  return from_name (output_links_names, name);
}

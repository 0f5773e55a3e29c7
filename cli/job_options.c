#include "cli/job_options.h"

#include "cli/env_file.h"
#include "cli/gpus_option.h"
#include "cli/mount_option.h"
#include "cli/words.h"
#include "common/memory.h"
#include "schemas/job_bounds.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* Defines the setter NAME for a struct job_args *args. */
#define SETTER(name) static int set_##name (void *context, const char *value, struct error *err)

#define JOB(context) (&((struct job_args *) (context))->job)

/* What may be said at all; job_check knows how much of it may be meant. */
static int
parse_count (const char *text, int64_t *count, struct error *err)
{
  return units_parse_number (text, 0, INT64_MAX, count, err);
}

static void
replace (char **slot, const char *value)
{
  free (*slot);
  *slot = xstrdup (value);
}

/* ---- inputs and slicing ----------------------------------------------------------------- */

/* "SRC:/PATH" at its last ":/"; a SRC may hold colons itself (s3://…). Docker's ":ro" is taken for
 * what it is. */
static int
split_mount (const char *value, const char *expected, char **left, char **path, struct error *err)
{
  auto_free char *text = xstrdup (value);
  size_t length = strlen (text);
  if (length > 3 && strcmp (text + length - 3, ":rw") == 0)
    return error_set (err, ERROR_USER, "%s: inputs are read-only; an output is -o NAME:PATH",
                      value);
  if (length > 3 && strcmp (text + length - 3, ":ro") == 0)
    text[length - 3] = '\0';
  char *cut = NULL;
  for (char *at = strstr (text, ":/"); at != NULL; at = strstr (at + 1, ":/"))
    cut = at;
  if (cut == NULL || cut == text || cut[2] == '/')
    return error_set (err, ERROR_USER, "\"%s\": expected %s, PATH beginning with a slash", value,
                      expected);
  *cut = '\0';
  *path = xstrdup (cut + 1);
  *left = xstrdup (text);
  return 0;
}

static int
add_volume (struct job *job, const char *value, bool shared, struct error *err)
{
  struct volume volume = { .shared = shared };
  if (split_mount (value, "SRC:PATH", &volume.source, &volume.path, err) != 0)
    return -1;
  job->volumes = xrealloc (job->volumes, job->volume_count + 1, sizeof *job->volumes);
  job->volumes[job->volume_count++] = volume;
  return 0;
}

SETTER (volume) { return add_volume (JOB (context), value, false, err); }

SETTER (mount) { return mount_option_read (value, JOB (context), err); }

SETTER (volume_shared) { return add_volume (JOB (context), value, true, err); }

/* Of a member that is a text as it was given. */
#define TEXT_SETTER(name, member)                                                                  \
  SETTER (name)                                                                                    \
  {                                                                                                \
    (void) err;                                                                                    \
    replace (&JOB (context)->member, value);                                                       \
    return 0;                                                                                      \
  }

TEXT_SETTER (glob, glob)

SETTER (glob_ignore_case)
{
  (void) value;
  (void) err;
  JOB (context)->glob_ignore_case = true;
  return 0;
}

TEXT_SETTER (base_path, base_path)

SETTER (batch_size)
{
  ((struct job_args *) context)->has_batch_size = true;
  return parse_count (value, &JOB (context)->batch_size, err);
}

/* Bytes alone say how large a shard is: then any number of files makes one. */
SETTER (batch_bytes)
{
  struct job_args *args = context;
  if (!args->has_batch_size)
    args->job.batch_size = JOB_COUNT_MAX;
  return units_parse_size (value, &args->job.batch_bytes, err);
}

SETTER (shards) { return parse_count (value, &JOB (context)->shards, err); }

SETTER (exclude)
{
  (void) err;
  strlist_add (&JOB (context)->exclude, value);
  return 0;
}

SETTER (order)
{
  int choice = options_choose (shard_order_from_name, value, "index, size", err);
  JOB (context)->order = choice < 0 ? ORDER_INDEX : (enum shard_order) choice;
  return choice < 0 ? -1 : 0;
}

SETTER (symlinks)
{
  int choice = options_choose (symlinks_from_name, value, "beneath, follow, skip", err);
  JOB (context)->symlinks = choice < 0 ? SYMLINKS_BENEATH : (enum symlinks) choice;
  return choice < 0 ? -1 : 0;
}

SETTER (stage)
{
  int choice = options_choose (stage_mode_from_name, value, "auto, link, copy, bind", err);
  JOB (context)->stage = choice < 0 ? STAGE_AUTO : (enum stage_mode) choice;
  return choice < 0 ? -1 : 0;
}

/* ---- outputs ---------------------------------------------------------------------------- */

SETTER (output)
{
  struct job *job = JOB (context);
  const char *cut = strstr (value, ":/");
  if (cut == NULL)
    return error_set (err, ERROR_USER, "\"%s\": expected NAME:PATH, PATH beginning with a slash",
                      value);
  job->outputs = xrealloc (job->outputs, job->output_count + 1, sizeof *job->outputs);
  job->outputs[job->output_count++] =
      (struct output){ .name = xstrndup (value, (size_t) (cut - value)),
                       .path = xstrdup (cut + 1) };
  return 0;
}

SETTER (on_conflict)
{
  int choice =
      options_choose (on_conflict_from_name, value, "fail, first, last, rename, concat", err);
  JOB (context)->on_conflict = choice < 0 ? CONFLICT_FAIL : (enum on_conflict) choice;
  return choice < 0 ? -1 : 0;
}

SETTER (output_links)
{
  int choice = options_choose (output_links_from_name, value, "keep, follow, fail", err);
  JOB (context)->output_links = choice < 0 ? OUTPUT_LINKS_FOLLOW : (enum output_links) choice;
  return choice < 0 ? -1 : 0;
}

TEXT_SETTER (reduce, reduce_image)

SETTER (image)
{
  struct job_args *args = context;
  if (args->image_count > 0 && strcmp (args->job.image, value) != 0)
    return error_set (err, ERROR_USER, "\"%s\" and \"%s\": there can be one", args->job.image,
                      value);
  args->image_count++;
  replace (&args->job.image, value);
  return 0;
}

SETTER (reduce_command) { return words_split (value, &JOB (context)->reduce_command, err); }

/* ---- container -------------------------------------------------------------------------- */

SETTER (env) { return env_add (JOB (context), value, err); }

SETTER (env_file) { return env_file_read (value, JOB (context), err); }

TEXT_SETTER (workdir, workdir)
TEXT_SETTER (user, user)

SETTER (entrypoint)
{
  struct job *job = JOB (context);
  (void) err;
  job->has_entrypoint = true;
  strlist_release (&job->entrypoint);
  if (value[0] != '\0')
    strlist_add (&job->entrypoint, value);
  return 0;
}

SETTER (network)
{
  int choice = options_choose (network_from_name, value, "none, host", err);
  JOB (context)->network = choice < 0 ? NETWORK_NONE : (enum network) choice;
  return choice < 0 ? -1 : 0;
}

SETTER (read_only)
{
  (void) value;
  (void) err;
  JOB (context)->read_only = true;
  return 0;
}

/* As docker's: true unless something else was said. */
SETTER (init)
{
  bool off = value != NULL && strcmp (value, "false") == 0;
  if (value != NULL && !off && strcmp (value, "true") != 0)
    return error_set (err, ERROR_USER, "\"%s\" is none of true, false", value);
  JOB (context)->init = !off;
  return 0;
}

TEXT_SETTER (stop_signal, stop_signal)
TEXT_SETTER (hostname, hostname)

SETTER (group_add)
{
  (void) err;
  strlist_add (&JOB (context)->groups, value);
  return 0;
}

SETTER (cap_drop)
{
  (void) err;
  strlist_add (&JOB (context)->cap_drop, value);
  return 0;
}

SETTER (ulimit)
{
  (void) err;
  strlist_add (&JOB (context)->ulimits, value);
  return 0;
}

SETTER (device)
{
  (void) err;
  strlist_add (&JOB (context)->devices, value);
  return 0;
}

SETTER (gpus) { return gpus_option_read (value, JOB (context), err); }

SETTER (shm_size) { return units_parse_size (value, &JOB (context)->shm_size, err); }

SETTER (tmpfs)
{
  (void) err;
  strlist_add (&JOB (context)->tmpfs, value);
  return 0;
}

TEXT_SETTER (runtime, runtime)

/* ---- limits ----------------------------------------------------------------------------- */

SETTER (memory) { return units_parse_size (value, &JOB (context)->memory, err); }

SETTER (cpus) { return units_parse_cpus (value, &JOB (context)->cpus, err); }

SETTER (pids_limit) { return parse_count (value, &JOB (context)->pids, err); }

SETTER (timeout) { return units_parse_duration (value, &JOB (context)->timeout_ms, err); }

SETTER (job_timeout) { return units_parse_duration (value, &JOB (context)->job_timeout_ms, err); }

SETTER (stage_timeout)
{
  return units_parse_duration (value, &JOB (context)->stage_timeout_ms, err);
}

SETTER (stop_timeout)
{
  int64_t *ms = &JOB (context)->stop_timeout_ms;
  *ms = 0;
  return strcmp (value, "0") == 0 ? 0 : units_parse_duration (value, ms, err);
}

SETTER (collect_timeout)
{
  return units_parse_duration (value, &JOB (context)->collect_timeout_ms, err);
}

SETTER (max_output_bytes)
{
  return units_parse_size (value, &JOB (context)->max_output_bytes, err);
}

SETTER (max_output_files) { return parse_count (value, &JOB (context)->max_output_files, err); }

SETTER (log_limit) { return units_parse_size (value, &JOB (context)->log_limit, err); }

SETTER (priority)
{
  int64_t number = 0;
  if (units_parse_number (value, -JOB_PRIORITY_MAX, JOB_PRIORITY_MAX, &number, err) != 0)
    return -1;
  JOB (context)->priority = (int32_t) number;
  return 0;
}

SETTER (max_parallel) { return parse_count (value, &JOB (context)->max_parallel, err); }

/* ---- when something fails --------------------------------------------------------------- */

SETTER (retries)
{
  int64_t number = 0;
  if (units_parse_number (value, 0, INT32_MAX, &number, err) != 0)
    return -1;
  JOB (context)->retries = (int32_t) number;
  return 0;
}

SETTER (retry_memory) { return units_parse_factor (value, &JOB (context)->retry_memory, err); }

SETTER (memory_max) { return units_parse_size (value, &JOB (context)->retry_memory_max, err); }

SETTER (fail_on) { return units_parse_codes (value, &JOB (context)->fail_on, err); }

SETTER (success_codes) { return units_parse_codes (value, &JOB (context)->success_codes, err); }

SETTER (min_success) { return units_parse_percent (value, &JOB (context)->min_success, err); }

SETTER (max_failures)
{
  struct job *job = JOB (context);
  job->max_failures = -1;
  job->max_failures_bp = -1;
  if (strchr (value, '%') != NULL)
    return units_parse_percent (value, &job->max_failures_bp, err);
  return parse_count (value, &job->max_failures, err);
}

SETTER (pilot) { return units_parse_number (value, 1, JOB_PILOT_MAX, &JOB (context)->pilot, err); }

/* ---- where ------------------------------------------------------------------------------ */

SETTER (results)
{
  (void) err;
  replace (&((struct job_args *) context)->results, value);
  return 0;
}

SETTER (id)
{
  struct job_args *args = context;
  (void) err;
  replace (&args->job.id, value);
  args->has_id = true;
  return 0;
}

TEXT_SETTER (queue, queue)
TEXT_SETTER (webhook, webhook)
TEXT_SETTER (image_id, image_id)
TEXT_SETTER (platform, platform)
TEXT_SETTER (credentials, credentials)

/* ---- the table -------------------------------------------------------------------------- */

static const char oom_text[] = "more memory for the retry after an out-of-memory failure, e.g. 2x";
static const char oom_max_text[] = "ceiling of --retry-memory (default: eight times --memory)";

const struct option_spec job_options[] = {
  { 'v', "volume", "input-volumes", "SRC:PATH",
    "input folder or URL, mounted at PATH, split into shards; repeatable", GROUP_INPUT, false,
    set_volume },
  { 0, "volume-shared", NULL, "SRC:PATH",
    "input folder or URL that every shard sees whole; repeatable", GROUP_INPUT, false,
    set_volume_shared },
  { 0, "mount", NULL, "type=bind,…",
    "the same as docker has it: type=bind,source=SRC,target=PATH,readonly, or type=tmpfs",
    GROUP_INPUT, true, set_mount },
  { 0, "glob", "sharding-glob-pattern", "PATTERN",
    "input files to process (default: the whole input as one shard)", GROUP_INPUT, false,
    set_glob },
  { 0, "base-path", "sharding-base-path", "PATH",
    "directory the pattern is relative to (default: deepest common one)", GROUP_INPUT, false,
    set_base_path },
  { 0, "batch-size", "sharding-batch-size", "N",
    "matched files per shard (default 1; unlimited with --batch-bytes)", GROUP_INPUT, false,
    set_batch_size },
  { 0, "batch-bytes", NULL, "SIZE", "maximum total size of a shard's files", GROUP_INPUT, true,
    set_batch_bytes },
  { 0, "shards", NULL, "N", "number of shards, instead of a batch size", GROUP_INPUT, true,
    set_shards },
  { 0, "order", NULL, "ORDER",
    "run shards by index, or the largest ones first: index or size (default index)", GROUP_INPUT,
    true, set_order },
  { 0, "exclude", NULL, "PATTERN", "skip input files that match PATTERN; repeatable", GROUP_INPUT,
    true, set_exclude },
  { 0, "glob-ignore-case", NULL, NULL, "match --glob and --exclude regardless of case", GROUP_INPUT,
    true, set_glob_ignore_case },
  { 0, "symlinks", NULL, "HOW",
    "symbolic links in inputs: beneath, follow or skip (default beneath)", GROUP_INPUT, true,
    set_symlinks },
  { 0, "stage", NULL, "HOW", "how to stage inputs: auto, link, copy or bind (default auto)",
    GROUP_INPUT, true, set_stage },

  { 'o', "output", "output-volumes", "NAME:PATH",
    "directory of the container to keep as output NAME; repeatable", GROUP_OUTPUT, false,
    set_output },
  { 0, "on-conflict", NULL, "POLICY",
    "two shards, one path: fail, first, last, rename, concat (default fail)", GROUP_OUTPUT, false,
    set_on_conflict },
  { 0, "output-links", NULL, "HOW",
    "links that lead out of an output: keep, follow or fail (default follow)", GROUP_OUTPUT, true,
    set_output_links },
  { 0, "reduce", NULL, "IMAGE", "image of a final container that runs over all outputs",
    GROUP_OUTPUT, true, set_reduce },
  { 0, "reduce-command", NULL, "WORDS", "command of the --reduce container, quoted as in a shell",
    GROUP_OUTPUT, true, set_reduce_command },
  { 0, "results", NULL, "DIR", "result directory or URL (default ./ID)", GROUP_OUTPUT, false,
    set_results },
  { 0, "id", NULL, "ID", "id of the job (default: generated from the time)", GROUP_OUTPUT, true,
    set_id },
  { 0, "queue", NULL, "NAME", "queue of the fleet to send the job's shards to (default: default)",
    GROUP_OUTPUT, true, set_queue },
  { 0, "credentials", NULL, "NAME",
    "name of the job's S3 credentials in --credentials-dir of the services", GROUP_OUTPUT, true,
    set_credentials },
  { 0, "webhook", NULL, "URL", "URL to POST to when the job ends", GROUP_OUTPUT, true,
    set_webhook },

  { 'e', "env", NULL, "NAME[=VALUE]", "environment variable for the container; repeatable",
    GROUP_CONTAINER, false, set_env },
  { 0, "env-file", NULL, "FILE", "file of environment variables for the container, one per line",
    GROUP_CONTAINER, true, set_env_file },
  { 0, "image-id", NULL, "ID", "id that the image must have, as `image list --json` prints it",
    GROUP_CONTAINER, true, set_image_id },
  { 0, "platform", NULL, "OS/ARCH", "platform that the image must be for, e.g. linux/arm64",
    GROUP_CONTAINER, true, set_platform },
  { 'w', "workdir", NULL, "PATH", "working directory in the container (default: the image's)",
    GROUP_CONTAINER, true, set_workdir },
  { 'u', "user", NULL, "USER[:GROUP]", "user that runs the command (default: the image's)",
    GROUP_CONTAINER, true, set_user },
  { 0, "entrypoint", NULL, "PROGRAM", "program to run instead of the image's entrypoint",
    GROUP_CONTAINER, true, set_entrypoint },
  { 0, "network", NULL, "none|host", "network of the container (default none)", GROUP_CONTAINER,
    true, set_network },
  { 0, "read-only", NULL, NULL, "mount the container's root file system read-only", GROUP_CONTAINER,
    true, set_read_only },
  { 0, "tmpfs", NULL, "PATH[:OPTION,…]", "mount a tmpfs at PATH; repeatable", GROUP_CONTAINER, true,
    set_tmpfs },
  { 0, "hostname", NULL, "NAME", "hostname of the container (default: shard)", GROUP_CONTAINER,
    true, set_hostname },
  { 0, "group-add", NULL, "GROUP", "further group of the user; repeatable", GROUP_CONTAINER, true,
    set_group_add },
  { 0, "cap-drop", NULL, "CAPABILITY", "capability that root shall not have, or ALL; repeatable",
    GROUP_CONTAINER, true, set_cap_drop },
  { 0, "ulimit", NULL, "NAME=SOFT[:HARD]", "limit of each process, e.g. nofile=1024; repeatable",
    GROUP_CONTAINER, true, set_ulimit },
  { 0, "device", NULL, "DEVICE",
    "device node, /dev/x[:/dev/y][:rwm], or CDI device, VENDOR/CLASS=NAME; repeatable",
    GROUP_CONTAINER, true, set_device },
  { 0, "gpus", NULL, "all|N|device=ID,…", "CDI devices of the kind nvidia.com/gpu", GROUP_CONTAINER,
    true, set_gpus },
  { 0, "shm-size", NULL, "SIZE", "size of /dev/shm (default 64m)", GROUP_CONTAINER, true,
    set_shm_size },
  { 0, "init", NULL, "[=false]", "run the command under a small init (default true)",
    GROUP_CONTAINER, true, set_init },
  { 0, "stop-signal", NULL, "SIGNAL",
    "signal that asks the command to end (default: the image's, else SIGTERM)", GROUP_CONTAINER,
    true, set_stop_signal },
  { 0, "runtime", NULL, "oci|process",
    "how to run the command; process: without a container (default oci)", GROUP_CONTAINER, true,
    set_runtime },

  { 'm', "memory", NULL, "SIZE", "memory limit per container, e.g. 512m (default unlimited)",
    GROUP_LIMITS, false, set_memory },
  { 0, "cpus", NULL, "N", "CPU limit per container, e.g. 1.5 (default unlimited)", GROUP_LIMITS,
    true, set_cpus },
  { 0, "pids-limit", NULL, "N", "process limit per container (default 2048)", GROUP_LIMITS, true,
    set_pids_limit },
  { 0, "timeout", NULL, "DURATION",
    "time limit for the command of an attempt, e.g. 90s (default unlimited)", GROUP_LIMITS, false,
    set_timeout },
  { 0, "stop-timeout", NULL, "DURATION",
    "time from the stop signal to SIGKILL (default 10s; after a cancel 1s)", GROUP_LIMITS, true,
    set_stop_timeout },
  { 0, "stage-timeout", NULL, "DURATION",
    "time limit for staging the inputs of an attempt (default 1h)", GROUP_LIMITS, true,
    set_stage_timeout },
  { 0, "collect-timeout", NULL, "DURATION",
    "time limit for hashing outputs, and for uploading them (default 1h)", GROUP_LIMITS, true,
    set_collect_timeout },
  { 0, "job-timeout", NULL, "DURATION",
    "time limit since the job's start or last retry (default unlimited)", GROUP_LIMITS, true,
    set_job_timeout },
  { 0, "max-output-bytes", NULL, "SIZE",
    "size limit for the outputs of an attempt (default unlimited)", GROUP_LIMITS, true,
    set_max_output_bytes },
  { 0, "max-output-files", NULL, "N",
    "file count limit for the outputs of an attempt (default unlimited)", GROUP_LIMITS, true,
    set_max_output_files },
  { 0, "log-limit", NULL, "SIZE",
    "size limit for stdout and stderr of an attempt, each (default 1g)", GROUP_LIMITS, true,
    set_log_limit },
  { 0, "max-parallel", NULL, "N",
    "on a fleet: limit on shards that run at the same time (default unlimited)", GROUP_LIMITS, true,
    set_max_parallel },
  { 0, "priority", NULL, "N",
    "on a fleet: share of the slots beside other jobs, -10 to 10 (default 0)", GROUP_LIMITS, true,
    set_priority },

  { 0, "retries", NULL, "N", "retries per shard, after the first attempt (default 2)",
    GROUP_FAILURE, false, set_retries },
  { 0, "retry-memory", NULL, "FACTOR", oom_text, GROUP_FAILURE, true, set_retry_memory },
  { 0, "retry-memory-max", NULL, "SIZE", oom_max_text, GROUP_FAILURE, true, set_memory_max },
  { 0, "fail-on", NULL, "CODES", "exit codes that are not retried, e.g. 2,64-78 (default none)",
    GROUP_FAILURE, true, set_fail_on },
  { 0, "success-codes", NULL, "CODES", "exit codes that count as success (default 0)",
    GROUP_FAILURE, true, set_success_codes },
  { 0, "min-success", NULL, "P%", "minimum share of shards that must succeed (default 100%)",
    GROUP_FAILURE, false, set_min_success },
  { 0, "max-failures", NULL, "N|P%",
    "fail the job once more than N, or P%, of its shards have failed", GROUP_FAILURE, false,
    set_max_failures },
  { 0, "pilot", NULL, "N", "shards to run first; the others run only if all of these succeed",
    GROUP_FAILURE, true, set_pilot },
  { 0 },
};

const struct option_spec amend_options[] = {
  { 'm', "memory", NULL, "SIZE", "memory limit per container from now on, e.g. 512m", GROUP_LIMITS,
    false, set_memory },
  { 0, "cpus", NULL, "N", "CPU limit per container from now on, e.g. 1.5", GROUP_LIMITS, false,
    set_cpus },
  { 0, "timeout", NULL, "DURATION", "time limit for the command of an attempt from now on",
    GROUP_LIMITS, false, set_timeout },
  { 0, "retries", NULL, "N", "retries per shard from now on", GROUP_FAILURE, false, set_retries },
  { 0, "retry-memory", NULL, "FACTOR", oom_text, GROUP_FAILURE, false, set_retry_memory },
  { 0, "retry-memory-max", NULL, "SIZE", oom_max_text, GROUP_FAILURE, false, set_memory_max },
  { 'e', "env", NULL, "NAME[=VALUE]",
    "environment variable for the container from now on; repeatable", GROUP_CONTAINER, false,
    set_env },
  { 0, "image", NULL, "IMAGE", "image from now on; twice: beside shards of another one",
    GROUP_CONTAINER, false, set_image },
  { 0 },
};

/* ---- life ------------------------------------------------------------------------------- */

void
job_args_init (struct job_args *args)
{
  *args = (struct job_args){ 0 };
  job_init (&args->job);
}

void
job_args_release (struct job_args *args)
{
  job_release (&args->job);
  free (args->results);
  free (args->by_path);
  args->results = NULL;
  args->by_path = NULL;
}

int
job_args_operands (struct job_args *args, int count, char **operands, const char *synopsis,
                   struct error *err)
{
  if (count < 1)
    return error_set (err, ERROR_USER, "missing image: shoal %s", synopsis);
  replace (&args->job.image, operands[0]);
  int first = count > 1 && strcmp (operands[1], "--") == 0 ? 2 : 1;
  for (int i = first; i < count; i++)
    strlist_add (&args->job.command, operands[i]);
  return 0;
}

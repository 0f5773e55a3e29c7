#include "policy/policy_check.h"

#include "common/fs.h"
#include "common/memory.h"
#include "common/path.h"
#include "common/units.h"
#include "policy/policy_url.h"
#include "schemas/device.h"

#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Nobody said anything of a policy: a test, or a part that isn't a service. */
static bool
is_free (const struct policy *policy)
{
  return policy == NULL || policy->anything;
}

/* ---- lists ------------------------------------------------------------------------------ */

bool
policy_list_has (const struct policy_list *list, const char *item)
{
  return list->anything || strlist_has (&list->items, item);
}

static int
policy_refuse (const char *member, const char *value, struct error *err)
{
  return error_set (err, ERROR_USER, "policy: %s: %.300s isn't allowed", member, value);
}

static int
check_item (const struct policy_list *list, const char *member, const char *item, struct error *err)
{
  return policy_list_has (list, item) ? 0 : policy_refuse (member, item, err);
}

static int
policy_check_runtime (const struct policy *policy, const struct job *job, struct error *err)
{
  return check_item (&policy->runtimes, "runtimes", job->runtime, err);
}

static int
policy_check_network (const struct policy *policy, const struct job *job, struct error *err)
{
  return check_item (&policy->networks, "networks", network_name (job->network), err);
}

static int
policy_check_symlinks (const struct policy *policy, const struct job *job, struct error *err)
{
  return check_item (&policy->symlinks, "symlinks", symlinks_name (job->symlinks), err);
}

static int
policy_check_queue (const struct policy *policy, const struct job *job, struct error *err)
{
  return check_item (&policy->queues, "queues", job->queue, err);
}

static int
policy_check_credentials (const struct policy *policy, const struct job *job, struct error *err)
{
  return job->credentials == NULL
             ? 0
             : check_item (&policy->credentials, "credentials", job->credentials, err);
}

/* A node is known by where it is on the machine. */
static bool
policy_has_device (const struct policy *policy, const char *text)
{
  auto_device struct device device;
  bool node = device_parse (text, &device, NULL) == 0 && device.source != NULL;
  bool allowed = policy->devices.anything;
  for (size_t i = 0; !allowed && i < policy->devices.items.count; i++)
    allowed = fnmatch (policy->devices.items.items[i], node ? device.source : text,
                       FNM_PATHNAME | FNM_NOESCAPE)
              == 0;
  return allowed;
}

static int
policy_check_devices (const struct policy *policy, const struct job *job, struct error *err)
{
  for (size_t i = 0; i < job->devices.count; i++)
    if (!policy_has_device (policy, job->devices.items[i]))
      return policy_refuse ("devices", job->devices.items[i], err);
  return 0;
}

/* ---- images ----------------------------------------------------------------------------- */

static bool
policy_is_digest (const char *pattern)
{
  return strncmp (pattern, "sha256:", strlen ("sha256:")) == 0;
}

/* A pattern without a tag means all tags; a star stays within one part of the name. */
static bool
matches_name (const char *pattern, const char *name)
{
  if (fnmatch (pattern, name, FNM_PATHNAME | FNM_NOESCAPE) == 0)
    return true;
  const char *slash = strrchr (name, '/');
  const char *last = slash == NULL ? name : slash + 1;
  size_t length = strcspn (last, ":@");
  const char *pattern_slash = strrchr (pattern, '/');
  if (strpbrk (pattern_slash == NULL ? pattern : pattern_slash, ":@") != NULL)
    return false;
  auto_free char *bare = xstrndup (name, (size_t) (last - name) + length);
  return fnmatch (pattern, bare, FNM_PATHNAME | FNM_NOESCAPE) == 0;
}

/* DIGEST NULL: it isn't known yet, and may be one that is named. */
static bool
policy_has_image (const struct policy *policy, const char *name, const char *digest)
{
  bool allowed = is_free (policy) || policy->images.anything;
  for (size_t i = 0; !allowed && i < policy->images.items.count; i++)
    {
      const char *pattern = policy->images.items.items[i];
      allowed = policy_is_digest (pattern) ? digest == NULL || strcmp (pattern, digest) == 0
                                           : matches_name (pattern, name);
    }
  return allowed;
}

int
policy_check_image (const struct policy *policy, const char *name, const char *digest,
                    struct error *err)
{
  return policy_has_image (policy, name, digest) ? 0 : policy_refuse ("images", name, err);
}

static int
policy_check_job_image (const struct policy *policy, const struct job *job, struct error *err)
{
  return policy_check_image (policy, job->image, NULL, err);
}

static int
policy_check_reduce_image (const struct policy *policy, const struct job *job, struct error *err)
{
  return job->reduce_image == NULL ? 0 : policy_check_image (policy, job->reduce_image, NULL, err);
}

/* ---- users ------------------------------------------------------------------------------ */

int
policy_check_user (const struct policy *policy, int64_t uid, struct error *err)
{
  bool allowed = is_free (policy) || policy->any_user;
  for (size_t i = 0; !allowed && i < policy->user_count; i++)
    allowed = uid >= policy->users[i].first && uid <= policy->users[i].last;
  return allowed ? 0
                 : error_set (err, ERROR_USER, "policy: users: user id %lld isn't allowed",
                              (long long) uid);
}

/* A user by number; names, and the image's own, are known where the image is. */
static int
policy_check_job_user (const struct policy *policy, const struct job *job, struct error *err)
{
  size_t length = job->user == NULL ? 0 : strcspn (job->user, ":");
  if (job->user == NULL || strspn (job->user, "0123456789") < length)
    return 0;
  return policy_check_user (policy, strtoll (job->user, NULL, 10), err);
}

/* ---- places ----------------------------------------------------------------------------- */

static const struct policy_places *
places_for (const struct policy *policy, enum policy_use use)
{
  return use == POLICY_INPUT    ? &policy->inputs
         : use == POLICY_RESULT ? &policy->results
                                : &policy->webhooks;
}

/* What a running attempt's container may be writing is nobody's input: it could be made a link to
 * elsewhere after it was looked at. */
static bool
policy_is_unfinished (const char *path)
{
  static const char tmp[] = "/.shoal/tmp";
  const char *found = strstr (path, tmp);
  return found != NULL && (found[strlen (tmp)] == '/' || found[strlen (tmp)] == '\0');
}

static bool
policy_has_folder (const struct policy_places *places, enum policy_use use, const char *path)
{
  if (use == POLICY_INPUT && policy_is_unfinished (path))
    return false;
  for (size_t i = 0; i < places->folders.count; i++)
    {
      auto_free char *real = realpath (places->folders.items[i], NULL);
      const char *rest = path_below (path, real == NULL ? places->folders.items[i] : real);
      /* A result's neighbours are made with it. */
      if (rest != NULL && (use == POLICY_INPUT || rest[0] != '\0'))
        return true;
    }
  return false;
}

static bool
has_url (const struct policy_places *places, const char *url)
{
  bool allowed = places->any_url;
  for (size_t i = 0; !allowed && i < places->urls.count; i++)
    allowed = policy_url_matches (places->urls.items[i], url);
  return allowed;
}

static int
refuse_location (const struct policy *policy, enum policy_use use, const char *location,
                 struct error *err)
{
  static const char *const members[] = { "inputs", "results", "webhooks" };
  bool url = strstr (location, "://") != NULL;
  /* Signatures and passwords of a URL aren't repeated. */
  auto_free char *shown = xstrndup (location, url ? strcspn (location, "?@") : strlen (location));
  if (policy->from_file || url)
    return policy_refuse (members[use], shown, err);
  return error_set (err, ERROR_USER,
                    "policy: %s: %.300s isn't allowed: the service was started without --policy, "
                    "and with no --%s-root above it",
                    members[use], shown, use == POLICY_INPUT ? "volume" : "results");
}

int
policy_check_location (const struct policy *policy, enum policy_use use, const char *location,
                       struct error *err)
{
  const struct policy_places *places = is_free (policy) ? NULL : places_for (policy, use);
  if (places == NULL
      || (location[0] == '/' ? policy_has_folder (places, use, location)
                             : has_url (places, location))
      || (use == POLICY_RESULT
          && (location[0] == '/' ? policy_has_folder (&policy->here, use, location)
                                 : has_url (&policy->here, location))))
    return 0;
  return refuse_location (policy, use, location, err);
}

int
policy_check_folder (const struct policy *policy, enum policy_use use, int fd, struct error *err)
{
  char path[PATH_MAX];
  if (is_free (policy))
    return 0;
  if (fs_path_of (fd, path, err) != 0)
    return -1;
  return policy_check_location (policy, use, path, err);
}

/* PATH with the links in it resolved; of what isn't there, those on the way to it. The caller
 * frees. */
static char *
real_path (const char *path)
{
  auto_free char *there = xstrdup (path);
  for (;;)
    {
      auto_free char *real = realpath (there, NULL);
      if (real != NULL)
        return path_join (real, path[strlen (there)] == '/' ? path + strlen (there) + 1
                                                            : path + strlen (there));
      char *slash = strrchr (there, '/');
      slash[slash == there ? 1 : 0] = '\0';
    }
}

int
policy_check_source (const struct policy *policy, const char *source, struct error *err)
{
  if (is_free (policy) || source[0] != '/')
    return policy_check_location (policy, POLICY_INPUT, source, err);
  auto_free char *real = real_path (source);
  if (policy_check_location (policy, POLICY_INPUT, real, err) == 0)
    return 0;
  return refuse_location (policy, POLICY_INPUT, source, err);
}

int
policy_check_link (const struct policy *policy, const char *base, const char *link,
                   struct error *err)
{
  if (is_free (policy))
    return 0;
  auto_free char *url = policy_url_resolve (base, link);
  return policy_check_location (policy, POLICY_INPUT, url == NULL ? link : url, err);
}

static int
policy_check_volumes (const struct policy *policy, const struct job *job, struct error *err)
{
  for (size_t i = 0; i < job->volume_count; i++)
    if (policy_check_source (policy, job->volumes[i].source, err) != 0)
      return -1;
  return 0;
}

static bool
is_link (const char *path, const char *suffix)
{
  char target[8];
  auto_free char *whole = xasprintf ("%s%s", path, suffix);
  return readlink (whole, target, sizeof target) >= 0;
}

static int
policy_check_results (const struct policy *policy, const struct job *job, struct error *err)
{
  const char *location = job->results;
  if (location[0] != '/')
    return policy_check_location (policy, POLICY_RESULT, location, err);
  const char *name = strrchr (location, '/') + 1;
  auto_free char *above = xstrndup (location, (size_t) (name - location));
  auto_free char *real = real_path (above);
  auto_free char *whole = path_join (real, name);
  if (is_link (whole, "") || is_link (whole, ".partial"))
    return refuse_location (policy, POLICY_RESULT, location, err);
  return policy_check_location (policy, POLICY_RESULT, whole, err);
}

static int
policy_check_webhook (const struct policy *policy, const struct job *job, struct error *err)
{
  return job->webhook == NULL ? 0
                              : policy_check_location (policy, POLICY_WEBHOOK, job->webhook, err);
}

/* ---- limits ----------------------------------------------------------------------------- */

static int64_t
policy_value_of (const struct job *job, enum policy_limit limit)
{
  switch (limit)
    {
    case POLICY_MEMORY:
      return job_memory_most (job);
    case POLICY_CPUS:
      return job->cpus;
    case POLICY_PIDS:
      return job->pids;
    case POLICY_TIMEOUT:
      return job->timeout_ms;
    case POLICY_JOB_TIMEOUT:
      return job->job_timeout_ms;
    case POLICY_STAGE_TIMEOUT:
      return job->stage_timeout_ms;
    case POLICY_COLLECT_TIMEOUT:
      return job->collect_timeout_ms;
    case POLICY_STOP_TIMEOUT:
      return job->stop_timeout_ms;
    case POLICY_MAX_OUTPUT_BYTES:
      return job->max_output_bytes;
    case POLICY_MAX_OUTPUT_FILES:
      return job->max_output_files;
    case POLICY_LOG_LIMIT:
      return job->log_limit;
    case POLICY_RETRIES:
      return job->retries;
    case POLICY_SHARDS:
    case POLICY_LIMITS:
      break;
    }
  return job->shards;
}

/* What stands in a job that says nothing of LIMIT. */
static int64_t
usual (enum policy_limit limit)
{
  return limit == POLICY_LOG_LIMIT ? JOB_LOG_LIMIT_USUAL
         : limit == POLICY_RETRIES ? JOB_RETRIES_USUAL
                                   : -1;
}

static void
policy_set_value (struct job *job, enum policy_limit limit, int64_t value)
{
  int64_t *const longs[POLICY_LIMITS] = {
    [POLICY_MEMORY] = &job->memory,
    [POLICY_PIDS] = &job->pids,
    [POLICY_TIMEOUT] = &job->timeout_ms,
    [POLICY_JOB_TIMEOUT] = &job->job_timeout_ms,
    [POLICY_STAGE_TIMEOUT] = &job->stage_timeout_ms,
    [POLICY_COLLECT_TIMEOUT] = &job->collect_timeout_ms,
    [POLICY_STOP_TIMEOUT] = &job->stop_timeout_ms,
    [POLICY_MAX_OUTPUT_BYTES] = &job->max_output_bytes,
    [POLICY_MAX_OUTPUT_FILES] = &job->max_output_files,
    [POLICY_LOG_LIMIT] = &job->log_limit,
  };
  if (limit == POLICY_CPUS)
    job->cpus = (int32_t) value;
  else if (limit == POLICY_RETRIES)
    job->retries = (int32_t) value;
  else if (longs[limit] != NULL)
    *longs[limit] = value;
}

const char *
policy_limit_show (enum policy_limit limit, int64_t value, char text[static UNITS_TEXT_SIZE])
{
  switch (policy_limit_kinds[limit].unit)
    {
    case POLICY_SIZE:
      return units_format_size (value, text);
    case POLICY_DURATION:
      return units_format_duration (value, text);
    case POLICY_CPU_COUNT:
      (void) snprintf (text, UNITS_TEXT_SIZE, "%.3g", (double) value / 1000);
      return text;
    case POLICY_COUNT:
      break;
    }
  (void) snprintf (text, UNITS_TEXT_SIZE, "%lld", (long long) value);
  return text;
}

static int
check_limit (const struct policy *policy, enum policy_limit limit, int64_t value, struct error *err)
{
  char given[UNITS_TEXT_SIZE];
  char allowed[UNITS_TEXT_SIZE];
  int64_t most = is_free (policy) ? -1 : policy->limits[limit].most;
  if (most < 0 || value <= most)
    return 0;
  return error_set (err, ERROR_USER, "policy: limits.%s: %s is more than %s",
                    policy_limit_kinds[limit].name, policy_limit_show (limit, value, given),
                    policy_limit_show (limit, most, allowed));
}

int
policy_check_shards (const struct policy *policy, int64_t shards, struct error *err)
{
  return check_limit (policy, POLICY_SHARDS, shards, err);
}

static int
policy_check_limits (const struct policy *policy, const struct job *job, const char **field,
                     struct error *err)
{
  for (int i = 0; i < POLICY_LIMITS; i++)
    {
      enum policy_limit limit = (enum policy_limit) i;
      *field = policy_limit_kinds[limit].field;
      int64_t value = policy_value_of (job, limit);
      if (value != usual (limit) && check_limit (policy, limit, value, err) != 0)
        return -1;
    }
  return 0;
}

void
policy_apply (const struct policy *policy, struct job *job)
{
  for (int i = 0; !is_free (policy) && i < POLICY_LIMITS; i++)
    {
      enum policy_limit limit = (enum policy_limit) i;
      const struct policy_bound *bound = &policy->limits[limit];
      int64_t value = bound->otherwise >= 0 ? bound->otherwise : bound->most;
      bool fits = bound->otherwise < 0 && usual (limit) >= 0 && usual (limit) <= value;
      if (value >= 0 && policy_value_of (job, limit) == usual (limit) && !fits)
        policy_set_value (job, limit, value);
    }
}

void
policy_apply_to_job (const struct policy *policy, struct job *job)
{
  struct job view = *job;
  policy_apply (policy, &view);
  job->job_timeout_ms = view.job_timeout_ms;
}

/* ---- all of it -------------------------------------------------------------------------- */

int
policy_check_terms (const struct policy *policy, const struct job *job, const char **field,
                    struct error *err)
{
  static const struct
  {
    const char *field;
    int (*check) (const struct policy *policy, const struct job *job, struct error *err);
  } checks[] = {
    { "results", policy_check_results },
    { "image", policy_check_job_image },
    { "reduce_image", policy_check_reduce_image },
    { "runtime", policy_check_runtime },
    { "network", policy_check_network },
    { "symlinks", policy_check_symlinks },
    { "devices", policy_check_devices },
    { "user", policy_check_job_user },
    { "queue", policy_check_queue },
    { "credentials", policy_check_credentials },
    { "webhook", policy_check_webhook },
  };
  const char *ignored = NULL;
  field = field == NULL ? &ignored : field;
  for (size_t i = 0; !is_free (policy) && i < sizeof checks / sizeof checks[0]; i++)
    if (checks[i].check (policy, job, err) != 0)
      {
        *field = checks[i].field;
        return -1;
      }
  return is_free (policy) ? 0 : policy_check_limits (policy, job, field, err);
}

int
policy_check_ends (const struct policy *policy, const struct job *job, const char **field,
                   struct error *err)
{
  if (is_free (policy))
    return 0;
  *field = "results";
  if (policy_check_results (policy, job, err) != 0)
    return -1;
  *field = "webhook";
  return policy_check_webhook (policy, job, err);
}

int
policy_check_job (const struct policy *policy, const struct job *job, const char **field,
                  struct error *err)
{
  const char *ignored = NULL;
  field = field == NULL ? &ignored : field;
  if (policy_check_terms (policy, job, field, err) != 0)
    return -1;
  *field = "volumes";
  if (!is_free (policy) && policy_check_volumes (policy, job, err) != 0)
    return -1;
  *field = NULL;
  return 0;
}

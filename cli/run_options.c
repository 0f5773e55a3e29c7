#include "cli/run_options.h"

#include "cli/storage_options.h"
#include "common/units.h"
#include "worker/userns.h"

#include <string.h>

enum
{
  SLOTS_MAX = 4096,
};

#define SETTER(name) static int set_##name (void *context, const char *value, struct error *err)

#define RUN(context) ((struct run_options *) (context))

SETTER (jobs) { return units_parse_number (value, 1, SLOTS_MAX, &RUN (context)->slots, err); }

SETTER (prefetch)
{
  int64_t bytes = 0;
  RUN (context)->prefetch = value;
  return prefetch_parse (value, &bytes, err);
}

SETTER (joblog)
{
  (void) err;
  RUN (context)->joblog = value;
  return 0;
}

int
progress_kind_parse (const char *value, enum progress_kind *kind, struct error *err)
{
  static const char *const kinds[] = { "auto", "bar", "plain", "json", "none" };
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (strcmp (value, kinds[i]) == 0)
      {
        *kind = (enum progress_kind) i;
        return 0;
      }
  return error_set (err, ERROR_USER, "\"%s\" is none of auto, bar, plain, json, none", value);
}

SETTER (progress) { return progress_kind_parse (value, &RUN (context)->progress, err); }

SETTER (quiet)
{
  (void) value;
  (void) err;
  RUN (context)->quiet = true;
  return 0;
}

SETTER (verbose)
{
  (void) value;
  (void) err;
  RUN (context)->verbose = true;
  return 0;
}

SETTER (oci_runtime)
{
  if (strcmp (value, "crun") != 0 && strcmp (value, "runc") != 0)
    return error_set (err, ERROR_USER, "\"%s\" is none of crun, runc", value);
  RUN (context)->oci_runtime = value;
  return 0;
}

SETTER (userns)
{
  struct userns_ids ids;
  RUN (context)->userns = value;
  return userns_choose (value, &ids, err);
}

SETTER (scratch)
{
  (void) err;
  RUN (context)->scratch = value;
  return 0;
}

SETTER (images)
{
  (void) err;
  RUN (context)->images = value;
  return 0;
}

SETTER (backoff) { return units_parse_duration (value, &RUN (context)->backoff_ms, err); }

const struct option_spec run_options[] = {
  { 'j', "jobs", NULL, "N", "shards at a time, default: number of cores", GROUP_RUN, false,
    set_jobs },
  { 0, "prefetch-bytes", NULL, "SIZE", "of next shards' inputs, fetched while others run; 0",
    GROUP_RUN, true, set_prefetch },
  { 0, "joblog", NULL, "FILE", "a line for each attempt, GNU parallel's columns", GROUP_RUN, true,
    set_joblog },
  { 0, "progress", NULL, "KIND", "auto, bar, plain, json (on stdout), none", GROUP_RUN, false,
    set_progress },
  { 'q', "quiet", NULL, NULL, "say nothing but errors", GROUP_RUN, true, set_quiet },
  { 0, "verbose", NULL, NULL, "show the parts' logs", GROUP_RUN, true, set_verbose },
  { 0, "keep-attempts", NULL, NULL, "of a result in S3 those that lost stay, too", GROUP_RUN, true,
    set_keep_attempts },
  { 0, "oci-runtime", NULL, "crun|runc", "default: crun, else runc", GROUP_RUN, true,
    set_oci_runtime },
  { 0, "userns", NULL, "auto|none|FIRST:COUNT",
    "users of root's containers (default auto: shoal's in /etc/subuid)", GROUP_RUN, true,
    set_userns },
  { 0, "images", NULL, "DIR", "image store, default: SHOAL_IMAGES", GROUP_RUN, true, set_images },
  { 0, "scratch", NULL, "DIR", "for staging and root file systems", GROUP_RUN, true, set_scratch },
  { 0, "backoff", NULL, "DURATION", "before the first retry, default 1s", GROUP_RUN, true,
    set_backoff },
  { 0 },
};

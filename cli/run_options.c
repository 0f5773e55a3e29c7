#include "cli/run_options.h"

#include "cli/storage_options.h"
#include "common/auto.h"
#include "common/fs.h"
#include "common/units.h"
#include "worker/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

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

SETTER (pack_attempts)
{
  (void) value;
  (void) err;
  RUN (context)->packs = true;
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

SETTER (cdi)
{
  (void) err;
  RUN (context)->cdi = value;
  return 0;
}

int
scratch_parse (const char *value, const char **scratch, struct error *err)
{
  *scratch = value;
  auto_fd int fd = fs_open_folder (AT_FDCWD, value, err);
  if (fd < 0)
    return -1;
  return faccessat (fd, ".", W_OK | X_OK, AT_EACCESS) == 0
             ? 0
             : error_set (err, ERROR_USER, "%s: can't be written to: %s", value, strerror (errno));
}

SETTER (scratch) { return scratch_parse (value, &RUN (context)->scratch, err); }

SETTER (images)
{
  (void) err;
  RUN (context)->images = value;
  return 0;
}

SETTER (backoff) { return units_parse_duration (value, &RUN (context)->backoff_ms, err); }

const struct option_spec run_options[] = {
  { 'j', "jobs", NULL, "N", "number of shards to run in parallel (default: usable CPUs)", GROUP_RUN,
    false, set_jobs },
  { 0, "prefetch-bytes", NULL, "SIZE",
    "bytes of upcoming shards' inputs to download ahead (default 0: off)", GROUP_RUN, true,
    set_prefetch },
  { 0, "joblog", NULL, "FILE", "file to write a line per attempt to, in GNU parallel's format",
    GROUP_RUN, true, set_joblog },
  { 0, "oci-runtime", NULL, "crun|runc", "OCI runtime (default: crun, else runc)", GROUP_RUN, true,
    set_oci_runtime },
  { 0, "userns", NULL, "auto|none|FIRST:COUNT",
    "user namespace of root's containers (default auto: by /etc/subuid)", GROUP_RUN, true,
    set_userns },
  { 0, "cdi-spec-dir", NULL, "DIR",
    "directories of CDI specifications (default /etc/cdi:/var/run/cdi)", GROUP_RUN, true, set_cdi },
  { 0, "images", NULL, "DIR", "directory of the image store (default SHOAL_IMAGES)", GROUP_RUN,
    true, set_images },
  { 0, "scratch", NULL, "DIR",
    "directory for staged inputs and containers (default: in the result)", GROUP_RUN, true,
    set_scratch },
  { 0, "pack-attempts", NULL, NULL,
    "once the job has succeeded, pack what its shards left behind into one file", GROUP_RUN, true,
    set_pack_attempts },
  { 0, "backoff", NULL, "DURATION", "delay before the first retry of a shard (default 1s)",
    GROUP_RUN, true, set_backoff },
  { 0 },
};

const struct option_spec supervise_options[] = {
  { 0, "progress", NULL, "KIND",
    "progress: auto, bar, plain, json (to stdout) or none (default auto)", GROUP_RUN, true,
    set_progress },
  { 'q', "quiet", NULL, NULL, "print errors only", GROUP_RUN, true, set_quiet },
  { 0, "verbose", NULL, NULL, "print the logs of producer, worker and merger", GROUP_RUN, true,
    set_verbose },
  { 0, "keep-attempts", NULL, NULL, "keep superseded attempts in a result on S3", GROUP_RUN, true,
    set_keep_attempts },
  { 0 },
};

/* run_options.h — the options that say how a job is run here, not what it is. */
#ifndef SHOAL_CLI_RUN_OPTIONS_H
#define SHOAL_CLI_RUN_OPTIONS_H

#include "cli/options.h"

#include <stdint.h>

enum progress_kind
{
  PROGRESS_AUTO,
  PROGRESS_BAR,
  PROGRESS_PLAIN,
  PROGRESS_JSON,
  PROGRESS_NONE,
};

/* Points into argv; nothing to release. */
struct run_options
{
  int64_t slots;        /* 0: the processors that may be used */
  const char *prefetch; /* a size; NULL: nothing is fetched ahead */
  const char *joblog;
  enum progress_kind progress;
  bool quiet;
  bool verbose;
  bool packs; /* --pack-attempts */
  const char *oci_runtime;
  const char *userns; /* NULL: auto */
  const char *cdi;    /* NULL: the usual folders */
  const char *scratch;
  const char *images;
  int64_t backoff_ms; /* 0: default */
};

/* "auto", "bar", "plain", "json" or "none"; ERROR_USER for all else. */
int progress_kind_parse (const char *value, enum progress_kind *kind, struct error *err);

/* Both tables set a struct run_options: those of commands that run containers (run, resume, retry),
 * and those of commands that supervise anything, `merge` as well. */
extern const struct option_spec run_options[];
extern const struct option_spec supervise_options[];

/* Reads VALUE, a folder that can be written to, into *SCRATCH. ERROR_USER. */
int scratch_parse (const char *value, const char **scratch, struct error *err);

#endif

/* fetch.h — a copy of a result's merged tree, from wherever it stands, checked against its
 * manifest.
 *
 *     manifest.json  stdout  stderr  report.html  outputs/NAME/…
 *
 * It grows in DIR.partial and becomes DIR by one rename. What is there already and has the right
 * checksum isn't fetched again.
 */
#ifndef SHOAL_CLI_FETCH_H
#define SHOAL_CLI_FETCH_H

#include "common/error.h"
#include "storage/storage.h"

#include <stdint.h>

struct fetch_counts
{
  int64_t files;
  int64_t bytes;
  int64_t kept;    /* of the files, those that were there already */
  int state;       /* enum job_state, as the manifest has it; -1: it doesn't say */
  int64_t missing; /* shards that didn't succeed … */
  char named[128]; /* … the first few: "0, 3, 7" */
};

/* Whether DIR is free for a copy: 0, or -1 with ERROR_USER. */
int fetch_check (const char *dir, struct error *err);

/* 0, or -1: ERROR_USER when DIR or DIR.partial is something else, ERROR_TRANSIENT when the result
 * can't be read, or isn't what its manifest says; what was fetched stays in DIR.partial then. */
int fetch_result (struct storage *from, const char *dir, struct fetch_counts *counts,
                  struct error *err);

#endif

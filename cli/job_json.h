/* job_json.h — a job as a JSON object: its members are the options of `shoal submit`, its checks
 * are theirs. */
#ifndef SHOAL_CLI_JOB_JSON_H
#define SHOAL_CLI_JOB_JSON_H

#include "cli/job_options.h"
#include "common/buffer.h"

/* Reads TEXT into ARGS (job_args_init was called; job_args_finish is the caller's):
 *
 *     {"image": "busybox", "command": ["sh", "-c", "…"], "volume": ["/data:/in"], "glob": "*.jpg",
 *     "batch-size": 100}
 *
 * An option that may be repeated takes an array, a switch true; names may be written with _ for -.
 * What would read this machine's files or environment (env-file, an env without a value) isn't
 * taken. -1 with ERROR_USER, and *FIELD (the caller frees) the member that is wrong or missing;
 * NULL when TEXT is no JSON object. */
int job_json_read (struct bytes text, struct job_args *args, char **field, struct error *err);

#endif

/* job_options.h — the options that say what a job is: the one table that run and plan go by.
 *
 * Setters write into a struct job_args; job_args_finish then fills in what wasn't said and checks
 * what can be checked without listing the inputs.
 */
#ifndef SHOAL_CLI_JOB_OPTIONS_H
#define SHOAL_CLI_JOB_OPTIONS_H

#include "cli/options.h"
#include "policy/policy.h"
#include "schemas/messages.h"

struct job_args
{
  struct job job;
  bool has_id;         /* --id was given */
  bool has_batch_size; /* --batch-size was given */
  int image_count;     /* how often --image was given */
  char *results;
  bool upload;       /* --upload (upload.h) */
  const char *fetch; /* --fetch (submit.h): a folder, or NULL */
  bool *by_path;     /* of each volume: it was named by a plain path; from job_args_finish */
  const struct policy *policy; /* of a service that takes jobs; NULL: its own user asks */
  const char *below; /* the folder or URL that results which name none stand in; NULL: here */
  const char *wrong; /* the option that is wrong, without its dashes, when job_args_finish fails */
};

void job_args_init (struct job_args *args);
void job_args_release (struct job_args *args);
#define auto_job_args AUTO (job_args_release)

extern const struct option_spec job_options[];

/* Those of them that can change while finished shards stay what they are. */
extern const struct option_spec amend_options[];

/* Takes IMAGE and its arguments (a "--" between them is dropped). */
int job_args_operands (struct job_args *args, int count, char **operands, const char *synopsis,
                       struct error *err);

/* Makes sources and the result's place absolute, gives the job an id if it has none, and checks it
 * (slicer_check among others). ERROR_USER. */
int job_args_finish (struct job_args *args, struct error *err);

/* Gives the job another id of our own making, and a result's place that goes by it where none was
 * named. Jobs that were given their id keep it. */
int job_args_name (struct job_args *args, struct error *err);

/* Checks that IMAGES (NULL: the default store) has the job's images, with the ids that JOB names
 * (those that it doesn't name are filled in), and its user and groups. ERROR_USER. */
int job_pin_images (struct job *job, const char *images, struct error *err);

/* Notes in IMAGES that JOB needs its images as long as the folder FOLDER_FD is an unfinished result
 * (image_use.h). */
void job_keep_images (const struct job *job, const char *images, int folder_fd);

#endif

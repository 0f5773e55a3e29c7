#include "cli/amend.h"

#include "bus/amend.h"
#include "cli/summary.h"
#include "common/memory.h"
#include "schemas/job_check.h"

#include <string.h>

enum
{
  UNNAMED = -2, /* no option sets it */
};

void
amend_init (struct job_args *args)
{
  job_args_init (args);
  args->job.memory = args->job.timeout_ms = args->job.retry_memory_max = UNNAMED;
  args->job.cpus = args->job.retries = args->job.retry_memory = UNNAMED;
}

static void
amend_long (int64_t *member, int64_t value, bool *changed)
{
  *changed = *changed || value != UNNAMED;
  *member = value != UNNAMED ? value : *member;
}

static void
amend_int (int32_t *member, int32_t value, bool *changed)
{
  *changed = *changed || value != UNNAMED;
  *member = value != UNNAMED ? value : *member;
}

/* A variable takes the place of the one of its name. */
static void
amend_variable (struct strlist *env, const char *variable)
{
  size_t name = strcspn (variable, "=") + 1;
  for (size_t i = 0; i < env->count; i++)
    if (strncmp (env->items[i], variable, name) == 0)
      {
        free (env->items[i]);
        env->items[i] = xstrdup (variable);
        return;
      }
  strlist_add (env, variable);
}

/* Whether finished shards of another image are kept: 1, 0 or -1. What two images made is one result
 * only where that was said. */
static int
amend_check_image (const struct session *session, const struct job_args *args, struct error *err)
{
  const struct job *job = &session->job;
  if (strcmp (job->runtime, "oci") != 0)
    return error_set (err, ERROR_USER, "--image: with --runtime %s nothing of an image is run",
                      job->runtime);
  auto_counters struct counters counters = { 0 };
  if (summary_read (session, &counters, err) != 0)
    return -1;
  if (args->image_count > 1 || counters.counts.succeeded == 0)
    return counters.counts.succeeded > 0;
  return error_set (err, ERROR_USER,
                    "--image %s: shards that image \"%s\"%s%s made are kept, and one result would "
                    "be of two images: give --image %s twice to have that, or begin a new job "
                    "with another --results",
                    args->job.image, job->image, job->image_id == NULL ? "" : " with the id ",
                    job->image_id == NULL ? "" : job->image_id, args->job.image);
}

/* Another image has another id, which the store knows; shards that are KEPT have the old one. */
static void
amend_image (struct job *amended, const char *image, bool kept)
{
  free (amended->image);
  amended->image = xstrdup (image);
  char *id = take (&amended->image_id);
  if (kept && id != NULL && !strlist_has (&amended->earlier_images, id))
    strlist_take (&amended->earlier_images, id);
  else
    free (id);
}

/* It may be the one that it was, or have been the job's before. */
static void
amend_forget_image (struct job *amended)
{
  struct strlist *earlier = &amended->earlier_images;
  for (size_t i = 0; i < earlier->count; i++)
    if (amended->image_id != NULL && strcmp (earlier->items[i], amended->image_id) == 0)
      {
        free (earlier->items[i]);
        earlier->items[i] = earlier->items[--earlier->count];
        return;
      }
}

int
amend_make (const struct session *session, const struct job_args *args, const char *images,
            struct job *amended, struct error *err)
{
  const struct job *asked = &args->job;
  const char *field = NULL;
  bool changed = asked->env.count > 0 || args->image_count > 0;
  job_copy (amended, &session->job);
  amend_long (&amended->memory, asked->memory, &changed);
  amend_long (&amended->timeout_ms, asked->timeout_ms, &changed);
  amend_long (&amended->retry_memory_max, asked->retry_memory_max, &changed);
  amend_int (&amended->cpus, asked->cpus, &changed);
  amend_int (&amended->retries, asked->retries, &changed);
  amend_int (&amended->retry_memory, asked->retry_memory, &changed);
  for (size_t i = 0; i < asked->env.count; i++)
    amend_variable (&amended->env, asked->env.items[i]);
  if (changed && session->fleet)
    return error_set (err, ERROR_USER,
                      "a job on a fleet keeps its image, limits and variables: submit it again "
                      "with another --id and --results");
  if (args->image_count > 0)
    {
      int kept = amend_check_image (session, args, err);
      if (kept < 0)
        return -1;
      amend_image (amended, asked->image, kept > 0);
    }
  if (changed && job_check (amended, &field, err) != 0)
    return error_wrap (err, "%s", field);
  if (!session->fleet && job_pin_images (amended, images, err) != 0)
    return -1;
  amend_forget_image (amended);
  return changed;
}

int
amend_keep (struct session *session, const struct job *amended, struct error *err)
{
  if (bus_amend_job (session->bus, amended, err) != 0)
    return -1;
  job_release (&session->job);
  job_copy (&session->job, amended);
  return 0;
}

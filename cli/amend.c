#include "cli/amend.h"

#include "bus/amend.h"
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

int
amend_make (const struct session *session, const struct job_args *args, struct job *amended,
            struct error *err)
{
  const struct job *asked = &args->job;
  const char *field = NULL;
  bool changed = asked->env.count > 0;
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
                      "a job on a fleet keeps its limits and variables: submit it again with "
                      "another --id and --results");
  if (changed && job_check (amended, &field, err) != 0)
    return error_wrap (err, "%s", field);
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

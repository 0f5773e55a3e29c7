#include "cli/intake.h"

#include "cli/job_json.h"
#include "cli/json_text.h"
#include "cli/submit.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"
#include "merger/status_json.h"
#include "schemas/job_difference.h"

#include <string.h>

enum
{
  PATIENCE_MS = 5000, /* for the bus to answer at all */
};

struct intake
{
  const struct bus_args *bus_args;
  char *results;
  struct bus *bus; /* NULL until it is needed, and after it failed */
};

/* ---- answers ---------------------------------------------------------------------------- */

static void
answer_json (struct http_answer *answer, unsigned int status, json_t *object)
{
  char *text = json_dumps (object, JSON_COMPACT);
  json_decref (object);
  http_answer_text (answer, status, text == NULL ? xstrdup ("{}") : text);
}

/* The bus failed: the next request opens another one. */
static void
answer_trouble (struct intake *intake, const struct error *err, struct http_answer *answer)
{
  auto_free char *text = text_log (err->message);
  log_warn ("intake_trouble", "error=%s", text);
  bus_close (take (&intake->bus));
  http_refuse (answer, 503, NULL, err->message);
  answer->header = "Retry-After";
  answer->header_value = xstrdup ("1");
}

static int
need_bus (struct intake *intake, struct error *err)
{
  if (intake->bus != NULL)
    return 0;
  struct bus_options options = bus_args_options (intake->bus_args, "intake");
  options.patience_ms = PATIENCE_MS;
  intake->bus = bus_open (intake->bus_args->url, &options, err);
  return intake->bus == NULL ? -1 : 0;
}

/* The job ID and how it stands: 1, 0 when there is none, -1. */
static int
find_job (struct intake *intake, const char *id, struct job *job, struct job_status *status,
          struct error *err)
{
  if (need_bus (intake, err) != 0)
    return -1;
  int found = bus_get_job (intake->bus, id, job, err);
  if (found <= 0)
    return found;
  int known = bus_get_status (intake->bus, id, status, err);
  if (known == 0)
    status->shards = -1;
  return known < 0 ? -1 : 1;
}

static void
answer_job (struct intake *intake, const char *id, unsigned int code, struct http_answer *answer)
{
  struct error err = ERROR_INIT;
  auto_job struct job job = { 0 };
  auto_job_status struct job_status status = { 0 };
  int found = find_job (intake, id, &job, &status, &err);
  if (found < 0)
    answer_trouble (intake, &err, answer);
  else if (found == 0)
    http_refuse (answer, 404, NULL, "there is no such job");
  else
    answer_json (answer, code, status_json (&job, &status));
}

/* ---- a new job -------------------------------------------------------------------------- */

static bool
has_trace (const struct strlist *env)
{
  for (size_t i = 0; i < env->count; i++)
    if (strncmp (env->items[i], "TRACEPARENT=", strlen ("TRACEPARENT=")) == 0)
      return true;
  return false;
}

/* Bytes that are no ASCII may be no text at all, which messages can't have. */
static bool
is_plain (const char *text)
{
  while (*text >= ' ' && *text < 0x7f)
    text++;
  return *text == '\0';
}

int
intake_read_job (struct bytes body, const char *trace, const char *results, struct job_args *args,
                 char **field, struct error *err)
{
  if (job_json_read (body, args, field, err) != 0)
    return -1;
  args->below = results;
  if (trace != NULL && is_plain (trace) && !has_trace (&args->job.env))
    strlist_addf (&args->job.env, "TRACEPARENT=%s", trace);
  if (job_args_finish (args, err) == 0)
    return 0;
  *field = xstrdup (args->wrong);
  return -1;
}

/* 1 when it is new, 0 when it was there, or -1. *DIFFERENCE: the option in which the one that was there is another. */
static int
submit (struct intake *intake, struct job_args *args, const char **difference, struct error *err)
{
  auto_job struct job first = { 0 };
  if (need_bus (intake, err) != 0)
    return -1;
  int added = job_args_submit (args, intake->bus, err);
  if (added < 0)
    return -1;
  int found = bus_get_job (intake->bus, args->job.id, &first, err);
  if (found <= 0)
    return found < 0 ? -1 : error_set (err, ERROR_TRANSIENT, "the job was lost on its way");
  *difference = added == 1 ? NULL : job_difference (&first, &args->job);
  return added;
}

static void
post_job (void *context, const struct http_request *request, struct http_answer *answer)
{
  struct intake *intake = context;
  struct error err = ERROR_INIT;
  auto_job_args struct job_args args;
  auto_free char *field = NULL;
  const char *difference = NULL;
  job_args_init (&args);
  if (intake_read_job (request->body, http_request_header (request, "traceparent"), intake->results,
                       &args, &field, &err)
      != 0)
    {
      http_refuse (answer, field == NULL ? 400 : 422, field, err.message);
      return;
    }
  int added = submit (intake, &args, &difference, &err);
  if (added < 0 && err.class == ERROR_USER) /* the bus has no such queue */
    http_refuse (answer, 422, "queue", err.message);
  else if (added < 0)
    answer_trouble (intake, &err, answer);
  else if (difference != NULL)
    {
      auto_free char *text =
          xasprintf ("there is a job %s already, and %s differs", args.job.id, difference);
      http_refuse (answer, 409, "id", text);
    }
  else
    {
      log_info ("job_submitted", "job=%s new=%s", args.job.id, added == 1 ? "true" : "false");
      answer_job (intake, args.job.id, added == 1 ? 201 : 200, answer);
    }
}

/* ---- the jobs there are ----------------------------------------------------------------- */

struct listing
{
  struct bus *bus;
  json_t *jobs;
  struct error *err;
};

static int
add_job (void *context, const struct job *job)
{
  const struct listing *listing = context;
  auto_job_status struct job_status status = { 0 };
  int known = bus_get_status (listing->bus, job->id, &status, listing->err);
  if (known == 0)
    status.shards = -1;
  if (known >= 0)
    (void) json_array_append_new (listing->jobs, status_json (job, &status));
  return known < 0 ? -1 : 0;
}

static void
get_jobs (void *context, const struct http_request *request, struct http_answer *answer)
{
  struct intake *intake = context;
  struct error err = ERROR_INIT;
  (void) request;
  struct listing listing = { .jobs = json_array (), .err = &err };
  int result = need_bus (intake, &err);
  listing.bus = intake->bus;
  if (result == 0)
    result = bus_list_jobs (intake->bus, add_job, &listing, &err);
  if (result == 0)
    answer_json (answer, 200, json_pack ("{s:o}", "jobs", listing.jobs));
  else
    {
      json_decref (listing.jobs);
      answer_trouble (intake, &err, answer);
    }
}

static void
get_job (void *context, const struct http_request *request, struct http_answer *answer)
{
  answer_job (context, request->rest, 200, answer);
}

static void
cancel_job (void *context, const struct http_request *request, struct http_answer *answer)
{
  struct intake *intake = context;
  struct error err = ERROR_INIT;
  auto_job struct job job = { 0 };
  auto_job_status struct job_status status = { 0 };
  int found = find_job (intake, request->rest, &job, &status, &err);
  if (found == 0)
    {
      http_refuse (answer, 404, NULL, "there is no such job");
      return;
    }
  if (found == 1 && job_state_is_terminal (status.state))
    {
      http_refuse (answer, 409, NULL, "the job has ended already");
      return;
    }
  char reason[] = "cancelled";
  const struct control control = {
    .kind = CONTROL_CANCEL, .job_id = job.id, .time = clock_wall_ms (), .reason = reason
  };
  if (found < 0 || bus_publish_control (intake->bus, &control, &err) != 0)
    answer_trouble (intake, &err, answer);
  else
    answer_json (answer, 202, status_json (&job, &status));
}

/* ---- life ------------------------------------------------------------------------------- */

struct intake *
intake_new (const struct bus_args *bus, const char *results)
{
  struct intake *intake = xcalloc (1, sizeof *intake);
  intake->bus_args = bus;
  intake->results = xstrdup (results);
  return intake;
}

void
intake_free (struct intake *intake)
{
  if (intake == NULL)
    return;
  bus_close (intake->bus);
  free (intake->results);
  free (intake);
}

void
intake_routes (struct intake *intake, struct http_route routes[static INTAKE_ROUTES])
{
  static const struct http_route table[INTAKE_ROUTES] = {
    { .method = "POST", .path = "/v1/jobs", .handle = post_job },
    { .method = "GET", .path = "/v1/jobs", .handle = get_jobs },
    { .method = "GET", .path = "/v1/jobs/", .handle = get_job },
    { .method = "DELETE", .path = "/v1/jobs/", .handle = cancel_job },
  };
  for (size_t i = 0; i < INTAKE_ROUTES; i++)
    {
      routes[i] = table[i];
      routes[i].guarded = true;
      routes[i].slow = true;
      routes[i].context = intake;
    }
}

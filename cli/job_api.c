#include "cli/job_api.h"

#include "cli/job_json.h"
#include "cli/job_states.h"
#include "cli/json_text.h"
#include "cli/steer.h"
#include "cli/submit.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"
#include "common/units.h"
#include "merger/status_json.h"
#include "policy/policy_check.h"
#include "schemas/job_bounds.h"
#include "schemas/job_difference.h"

#include <string.h>

enum
{
  PATIENCE_MS = 5000, /* for the bus to answer at all */
  PAGE_DEFAULT = 100, /* jobs of an answer */
  PAGE_MAX = 1000,
  LOOKED_AT_MAX = 1000, /* jobs for one answer, whether they are in it or not */
};

struct job_api
{
  const struct bus_args *bus_args;
  char *results;
  const struct policy *policy;
  const struct policy_token *token; /* whose the request is; NULL: the service's own */
  struct bus *bus;                  /* NULL until it is needed, and after it failed */
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
answer_trouble (struct job_api *api, const struct error *err, struct http_answer *answer)
{
  auto_free char *text = text_log (err->message);
  log_warn ("api_error", "error=%s", text);
  bus_close (take (&api->bus));
  http_refuse (answer, 503, NULL, err->message);
  answer->header = "Retry-After";
  answer->header_value = xstrdup ("1");
}

static int
need_bus (struct job_api *api, struct error *err)
{
  if (api->bus != NULL)
    return 0;
  struct bus_options options = bus_args_options (api->bus_args, "api");
  options.patience_ms = PATIENCE_MS;
  api->bus = bus_open (api->bus_args->url, &options, err);
  return api->bus == NULL ? -1 : 0;
}

/* From here on it is REQUEST that is answered: one thread handles them. */
static struct job_api *
job_api_begin (void *context, const struct http_request *request)
{
  struct job_api *api = context;
  api->token = request->who > 0 ? &api->policy->tokens[request->who - 1] : NULL;
  return api;
}

/* Whether whose request it is has to do with QUEUE at all: for him there are no jobs of others. */
static bool
may_use (const struct job_api *api, const char *queue)
{
  return api->token == NULL || policy_list_has (&api->token->queues, queue);
}

/* The job ID and how it stands: 1, 0 when there is none, -1. */
static int
job_api_find_job (struct job_api *api, const char *id, struct job *job, struct job_status *status,
                  struct error *err)
{
  if (need_bus (api, err) != 0)
    return -1;
  int found = bus_get_job (api->bus, id, job, err);
  if (found <= 0 || !may_use (api, job->queue))
    return found <= 0 ? found : 0;
  int known = bus_get_status (api->bus, id, status, err);
  if (known == 0)
    status->shards = -1;
  return known < 0 ? -1 : 1;
}

/* What is said of JOB: with CODE, or that the bus failed. */
static void
answer_status (struct job_api *api, unsigned int code, const struct job *job,
               const struct job_status *status, struct http_answer *answer)
{
  struct error err = ERROR_INIT;
  auto_settings struct settings *known = settings_read (api->bus, &err);
  if (known == NULL)
    {
      answer_trouble (api, &err, answer);
      return;
    }
  const struct job_settings settings = settings_of (known, job);
  answer_json (answer, code, status_json (job, status, &settings));
}

static void
answer_job (struct job_api *api, const char *id, unsigned int code, struct http_answer *answer)
{
  struct error err = ERROR_INIT;
  auto_job struct job job = { 0 };
  auto_job_status struct job_status status = { 0 };
  int found = job_api_find_job (api, id, &job, &status, &err);
  if (found < 0)
    answer_trouble (api, &err, answer);
  else if (found == 0)
    http_refuse (answer, 404, NULL, "no such job");
  else
    answer_status (api, code, &job, &status, answer);
}

/* The job was taken, and nobody can read it yet. */
static void
answer_unread (const char *id, struct http_answer *answer)
{
  json_t *object = json_object ();
  json_set_text (object, "job", id);
  json_set_text (object, "state", job_state_name (JOB_QUEUED));
  json_set_text (object, "reason",
                 "taken, but not readable yet: an open transaction on the topic jobs");
  answer_json (answer, 202, object);
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
job_api_is_plain (const char *text)
{
  while (*text >= ' ' && *text < 0x7f)
    text++;
  return *text == '\0';
}

int
job_api_read_job (struct bytes body, const char *trace, const char *results,
                  const struct policy *policy, struct job_args *args, char **field,
                  struct error *err)
{
  if (job_json_read (body, args, field, err) != 0)
    return -1;
  args->below = results;
  args->policy = policy;
  if (trace != NULL && job_api_is_plain (trace) && !has_trace (&args->job.env))
    strlist_addf (&args->job.env, "TRACEPARENT=%s", trace);
  if (job_args_finish (args, err) == 0)
    return 0;
  *field = xstrdup (args->wrong);
  return -1;
}

/* 1 when it is new, 0 when it was there, BUS_UNREAD, or -1. *DIFFERENCE: the option in which the
 * one that was there is another. */
static int
job_api_submit (struct job_api *api, struct job_args *args, const char **difference,
                struct error *err)
{
  auto_job struct job first = { 0 };
  if (need_bus (api, err) != 0)
    return -1;
  int added = job_args_submit (args, api->bus, err);
  if (added < 0 || added == BUS_UNREAD)
    return added;
  int found = bus_get_job (api->bus, args->job.id, &first, err);
  if (found <= 0)
    return found < 0 ? -1
                     : error_set (err, ERROR_TRANSIENT,
                                  "the job could not be submitted: the bus did not confirm it");
  *difference = added == 1 ? NULL : job_difference (&first, &args->job);
  return added;
}

static void
post_job (void *context, const struct http_request *request, struct http_answer *answer)
{
  struct job_api *api = job_api_begin (context, request);
  struct error err = ERROR_INIT;
  auto_job_args struct job_args args;
  auto_free char *field = NULL;
  const char *difference = NULL;
  job_args_init (&args);
  if (job_api_read_job (request->body, http_request_header (request, "traceparent"), api->results,
                        api->policy, &args, &field, &err)
      != 0)
    {
      http_refuse (answer, field == NULL ? 400 : 422, field, err.message);
      return;
    }
  if (!may_use (api, args.job.queue))
    {
      auto_free char *text = xasprintf ("policy: tokens.%s.queues: %s isn't allowed",
                                        api->token->name, args.job.queue);
      http_refuse (answer, 422, "queue", text);
      return;
    }
  int added = job_api_submit (api, &args, &difference, &err);
  if (added < 0 && err.class == ERROR_USER) /* the bus has no such queue */
    http_refuse (answer, 422, "queue", err.message);
  else if (added < 0)
    answer_trouble (api, &err, answer);
  else if (difference != NULL)
    {
      auto_free char *text =
          xasprintf ("job %s already exists and differs in %s", args.job.id, difference);
      http_refuse (answer, 409, "id", text);
    }
  else
    {
      log_info ("job_submitted", "job=%s new=%s token=%s", args.job.id,
                added == BUS_UNREAD ? "unknown"
                : added == 1        ? "true"
                                    : "false",
                api->token == NULL ? "-" : api->token->name);
      if (added == BUS_UNREAD)
        answer_unread (args.job.id, answer);
      else
        answer_job (api, args.job.id, added == 1 ? 201 : 200, answer);
    }
}

/* ---- the jobs there are ----------------------------------------------------------------- */

/* A part of them: one answer of all would keep the others that wait for the slow thread waiting. */
struct page
{
  const struct job_api *api;
  struct bus *bus;
  const struct settings *settings;
  job_states states;
  int64_t limit;
  json_t *jobs;
  int64_t looked_at;
  char *last; /* the job that was looked at last */
  bool more;
  struct error *err;
};

static int
add_job (void *context, const struct job *job)
{
  struct page *page = context;
  auto_job_status struct job_status status = { 0 };
  page->more =
      (int64_t) json_array_size (page->jobs) == page->limit || page->looked_at == LOOKED_AT_MAX;
  if (page->more)
    return 1;
  int known = bus_get_status (page->bus, job->id, &status, page->err);
  if (known < 0)
    return -1;
  if (known == 0)
    status.shards = -1;
  page->looked_at++;
  free (page->last);
  page->last = xstrdup (job->id);
  const struct job_settings settings = settings_of (page->settings, job);
  if (job_states_have (page->states, status.state) && may_use (page->api, job->queue))
    (void) json_array_append_new (page->jobs, status_json (job, &status, &settings));
  return 0;
}

/* Reads which jobs REQUEST wants; the member of its query that is wrong with ERR, else NULL. */
static const char *
job_api_read_page (const struct http_request *request, struct page *page, struct error *err)
{
  const char *limit = http_request_query (request, "limit");
  const char *state = http_request_query (request, "state");
  page->limit = PAGE_DEFAULT;
  if (limit != NULL && units_parse_number (limit, 1, PAGE_MAX, &page->limit, err) != 0)
    return "limit";
  if (state != NULL && job_states_read (state, &page->states, err) != 0)
    return "state";
  return NULL;
}

static void
answer_page (const struct page *page, struct http_answer *answer)
{
  json_t *object = json_pack ("{s:O}", "jobs", page->jobs);
  if (page->more)
    json_set_text (object, "next", page->last);
  answer_json (answer, 200, object);
}

static void
get_jobs (void *context, const struct http_request *request, struct http_answer *answer)
{
  struct job_api *api = job_api_begin (context, request);
  struct error err = ERROR_INIT;
  struct page page = { .api = api, .jobs = json_array (), .err = &err };
  const char *after = http_request_query (request, "after");
  const char *wrong = job_api_read_page (request, &page, &err);
  int result = wrong != NULL ? -1 : need_bus (api, &err);
  auto_settings struct settings *known = result == 0 ? settings_read (api->bus, &err) : NULL;
  result = known == NULL ? -1 : result;
  page.settings = known;
  page.bus = api->bus;
  if (result == 0)
    {
      result = bus_list_jobs (api->bus, after, add_job, &page, &err);
      wrong = result < 0 && err.class == ERROR_USER ? "after" : NULL;
    }
  if (result >= 0)
    answer_page (&page, answer);
  else if (wrong != NULL)
    http_refuse (answer, 422, wrong, err.message);
  else
    answer_trouble (api, &err, answer);
  json_decref (page.jobs);
  free (page.last);
}

static void
get_job (void *context, const struct http_request *request, struct http_answer *answer)
{
  answer_job (job_api_begin (context, request), request->rest, 200, answer);
}

static void
cancel_job (void *context, const struct http_request *request, struct http_answer *answer)
{
  struct job_api *api = job_api_begin (context, request);
  struct error err = ERROR_INIT;
  auto_job struct job job = { 0 };
  auto_job_status struct job_status status = { 0 };
  int found = job_api_find_job (api, request->rest, &job, &status, &err);
  if (found == 0)
    {
      http_refuse (answer, 404, NULL, "no such job");
      return;
    }
  if (found == 1 && job_state_is_terminal (status.state))
    {
      http_refuse (answer, 409, NULL, "the job has already ended");
      return;
    }
  char reason[] = "cancelled";
  const struct control control = {
    .kind = CONTROL_CANCEL, .job_id = job.id, .time = clock_wall_ms (), .reason = reason
  };
  if (found < 0 || bus_publish_control (api->bus, &control, &err) != 0)
    answer_trouble (api, &err, answer);
  else
    answer_status (api, 202, &job, &status, answer);
}

/* ---- how a job goes on ------------------------------------------------------------------ */

static int
job_api_read_setting (const char *name, const json_t *value, struct control *wanted,
                      struct error *err)
{
  json_int_t number = json_integer_value (value);
  if (strcmp (name, "paused") == 0)
    {
      wanted->paused = json_is_true (value) ? 1 : 0;
      return json_is_boolean (value) ? 0 : error_set (err, ERROR_USER, "expected true or false");
    }
  if (strcmp (name, "priority") == 0)
    {
      wanted->priority = (int32_t) number;
      return json_is_integer (value) && number >= -JOB_PRIORITY_MAX && number <= JOB_PRIORITY_MAX
                 ? 0
                 : error_set (err, ERROR_USER, "expected a whole number from %d to %d",
                              -JOB_PRIORITY_MAX, JOB_PRIORITY_MAX);
    }
  if (strcmp (name, "max_parallel") == 0)
    {
      wanted->max_parallel = json_is_null (value) ? 0 : number;
      return json_is_null (value)
                     || (json_is_integer (value) && number >= 1 && number <= JOB_COUNT_MAX)
                 ? 0
                 : error_set (err, ERROR_USER, "expected a whole number from 1 on, or null");
    }
  return error_set (err, ERROR_USER, "unknown field: valid are priority, max_parallel and paused");
}

/* What BODY wants of a job. 0, or -1 with ERR and *FIELD, the caller's to free. */
static int
job_api_read_settings (struct bytes body, struct control *wanted, char **field, struct error *err)
{
  json_error_t why;
  const char *name = NULL;
  json_t *value = NULL;
  json_t *object = json_loadb (body.data, body.size, JSON_REJECT_DUPLICATES, &why);
  int result = json_is_object (object) && json_object_size (object) > 0
                   ? 0
                   : error_set (err, ERROR_USER,
                                "expected a JSON object with priority, max_parallel or paused");
  if (result == 0)
    json_object_foreach (object, name, value)
      {
        if (result == 0 && job_api_read_setting (name, value, wanted, err) != 0)
          {
            *field = xstrdup (name);
            result = -1;
          }
      }
  json_decref (object);
  return result;
}

static void
patch_job (void *context, const struct http_request *request, struct http_answer *answer)
{
  struct job_api *api = job_api_begin (context, request);
  struct error err = ERROR_INIT;
  struct control wanted = STEER_NOTHING;
  auto_free char *field = NULL;
  auto_job struct job job = { 0 };
  auto_job_status struct job_status status = { 0 };
  if (job_api_read_settings (request->body, &wanted, &field, &err) != 0)
    {
      http_refuse (answer, field == NULL ? 400 : 422, field, err.message);
      return;
    }
  int found = job_api_find_job (api, request->rest, &job, &status, &err);
  if (found == 0)
    {
      http_refuse (answer, 404, NULL, "no such job");
      return;
    }
  if (found == 1)
    found = steer_check (api->bus, &job, &status, &wanted, &err) != 0
                    || steer_publish (api->bus, &job, &wanted, &err) != 0
                    || steer_confirm (api->bus, &job, &status, &wanted, &err) != 0
                ? -1
                : 0;
  if (found < 0 && err.class == ERROR_USER)
    http_refuse (answer, 409, NULL, err.message);
  else if (found < 0)
    answer_trouble (api, &err, answer);
  else
    answer_status (api, 200, &job, &status, answer);
}

/* ---- life ------------------------------------------------------------------------------- */

struct job_api *
job_api_new (const struct bus_args *bus, const char *results, const struct policy *policy)
{
  struct job_api *api = xcalloc (1, sizeof *api);
  api->bus_args = bus;
  api->results = xstrdup (results);
  api->policy = policy;
  return api;
}

void
job_api_free (struct job_api *api)
{
  if (api == NULL)
    return;
  bus_close (api->bus);
  free (api->results);
  free (api);
}

void
job_api_routes (struct job_api *api, struct http_route routes[static INTAKE_ROUTES])
{
  static const struct http_route table[INTAKE_ROUTES] = {
    { .method = "POST", .path = "/v1/jobs", .handle = post_job },
    { .method = "GET", .path = "/v1/jobs", .handle = get_jobs },
    { .method = "GET", .path = "/v1/jobs/", .handle = get_job },
    { .method = "DELETE", .path = "/v1/jobs/", .handle = cancel_job },
    { .method = "PATCH", .path = "/v1/jobs/", .handle = patch_job },
  };
  for (size_t i = 0; i < INTAKE_ROUTES; i++)
    {
      routes[i] = table[i];
      routes[i].guarded = true;
      routes[i].slow = true;
      routes[i].context = api;
    }
}

#include "cli/queue_api.h"

#include "cli/json_text.h"
#include "cli/queue_counts.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"
#include "common/thread.h"
#include "common/units.h"
#include "policy/policy_check.h"

#include <poll.h>
#include <signal.h>
#include <string.h>

enum
{
  PATIENCE_MS = 5000, /* for the bus to answer at all */
  TURN_MS = 500,      /* between two looks */
  STEP_MS = 100,      /* in which the end is noticed */
  FRESH_MS = 5000,    /* a number that is older isn't known any more */
  SLOTS_MAX = 4096,
};

struct queue_api
{
  const struct bus_args *bus_args;
  const struct policy *policy;

  pthread_mutex_t lock; /* of all that follows */
  pthread_t thread;
  bool runs;
  bool ending;
  struct queue_count *queues;
  size_t count;
  int64_t known; /* boot ms when the numbers were right; 0: never */
  char *trouble; /* why they aren't known; NULL: nothing is wrong */
};

/* ---- the thread ------------------------------------------------------------------------- */

static bool
queue_api_is_ending (struct queue_api *api)
{
  (void) pthread_mutex_lock (&api->lock);
  bool ending = api->ending;
  (void) pthread_mutex_unlock (&api->lock);
  return ending;
}

static void
queue_api_show (struct queue_api *api, struct queue_count *queues, size_t count, int64_t known)
{
  (void) pthread_mutex_lock (&api->lock);
  queue_counts_release (api->queues, api->count);
  api->queues = queues;
  api->count = count;
  api->known = known;
  free (take (&api->trouble));
  (void) pthread_mutex_unlock (&api->lock);
}

static void
queue_api_hide (struct queue_api *api, const char *trouble)
{
  (void) pthread_mutex_lock (&api->lock);
  api->known = 0;
  free (api->trouble);
  api->trouble = xstrdup (trouble);
  (void) pthread_mutex_unlock (&api->lock);
}

/* One look: all events that there are, then the numbers as they were when it began. */
static int
queue_api_look (struct queue_api *api, struct queue_counts *counts, struct error *err)
{
  int64_t began = clock_boot_ms ();
  struct queue_count *queues = NULL;
  size_t count = 0;
  int drained = queue_counts_read (counts, err);
  if (drained <= 0)
    return drained;
  if (queue_counts_take (counts, &queues, &count, err) != 0)
    return -1;
  queue_api_show (api, queues, count, began);
  return 1;
}

/* Until the end, or a failure after which the bus is opened anew. */
static int
queue_api_follow (struct queue_api *api, struct bus *bus, struct error *err)
{
  auto_queue_counts struct queue_counts *counts = queue_counts_new (bus);
  while (!queue_api_is_ending (api))
    {
      int looked = queue_api_look (api, counts, err);
      if (looked < 0 && err->class == ERROR_FATAL)
        return -1;
      if (looked < 0)
        {
          auto_free char *reason = text_log (err->message);
          log_warn ("queues_unknown", "reason=%s", reason);
          queue_api_hide (api, err->message);
          error_clear (err);
        }
      int64_t until = clock_boot_ms () + (looked == 0 ? 0 : TURN_MS);
      do
        (void) bus_poll (bus, NULL, 0, looked == 0 ? 0 : STEP_MS);
      while (clock_boot_ms () < until && !queue_api_is_ending (api));
      if (bus_is_away (bus))
        queue_api_hide (api, "the bus does not answer");
    }
  return 0;
}

static void *
queue_api_run (void *context)
{
  struct queue_api *api = context;
  while (!queue_api_is_ending (api))
    {
      struct error err = ERROR_INIT;
      struct bus_options options = bus_args_options (api->bus_args, "queues");
      options.patience_ms = PATIENCE_MS;
      auto_bus struct bus *bus = bus_open (api->bus_args->url, &options, &err);
      if (bus != NULL && queue_api_follow (api, bus, &err) == 0)
        return NULL;
      auto_free char *reason = text_log (err.message);
      log_warn ("queues_unknown", "reason=%s", reason);
      queue_api_hide (api, err.message);
      for (int ms = 0; ms < PATIENCE_MS && !queue_api_is_ending (api); ms += STEP_MS)
        (void) poll (NULL, 0, STEP_MS);
    }
  return NULL;
}

/* With the lock held. */
static void
queue_api_start (struct queue_api *api)
{
  if (!api->runs)
    api->runs = thread_start (&api->thread, queue_api_run, api) == 0;
}

/* ---- answers ---------------------------------------------------------------------------- */

static json_t *
queue_json (const struct queue_count *queue, int64_t slots)
{
  json_t *object = json_object ();
  int64_t wanted = queue->waiting + queue->running + queue->planning;
  json_set_text (object, "queue", queue->name);
  json_set_number (object, "waiting", queue->waiting);
  json_set_number (object, "running", queue->running);
  json_set_number (object, "planning", queue->planning);
  json_set_number (object, "oldest_seconds", queue->oldest < 0 ? 0 : queue->oldest / 1000);
  json_set_number (object, "desired", (wanted + slots - 1) / slots);
  return object;
}

static bool
queue_api_may_see (const struct queue_api *api, const struct http_request *request,
                   const char *queue)
{
  return request->who == 0
         || policy_list_has (&api->policy->tokens[request->who - 1].queues, queue);
}

/* The numbers, with the lock held. NULL: the answer is 503. */
static json_t *
queue_api_all (const struct queue_api *api, const struct http_request *request, int64_t slots)
{
  json_t *list = json_array ();
  for (size_t i = 0; i < api->count; i++)
    if (queue_api_may_see (api, request, api->queues[i].name))
      (void) json_array_append_new (list, queue_json (&api->queues[i], slots));
  return json_pack ("{s:o}", "queues", list);
}

static json_t *
queue_api_one (const struct queue_api *api, const struct http_request *request, int64_t slots)
{
  for (size_t i = 0; i < api->count; i++)
    if (strcmp (api->queues[i].name, request->rest) == 0
        && queue_api_may_see (api, request, request->rest))
      return queue_json (&api->queues[i], slots);
  return NULL;
}

static void
queue_api_answer_unknown (const struct queue_api *api, struct http_answer *answer)
{
  http_refuse (answer, 503, NULL,
               api->trouble != NULL ? api->trouble
               : api->known == 0    ? "not known yet: the events are still being read"
                                    : "not known: the bus hasn't answered for some seconds");
  answer->header = "Retry-After";
  answer->header_value = xstrdup ("1");
}

static void
queue_api_get (void *context, const struct http_request *request, struct http_answer *answer)
{
  struct queue_api *api = context;
  struct error err = ERROR_INIT;
  const char *given = http_request_query (request, "slots");
  int64_t slots = 1;
  if (given != NULL && units_parse_number (given, 1, SLOTS_MAX, &slots, &err) != 0)
    {
      http_refuse (answer, 422, "slots", err.message);
      return;
    }
  (void) pthread_mutex_lock (&api->lock);
  queue_api_start (api);
  bool fresh = api->known != 0 && clock_boot_ms () - api->known < FRESH_MS;
  json_t *found = !fresh                     ? NULL
                  : request->rest[0] == '\0' ? queue_api_all (api, request, slots)
                                             : queue_api_one (api, request, slots);
  if (!fresh)
    queue_api_answer_unknown (api, answer);
  (void) pthread_mutex_unlock (&api->lock);
  if (found != NULL)
    {
      char *text = json_dumps (found, JSON_COMPACT);
      http_answer_text (answer, 200, text == NULL ? xstrdup ("{}") : text);
      json_decref (found);
    }
  else if (fresh)
    http_refuse (answer, 404, NULL, "no such queue");
}

/* ---- life ------------------------------------------------------------------------------- */

struct queue_api *
queue_api_new (const struct bus_args *bus, const struct policy *policy)
{
  struct queue_api *api = xcalloc (1, sizeof *api);
  api->bus_args = bus;
  api->policy = policy;
  (void) pthread_mutex_init (&api->lock, NULL);
  return api;
}

void
queue_api_free (struct queue_api *api)
{
  if (api == NULL)
    return;
  (void) pthread_mutex_lock (&api->lock);
  api->ending = true;
  bool runs = api->runs;
  (void) pthread_mutex_unlock (&api->lock);
  if (runs)
    (void) pthread_join (api->thread, NULL);
  (void) pthread_mutex_destroy (&api->lock);
  queue_counts_release (api->queues, api->count);
  free (api->trouble);
  free (api);
}

void
queue_api_routes (struct queue_api *api, struct http_route routes[static QUEUE_ROUTES])
{
  static const char *const paths[QUEUE_ROUTES] = { "/v1/queues", "/v1/queues/" };
  for (size_t i = 0; i < QUEUE_ROUTES; i++)
    routes[i] = (struct http_route){
      .method = "GET", .path = paths[i], .guarded = true, .handle = queue_api_get, .context = api
    };
}

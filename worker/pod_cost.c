#include "worker/pod_cost.h"

#include "common/clock.h"
#include "common/fs.h"
#include "common/http/http.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/secret.h"
#include "common/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum
{
  STEP_MS = 10000,    /* between two requests … */
  STEP_DOUBLINGS = 5, /* … doubled by each that fails */
  IDLE_MS = 10000,    /* a pause between two shards is shorter */
  ANSWER_MS = 10000,
  TOKEN_MAX = 64 << 10,
};

#define ANNOTATION "controller.kubernetes.io/pod-deletion-cost"

/* Why a request failed, as far as it is news: texts hold times and numbers. */
struct pod_cost_trouble
{
  enum error_class class; /* ERROR_NONE: it didn't */
  int code;
  int status; /* of the answer, 0: none came */
};

struct pod_cost
{
  const struct pod_cost_options *options;
  pthread_t thread;
  pthread_mutex_t lock;
  struct pod_cost_plan plan; /* under the lock */
  int news_fd;               /* readable when the plan has changed, or it is to end */
  volatile sig_atomic_t ending;
  struct pod_cost_trouble trouble; /* of the last request. The thread's */
};

/* ---- the plan --------------------------------------------------------------------------- */

int64_t
pod_cost_plan_due (const struct pod_cost_plan *plan)
{
  if (plan->told == (plan->busy ? 1 : 0))
    return INT64_MAX;
  int64_t due = plan->busy ? plan->since : plan->since + IDLE_MS;
  int doublings = plan->failures < STEP_DOUBLINGS ? plan->failures : STEP_DOUBLINGS;
  int64_t allowed = plan->asked == 0 ? 0 : plan->asked + ((int64_t) STEP_MS << doublings);
  return due > allowed ? due : allowed;
}

/* ---- a request -------------------------------------------------------------------------- */

/* ERR for an answer that isn't 2xx: with the server's own words, where it has any. */
static int
pod_cost_refused (const struct http_call *call, struct error *err)
{
  const char *text = call->answer.data == NULL ? "" : call->answer.data;
  json_t *status = json_loadb (text, call->answer.size, 0, NULL);
  const char *message = json_string_value (json_object_get (status, "message"));
  int result = http_error (call, message, err);
  json_decref (status);
  return result;
}

/* The token changes while the pod lives: it is read each time. */
static int
pod_cost_authorize (const struct pod_cost *cost, struct http_call *call, struct error *err)
{
  auto_secret struct buffer token = { 0 };
  auto_free char *path = xasprintf ("%s/token", cost->options->account);
  if (fs_read_file (AT_FDCWD, path, TOKEN_MAX, &token, err) != 0)
    return -1;
  const char *text = token.data == NULL ? "" : token.data;
  strlist_addf (&call->headers, "Authorization: Bearer %.*s", (int) strcspn (text, "\r\n"), text);
  strlist_add (&call->headers, "Content-Type: application/merge-patch+json");
  return 0;
}

static int
pod_cost_tell (struct pod_cost *cost, bool busy, int *status, struct error *err)
{
  auto_free char *authorities = xasprintf ("%s/ca.crt", cost->options->account);
  auto_free char *body =
      xasprintf ("{\"metadata\":{\"annotations\":{\"" ANNOTATION "\":\"%d\"}}}", busy ? 1 : 0);
  const struct http_options options = {
    .tries = 1, .try_ms = ANSWER_MS, .ca_file = authorities, .stop = &cost->ending
  };
  auto_http struct http *http = http_new (&options);
  auto_http_call struct http_call call = { 0 };
  http_call_init (&call, xstrdup (cost->options->url));
  call.method = "PATCH";
  call.direct = true;
  call.body = (struct bytes){ body, strlen (body) };
  if (pod_cost_authorize (cost, &call, err) != 0)
    return -1;
  int result = http_perform (http, &call, err);
  *status = call.status;
  return result == 0 || call.status == 0 ? result : pod_cost_refused (&call, err);
}

/* What is new is a warning: it fails, or otherwise than before. */
static void
pod_cost_say (struct pod_cost *cost, bool busy, int status, const struct error *err)
{
  const struct pod_cost_trouble before = cost->trouble;
  if (!error_is_set (err))
    {
      log_debug ("deletion_cost", "cost=%d", busy ? 1 : 0);
      if (before.class != ERROR_NONE)
        log_info ("deletion_cost_told", "cost=%d", busy ? 1 : 0);
      cost->trouble = (struct pod_cost_trouble){ .class = ERROR_NONE };
      return;
    }
  if (__atomic_load_n (&cost->ending, __ATOMIC_RELAXED) != 0)
    return;
  bool known = before.class == err->class && before.code == err->code && before.status == status;
  log_failure (known ? LOG_DEBUG : LOG_WARN, "deletion_cost_untold", err, NULL);
  cost->trouble = (struct pod_cost_trouble){ err->class, err->code, status };
}

/* ---- the thread ------------------------------------------------------------------------- */

/* How long there is nothing to do; 0 with what is to be told, whose request begins. */
static int
pod_cost_next (struct pod_cost *cost, bool *busy)
{
  int64_t now = clock_boot_ms ();
  (void) pthread_mutex_lock (&cost->lock);
  int64_t due = pod_cost_plan_due (&cost->plan);
  if (due <= now)
    cost->plan.asked = now;
  *busy = cost->plan.busy;
  (void) pthread_mutex_unlock (&cost->lock);
  int64_t wait = due <= now ? 0 : due - now;
  return due == INT64_MAX ? -1 : wait > INT_MAX ? INT_MAX : (int) wait;
}

static void
pod_cost_ask (struct pod_cost *cost, bool busy)
{
  struct error err = ERROR_INIT;
  int status = 0;
  bool told = pod_cost_tell (cost, busy, &status, &err) == 0;
  pod_cost_say (cost, busy, status, &err);
  (void) pthread_mutex_lock (&cost->lock);
  cost->plan.asked = clock_boot_ms ();
  /* A request that failed may have reached the server all the same. */
  cost->plan.told = told ? (busy ? 1 : 0) : -1;
  cost->plan.failures = told ? 0 : cost->plan.failures + 1;
  (void) pthread_mutex_unlock (&cost->lock);
}

static void *
pod_cost_run (void *context)
{
  struct pod_cost *cost = context;
  while (__atomic_load_n (&cost->ending, __ATOMIC_RELAXED) == 0)
    {
      bool busy = false;
      uint64_t news;
      int wait = pod_cost_next (cost, &busy);
      struct pollfd fd = { .fd = cost->news_fd, .events = POLLIN };
      if (wait == 0)
        pod_cost_ask (cost, busy);
      else if (poll (&fd, 1, wait) > 0)
        (void) !read (cost->news_fd, &news, sizeof news);
    }
  return NULL;
}

static void
pod_cost_wake (const struct pod_cost *cost)
{
  const uint64_t one = 1;
  (void) !write (cost->news_fd, &one, sizeof one);
}

void
pod_cost_set (struct pod_cost *cost, bool busy)
{
  if (cost == NULL)
    return;
  (void) pthread_mutex_lock (&cost->lock);
  bool changed = cost->plan.busy != busy;
  cost->plan.busy = busy;
  if (changed)
    cost->plan.since = clock_boot_ms ();
  (void) pthread_mutex_unlock (&cost->lock);
  if (changed)
    pod_cost_wake (cost);
}

static void
pod_cost_free (struct pod_cost *cost)
{
  auto_fd_ (&cost->news_fd);
  (void) pthread_mutex_destroy (&cost->lock);
  free (cost);
}

struct pod_cost *
pod_cost_start (const struct pod_cost_options *options, struct error *err)
{
  struct pod_cost *cost = xcalloc (1, sizeof *cost);
  (void) pthread_mutex_init (&cost->lock, NULL);
  cost->options = options;
  cost->plan = (struct pod_cost_plan){ .since = clock_boot_ms (), .told = -1 };
  cost->news_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  int failed = cost->news_fd < 0 ? errno : 0;
  if (failed == 0)
    failed = thread_start (&cost->thread, pod_cost_run, cost);
  if (failed == 0)
    return cost;
  (void) error_errno (err, failed, "--deletion-cost");
  (void) error_blame_machine (err);
  pod_cost_free (cost);
  return NULL;
}

void
pod_cost_end (struct pod_cost *cost)
{
  if (cost == NULL)
    return;
  __atomic_store_n (&cost->ending, 1, __ATOMIC_RELAXED);
  pod_cost_wake (cost);
  (void) pthread_join (cost->thread, NULL);
  pod_cost_free (cost);
}

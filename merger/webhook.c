#include "merger/webhook.h"

#include "common/clock.h"
#include "common/fs.h"
#include "common/hex.h"
#include "common/http/http.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"
#include "merger/status_json.h"
#include "policy/policy_check.h"
#include "schemas/job_check.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <sys/random.h>

enum
{
  PATIENCE_MS = 900000,
  ANSWER_MS = 10000,    /* for one try */
  PAUSE_MS = 1000,      /* before the second try, doubled each time … */
  PAUSE_MAX_MS = 60000, /* … up to this */
  AT_ONCE = 16,         /* tries under way */
  SECRET_MAX = 4096,
};

static const char pending[] = "pending";

struct notice
{
  char *job_id;
  uint32_t generation;
  int64_t position;
  int64_t until; /* boot ms: it isn't tried again later */
  int64_t due;
  int tries;
  char *url;
  struct buffer body;
  struct webhooks *webhooks;
  bool under_way; /* else it waits for its time */
  struct http_call call;
};

struct webhooks
{
  struct bus *bus;
  const struct policy *policy;
  char *secret;
  int64_t patience_ms;
  bool private;
  struct http *http;
  struct notice **notices;
  size_t count;
  char *asked; /* the job that was recalled last */
  struct metric *delivered;
  struct metric *given_up;
  struct metric *tried_again;
  int ended; /* deliveries, in this turn */
};

/* ---- life ------------------------------------------------------------------------------- */

struct webhooks *
webhooks_new (struct bus *bus, const struct webhooks_options *options)
{
  static const char name[] = "shoal_webhook_attempts_total";
  static const char help[] = "Webhook delivery attempts by outcome.";
  const struct http_options http = { .connections = AT_ONCE, .tries = 1, .try_ms = ANSWER_MS };
  struct metrics *metrics = options->metrics;
  struct webhooks *webhooks = xcalloc (1, sizeof *webhooks);
  webhooks->bus = bus;
  webhooks->secret = xstrdup (options->secret == NULL ? "" : options->secret);
  webhooks->patience_ms = options->patience_ms > 0 ? options->patience_ms : PATIENCE_MS;
  webhooks->policy = options->policy;
  webhooks->private = options->private;
  webhooks->http = http_new (&http);
  webhooks->delivered = metrics_counter (metrics, name, help, LABELS ("outcome", "delivered"));
  webhooks->tried_again = metrics_counter (metrics, name, help, LABELS ("outcome", "retried"));
  webhooks->given_up = metrics_counter (metrics, name, help, LABELS ("outcome", "failed"));
  return webhooks;
}

/* Its call isn't under way. */
static void
notice_free (struct notice *notice)
{
  if (notice->under_way)
    http_call_release (&notice->call);
  free (notice->job_id);
  free (notice->url);
  buffer_release (&notice->body);
  free (notice);
}

void
webhooks_drop (struct webhooks *webhooks)
{
  http_drop (webhooks->http);
  for (size_t i = 0; i < webhooks->count; i++)
    notice_free (webhooks->notices[i]);
  free (webhooks->notices);
  free (webhooks->asked);
  webhooks->notices = NULL;
  webhooks->count = 0;
  webhooks->asked = NULL;
}

void
webhooks_free (struct webhooks *webhooks)
{
  if (webhooks == NULL)
    return;
  webhooks_drop (webhooks);
  http_free (webhooks->http);
  explicit_bzero (webhooks->secret, strlen (webhooks->secret));
  free (webhooks->secret);
  free (webhooks);
}

int
webhooks_read_secret (struct buffer *secret, struct error *err)
{
  const char *path = getenv ("SHOAL_WEBHOOK_SECRET_FILE");
  const char *text = getenv ("SHOAL_WEBHOOK_SECRET");
  if (path == NULL || path[0] == '\0')
    {
      buffer_puts (secret, text == NULL ? "" : text);
      return 0;
    }
  if (fs_read_file (AT_FDCWD, path, SECRET_MAX, secret, err) != 0)
    return error_wrap (err, "SHOAL_WEBHOOK_SECRET_FILE");
  if (secret->size > 0)
    secret->data[strcspn (secret->data, "\r\n")] = '\0';
  return 0;
}

size_t
webhooks_count (const struct webhooks *webhooks)
{
  return webhooks->count;
}

int64_t
webhooks_position (const struct webhooks *webhooks, size_t i)
{
  return webhooks->notices[i]->position;
}

/* ---- what is to be told ----------------------------------------------------------------- */

static struct notice *
webhook_find (const struct webhooks *webhooks, const char *job_id)
{
  for (size_t i = 0; i < webhooks->count; i++)
    if (strcmp (webhooks->notices[i]->job_id, job_id) == 0)
      return webhooks->notices[i];
  return NULL;
}

static void
webhook_add (struct webhooks *webhooks, const struct job *job, const struct job_status *status,
             int64_t position)
{
  struct notice *notice = xcalloc (1, sizeof *notice);
  notice->job_id = xstrdup (job->id);
  notice->generation = status->generation;
  notice->position = position;
  notice->url = xstrdup (job->webhook);
  notice->webhooks = webhooks;
  /* From the job's end on, whichever merger tells it and how often it was begun anew; each tries at
   * least once. */
  int64_t ago = clock_wall_ms () - status->updated;
  notice->until = clock_boot_ms () + webhooks->patience_ms - (ago > 0 ? ago : 0);
  json_t *object = status_json (job, status, NULL);
  (void) json_object_del (object, "webhook");
  char *text = json_dumps (object, JSON_COMPACT);
  buffer_puts (&notice->body, text);
  free (text);
  json_decref (object);
  webhooks->notices = xrealloc (webhooks->notices, webhooks->count + 1, sizeof (struct notice *));
  webhooks->notices[webhooks->count++] = notice;
}

int
webhooks_note (struct webhooks *webhooks, const char *job_id, int64_t position, struct error *err)
{
  auto_job struct job job = { 0 };
  auto_job_status struct job_status status = { 0 };
  if (webhook_find (webhooks, job_id) != NULL)
    return 0;
  int known = bus_get_status (webhooks->bus, job_id, &status, err);
  if (known < 0)
    return -1;
  bool wanted = known == 1 && job_state_is_terminal (status.state) && status.webhook != NULL
                && strcmp (status.webhook, pending) == 0;
  int found = wanted ? bus_get_job (webhooks->bus, job_id, &job, err) : 0;
  if (found < 0)
    return -1;
  if (found == 1 && job.webhook != NULL && job_check_webhook (job.webhook, NULL) == 0
      && policy_check_location (webhooks->policy, POLICY_WEBHOOK, job.webhook, NULL) == 0)
    webhook_add (webhooks, &job, &status, position);
  return 0;
}

int
webhooks_recall (struct webhooks *webhooks, const char *job_id, int64_t position, struct error *err)
{
  if (webhooks->asked != NULL && strcmp (webhooks->asked, job_id) == 0)
    return 0;
  free (webhooks->asked);
  webhooks->asked = xstrdup (job_id);
  return webhooks_note (webhooks, job_id, position, err);
}

/* ---- one try ---------------------------------------------------------------------------- */

/* What a receiver says beside its status is of no use. */
static int
ignore (struct http_call *call, const char *bytes, size_t size, struct error *err)
{
  (void) call;
  (void) bytes;
  (void) size;
  (void) err;
  return 0;
}

static void
webhook_add_header (struct notice *notice, const char *name, const char *value)
{
  strlist_addf (&notice->call.headers, "%s: %s", name, value);
}

/* As receivers of other people's webhooks know it: the time is signed too, so that an old delivery
 * can't be played again. */
static void
webhook_add_signature (const struct webhooks *webhooks, struct notice *notice)
{
  auto_buffer struct buffer text = { 0 };
  char hex[2 * EVP_MAX_MD_SIZE + 1];
  unsigned char sum[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  auto_free char *time = xasprintf ("%lld", (long long) (clock_wall_ms () / 1000));
  webhook_add_header (notice, "X-Shoal-Timestamp", time);
  if (webhooks->secret[0] == '\0')
    return;
  buffer_printf (&text, "%s.", time);
  buffer_append (&text, notice->body.data, notice->body.size);
  (void) HMAC (EVP_sha256 (), webhooks->secret, (int) strlen (webhooks->secret),
               (const unsigned char *) text.data, text.size, sum, &size);
  auto_free char *signature = xasprintf ("sha256=%s", hex_format (sum, size, hex));
  webhook_add_header (notice, "X-Shoal-Signature", signature);
}

static int webhook_on_end (struct http_call *call, struct error *err);

static void
webhook_begin (struct webhooks *webhooks, struct notice *notice)
{
  struct http_call *call = &notice->call;
  auto_free char *delivery = xasprintf ("%s/%u", notice->job_id, notice->generation);
  notice->under_way = true;
  notice->tries++;
  http_call_init (call, xstrdup (notice->url));
  call->method = "POST";
  call->body = buffer_bytes (&notice->body);
  call->context = notice;
  call->data = ignore;
  call->done = webhook_on_end;
  if (!webhooks->private)
    call->led = "webhook addresses must be public (merger --webhook-private allows others)";
  webhook_add_header (notice, "Content-Type", "application/json");
  webhook_add_header (notice, "X-Shoal-Delivery", delivery);
  webhook_add_signature (webhooks, notice);
  http_start (webhooks->http, call);
}

static void
begin_due (struct webhooks *webhooks)
{
  size_t under_way = 0;
  for (size_t i = 0; i < webhooks->count; i++)
    under_way += webhooks->notices[i]->under_way;
  for (size_t i = 0; i < webhooks->count && under_way < AT_ONCE; i++)
    if (!webhooks->notices[i]->under_way && webhooks->notices[i]->due <= clock_boot_ms ())
      {
        webhook_begin (webhooks, webhooks->notices[i]);
        under_way++;
      }
}

/* ---- its end ---------------------------------------------------------------------------- */

/* The status says what became of it, unless the job was opened again meanwhile. */
static int
write_down (struct webhooks *webhooks, const struct notice *notice, const char *outcome,
            struct error *err)
{
  auto_job_status struct job_status status = { 0 };
  int known = bus_get_status (webhooks->bus, notice->job_id, &status, err);
  if (known < 0)
    return -1;
  if (known == 0 || status.generation != notice->generation
      || !job_state_is_terminal (status.state))
    return 0;
  free (status.webhook);
  status.webhook = xstrdup (outcome);
  return bus_put_status (webhooks->bus, &status, err);
}

static int
conclude (struct webhooks *webhooks, struct notice *notice, const char *outcome, struct error *err)
{
  if (write_down (webhooks, notice, outcome, err) != 0)
    return -1;
  size_t i = 0;
  while (webhooks->notices[i] != notice)
    i++;
  webhooks->notices[i] = webhooks->notices[--webhooks->count];
  notice_free (notice);
  webhooks->ended = 1;
  return 0;
}

static int64_t
pause_before (int tries)
{
  uint16_t salt = 0;
  (void) getrandom (&salt, sizeof salt, 0);
  int64_t pause = tries > 6 ? PAUSE_MAX_MS : (int64_t) PAUSE_MS << (tries - 1);
  return pause / 2 + pause / 2 * salt / UINT16_MAX;
}

/* No URL in what is said: it may hold a token. */
static int
webhook_on_end (struct http_call *call, struct error *err)
{
  struct notice *notice = call->context;
  struct webhooks *webhooks = notice->webhooks;
  auto_free char *why = xstrdup (err->message);
  bool delivered = !error_is_set (err);
  bool may_pass = err->class == ERROR_TRANSIENT || call->status == 425;
  error_clear (err);
  http_call_release (call);
  notice->under_way = false;
  if (delivered)
    {
      metric_add (webhooks->delivered, 1);
      log_info ("webhook_delivered", "job=%s attempts=%d", notice->job_id, notice->tries);
      return conclude (webhooks, notice, "delivered", err);
    }
  int64_t now = clock_boot_ms ();
  auto_free char *quoted = text_log (why);
  if (may_pass && now < notice->until)
    {
      metric_add (webhooks->tried_again, 1);
      notice->due = now + pause_before (notice->tries);
      log_warn ("webhook_retry", "job=%s attempts=%d reason=%s", notice->job_id, notice->tries,
                quoted);
      return 0;
    }
  metric_add (webhooks->given_up, 1);
  log_error ("webhook_failed", "job=%s attempts=%d reason=%s", notice->job_id, notice->tries,
             quoted);
  auto_free char *outcome = xasprintf ("given up: %s", why);
  return conclude (webhooks, notice, outcome, err);
}

int
webhooks_turn (struct webhooks *webhooks, struct error *err)
{
  if (webhooks->count == 0)
    return 0;
  begin_due (webhooks);
  webhooks->ended = 0;
  return http_turn (webhooks->http, 0, err) == 0 ? webhooks->ended : -1;
}

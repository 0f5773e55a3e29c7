/* What goes wrong between us and the brokers, in words, and what to do about it. */
#include "bus/kafka/trouble.h"

#include "bus/bus.h"

#include "common/auto.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"

#include <string.h>

/* What librdkafka says, and what its user can do, from what tells most to what tells least: one
 * trouble comes in several words, one after the other. FINAL: time alone doesn't mend it; others
 * are what a broker that goes down may cause as well. */
struct known_trouble
{
  const char *says;
  const char *also; /* or NULL */
  bool final;
  const char *advice;
};

/* Words that come later than this are another trouble's. */
#define SAME_TROUBLE_MS (30 * 1000)

static const char wants_password[] =
    "if this port expects a password: security.protocol=SASL_SSL, sasl.mechanism, sasl.username, "
    "sasl.password";
static const char wants_tls[] = "if this port expects TLS: security.protocol=SSL or SASL_SSL";
static const char wants_no_tls[] =
    "if this port doesn't expect TLS: security.protocol=PLAINTEXT or SASL_PLAINTEXT";

static const struct known_trouble known[] = {
  { "SASL authentication error", NULL, true,
    "sasl.username or sasl.password is wrong, or the user does not exist for this sasl.mechanism" },
  { "certificate verify failed", NULL, true,
    "ssl.ca.location must be a file with the certificate of the CA that signed the brokers'" },
  { "alert", "certificate required", true,
    "the brokers require a client certificate: ssl.certificate.location and ssl.key.location" },
  { "alert", "bad certificate", true,
    "the brokers require a client certificate: ssl.certificate.location and ssl.key.location" },
  { "alert", "unknown ca", true,
    "the brokers don't trust the CA that signed the certificate in ssl.certificate.location" },
  { "while requesting ApiVersion", NULL, false, wants_tls },
  { "broker might require SASL", NULL, false, wants_password },
  { "SSL handshake failed", NULL, false, wants_no_tls },
  { "unexpected eof while reading", NULL, false, wants_no_tls },
  { "SSL transport error", NULL, false, wants_password },
  { "SSL connection closed by peer", NULL, false, wants_password },
  { "Disconnected", "in state APIVERSION_QUERY", false, wants_tls },
};

static const struct known_trouble scram = {
  "SCRAM", NULL, true,
  "sasl.username or sasl.password is wrong, or the brokers are Kafka 4, with which "
  "librdkafka before 2.6.1 can't do SCRAM: SASL/PLAIN over TLS and mTLS work"
};

static const struct known_trouble *
find_known (const char *reason)
{
  if (rd_kafka_version () < 0x020601ff && strstr (reason, "SASL authentication error") != NULL
      && strstr (reason, scram.says) != NULL)
    return &scram;
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strstr (reason, known[i].says) != NULL
        && (known[i].also == NULL || strstr (reason, known[i].also) != NULL))
      return &known[i];
  return NULL;
}

/* How much FOUND tells; 0 for NULL. */
static int
told_by (const struct known_trouble *found)
{
  int count = (int) (sizeof known / sizeof *known);
  if (found == NULL)
    return 0;
  return found == &scram ? count + 1 : count - (int) (found - known);
}

/* REASON with our advice in place of librdkafka's own and of what it says about its states. The
 * caller frees. */
static char *
trouble_describe (const char *reason, const struct known_trouble *found)
{
  static const char *const ends[] = { " (after ", ": might be caused by ", ": verify that ",
                                      ", verify that " };
  auto_free char *text = xstrdup (reason);
  for (size_t i = 0; i < (found == NULL ? 1 : sizeof ends / sizeof *ends); i++)
    {
      char *end = strstr (text, ends[i]);
      if (end != NULL)
        *end = '\0';
    }
  return found == NULL ? take (&text) : xasprintf ("%s: %s", text, found->advice);
}

static void
trouble_record (struct kafka_trouble *trouble, const char *text, const struct known_trouble *found)
{
  int64_t now = clock_boot_ms ();
  int told = told_by (found);
  (void) pthread_mutex_lock (&trouble->lock);
  if (told >= trouble->told || now - trouble->at > SAME_TROUBLE_MS)
    {
      (void) snprintf (trouble->text, sizeof trouble->text, "%s", text);
      trouble->told = told;
      trouble->refused = found != NULL && found->final;
    }
  trouble->at = now;
  (void) pthread_mutex_unlock (&trouble->lock);
}

static void
doubt (struct kafka_trouble *trouble)
{
  (void) pthread_mutex_lock (&trouble->lock);
  trouble->doubted = true;
  (void) pthread_mutex_unlock (&trouble->lock);
}

void
kafka_on_error (struct kafka_trouble *trouble, int code, const char *reason)
{
  const struct known_trouble *found = find_known (reason);
  auto_free char *text = trouble_describe (reason, found);
  if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) /* says less than what came before it */
    doubt (trouble);
  else
    trouble_record (trouble, text, found);
  auto_free char *quoted = text_log (text);
  log_info ("kafka_error", "code=%s reason=%s", rd_kafka_err2name ((rd_kafka_resp_err_t) code),
            quoted);
}

/* librdkafka 2.12 has no error for a connection that is closed at once, only a line in its log:
 * "[thrd:NAME]: REASON". */
static void
trouble_add_failure (struct kafka_trouble *trouble, const char *line)
{
  const char *reason = strstr (line, "]: ");
  const struct known_trouble *found = find_known (line);
  if (trouble == NULL || found == NULL || reason == NULL)
    return;
  auto_free char *text = trouble_describe (reason + 3, found);
  trouble_record (trouble, text, found);
}

void
kafka_on_log (struct kafka_trouble *trouble, const char *facility, const char *text)
{
  if (strcmp (facility, "FAIL") == 0)
    trouble_add_failure (trouble, text);
  if (!log_enabled (LOG_DEBUG))
    return;
  auto_free char *quoted = text_log (text);
  log_debug ("librdkafka", "facility=%s text=%s", facility, quoted);
}

int64_t
kafka_trouble_at (struct kafka_trouble *trouble)
{
  (void) pthread_mutex_lock (&trouble->lock);
  int64_t at = trouble->at;
  (void) pthread_mutex_unlock (&trouble->lock);
  return at;
}

bool
kafka_is_refused (struct kafka_trouble *trouble)
{
  (void) pthread_mutex_lock (&trouble->lock);
  bool refused = trouble->refused;
  (void) pthread_mutex_unlock (&trouble->lock);
  return refused;
}

bool
kafka_is_doubted (struct kafka_trouble *trouble)
{
  (void) pthread_mutex_lock (&trouble->lock);
  bool doubted = trouble->doubted;
  (void) pthread_mutex_unlock (&trouble->lock);
  return doubted;
}

void
kafka_answered (struct kafka_trouble *trouble)
{
  (void) pthread_mutex_lock (&trouble->lock);
  trouble->refused = false;
  trouble->doubted = false;
  trouble->told = 0;
  (void) pthread_mutex_unlock (&trouble->lock);
}

/* So that who does something else as well can tell its errors from the bus's (bus.h). */
static int
away (struct error *err)
{
  if (err != NULL)
    err->code = BUS_AWAY;
  return -1;
}

int
kafka_timeout (struct kafka_trouble *trouble, const char *what, struct error *err)
{
  (void) pthread_mutex_lock (&trouble->lock);
  trouble->doubted = true;
  if (trouble->refused)
    (void) error_set (err, ERROR_TRANSIENT, "%s: %s", trouble->url, trouble->text);
  else
    (void) error_set (err, ERROR_TRANSIENT, "%s: %s: timed out%s%s", trouble->url, what,
                      trouble->text[0] == '\0' ? "" : "; last error: ", trouble->text);
  (void) pthread_mutex_unlock (&trouble->lock);
  return away (err);
}

int
kafka_error (struct kafka_trouble *trouble, rd_kafka_resp_err_t code, const char *what,
             struct error *err)
{
  (void) error_set (err, ERROR_TRANSIENT, "%s: %s: %s", trouble->url, what,
                    rd_kafka_err2str (code));
  return away (err);
}

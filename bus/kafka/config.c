/* What all services of a bus should have in common, its policy: whoever has another one is told of.
 *
 * A word in the leases, "config/WHAT", is said by one of those who have the same, as who serves a
 * queue is. */
#include "bus/kafka/config.h"

#include "bus/kafka/client.h"
#include "bus/kafka/producer.h"
#include "bus/kafka/topic_names.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"
#include "schemas/codec.h"

#include <string.h>
#include <sys/random.h>

enum
{
  FRESH_LEASES = 2, /* an older word may be of a service that was started anew since */
  TOLD_MAX = 64,    /* others that are remembered as told of */
};

static const char prefix[] = "config/";

/* Of many with the same the one whose time comes first speaks for all: a third of a lease from now,
 * and a little more. */
static int64_t
config_is_due (const struct kafka_config *config)
{
  uint16_t salt = 0;
  (void) getrandom (&salt, sizeof salt, 0);
  return clock_boot_ms () + config->producer->client->lease_ms / 3
         + config->producer->client->lease_ms / 3 * salt / UINT16_MAX;
}

/* Once for each of the others: it goes on saying so. */
static void
config_report_mismatch (struct kafka_config *config, const char *theirs, const struct claim *claim)
{
  auto_free char *what = xasprintf ("%s %s", claim->writer, theirs);
  if (strlist_has (&config->told, what))
    return;
  if (config->told.count >= TOLD_MAX)
    strlist_release (&config->told);
  strlist_add (&config->told, what);
  auto_free char *writer = text_log (claim->writer);
  auto_free char *quoted = text_log (theirs);
  auto_free char *ours = text_log (config->ours);
  log_warn ("config_mismatch", "writer=%s theirs=%s ours=%s", writer, quoted, ours);
}

void
config_take_in (struct kafka_config *config, const char *key, const struct claim *claim,
                int64_t age)
{
  if (config->ours == NULL || strncmp (key, prefix, strlen (prefix)) != 0)
    return;
  const char *theirs = key + strlen (prefix);
  if (strcmp (theirs, config->ours) == 0)
    config->say_at = config_is_due (config);
  else if (age < FRESH_LEASES * config->producer->client->lease_ms)
    config_report_mismatch (config, theirs, claim);
}

void
config_pump (struct kafka_config *config)
{
  if (config->ours == NULL || clock_boot_ms () < config->say_at)
    return;
  config->say_at = config_is_due (config);
  auto_buffer struct buffer payload = { 0 };
  auto_free char *key = xasprintf ("%s%s", prefix, config->ours);
  const struct claim claim = { .kind = CLAIM_UNKNOWN,
                               .writer = config->producer->client->writer,
                               .lease_ms = config->producer->client->lease_ms };
  if (codec_encode_claim (&claim, &payload, NULL) == 0)
    (void) kafka_send (config->producer, TOPIC_LEASES, 0, key, &payload, &config->producer->quiet,
                       NULL);
}

void
config_release (struct kafka_config *config)
{
  free (config->settings);
  free (config->ours);
  strlist_release (&config->told);
}

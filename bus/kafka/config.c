/* What all services of a bus should have in common, its policy: whoever has another one is told of.
 *
 * A word in the leases, "config/WHAT", is said by one of those who have the same, as who serves a
 * queue is. */
#include "bus/kafka/config.h"

#include "bus/kafka/client.h"
#include "bus/kafka/kafka.h"
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
time_to_speak (const struct kafka_bus *bus)
{
  uint16_t salt = 0;
  (void) getrandom (&salt, sizeof salt, 0);
  return clock_boot_ms () + bus->lease_ms / 3 + bus->lease_ms / 3 * salt / UINT16_MAX;
}

/* Once for each of the others: it goes on saying so. */
static void
tell (struct kafka_bus *bus, const char *theirs, const struct claim *claim)
{
  auto_free char *what = xasprintf ("%s %s", claim->writer, theirs);
  if (strlist_has (&bus->config_told, what))
    return;
  if (bus->config_told.count >= TOLD_MAX)
    strlist_release (&bus->config_told);
  strlist_add (&bus->config_told, what);
  auto_free char *writer = text_log (claim->writer);
  auto_free char *quoted = text_log (theirs);
  auto_free char *ours = text_log (bus->config);
  log_warn ("config_mismatch", "writer=%s theirs=%s ours=%s", writer, quoted, ours);
}

void
config_take_in (struct kafka_bus *bus, const char *key, const struct claim *claim, int64_t time)
{
  if (bus->config == NULL || strncmp (key, prefix, strlen (prefix)) != 0)
    return;
  const char *theirs = key + strlen (prefix);
  int64_t age = clock_wall_ms () + bus->leases_cursor.skew - time;
  if (strcmp (theirs, bus->config) == 0)
    bus->config_say_at = time_to_speak (bus);
  else if (age < FRESH_LEASES * bus->lease_ms)
    tell (bus, theirs, claim);
}

void
config_pump (struct kafka_bus *bus)
{
  if (bus->config == NULL || bus->quiesced || clock_boot_ms () < bus->config_say_at)
    return;
  bus->config_say_at = time_to_speak (bus);
  auto_buffer struct buffer payload = { 0 };
  auto_free char *key = xasprintf ("%s%s", prefix, bus->config);
  const struct claim claim = { .kind = CLAIM_UNKNOWN,
                               .writer = bus->writer,
                               .lease_ms = bus->lease_ms };
  if (codec_encode_claim (&claim, &payload, NULL) == 0)
    (void) kafka_send (bus, TOPIC_LEASES, 0, key, &payload, &bus->quiet, NULL);
}

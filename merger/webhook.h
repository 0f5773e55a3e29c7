/* webhook.h — tells jobs' webhooks how they ended: at least once each, whoever crashes.
 *
 *     POST URL                                        body: status_json
 *     X-Shoal-Delivery: JOB/GENERATION                the same for each try: who gets it twice
 *                                                     knows
 *     X-Shoal-Timestamp: SECONDS
 *     X-Shoal-Signature: sha256=HEX                   HMAC-SHA256 of "SECONDS.BODY", where there is
 *                                                     a secret
 *
 * 2xx is delivered. What may pass (no answer, 5xx, 408, 425, 429) is tried again with growing
 * pauses for a quarter of an hour from the job's end on, by whichever merger, the rest is given up
 * at once; either way the job's status says so. Until then the status says "pending", and the
 * merger doesn't commit past the job's events: another merger finds it there. Redirects aren't
 * followed.
 *
 * A job is somebody's word: its webhook is at a public address, unless the operator allows others
 * (`private`). Addresses are looked at behind the DNS.
 *
 * Nothing here waits: webhooks_turn is called again and again by the one thread that owns it.
 */
#ifndef SHOAL_MERGER_WEBHOOK_H
#define SHOAL_MERGER_WEBHOOK_H

#include "bus/bus.h"
#include "common/metrics.h"
#include "policy/policy.h"

struct webhooks;

struct webhooks_options
{
  const char *secret;          /* copied; NULL or "": none */
  const struct policy *policy; /* none is told that it doesn't allow; outlives it; NULL: anything */
  int64_t patience_ms;         /* how long one is tried; 0: 15 min */
  bool private;                /* loopback, private and other special addresses too */
  struct metrics *metrics;
};

struct webhooks *webhooks_new (struct bus *bus, const struct webhooks_options *options);
void webhooks_free (struct webhooks *webhooks);

/* The secret from SHOAL_WEBHOOK_SECRET_FILE or SHOAL_WEBHOOK_SECRET into SECRET. */
int webhooks_read_secret (struct buffer *secret, struct error *err);

/* The job JOB_ID is over: if its status says that its webhook is to be told, it is. POSITION: of
 * its first event that must not be committed until then. */
int webhooks_note (struct webhooks *webhooks, const char *job_id, int64_t position,
                   struct error *err);

/* The same for the events of a job that another merger may have ended, one after the other. */
int webhooks_recall (struct webhooks *webhooks, const char *job_id, int64_t position,
                     struct error *err);

/* Does what can be done now: 1 when a delivery ended, 0, or -1. */
int webhooks_turn (struct webhooks *webhooks, struct error *err);

/* Those under way, and the position of the I-th. */
size_t webhooks_count (const struct webhooks *webhooks);
int64_t webhooks_position (const struct webhooks *webhooks, size_t i);

/* Drops all that is under way: it is another's now. */
void webhooks_drop (struct webhooks *webhooks);

#endif

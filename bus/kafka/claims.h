/* claims.h — who runs what, as a fold over one partition of a claims log (docs/claims.md).
 *
 * Pure: no clock but the log's own timestamps, no Kafka. All readers of the same records come to
 * the same answer. Not thread-safe.
 */
#ifndef SHOAL_BUS_KAFKA_CLAIMS_H
#define SHOAL_BUS_KAFKA_CLAIMS_H

#include "schemas/messages.h"

#include <sys/queue.h>

enum claims_phase
{
  CLAIMS_FREE,
  CLAIMS_HELD,
  CLAIMS_SETTLING, /* decided, not yet known to everybody */
  CLAIMS_DONE,
};

struct message;  /* a message that is claimed: partition.h */
struct inflight; /* our claim on it: inflight.h */

struct claims_entry
{
  char *key;
  enum claims_phase phase;
  char *holder; /* writer; NULL while free */
  uint32_t starts;
  int64_t expires;     /* on the log's clock */
  int64_t position;    /* of the message that is claimed */
  int64_t base;        /* offset of the last record that counted; -1: none */
  int64_t settled;     /* DONE: on the log's clock, when */
  struct buffer event; /* SETTLING: what is to be published */
  struct buffer retry;
  struct message *messages;
  struct inflight *inflight;        /* as long as its claim may count */
  TAILQ_ENTRY (claims_entry) links; /* in order of base; only when it isn't -1 */
};

struct claims;

/* LEASE_MS: the shortest time for which settled keys are remembered is ten of them, or of the
 * longest lease that was seen. */
struct claims *claims_new (int64_t lease_ms);
void claims_free (struct claims *claims);

enum claims_verdict
{
  CLAIMS_COUNTED,
  CLAIMS_IGNORED,
  CLAIMS_TOO_LATE, /* it stands behind a DONE */
};

/* Takes in the record CLAIM of KEY at OFFSET with TIMESTAMP; *ENTRY is then its entry. A SETTLE's
 * payload is moved out of CLAIM. */
enum claims_verdict claims_apply (struct claims *claims, const char *key, struct claim *claim,
                                  int64_t offset, int64_t timestamp, struct claims_entry **entry);

/* The log's clock: the highest timestamp so far, in ms; 0 before the first record. */
int64_t claims_now (const struct claims *claims);

/* NULL when the key was never heard of. */
struct claims_entry *claims_find (struct claims *claims, const char *key);

/* The entry, made when there is none. */
struct claims_entry *claims_need (struct claims *claims, const char *key);

/* ENTRY isn't needed any more: goes unless a record of it counts, or it has messages. */
void claims_unneed (struct claims *claims, struct claims_entry *entry);

/* Whether anybody may claim ENTRY when the log's clock says NOW. */
bool claims_is_open (const struct claims_entry *entry, int64_t now);

/* The next key behind AFTER (NULL: the first) that begins with PREFIX and is held when the log's
 * clock says what it says; NULL: there is none. */
const struct claims_entry *claims_next_held (const struct claims *claims, const char *prefix,
                                             const struct claims_entry *after);

/* How many there are. */
size_t claims_held (const struct claims *claims, const char *prefix);

/* Forgets what is settled, has no message, is in flight nowhere, stands before READ in the
 * messages, and was settled ten leases before CAUGHT_UP, the log's clock when the messages were
 * last read to their end: a message that was published twice has come by then. Beyond MAX entries
 * age doesn't count. Behind more than PASSED entries that aren't settled it doesn't look. */
void claims_retire (struct claims *claims, int64_t read, int64_t caught_up, size_t max,
                    size_t passed);

/* How many keys are remembered as settled. */
size_t claims_settled (const struct claims *claims);

/* Forgets ENTRY, which is settled, and whose message isn't read here. */
void claims_forget (struct claims *claims, struct claims_entry *entry);

/* An offset from which reading gives the same state of everything that isn't settled: four leases
 * back at least. NEXT: the offset of the next record. */
int64_t claims_base (const struct claims *claims, int64_t next);

#endif

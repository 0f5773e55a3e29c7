#include "bus/kafka/claims.h"

#include "common/memory.h"

#include <search.h>
#include <string.h>

enum
{
  REMEMBERED_LEASES = 10,
  OVERLAP_LEASES = 4,   /* how far back a new reader begins */
  MARK_EVERY_MS = 1000, /* of the log's clock: how fine that is known */
  MARKS = 512,
};

/* Where the log's clock stood. */
struct mark
{
  int64_t time;
  int64_t offset;
};

struct claims
{
  void *tree; /* of entries by key, tsearch(3) */
  TAILQ_HEAD (entries, claims_entry) entries;
  size_t settled; /* entries that are DONE */
  int64_t now;
  int64_t lease; /* the longest */
  struct mark marks[MARKS];
  size_t mark_count;
};

struct claims *
claims_new (int64_t lease_ms)
{
  struct claims *claims = xcalloc (1, sizeof *claims);
  TAILQ_INIT (&claims->entries);
  claims->lease = lease_ms;
  return claims;
}

static void
entry_free (void *freed)
{
  struct claims_entry *entry = freed;
  free (entry->key);
  free (entry->holder);
  buffer_release (&entry->event);
  buffer_release (&entry->retry);
  free (entry);
}

void
claims_free (struct claims *claims)
{
  if (claims == NULL)
    return;
  tdestroy (claims->tree, entry_free);
  free (claims);
}

static int
claims_by_key (const void *a, const void *b)
{
  return strcmp (((const struct claims_entry *) a)->key, ((const struct claims_entry *) b)->key);
}

struct claims_entry *
claims_find (struct claims *claims, const char *key)
{
  struct claims_entry wanted = { .key = (char *) (uintptr_t) key };
  void *node = tfind (&wanted, &claims->tree, claims_by_key);
  return node == NULL ? NULL : *(struct claims_entry **) node;
}

struct claims_entry *
claims_need (struct claims *claims, const char *key)
{
  struct claims_entry *entry = claims_find (claims, key);
  if (entry != NULL)
    return entry;
  entry = xcalloc (1, sizeof *entry);
  entry->key = xstrdup (key);
  entry->base = -1;
  if (tsearch (entry, &claims->tree, claims_by_key) == NULL)
    abort ();
  return entry;
}

void
claims_unneed (struct claims *claims, struct claims_entry *entry)
{
  if (entry->base >= 0 || entry->messages != NULL)
    return;
  (void) tdelete (entry, &claims->tree, claims_by_key);
  entry_free (entry);
}

int64_t
claims_now (const struct claims *claims)
{
  return claims->now;
}

bool
claims_is_open (const struct claims_entry *entry, int64_t now)
{
  if (entry->phase == CLAIMS_FREE)
    return true;
  return entry->phase != CLAIMS_DONE && now >= entry->expires;
}

/* ---- the fold --------------------------------------------------------------------------- */

static void
put_mark (struct claims *claims, int64_t offset)
{
  if (claims->mark_count > 0
      && claims->now - claims->marks[claims->mark_count - 1].time < MARK_EVERY_MS)
    return;
  if (claims->mark_count == MARKS) /* every second one will do */
    {
      for (size_t i = 0; i < MARKS / 2; i++)
        claims->marks[i] = claims->marks[2 * i];
      claims->mark_count = MARKS / 2;
    }
  claims->marks[claims->mark_count++] = (struct mark){ claims->now, offset };
}

static bool
is_holder (const struct claims_entry *entry, const struct claim *claim)
{
  return entry->holder != NULL && strcmp (entry->holder, claim->writer) == 0;
}

static void
become_holder (struct claims_entry *entry, const struct claim *claim)
{
  uint32_t next = entry->starts + (claim->kind == CLAIM_CLAIM ? 1 : 0);
  entry->starts = claim->starts > next ? claim->starts : next;
  free (entry->holder);
  entry->holder = xstrdup (claim->writer);
}

/* Whether CLAIM by somebody else takes over what is free, or is held and has expired. Who takes
 * over says so by the number of starts: a claim on what was free, that came late, doesn't. A
 * renewal counts with the number that is known: of two who claimed at once only the holder goes on
 * renewing, so that a reader who began in the middle, and took the other one for him, learns
 * better. On what is free it counts with a higher one only, if the reader hasn't heard of the
 * claim: else somebody had taken over from its writer, and gave it back. */
static bool
takes_over (const struct claims_entry *entry, const struct claim *claim)
{
  bool is_free = entry->phase == CLAIMS_FREE;
  if (claim->kind == CLAIM_CLAIM)
    return is_free || claim->starts > entry->starts;
  return is_free ? claim->starts > entry->starts : claim->starts >= entry->starts;
}

/* CLAIM and RENEW. */
static bool
apply_claim (const struct claims *claims, struct claims_entry *entry, const struct claim *claim)
{
  bool ours = is_holder (entry, claim);
  if (!ours && (entry->phase == CLAIMS_SETTLING || !claims_is_open (entry, claims->now)))
    return false;
  if (!ours && !takes_over (entry, claim))
    return false;
  if (!ours)
    {
      become_holder (entry, claim);
      entry->phase = CLAIMS_HELD;
    }
  entry->position = claim->position;
  entry->expires = claims->now + claim->lease_ms;
  return true;
}

/* Who hasn't heard of the claim learns from its end how many starts there were. */
static bool
apply_release (struct claims_entry *entry, const struct claim *claim)
{
  if (entry->phase == CLAIMS_FREE && claim->starts > entry->starts + 1)
    {
      entry->starts = claim->starts - 1;
      return true;
    }
  if (entry->phase != CLAIMS_HELD || !is_holder (entry, claim))
    return false;
  entry->phase = CLAIMS_FREE;
  entry->starts -= entry->starts > 0 ? 1 : 0;
  free (entry->holder);
  entry->holder = NULL;
  return true;
}

static bool
apply_settle (const struct claims *claims, struct claims_entry *entry, struct claim *claim)
{
  bool ours = is_holder (entry, claim);
  if (!ours && !claims_is_open (entry, claims->now))
    return false;
  if (ours && entry->phase == CLAIMS_SETTLING)
    return false;
  if (entry->phase
      != CLAIMS_SETTLING) /* else it is done over for somebody who died: his words stay */
    {
      entry->event = claim->event;
      entry->retry = claim->retry;
      claim->event = (struct buffer){ 0 };
      claim->retry = (struct buffer){ 0 };
    }
  if (!ours)
    {
      free (entry->holder);
      entry->holder = xstrdup (claim->writer);
      entry->starts = claim->starts > entry->starts ? claim->starts : entry->starts;
    }
  entry->phase = CLAIMS_SETTLING;
  entry->position = claim->position;
  entry->expires = claims->now + claim->lease_ms;
  return true;
}

static bool
apply_done (struct claims *claims, struct claims_entry *entry, const struct claim *claim)
{
  claims->settled++;
  entry->phase = CLAIMS_DONE;
  entry->settled = claims->now;
  entry->position = claim->position;
  free (entry->holder);
  entry->holder = NULL;
  buffer_release (&entry->event);
  buffer_release (&entry->retry);
  return true;
}

static bool
claims_apply_record (struct claims *claims, struct claims_entry *entry, struct claim *claim)
{
  switch (claim->kind)
    {
    case CLAIM_CLAIM:
    case CLAIM_RENEW:
      return apply_claim (claims, entry, claim);
    case CLAIM_RELEASE:
      return apply_release (entry, claim);
    case CLAIM_SETTLE:
      return apply_settle (claims, entry, claim);
    case CLAIM_DONE:
      return apply_done (claims, entry, claim);
    case CLAIM_UNKNOWN:
      break;
    }
  return false;
}

enum claims_verdict
claims_apply (struct claims *claims, const char *key, struct claim *claim, int64_t offset,
              int64_t timestamp, struct claims_entry **entry)
{
  struct claims_entry *found = claims_need (claims, key);
  *entry = found;
  if (timestamp > claims->now)
    claims->now = timestamp;
  if (claim->lease_ms > claims->lease)
    claims->lease = claim->lease_ms;
  put_mark (claims, offset);
  bool done = found->phase == CLAIMS_DONE;
  if (done && claim->kind != CLAIM_DONE)
    return CLAIMS_TOO_LATE;
  if (!done && !claims_apply_record (claims, found, claim))
    return CLAIMS_IGNORED;
  if (found->base >= 0)
    TAILQ_REMOVE (&claims->entries, found, links);
  TAILQ_INSERT_TAIL (&claims->entries, found, links);
  found->base = offset;
  return CLAIMS_COUNTED;
}

const struct claims_entry *
claims_next_held (const struct claims *claims, const char *prefix, const struct claims_entry *after)
{
  const struct claims_entry *entry =
      after == NULL ? TAILQ_FIRST (&claims->entries) : TAILQ_NEXT (after, links);
  while (entry != NULL
         && !(entry->phase == CLAIMS_HELD && entry->expires > claims->now
              && strncmp (entry->key, prefix, strlen (prefix)) == 0))
    entry = TAILQ_NEXT (entry, links);
  return entry;
}

size_t
claims_held (const struct claims *claims, const char *prefix)
{
  size_t held = 0;
  for (const struct claims_entry *entry = NULL;
       (entry = claims_next_held (claims, prefix, entry)) != NULL;)
    held++;
  return held;
}

/* ---- forgetting ------------------------------------------------------------------------- */

size_t
claims_settled (const struct claims *claims)
{
  return claims->settled;
}

void
claims_forget (struct claims *claims, struct claims_entry *entry)
{
  TAILQ_REMOVE (&claims->entries, entry, links);
  (void) tdelete (entry, &claims->tree, claims_by_key);
  entry_free (entry);
  claims->settled--;
}

void
claims_retire (struct claims *claims, int64_t read, int64_t caught_up, size_t max, size_t passed)
{
  int64_t old = caught_up - REMEMBERED_LEASES * claims->lease;
  struct claims_entry *next = NULL;
  for (struct claims_entry *entry = TAILQ_FIRST (&claims->entries); entry != NULL; entry = next)
    {
      next = TAILQ_NEXT (entry, links);
      bool settled = entry->phase == CLAIMS_DONE && entry->messages == NULL
                     && entry->inflight == NULL && entry->position < read;
      if (settled && entry->settled > old && claims->settled <= max)
        return; /* and so are those behind it */
      if (settled)
        claims_forget (claims, entry);
      else if (passed-- == 0)
        return;
    }
}

int64_t
claims_base (const struct claims *claims, int64_t next)
{
  int64_t before = claims->now - OVERLAP_LEASES * claims->lease;
  int64_t base = next;
  for (size_t i = claims->mark_count; i-- > 0;)
    {
      base = claims->marks[i].offset;
      if (claims->marks[i].time <= before)
        break;
    }
  const struct claims_entry *entry = TAILQ_FIRST (&claims->entries);
  return entry != NULL && entry->base < base ? entry->base : base;
}

/* The fold of claims: its rules one by one, then random histories: whoever reads, from wherever,
 * also a compacted log, agrees with the one who read it all on who holds what. */
#include "bus/kafka/claims.h"
#include "common/memory.h"
#include "tests/lib/bus_fixture.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

enum
{
  LEASE = 1000,
};

/* One record for KEY into CLAIMS at time T; its offset is T too. */
static enum claims_verdict
put_start (struct claims *claims, const char *key, enum claim_kind kind, const char *writer,
           uint32_t starts, int64_t t, struct claims_entry **entry)
{
  auto_claim struct claim claim = {
    .kind = kind, .writer = xstrdup (writer), .starts = starts, .lease_ms = LEASE, .position = 7
  };
  if (kind == CLAIM_SETTLE)
    buffer_printf (&claim.event, "end by %s", writer);
  return claims_apply (claims, key, &claim, t, t, entry);
}

/* The same by one who has read all before it. */
static enum claims_verdict
put (struct claims *claims, const char *key, enum claim_kind kind, const char *writer, int64_t t,
     struct claims_entry **entry)
{
  const struct claims_entry *known = claims_find (claims, key);
  return put_start (claims, key, kind, writer, known == NULL ? 1 : known->starts + 1, t, entry);
}

/* ---- rules ------------------------------------------------------------------------------ */

static void
the_first_claim_counts_and_the_second_waits_for_the_lease (void **state)
{
  (void) state;
  struct claims *claims = claims_new (LEASE);
  struct claims_entry *entry = NULL;
  assert_int_equal (put (claims, "k", CLAIM_CLAIM, "a", 10, &entry), CLAIMS_COUNTED);
  assert_int_equal (put (claims, "k", CLAIM_CLAIM, "b", 11, &entry), CLAIMS_IGNORED);
  assert_string_equal (entry->holder, "a");
  assert_int_equal (entry->starts, 1);
  assert_int_equal (put (claims, "k", CLAIM_CLAIM, "a", 900, &entry), CLAIMS_COUNTED);
  assert_int_equal (entry->starts, 1);
  assert_int_equal (put (claims, "k", CLAIM_CLAIM, "b", 900 + LEASE - 1, &entry), CLAIMS_IGNORED);
  assert_int_equal (put (claims, "k", CLAIM_CLAIM, "b", 900 + LEASE, &entry), CLAIMS_COUNTED);
  assert_string_equal (entry->holder, "b");
  assert_int_equal (entry->starts, 2);
  claims_free (claims);
}

/* Two see it free, one is faster; the other's record comes when the lease has run out. */
static void
a_claim_that_comes_late_takes_nothing_over (void **state)
{
  (void) state;
  struct claims *claims = claims_new (LEASE);
  struct claims_entry *entry = NULL;
  (void) put (claims, "k", CLAIM_CLAIM, "a", 1, &entry);
  assert_int_equal (put_start (claims, "k", CLAIM_CLAIM, "b", 1, 5 * LEASE, &entry),
                    CLAIMS_IGNORED);
  assert_string_equal (entry->holder, "a");
  assert_int_equal (put_start (claims, "k", CLAIM_CLAIM, "b", 2, 6 * LEASE, &entry),
                    CLAIMS_COUNTED);
  assert_string_equal (entry->holder, "b");
  claims_free (claims);
}

/* A reader who began behind the holder's claim and took the loser for him: the holder's renewal
 * tells him. */
static void
a_renewal_corrects_who_began_in_the_middle (void **state)
{
  (void) state;
  struct claims *claims = claims_new (LEASE);
  struct claims_entry *entry = NULL;
  (void) put_start (claims, "k", CLAIM_CLAIM, "loser", 1, 1, &entry);
  assert_int_equal (put_start (claims, "k", CLAIM_RENEW, "holder", 1, LEASE, &entry),
                    CLAIMS_IGNORED);
  assert_int_equal (put_start (claims, "k", CLAIM_RENEW, "holder", 1, LEASE + 1, &entry),
                    CLAIMS_COUNTED);
  assert_string_equal (entry->holder, "holder");
  assert_int_equal (entry->starts, 1);
  /* … but one who was taken over from gets nothing back. */
  assert_int_equal (put_start (claims, "k", CLAIM_CLAIM, "next", 2, 5 * LEASE, &entry),
                    CLAIMS_COUNTED);
  assert_int_equal (put_start (claims, "k", CLAIM_RENEW, "holder", 1, 9 * LEASE, &entry),
                    CLAIMS_IGNORED);
  claims_free (claims);
}

static void
a_release_frees_and_counts_no_start (void **state)
{
  (void) state;
  struct claims *claims = claims_new (LEASE);
  struct claims_entry *entry = NULL;
  (void) put (claims, "k", CLAIM_CLAIM, "a", 1, &entry);
  assert_int_equal (put (claims, "k", CLAIM_RELEASE, "b", 2, &entry), CLAIMS_IGNORED);
  assert_int_equal (put (claims, "k", CLAIM_RELEASE, "a", 3, &entry), CLAIMS_COUNTED);
  assert_int_equal (entry->phase, CLAIMS_FREE);
  assert_int_equal (put (claims, "k", CLAIM_CLAIM, "b", 4, &entry), CLAIMS_COUNTED);
  assert_int_equal (entry->starts, 1);
  claims_free (claims);
}

/* Its writer was away, another one took over and gave it back: his renewal that was on its way
 * changes nothing, and the next start has a number of its own. */
static void
a_renewal_finds_nothing_where_it_was_given_back (void **state)
{
  (void) state;
  struct claims *claims = claims_new (LEASE);
  struct claims_entry *entry = NULL;
  (void) put_start (claims, "k", CLAIM_CLAIM, "away", 1, 1, &entry);
  (void) put_start (claims, "k", CLAIM_CLAIM, "b", 2, 1 + LEASE, &entry);
  (void) put_start (claims, "k", CLAIM_RELEASE, "b", 2, 2 + LEASE, &entry);
  assert_int_equal (put_start (claims, "k", CLAIM_RENEW, "away", 1, 3 + LEASE, &entry),
                    CLAIMS_IGNORED);
  assert_int_equal (entry->phase, CLAIMS_FREE);
  (void) put_start (claims, "k", CLAIM_RELEASE, "away", 1, 4 + LEASE, &entry);
  assert_int_equal (put (claims, "k", CLAIM_CLAIM, "c", 5 + LEASE, &entry), CLAIMS_COUNTED);
  assert_int_equal (entry->starts, 2);
  /* … but whoever begins to read at a renewal believes it. */
  assert_int_equal (put_start (claims, "other", CLAIM_RENEW, "a", 1, 6 + LEASE, &entry),
                    CLAIMS_COUNTED);
  assert_string_equal (entry->holder, "a");
  claims_free (claims);
}

/* Who begins to read at the record that gave it back knows the starts before. */
static void
a_release_tells_how_many_starts_there_were (void **state)
{
  (void) state;
  struct claims *claims = claims_new (LEASE);
  struct claims_entry *entry = NULL;
  assert_int_equal (put_start (claims, "k", CLAIM_RELEASE, "b", 3, 1, &entry), CLAIMS_COUNTED);
  assert_int_equal (put_start (claims, "k", CLAIM_RELEASE, "b", 3, 2, &entry), CLAIMS_IGNORED);
  assert_int_equal (put (claims, "k", CLAIM_CLAIM, "c", 3, &entry), CLAIMS_COUNTED);
  assert_int_equal (entry->starts, 3);
  claims_free (claims);
}

static void
one_settle_counts_and_its_words_stay (void **state)
{
  (void) state;
  struct claims *claims = claims_new (LEASE);
  struct claims_entry *entry = NULL;
  (void) put (claims, "k", CLAIM_CLAIM, "a", 1, &entry);
  (void) put (claims, "k", CLAIM_CLAIM, "b", 1 + LEASE, &entry);
  assert_int_equal (put (claims, "k", CLAIM_SETTLE, "a", 2 + LEASE, &entry), CLAIMS_IGNORED);
  assert_int_equal (put (claims, "k", CLAIM_SETTLE, "b", 3 + LEASE, &entry), CLAIMS_COUNTED);
  assert_string_equal (entry->event.data, "end by b");
  assert_int_equal (put (claims, "k", CLAIM_CLAIM, "a", 3 + 5 * LEASE, &entry), CLAIMS_IGNORED);
  assert_int_equal (put (claims, "k", CLAIM_SETTLE, "a", 4 + 5 * LEASE, &entry), CLAIMS_COUNTED);
  assert_string_equal (entry->holder, "a");            /* who publishes it … */
  assert_string_equal (entry->event.data, "end by b"); /* … but that stays */
  assert_int_equal (put (claims, "k", CLAIM_DONE, "c", 5 + 5 * LEASE, &entry), CLAIMS_COUNTED);
  assert_int_equal (put (claims, "k", CLAIM_CLAIM, "b", 6 + 50 * LEASE, &entry), CLAIMS_TOO_LATE);
  assert_int_equal (entry->phase, CLAIMS_DONE);
  claims_free (claims);
}

static void
the_clock_never_goes_back (void **state)
{
  (void) state;
  struct claims *claims = claims_new (LEASE);
  struct claims_entry *entry = NULL;
  (void) put (claims, "k", CLAIM_CLAIM, "a", 5 * LEASE, &entry);
  assert_int_equal (put (claims, "k", CLAIM_CLAIM, "b", LEASE, &entry), CLAIMS_IGNORED);
  assert_int_equal (claims_now (claims), 5 * LEASE);
  assert_int_equal (entry->expires, 6 * LEASE);
  claims_free (claims);
}

static void
settled_keys_are_remembered_for_ten_leases (void **state)
{
  (void) state;
  struct claims *claims = claims_new (LEASE);
  struct claims_entry *entry = NULL;
  (void) put (claims, "old", CLAIM_DONE, "a", 1, &entry);
  (void) put (claims, "new", CLAIM_CLAIM, "a", 9 * LEASE, &entry);
  claims_retire (claims, 8, claims_now (claims), 100, 0);
  assert_non_null (claims_find (claims, "old"));
  (void) put (claims, "new", CLAIM_CLAIM, "a", 10 * LEASE + 1, &entry);
  claims_retire (claims, 7, claims_now (claims), 100, 0); /* its message wasn't read yet */
  assert_non_null (claims_find (claims, "old"));
  claims_retire (claims, 8, claims_now (claims), 100, 0);
  assert_null (claims_find (claims, "old"));
  assert_non_null (claims_find (claims, "new"));
  claims_free (claims);
}

/* Who left stays in the log of leases: what is settled behind him is forgotten all the same. */
static void
what_is_settled_behind_others_is_forgotten (void **state)
{
  (void) state;
  struct claims *claims = claims_new (LEASE);
  struct claims_entry *entry = NULL;
  (void) put (claims, "left", CLAIM_CLAIM, "a", 1, &entry);
  (void) put (claims, "left", CLAIM_RELEASE, "a", 2, &entry);
  (void) put (claims, "old", CLAIM_DONE, "b", 3, &entry);
  (void) put (claims, "died", CLAIM_CLAIM, "c", 4, &entry);
  (void) put (claims, "older", CLAIM_DONE, "b", 5, &entry);
  (void) put (claims, "new", CLAIM_DONE, "b", 10 * LEASE + 5, &entry);
  assert_int_equal (claims_settled (claims), 3);
  claims_retire (claims, 8, claims_now (claims), 100, 0);
  assert_int_equal (claims_settled (claims), 3);
  claims_retire (claims, 8, claims_now (claims), 100, 1);
  assert_null (claims_find (claims, "old"));
  assert_non_null (claims_find (claims, "older"));
  claims_retire (claims, 8, claims_now (claims), 100, SIZE_MAX);
  assert_int_equal (claims_settled (claims), 1);
  assert_non_null (claims_find (claims, "new"));
  assert_non_null (claims_find (claims, "left"));
  assert_non_null (claims_find (claims, "died"));
  claims_forget (claims, claims_find (claims, "new"));
  assert_int_equal (claims_settled (claims), 0);
  claims_free (claims);
}

/* ---- random histories ------------------------------------------------------------------- */

enum
{
  KEYS = 64,
  WINDOW = 6,       /* keys that are worked on at a time */
  TICKS_A_KEY = 40, /* a key is held for many leases */
  WORKERS = 4,
  RECORDS_MAX = 8000,
  ROUNDS = 150,
};

struct record
{
  int64_t time;
  int key;
  enum claim_kind kind;
  int writer;
  uint32_t starts;
  bool gone; /* compacted away */
};

struct history
{
  struct record records[RECORDS_MAX];
  int count;
  int64_t now;
  struct claims *whole;
  int64_t bases[RECORDS_MAX]; /* claims_base after each record */
  int ticks;
  int lives[WORKERS]; /* which life a worker is in: who died doesn't come back under his old name */
};

static void
apply_record (struct claims *claims, const struct record *record, int64_t offset,
              struct claims_entry **entry)
{
  char key[16];
  char writer[16];
  (void) snprintf (key, sizeof key, "k%d", record->key);
  (void) snprintf (writer, sizeof writer, "w%d", record->writer);
  auto_claim struct claim claim = { .kind = record->kind,
                                    .writer = xstrdup (writer),
                                    .starts = record->starts,
                                    .lease_ms = LEASE,
                                    .position = record->key };
  (void) claims_apply (claims, key, &claim, offset, record->time, entry);
}

static void
append (struct history *history, int key, enum claim_kind kind, int writer)
{
  if (history->count == RECORDS_MAX)
    return;
  struct claims_entry *entry = NULL;
  struct record *record = &history->records[history->count];
  char name[16];
  (void) snprintf (name, sizeof name, "k%d", key);
  const struct claims_entry *known = claims_find (history->whole, name);
  uint32_t starts = known == NULL ? 0 : known->starts;
  /* Who claims what somebody lives on was late: it was free when he looked. */
  bool lost = known != NULL && known->phase == CLAIMS_HELD && known->expires > history->now;
  bool names_own = kind == CLAIM_RENEW || kind == CLAIM_RELEASE || (kind == CLAIM_CLAIM && lost);
  *record = (struct record){ .time = history->now,
                             .key = key,
                             .kind = kind,
                             .writer = writer,
                             .starts = names_own ? starts : starts + 1 };
  apply_record (history->whole, record, history->count, &entry);
  claims_retire (history->whole, history->ticks / TICKS_A_KEY, claims_now (history->whole), 0,
                 0); /* nobody claims those any more */
  history->bases[history->count] = claims_base (history->whole, history->count + 1);
  history->count++;
}

static bool
is_holder (struct claims *claims, int key, int writer)
{
  char name[16];
  char wanted[16];
  (void) snprintf (name, sizeof name, "k%d", key);
  (void) snprintf (wanted, sizeof wanted, "w%d", writer);
  const struct claims_entry *entry = claims_find (claims, name);
  return entry != NULL && entry->phase == CLAIMS_HELD && strcmp (entry->holder, wanted) == 0;
}

static bool
is_open (struct claims *claims, int key, int64_t now)
{
  char name[16];
  (void) snprintf (name, sizeof name, "k%d", key);
  const struct claims_entry *entry = claims_find (claims, name);
  return entry == NULL || (entry->phase != CLAIMS_SETTLING && claims_is_open (entry, now));
}

static int
writer_of (const struct history *history, int worker)
{
  return history->lives[worker] * WORKERS + worker;
}

/* One tick: a living worker renews what it holds; somebody tries, gives back, ends or dies. Losers'
 * claims are frequent. */
static void
tick (struct history *history, unsigned int *seed)
{
  history->now += rand_r (seed) % (LEASE / 8);
  for (int worker = 0; worker < WORKERS; worker++)
    for (int key = 0; key < KEYS; key++)
      {
        int writer = writer_of (history, worker);
        if (is_holder (history->whole, key, writer) && rand_r (seed) % 2 == 0)
          append (history, key, CLAIM_RENEW, writer);
      }
  int worker = rand_r (seed) % WORKERS;
  int oldest = history->ticks++ / TICKS_A_KEY;
  if (history->ticks % TICKS_A_KEY == 0)
    append (history, oldest, CLAIM_DONE, worker);
  int key = oldest + rand_r (seed) % WINDOW;
  int dice = rand_r (seed) % 20;
  if (dice == 0)
    history->lives[worker]++;
  int writer = writer_of (history, worker);
  if (is_holder (history->whole, key, writer) && dice < 3)
    append (history, key, dice == 1 ? CLAIM_RELEASE : CLAIM_DONE, writer);
  else if (is_open (history->whole, key, history->now) || dice < 8)
    append (history, key, CLAIM_CLAIM, writer);
}

/* What a reader who begins at FROM makes of it. */
static struct claims *
read_from (const struct history *history, int64_t from)
{
  struct claims *claims = claims_new (LEASE);
  struct claims_entry *entry = NULL;
  for (int64_t i = from; i < history->count; i++)
    if (!history->records[i].gone)
      apply_record (claims, &history->records[i], i, &entry);
  return claims;
}

/* Nobody who read less than all may think that he can start what a living worker holds, or that
 * somebody else holds it. */
static void
compare (const struct history *history, struct claims *reader, const char *how)
{
  for (int worker = 0; worker < WORKERS; worker++)
    for (int key = 0; key < KEYS; key++)
      {
        char name[16];
        (void) snprintf (name, sizeof name, "k%d", key);
        const struct claims_entry *held = claims_find (history->whole, name);
        int writer = writer_of (history, worker);
        bool living =
            held != NULL && is_holder (history->whole, key, writer) && held->expires > history->now;
        if (living && !is_holder (reader, key, writer))
          fail_msg ("%s: at record %d key %d is held by worker %d, and the reader doesn't know",
                    how, history->count, key, worker);
      }
}

/* … nor give a start a number that another one had. */
static void
compare_starts (const struct history *history, struct claims *reader)
{
  for (int key = 0; key < KEYS; key++)
    {
      char name[16];
      (void) snprintf (name, sizeof name, "k%d", key);
      const struct claims_entry *whole = claims_find (history->whole, name);
      const struct claims_entry *part = claims_find (reader, name);
      uint32_t known = part == NULL ? 0 : part->starts;
      if (whole != NULL && whole->phase == CLAIMS_FREE && known < whole->starts)
        fail_msg ("at record %d key %d was started %u times, and the reader knows of %u",
                  history->count, key, whole->starts, known);
    }
}

/* As Kafka does: of each key only the last record stays, of those older than the lag. */
static void
compact (struct history *history, int64_t before)
{
  int last[KEYS];
  for (int key = 0; key < KEYS; key++)
    last[key] = -1;
  for (int i = 0; i < history->count && history->records[i].time < before; i++)
    {
      struct record *record = &history->records[i];
      if (last[record->key] >= 0)
        history->records[last[record->key]].gone = true;
      last[record->key] = i;
    }
}

static void
readers_of_a_part_agree_with_the_reader_of_all (void **state)
{
  (void) state;
  unsigned int seed = seed_of_test ();
  for (int round = 0; round < ROUNDS; round++)
    {
      struct history *history = xcalloc (1, sizeof *history);
      history->whole = claims_new (LEASE);
      int ticks = rand_r (&seed) % ((KEYS - WINDOW) * TICKS_A_KEY);
      for (int i = 0; i < ticks; i++)
        tick (history, &seed);
      if (history->count > 0)
        {
          /* Committed at any moment before: what was the base then. */
          int64_t from = history->bases[rand_r (&seed) % history->count];
          struct claims *late = read_from (history, from);
          compare (history, late, "begun at a base");
          compare_starts (history, late);
          claims_free (late);
          compact (history, history->now - 10 * (int64_t) LEASE);
          struct claims *compacted = read_from (history, 0);
          compare (history, compacted, "compacted");
          claims_free (compacted);
        }
      claims_free (history->whole);
      free (history);
    }
}

/* A reader who begins too late must be caught by the test above: with the last lease only, it
 * is. */
static void
a_base_that_is_too_recent_would_be_noticed (void **state)
{
  (void) state;
  struct history *history = xcalloc (1, sizeof *history);
  history->whole = claims_new (LEASE);
  append (history, 0, CLAIM_CLAIM, 0);
  history->now = 400;
  append (history, 0, CLAIM_CLAIM, 1); /* a loser's */
  history->now = 600;
  append (history, 0, CLAIM_CLAIM, 0);
  struct claims *late = read_from (history, 1);
  assert_true (is_holder (history->whole, 0, 0));
  assert_false (is_holder (late, 0, 0));
  claims_free (late);
  assert_int_equal (history->bases[history->count - 1], 0);
  claims_free (history->whole);
  free (history);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (the_first_claim_counts_and_the_second_waits_for_the_lease),
    cmocka_unit_test (a_claim_that_comes_late_takes_nothing_over),
    cmocka_unit_test (a_renewal_corrects_who_began_in_the_middle),
    cmocka_unit_test (a_release_frees_and_counts_no_start),
    cmocka_unit_test (a_renewal_finds_nothing_where_it_was_given_back),
    cmocka_unit_test (a_release_tells_how_many_starts_there_were),
    cmocka_unit_test (one_settle_counts_and_its_words_stay),
    cmocka_unit_test (the_clock_never_goes_back),
    cmocka_unit_test (settled_keys_are_remembered_for_ten_leases),
    cmocka_unit_test (what_is_settled_behind_others_is_forgotten),
    cmocka_unit_test (readers_of_a_part_agree_with_the_reader_of_all),
    cmocka_unit_test (a_base_that_is_too_recent_would_be_noticed),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}

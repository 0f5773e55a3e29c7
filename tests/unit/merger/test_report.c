/* The report of a job with far more shards than are drawn: what it shows of them is what a count
 * over all of them gives. */
#include "common/buffer.h"
#include "common/memory.h"
#include "merger/fold.h"
#include "merger/manifest.h"
#include "merger/report.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum
{
  SHARDS = 30000,
  SHOWN = 2000,
  SLOWEST = 20,
  BUCKETS = 24,
};

static int64_t started[SHARDS];
static int64_t took[SHARDS];

static int
upwards (const void *a, const void *b)
{
  int64_t left = *(const int64_t *) a;
  int64_t right = *(const int64_t *) b;
  return (left > right) - (left < right);
}

/* The text of report.html; the caller frees. */
static char *
report_of_all (void)
{
  char folder[] = "/tmp/shoal-report-XXXXXX";
  struct error err = ERROR_INIT;
  struct job job = { .id = (char *) "many", .image = (char *) "x" };
  struct job_status status = { .job_id = job.id, .state = JOB_SUCCEEDED, .shards = SHARDS };
  auto_fold struct fold *fold = fold_new ();
  const struct manifest manifest = { .job = &job, .status = &status, .fold = fold };
  assert_non_null (mkdtemp (folder));
  int fd = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  auto_report struct report *report = report_new (&manifest);
  for (uint32_t i = 0; i < SHARDS; i++)
    {
      json_t *shard =
          json_pack ("{s:s, s:I, s:I}", "state", "succeeded", "started", (json_int_t) started[i],
                     "ended", (json_int_t) (started[i] + took[i]));
      report_add (report, i, shard);
      json_decref (shard);
    }
  assert_int_equal (report_write (report, fd, &err), 0);
  auto_buffer struct buffer text = { 0 };
  int file = openat (fd, "report.html", O_RDONLY | O_CLOEXEC);
  char piece[65536];
  for (ssize_t got; (got = read (file, piece, sizeof piece)) > 0;)
    buffer_append (&text, piece, (size_t) got);
  (void) close (file);
  assert_int_equal (unlinkat (fd, "report.html", 0), 0);
  (void) close (fd);
  assert_int_equal (rmdir (folder), 0);
  return xstrndup (text.data, text.size);
}

static size_t
count_of (const char *text, const char *what)
{
  size_t count = 0;
  for (const char *at = text; (at = strstr (at, what)) != NULL; at += strlen (what))
    count++;
  return count;
}

static void
test_many_shards (void **state)
{
  (void) state;
  unsigned int seed = seed_of_test ();
  int64_t sorted[SHARDS];
  for (uint32_t i = 0; i < SHARDS; i++)
    {
      started[i] = 1700000000000 + (int64_t) (rand_r (&seed) % 100000000);
      took[i] = (int64_t) (rand_r (&seed) % 3600000);
      sorted[i] = took[i];
    }
  qsort (sorted, SHARDS, sizeof *sorted, upwards);
  auto_free char *text = report_of_all ();
  assert_int_equal (count_of (text, "<title>shard "), SHOWN);

  /* The slowest, in order. */
  const char *at = strstr (text, "Slowest shards");
  assert_non_null (at);
  int shown = 0;
  while ((at = strstr (at, "<tr><td>")) != NULL)
    {
      long index = strtol (at + strlen ("<tr><td>"), NULL, 10);
      assert_true (took[index] == sorted[SHARDS - 1 - shown]);
      at++;
      shown++;
    }
  assert_int_equal (shown, SLOWEST);

  /* Everything is in the histogram, and evenly spread durations are evenly spread in it. */
  at = strstr (text, "Duration of shards");
  size_t all = 0;
  for (int i = 0; i < BUCKETS; i++)
    {
      at = strstr (at, "<title>") + strlen ("<title>");
      size_t here = strtoul (at, NULL, 10);
      all += here;
      if (i < BUCKETS - 1)
        assert_in_range (here, SHARDS / BUCKETS * 8 / 10, SHARDS / BUCKETS * 12 / 10);
    }
  assert_int_equal (all, SHARDS);

  /* The bars are those that began first. */
  int64_t begun[SHARDS];
  memcpy (begun, started, sizeof begun);
  qsort (begun, SHARDS, sizeof *begun, upwards);
  for (at = text; (at = strstr (at, "<title>shard ")) != NULL; at++)
    assert_true (started[strtol (at + strlen ("<title>shard "), NULL, 10)] <= begun[SHOWN - 1]);
}

int
main (void)
{
  const struct CMUnitTest tests[] = { cmocka_unit_test (test_many_shards) };
  return cmocka_run_group_tests (tests, NULL, NULL);
}

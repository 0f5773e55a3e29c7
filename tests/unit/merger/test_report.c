/* The report of a job with far more shards than are drawn: what it shows of them is what a count
 * over all of them gives. */
#include "common/buffer.h"
#include "common/fs.h"
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

/* What a report is made of, and the result's folder. */
struct scene
{
  char folder[32];
  int fd;
  struct job job;
  struct job_status status;
  struct fold *fold;
  struct manifest manifest;
  struct report *report;
};

static void
scene_begin (struct scene *scene)
{
  *scene = (struct scene){ .folder = "/tmp/shoal-report-XXXXXX" };
  assert_non_null (mkdtemp (scene->folder));
  scene->fd = open (scene->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  job_init (&scene->job);
  scene->job.id = xstrdup ("many");
  scene->job.image = xstrdup ("x");
  scene->fold = fold_new ();
  scene->status = (struct job_status){ .job_id = scene->job.id, .state = JOB_SUCCEEDED };
  scene->manifest =
      (struct manifest){ .job = &scene->job, .status = &scene->status, .fold = scene->fold };
  scene->report = report_new (&scene->manifest, scene->fd);
}

/* The text of report.html; the caller frees. */
static char *
scene_end (struct scene *scene)
{
  struct error err = ERROR_INIT;
  auto_buffer struct buffer text = { 0 };
  assert_int_equal (report_write (scene->report, scene->fd, &err), 0);
  int file = openat (scene->fd, "report.html", O_RDONLY | O_CLOEXEC);
  char piece[65536];
  for (ssize_t got; (got = read (file, piece, sizeof piece)) > 0;)
    buffer_append (&text, piece, (size_t) got);
  (void) close (file);
  assert_int_equal (fs_remove_tree (AT_FDCWD, scene->folder, NULL), 0);
  (void) close (scene->fd);
  report_free (scene->report);
  fold_free (scene->fold);
  job_release (&scene->job);
  return xstrndup (text.data, text.size);
}

static char *
report_of_all (void)
{
  struct scene scene;
  scene_begin (&scene);
  for (uint32_t i = 0; i < SHARDS; i++)
    {
      json_t *shard =
          json_pack ("{s:s, s:I, s:I}", "state", "succeeded", "started", (json_int_t) started[i],
                     "ended", (json_int_t) (started[i] + took[i]));
      report_add (scene.report, i, shard);
      json_decref (shard);
    }
  return scene_end (&scene);
}

/* Shard INDEX failed with REASON; its attempt's stderr is STDERR_TEXT (NULL: it has none). */
static void
scene_fail (struct scene *scene, uint32_t index, const char *reason, const char *stderr_text)
{
  json_t *shard = json_pack ("{s:s, s:s, s:i, s:s}", "state", "failed", "outcome", "failed",
                             "exit_code", 3, "reason", reason);
  if (stderr_text != NULL)
    {
      auto_free char *folder = xasprintf (".shoal/attempts/a%u", index);
      (void) mkdirat (scene->fd, ".shoal", 0755);
      (void) mkdirat (scene->fd, ".shoal/attempts", 0755);
      assert_int_equal (mkdirat (scene->fd, folder, 0755), 0);
      auto_free char *path = xasprintf ("%s/stderr", folder);
      int file = openat (scene->fd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
      assert_true (write (file, stderr_text, strlen (stderr_text)) >= 0);
      (void) close (file);
      (void) json_object_set_new (shard, "folder",
                                  json_string (folder + strlen (".shoal/attempts/")));
    }
  report_add (scene->report, index, shard);
  json_decref (shard);
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

static void
expect_part (const char *text, const char *part)
{
  if (strstr (text, part) == NULL)
    fail_msg ("the report has no %s", part);
}

static void
expect_absent (const char *text, const char *part)
{
  if (strstr (text, part) != NULL)
    fail_msg ("the report has %s", part);
}

/* Those of one reason are one line, with the last of what the first one said. */
static void
test_failures_by_reason (void **state)
{
  (void) state;
  struct scene scene;
  scene_begin (&scene);
  scene_fail (&scene, 2, "exit code 3",
              "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n<b>11</b>\t\x1b[31m\r\n\n \n");
  scene_fail (&scene, 5, "a < b", "");
  scene_fail (&scene, 7, "exit code 3", "not this one");
  scene_fail (&scene, 9, "a < b", NULL);
  json_t *reduce = json_pack ("{s:s, s:s, s:s}", "state", "failed", "outcome", "timeout", "reason",
                              "exit code 3");
  report_add_reduce (scene.report, reduce);
  json_decref (reduce);
  auto_free char *text = scene_end (&scene);
  expect_part (text, "<h2>Failed shards (5)</h2>");
  expect_part (text, "<tr><td>2, 7</td><td>failed</td><td>3</td><td>exit code 3</td></tr>\n"
                     "<tr><td></td><td colspan=\"3\">stderr of shard 2 ends in<pre>2\n3\n");
  expect_part (text, "10\n&lt;b&gt;11&lt;/b&gt;");
  expect_part (text, "\\x1b[31m\n</pre></td></tr>\n<tr><td>5, 9</td>");
  expect_part (text, "<td>a &lt; b</td></tr>\n<tr><td>reduce</td><td>timeout</td><td>–</td>");
  expect_absent (text, "not this one");
  assert_int_equal (count_of (text, "<pre>"), 1);
}

/* However many there are, the report is bounded and says what it leaves out. */
static void
test_many_failures (void **state)
{
  (void) state;
  struct scene scene;
  scene_begin (&scene);
  for (uint32_t i = 0; i < 1000; i++)
    scene_fail (&scene, i, "the same", NULL);
  for (uint32_t i = 1000; i < 1100; i++)
    {
      auto_free char *reason = xasprintf ("reason %u", i);
      scene_fail (&scene, i, reason, NULL);
    }
  auto_free char *text = scene_end (&scene);
  expect_part (text, "<h2>Failed shards (1100)</h2>");
  expect_part (text, "98, 99 and 900 more</td>");
  expect_part (text, "<td>reason 1048</td>");
  expect_absent (text, "reason 1049");
  expect_part (text, "<p>51 more failed for other reasons");
}

static void
test_the_job (void **state)
{
  (void) state;
  struct scene scene;
  scene_begin (&scene);
  struct job *job = &scene.job;
  strlist_add (&job->command, "echo");
  strlist_add (&job->command, "<two words>");
  strlist_add (&job->env, "TOKEN=hush");
  job->volumes = xcalloc (1, sizeof *job->volumes);
  job->volumes[job->volume_count++] = (struct volume){
    .source = xstrdup ("https://me:pass@host/a&b/"), .path = xstrdup ("/in"), .shared = true
  };
  job->glob = xstrdup ("*.<x>");
  job->base_path = xstrdup ("/in");
  job->memory = 64 << 20;
  job->cpus = 1500;
  job->timeout_ms = 90000;
  auto_free char *text = scene_end (&scene);
  expect_part (text, "<code>x echo &#39;&lt;two words&gt;&#39;</code>");
  expect_part (text, "host/a&amp;b/ at /in, whole in each shard</td>");
  expect_part (text, "<td>*.&lt;x&gt; below /in</td>");
  expect_part (text, "<tr><th>memory limit</th><td>64.0 MiB</td></tr>");
  expect_part (text, "<tr><th>CPU limit</th><td>1.5</td></tr>");
  expect_part (text, "<tr><th>time limit</th><td>1m30s</td></tr>");
  expect_absent (text, "time limit of the job");
  expect_absent (text, "hush");
  expect_absent (text, "pass");
  assert_int_equal (count_of (text, "<td>not known</td>"), 5);
  assert_int_equal (count_of (text, "Failed shards"), 0);
}

/* The sums of what is known. */
static void
test_usage (void **state)
{
  (void) state;
  struct scene scene;
  scene_begin (&scene);
  for (uint32_t i = 0; i < 3; i++)
    {
      json_t *shard = json_pack ("{s:s, s:I, s:I, s:i, s:i}", "state", "succeeded", "cpu_us",
                                 (json_int_t) (i == 2 ? -1 : 1500000), "peak_memory",
                                 (json_int_t) (i + 1) << 20, "bytes_in", 1024, "files_out", 0);
      report_add (scene.report, i, shard);
      json_decref (shard);
    }
  auto_free char *text = scene_end (&scene);
  expect_part (text, "<tr><td>3.0s</td><td>3.0 MiB</td><td>3.0 KiB</td><td>not known</td>"
                     "<td>0</td></tr>");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_many_shards),   cmocka_unit_test (test_failures_by_reason),
    cmocka_unit_test (test_many_failures), cmocka_unit_test (test_the_job),
    cmocka_unit_test (test_usage),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}

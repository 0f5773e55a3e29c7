/* What may be said of a job, of a shard and of a tmpfs: the edges, and what lies beyond them. The
 * doors that ask are compared in unit.cli.doors. */
#include "schemas/job_check.h"

#include "common/memory.h"
#include "schemas/codec.h"
#include "schemas/job_bounds.h"
#include "schemas/shard_check.h"
#include "schemas/tmpfs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static void
start_job (struct job *job)
{
  job_init (job);
  job->id = xstrdup ("j");
  job->image = xstrdup ("busybox");
  job->results = xstrdup ("/data/r");
}

static void
expect (struct job *job, const char *field)
{
  struct error err = ERROR_INIT;
  const char *wrong = NULL;
  int result = job_check (job, &wrong, &err);
  if (field == NULL && result != 0)
    fail_msg ("%s: %s", wrong, err.message);
  if (field == NULL)
    return;
  if (result == 0 || wrong == NULL || strcmp (wrong, field) != 0)
    fail_msg ("%s is blamed instead of %s", result == 0 ? "nothing" : wrong, field);
  assert_int_equal (err.class, ERROR_USER);
}

static void
numbers_have_bounds (void **state)
{
  (void) state;
  auto_job struct job job;
  start_job (&job);
  const struct
  {
    const char *field;
    int64_t *value;
    int64_t most;
  } longs[] = {
    { "submitted", &job.submitted, JOB_TIME_MAX_MS },
    { "memory", &job.memory, JOB_BYTES_MAX },
    { "pids", &job.pids, JOB_PIDS_MAX },
    { "timeout_ms", &job.timeout_ms, JOB_DURATION_MAX_MS },
    { "job_timeout_ms", &job.job_timeout_ms, JOB_DURATION_MAX_MS },
    { "stage_timeout_ms", &job.stage_timeout_ms, JOB_DURATION_MAX_MS },
    { "collect_timeout_ms", &job.collect_timeout_ms, JOB_DURATION_MAX_MS },
    { "shm_size", &job.shm_size, JOB_BYTES_MAX },
    { "stop_timeout_ms", &job.stop_timeout_ms, JOB_STOP_MAX_MS },
    { "max_output_bytes", &job.max_output_bytes, JOB_BYTES_MAX },
    { "max_output_files", &job.max_output_files, JOB_COUNT_MAX },
    { "log_limit", &job.log_limit, JOB_BYTES_MAX },
    { "max_failures", &job.max_failures, JOB_COUNT_MAX },
    { "max_parallel", &job.max_parallel, JOB_COUNT_MAX },
  };
  for (size_t i = 0; i < sizeof longs / sizeof longs[0]; i++)
    {
      int64_t usual = *longs[i].value;
      const int64_t wrong[] = { longs[i].most + 1, INT64_MAX, INT64_MIN, -2 };
      for (size_t j = 0; j < sizeof wrong / sizeof wrong[0]; j++)
        {
          *longs[i].value = wrong[j];
          expect (&job, longs[i].field);
        }
      *longs[i].value = longs[i].most;
      expect (&job, NULL);
      *longs[i].value = usual;
    }
  job.memory = JOB_MEMORY_MIN - 1;
  expect (&job, "memory");
  job.memory = -1;
  job.cpus = JOB_CPUS_MAX + 1;
  expect (&job, "cpus");
  job.cpus = -1;
  job.retry_memory = 100;
  expect (&job, "retry_memory");
  job.retry_memory = JOB_MEMORY_GROWTH_MAX + 1;
  expect (&job, "retry_memory");
  job.retry_memory = 200;
  expect (&job, "retry_memory"); /* of how much? */
  job.memory = 10 << 20;
  expect (&job, NULL);
  job.retry_memory_max = (10 << 20) - 1;
  expect (&job, "retry_memory");
  job.retry_memory_max = JOB_BYTES_MAX + 1;
  expect (&job, "retry_memory_max");
  job.retry_memory_max = JOB_BYTES_MAX;
  expect (&job, NULL);
  job.retry_memory = -1;
  expect (&job, "retry_memory");
  job.retry_memory_max = job.memory = -1;
  job.retries = -1;
  expect (&job, "retries");
  job.retries = JOB_RETRIES_MAX + 1;
  expect (&job, "retries");
}

static void
spoil_one (struct job *job, struct strlist *list, const char *field, const char *const *wrong)
{
  for (; *wrong != NULL; wrong++)
    {
      strlist_add (list, *wrong);
      expect (job, field);
      strlist_release (list);
    }
}

static void
a_containers_own_things_are_checked (void **state)
{
  (void) state;
  auto_job struct job job;
  start_job (&job);
  static const char *const names[] = { "", "-a", ".a", "a b", "a_b", "\xc3\xa9", "a\n" };
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    {
      job.hostname = xstrdup (names[i]);
      expect (&job, "hostname");
      free (take (&job.hostname));
    }
  static const char *const platforms[] = {
    "",         "linux",       "linux/",     "/amd64",        "linux//v7", "linux/a/v7/x",
    "linux/a/", "Linux/amd64", "linux/a md", "linux/amd64\n", "linux/\xc3"
  };
  for (size_t i = 0; i < sizeof platforms / sizeof platforms[0]; i++)
    {
      job.platform = xstrdup (platforms[i]);
      expect (&job, "platform");
      free (take (&job.platform));
    }
  job.platform = xstrdup ("linux/arm/v7");
  spoil_one (&job, &job.groups, "groups",
             (const char *const[]){ "", "a:b", "a b", "a/b", "a,b", "\n", NULL });
  spoil_one (&job, &job.cap_drop, "cap_drop",
             (const char *const[]){ "", "CAP_", "CAP_NONE", "ROOT", "CAP_CAP_KILL", NULL });
  spoil_one (&job, &job.ulimits, "ulimits",
             (const char *const[]){ "", "nofile", "nofile=", "nofile=x", "nofile=2:1", "=1", "as=1",
                                    "nofile=-1:5", "core=1:2:3", "core=-2", NULL });
  spoil_one (&job, &job.devices, "devices",
             (const char *const[]){ "",
                                    "gpu",
                                    "v/c",
                                    "v/c=",
                                    "/c=n",
                                    "v/=n",
                                    "1v/c=n",
                                    "v/c.d=n",
                                    "v./c=n",
                                    "v/c=n/m",
                                    "v/c=n\n",
                                    "v c/d=n",
                                    "/",
                                    "/dev",
                                    "/dev/",
                                    "/etc/x",
                                    "/dev/../x",
                                    "/dev/x:",
                                    "/dev/x:/etc",
                                    "/dev/x:rx",
                                    "/dev/x:m",
                                    "/dev/x:/dev",
                                    "/dev/x:/d:rw",
                                    "/dev/x:/dev/y:",
                                    "/dev/x\x1b",
                                    "/dev/\xff",
                                    NULL });
  strlist_add (&job.devices, "vendor-1.com/class_2=3:a.b-c");
  strlist_add (&job.devices, "/dev/x");
  strlist_add (&job.devices, "/dev/x:r");
  strlist_add (&job.devices, "/any/where:/dev/a/b:rwm");
  job.hostname = xstrdup ("Node-1.example");
  strlist_add (&job.groups, "staff");
  strlist_add (&job.cap_drop, "cap_net_raw");
  strlist_add (&job.cap_drop, "ALL");
  strlist_add (&job.ulimits, "nofile=1:-1");
  strlist_add (&job.ulimits, "core=0");
  job.shm_size = 1;
  expect (&job, NULL);
  strlist_add (&job.ulimits, "core=1");
  expect (&job, "ulimits");
  strlist_release (&job.ulimits);
  free (job.runtime);
  job.runtime = xstrdup ("process");
  expect (&job, "hostname");
  free (take (&job.hostname));
  strlist_release (&job.groups);
  strlist_release (&job.cap_drop);
  job.shm_size = -1;
  expect (&job, "devices");
  strlist_release (&job.devices);
  expect (&job, "platform");
}

static void
what_json_cant_hold_is_refused (void **state)
{
  (void) state;
  auto_job struct job job;
  start_job (&job);
  spoil_one (&job, &job.command, "command",
             (const char *const[]){ "\xff", "a\xc3", "\xed\xa0\x80", NULL });
  spoil_one (&job, &job.entrypoint, "entrypoint", (const char *const[]){ "\xc0\xaf", NULL });
  spoil_one (&job, &job.env, "env", (const char *const[]){ "A=\xff", NULL });
  spoil_one (&job, &job.tmpfs, "tmpfs", (const char *const[]){ "/t\xff", NULL });
  job.workdir = xstrdup ("/w\xff");
  expect (&job, "workdir");
  free (take (&job.workdir));
  strlist_add (&job.env, "SECRET=hidden\xff");
  struct error err = ERROR_INIT;
  assert_int_equal (job_check (&job, NULL, &err), -1);
  assert_non_null (strstr (err.message, "SECRET"));
  assert_null (strstr (err.message, "hidden"));
  strlist_add (&job.command, "\xff");
  free (job.runtime);
  job.runtime = xstrdup ("process");
  expect (&job, NULL);
}

/* What may be added to a clock stays a time. */
static void
bounds_can_be_added (void **state)
{
  (void) state;
  const int64_t largest[] = { JOB_TIME_MAX_MS, JOB_DURATION_MAX_MS, JOB_BYTES_MAX, JOB_COUNT_MAX };
  for (size_t i = 0; i < sizeof largest / sizeof largest[0]; i++)
    for (size_t j = 0; j < sizeof largest / sizeof largest[0]; j++)
      {
        int64_t sum = 0;
        assert_false (__builtin_add_overflow (largest[i], largest[j], &sum));
        assert_false (__builtin_mul_overflow (sum, 100, &sum));
      }
}

static void
paths_are_made_normal (void **state)
{
  (void) state;
  auto_job struct job job;
  start_job (&job);
  job.workdir = xstrdup ("//a/./b/");
  free (job.results);
  job.results = xstrdup ("/data//./r/");
  job.volumes = xcalloc (1, sizeof *job.volumes);
  job.volumes[job.volume_count++] =
      (struct volume){ .source = xstrdup ("file:///photos//2019/"), .path = xstrdup ("/in/") };
  job.outputs = xcalloc (1, sizeof *job.outputs);
  job.outputs[job.output_count++] =
      (struct output){ .name = xstrdup ("out"), .path = xstrdup ("/out/.") };
  job.glob = xstrdup ("*");
  expect (&job, NULL);
  assert_string_equal (job.workdir, "/a/b");
  assert_string_equal (job.results, "/data/r");
  assert_string_equal (job.volumes[0].source, "/photos/2019");
  assert_string_equal (job.volumes[0].path, "/in");
  assert_string_equal (job.outputs[0].path, "/out");
  assert_string_equal (job.base_path, "/in");
}

static void
results_are_places (void **state)
{
  (void) state;
  static const struct
  {
    const char *place;
    bool good;
  } cases[] = {
    { "/data/r", true },
    { "s3://bucket/a/b", true },
    { "s3://bucket", true },
    { "/data/../etc/r", false },
    { "/..", false },
    { "/", false },
    { "r", false },
    { "", false },
    { "/data/r\x1b[31m", false },
    { "/data/r\nlevel=error", false },
    { "/data/r\xc2\x9b", false },
    { "/data/\xe2\x80\xaegpj.r", false },
    { "s3://bucket/a/", false },
    { "s3://bucket//a", false },
    { "s3://bucket/../other/a", false },
    { "s3://bucket/a/..", false },
    { "s3://bucket/./a", false },
    { "s3://", false },
    { "s3://bucket/a?x", false },
    { "file:///data/r", false },
    { "https://host/r", false },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    {
      auto_job struct job job;
      start_job (&job);
      free (job.results);
      job.results = xstrdup (cases[i].place);
      expect (&job, cases[i].good ? NULL : "results");
    }
  auto_job struct job job;
  start_job (&job);
  free (job.results);
  job.results = xasprintf ("/data/%0*d", 231, 0);
  expect (&job, "results");
}

/* A writer's schema needn't have what ours has. */
static void
what_is_missing_is_named (void **state)
{
  (void) state;
  auto_job struct job job;
  job_init (&job);
  expect (&job, "id");
  job.id = xstrdup ("j");
  expect (&job, "results");
  job.results = xstrdup ("/r");
  expect (&job, "image");
  job.image = xstrdup ("i");
  job.outputs = xcalloc (1, sizeof *job.outputs);
  job.output_count = 1;
  expect (&job, "outputs");
  job.volumes = xcalloc (1, sizeof *job.volumes);
  job.volume_count = 1;
  expect (&job, "volumes");
  free (take (&job.queue));
  expect (&job, "queue");
  free (take (&job.runtime));
  expect (&job, "runtime");
}

static void
lists_and_texts_have_an_end (void **state)
{
  (void) state;
  auto_job struct job job;
  start_job (&job);
  for (int i = 0; i <= JOB_WORDS_MAX; i++)
    strlist_add (&job.command, "x");
  expect (&job, "command");
  strlist_release (&job.command);
  strlist_take (&job.command, xasprintf ("%0*d", JOB_WORD_MAX, 0));
  expect (&job, NULL);
  strlist_take (&job.command, xasprintf ("%0*d", JOB_WORD_MAX + 1, 0));
  expect (&job, "command");
  strlist_release (&job.command);
  job.workdir = xasprintf ("/%0*d", JOB_PATH_MAX, 0);
  expect (&job, "workdir");
  free (take (&job.workdir));
  job.credentials = xstrdup ("../../etc/passwd");
  expect (&job, "credentials");
  free (take (&job.credentials));
  static const char *const no_signals[] = { "", "0", "65", "-1", "SIG", "KILLED", "RTMIN+99" };
  for (size_t i = 0; i < sizeof no_signals / sizeof no_signals[0]; i++)
    {
      job.stop_signal = xstrdup (no_signals[i]);
      expect (&job, "stop_signal");
      free (take (&job.stop_signal));
    }
  job.image_id =
      xstrdup ("sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
  expect (&job, NULL);
  job.image_id[70] = 'F';
  expect (&job, "image_id");
  free (take (&job.image_id));
  job.reduce_image_id =
      xstrdup ("sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
  expect (&job, "reduce_image_id");
  free (take (&job.reduce_image_id));
  strlist_add (&job.earlier_images,
               "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
  expect (&job, NULL);
  strlist_add (&job.earlier_images, "tool:2");
  expect (&job, "earlier_images");
}

/* ---- shards ----------------------------------------------------------------------------- */

static void
shards_that_cannot_be_are_refused (void **state)
{
  (void) state;
  auto_job struct job job;
  start_job (&job);
  char id[] = "j";
  char other[] = "k";
  const struct shard good = { .job_id = id,
                              .generation = 1,
                              .attempt = 1,
                              .count = -1,
                              .bytes = -1,
                              .plan_offset = -1,
                              .plan_length = -1 };
  assert_int_equal (shard_check (&good, &job, NULL), 0);
  struct shard wrong[] = { good, good, good, good, good, good, good, good, good, good, good, good };
  wrong[0].not_before = INT64_MAX;
  wrong[1].not_before = INT64_MIN;
  wrong[2].failures = UINT32_MAX;
  wrong[3].attempt = 0;
  wrong[4].kind = SHARD_REDUCE; /* the job has none */
  wrong[5].plan_length = INT64_MAX;
  wrong[5].plan_offset = 1;
  wrong[6].plan_length = 5;
  wrong[7].job_id = other;
  wrong[8].index = UINT32_MAX;
  wrong[9].generation = 0;
  wrong[10].job_id = NULL;
  wrong[11].volume_pins.count = job.volume_count + 1;
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    {
      struct error err = ERROR_INIT;
      if (shard_check (&wrong[i], &job, &err) == 0)
        fail_msg ("case %zu is taken", i);
      assert_int_equal (err.class, ERROR_USER);
    }
}

/* Sums of what others say don't overflow: numbers that nobody meant are cut when they are read. */
static void
numbers_of_messages_are_cut (void **state)
{
  (void) state;
  auto_buffer struct buffer message = { 0 };
  auto_shard struct shard back = { 0 };
  char id[] = "j";
  const struct shard shard = { .job_id = id,
                               .generation = 1,
                               .attempt = 1,
                               .not_before = INT64_MIN,
                               .atom_count = INT64_MAX,
                               .bytes = INT64_MAX,
                               .plan_offset = INT64_MAX,
                               .plan_length = INT64_MAX };
  assert_int_equal (codec_encode_shard (&shard, &message, NULL), 0);
  assert_int_equal (codec_decode_shard (buffer_bytes (&message), &back, NULL), 0);
  assert_true (back.not_before == -JOB_BYTES_MAX);
  assert_true (back.atom_count == JOB_BYTES_MAX && back.bytes == JOB_BYTES_MAX);
  assert_true (back.plan_offset == JOB_BYTES_MAX && back.plan_length == JOB_BYTES_MAX);
}

/* ---- tmpfs ------------------------------------------------------------------------------ */

static void
expect_tmpfs (const char *text, const char *options, const char *format)
{
  struct error err = ERROR_INIT;
  auto_tmpfs struct tmpfs tmpfs = { 0 };
  auto_strlist struct strlist list = { 0 };
  auto_buffer struct buffer joined = { 0 };
  if (tmpfs_parse (text, &tmpfs, &err) != 0)
    fail_msg ("%s: %s", text, err.message);
  tmpfs_options (&tmpfs, &list);
  for (size_t i = 0; i < list.count; i++)
    buffer_printf (&joined, "%s%s", i == 0 ? "" : ",", list.items[i]);
  auto_free char *formatted = tmpfs_format (&tmpfs);
  assert_string_equal (joined.data, options);
  assert_string_equal (formatted, format);
}

static void
tmpfs_options_are_rendered_from_numbers (void **state)
{
  (void) state;
  expect_tmpfs ("/tmp", "nosuid,nodev,noexec,mode=1777", "/tmp");
  expect_tmpfs ("/tmp//x/:", "nosuid,nodev,noexec,mode=1777", "/tmp/x");
  expect_tmpfs ("/t:size=64m,nodev,nosuid", "nosuid,nodev,noexec,mode=1777,size=67108864",
                "/t:size=67108864");
  expect_tmpfs ("/t:mode=0755,uid=1000,gid=5,nr_inodes=10,ro,exec",
                "nosuid,nodev,exec,ro,mode=755,nr_inodes=10,uid=1000,gid=5",
                "/t:exec,ro,mode=755,nr_inodes=10,uid=1000,gid=5");
  expect_tmpfs ("/t:ro,rw,exec,noexec", "nosuid,nodev,noexec,mode=1777", "/t");
}

static void
tmpfs_options_are_an_allow_list (void **state)
{
  (void) state;
  static const char *const wrong[] = {
    "",
    "tmp",
    "/",
    "/t:suid",
    "/t:dev",
    "/t:size",
    "/t:size=0",
    "/t:size=x",
    "/t:mode=4777",
    "/t:mode=8",
    "/t:mode=",
    "/t:mode=777777",
    "/t:uid=-1",
    "/t:uid=root",
    "/t:gid=4294967295",
    "/t:a=b",
    "/t:x",
    "/a/../b",
    "/t:nr_inodes=0",
    "/t:size=9007199254740993",
    "/t:mpol=x",
    "/t:huge=always",
  };
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    {
      struct error err = ERROR_INIT;
      auto_tmpfs struct tmpfs tmpfs = { 0 };
      if (tmpfs_parse (wrong[i], &tmpfs, &err) == 0)
        fail_msg ("\"%s\" is taken", wrong[i]);
      assert_int_equal (err.class, ERROR_USER);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (numbers_have_bounds),
    cmocka_unit_test (a_containers_own_things_are_checked),
    cmocka_unit_test (what_json_cant_hold_is_refused),
    cmocka_unit_test (bounds_can_be_added),
    cmocka_unit_test (paths_are_made_normal),
    cmocka_unit_test (results_are_places),
    cmocka_unit_test (what_is_missing_is_named),
    cmocka_unit_test (lists_and_texts_have_an_end),
    cmocka_unit_test (shards_that_cannot_be_are_refused),
    cmocka_unit_test (numbers_of_messages_are_cut),
    cmocka_unit_test (tmpfs_options_are_rendered_from_numbers),
    cmocka_unit_test (tmpfs_options_are_an_allow_list),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}

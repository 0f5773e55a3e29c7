/* The producer as a service on the SQLite bus: jobs in, shards and one closing event out, whatever
 * happens between. */
#include "bus/bus.h"
#include "bus/follower.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/sys.h"
#include "producer/producer.h"
#include "result/result.h"
#include "schemas/codec.h"
#include "tests/lib/file_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* ---- a scene: inputs, a result folder with a bus, one job ------------------------------- */

struct scene
{
  struct file_tree *tree; /* in/ are the inputs, out.partial/ is the result */
  char *place;
  char *url;
  struct job job;
};

static void
make_files (struct scene *scene, int count)
{
  for (int i = 0; i < count; i++)
    {
      auto_free char *path = xasprintf ("in/%05d", i);
      file_tree_put (scene->tree, path, 0);
    }
}

static int
set_up (void **state)
{
  struct scene *scene = xcalloc (1, sizeof *scene);
  scene->tree = file_tree_new ();
  file_tree_make_folder (scene->tree, "in");
  scene->place = file_tree_path (scene->tree, "out");
  assert_int_equal (result_create (scene->place, NULL, NULL), 0);
  scene->url = xasprintf ("sqlite:%s.partial/%s", scene->place, RESULT_BUS);
  struct job *job = &scene->job;
  job_init (job);
  job->id = xstrdup ("job-1");
  job->image = xstrdup ("image");
  job->results = xstrdup (scene->place);
  job->glob = xstrdup ("*");
  job->base_path = xstrdup ("/in");
  job->batch_size = 10;
  job->volumes = xcalloc (1, sizeof *job->volumes);
  job->volumes[job->volume_count++] =
      (struct volume){ .source = file_tree_path (scene->tree, "in"), .path = xstrdup ("/in") };
  *state = scene;
  return 0;
}

static int
tear_down (void **state)
{
  struct scene *scene = *state;
  for (int call = 0; call < SYS_CALLS; call++)
    sys_fail ((enum sys_call) call, 0, 0);
  job_release (&scene->job);
  file_tree_free (scene->tree);
  free (scene->place);
  free (scene->url);
  free (scene);
  return 0;
}

static struct bus *
open_bus (const struct scene *scene)
{
  struct error err = ERROR_INIT;
  const struct bus_options options = { .client = "test" };
  struct bus *bus = bus_open (scene->url, &options, &err);
  if (bus == NULL)
    fail_msg ("%s", err.message);
  return bus;
}

static void
submit (const struct scene *scene)
{
  auto_bus struct bus *bus = open_bus (scene);
  struct error err = ERROR_INIT;
  if (bus_submit (bus, &scene->job, &err) != 1)
    fail_msg ("%s", err.message);
}

static void
run_producer (const struct scene *scene)
{
  const struct producer_options options = { .bus_url = scene->url, .job_id = scene->job.id };
  struct error err = ERROR_INIT;
  if (producer_run (&options, &err) != 0)
    fail_msg ("%s", err.message);
}

/* The one event that ended the planning; the caller releases it. */
static struct event
closing_event (const struct scene *scene)
{
  auto_bus struct bus *bus = open_bus (scene);
  auto_follower struct follower *follower = bus_follow (bus, NULL, scene->job.id, NULL);
  struct event event = { 0 };
  assert_int_equal (follower_next (follower, &event, NULL), 1);
  struct event more = { 0 };
  assert_int_equal (follower_next (follower, &more, NULL), 0);
  return event;
}

static void
expect_failed (const struct scene *scene, const char *class_name, const char *part)
{
  auto_event struct event event = closing_event (scene);
  assert_int_equal (event.kind, EVENT_FAILED);
  assert_string_equal (event.class_name, class_name);
  if (strstr (event.reason, part) == NULL)
    fail_msg ("'%s' isn't in '%s'", part, event.reason);
}

/* Checks that the bus holds exactly the plan of COUNT files in batches, each atom once and in
 * order. */
static void
expect_plan (const struct scene *scene, int count)
{
  int64_t batch = scene->job.batch_size;
  int64_t shards = (count + batch - 1) / batch;
  auto_event struct event event = closing_event (scene);
  if (event.kind != EVENT_PLANNED)
    fail_msg ("not planned: %s", event.reason == NULL ? "" : event.reason);
  assert_int_equal (event.shards, shards);
  assert_int_equal (event.atoms, count);

  auto_bus struct bus *bus = open_bus (scene);
  auto_fd int folder = result_open (scene->place, NULL);
  auto_fd int plan_fd = openat (folder, RESULT_PLAN, O_RDONLY | O_CLOEXEC);
  int next = 0;
  for (uint32_t index = 0; index < shards; index++)
    {
      auto_shard struct shard shard = { 0 };
      assert_int_equal (bus_get_shard (bus, scene->job.id, index, &shard, NULL), 1);
      auto_buffer struct buffer list = { 0 };
      if (shard.plan_length >= 0)
        {
          size_t size = (size_t) shard.plan_length;
          char *at = buffer_reserve (&list, size);
          assert_int_equal (pread (plan_fd, at, size, shard.plan_offset), shard.plan_length);
          list.size = size;
        }
      struct bytes bytes =
          shard.plan_length >= 0 ? buffer_bytes (&list) : buffer_bytes (&shard.atoms);
      auto_atom_cursor struct atom_cursor cursor = atom_cursor_start (bytes);
      struct atom atom = { 0 };
      for (; atom_cursor_next (&cursor, &atom, NULL) == 1; next++)
        assert_int_equal (strtol (atom.path, NULL, 10), next);
    }
  assert_int_equal (next, count);
  auto_shard struct shard beyond = { 0 };
  assert_int_equal (bus_get_shard (bus, scene->job.id, (uint32_t) shards, &beyond, NULL), 0);
}

/* ---- the tests ------------------------------------------------------------------------- */

static void
test_a_job_becomes_shards (void **state)
{
  const struct scene *scene = *state;
  make_files (*state, 25);
  submit (scene);
  run_producer (scene);
  expect_plan (scene, 25);
  run_producer (scene); /* returns: it is planned already */
  expect_plan (scene, 25);
}

static void
test_a_job_without_a_glob (void **state)
{
  struct scene *scene = *state;
  free (scene->job.glob);
  scene->job.glob = NULL;
  free (take (&scene->job.base_path));
  scene->job.batch_size = 1;
  submit (scene);
  run_producer (scene);
  auto_event struct event event = closing_event (scene);
  assert_int_equal (event.kind, EVENT_PLANNED);
  assert_int_equal (event.shards, 1);
  assert_int_equal (event.atoms, 0);
}

static void
test_a_job_that_cannot_be_planned_fails (void **state)
{
  const struct scene *scene = *state;
  submit (scene);
  run_producer (scene);
  expect_failed (scene, "user", "nothing below the base path /in matches the pattern '*'");
  run_producer (scene);
  expect_failed (scene, "user", "nothing below");
}

static void
test_a_bad_job_from_another_client_fails (void **state)
{
  struct scene *scene = *state;
  scene->job.batch_size = -3;
  submit (scene);
  run_producer (scene);
  expect_failed (scene, "user", "batch_size: -3");
}

static void
test_a_cancelled_job_is_not_planned (void **state)
{
  const struct scene *scene = *state;
  make_files (*state, 25);
  submit (scene);
  {
    auto_bus struct bus *bus = open_bus (scene);
    struct control control = {
      .kind = CONTROL_CANCEL,
      .job_id = scene->job.id,
      .time = clock_wall_ms (),
      .reason = (char *) "not wanted",
    };
    assert_int_equal (bus_publish_control (bus, &control, NULL), 0);
    assert_int_equal (bus_flush (bus, NULL), 0);
  }
  run_producer (scene);
  auto_event struct event event = closing_event (scene);
  assert_int_equal (event.kind, EVENT_CANCELLED);
  assert_string_equal (event.reason, "not wanted");
}

static void
test_large_shards_lie_in_the_plan_file (void **state)
{
  struct scene *scene = *state;
  char path[240];
  for (int i = 0; i < 6000; i++)
    {
      (void) snprintf (path, sizeof path, "in/%05d %0200d", i, 0);
      file_tree_put (scene->tree, path, 0);
    }
  scene->job.batch_size = 5000;
  submit (scene);
  run_producer (scene);
  expect_plan (scene, 6000);
}

static void
test_a_disk_that_fails_once_is_tried_again (void **state)
{
  struct scene *scene = *state;
  make_files (scene, 25);
  submit (scene);
  sys_fail (SYS_FSYNC, 1, EIO);
  run_producer (scene);
  expect_plan (scene, 25);
}

static void
test_a_stopped_producer_leaves_the_job (void **state)
{
  const struct scene *scene = *state;
  make_files (*state, 25);
  submit (scene);
  volatile sig_atomic_t stop = 1;
  const struct producer_options options = { .bus_url = scene->url, .stop = &stop };
  assert_int_equal (producer_run (&options, NULL), 0);
  run_producer (scene);
  expect_plan (scene, 25);
}

/* Another producer had begun, then the inputs changed: what it published may have been run. */
static void
test_inputs_that_changed_since_planning_began (void **state)
{
  const struct scene *scene = *state;
  make_files (*state, 25);
  submit (scene);
  {
    auto_bus struct bus *bus = open_bus (scene);
    struct shard shard = {
      .job_id = scene->job.id,
      .generation = 1,
      .attempt = 1,
      .count = -1,
      .bytes = -1,
      .plan_offset = -1,
      .plan_length = -1,
    };
    assert_int_equal (bus_publish_shard (bus, &shard, NULL), 0);
    assert_int_equal (bus_flush (bus, NULL), 0);
  }
  run_producer (scene);
  expect_failed (scene, "user", "the inputs changed since planning began: shard 0");
}

/* ---- kill -9 --------------------------------------------------------------------------- */

static pid_t
start_producer (const struct scene *scene)
{
  pid_t pid = fork ();
  assert_true (pid >= 0);
  if (pid == 0)
    {
      const struct producer_options options = { .bus_url = scene->url, .job_id = scene->job.id };
      _exit (producer_run (&options, NULL) == 0 ? 0 : 1);
    }
  return pid;
}

/* Waits until shard INDEX is published or the child has ended. */
static void
wait_for_shard (const struct scene *scene, pid_t pid, uint32_t index)
{
  auto_bus struct bus *bus = open_bus (scene);
  int64_t deadline = clock_boot_ms () + 60000;
  while (clock_boot_ms () < deadline)
    {
      auto_shard struct shard shard = { 0 };
      siginfo_t info = { 0 };
      int got = bus_get_shard (bus, scene->job.id, index, &shard, NULL);
      assert_int_equal (waitid (P_PID, (id_t) pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
      if (got == 1 || info.si_pid == pid)
        return;
      (void) bus_poll (bus, NULL, 0, 5);
    }
  fail_msg ("shard %u wasn't published within a minute", index);
}

static void
test_a_killed_producer_is_followed_by_another (void **state)
{
  struct scene *scene = *state;
  enum
  {
    FILES = 12000
  };
  make_files (scene, FILES);
  scene->job.batch_size = 1;
  submit (scene);
  static const uint32_t moments[] = { 0, 1500, 4000 };
  int killed = 0;
  for (size_t i = 0; i < sizeof moments / sizeof *moments; i++)
    {
      pid_t pid = start_producer (scene);
      wait_for_shard (scene, pid, moments[i]);
      assert_int_equal (kill (pid, SIGKILL), 0);
      int status = 0;
      assert_int_equal (waitpid (pid, &status, 0), pid);
      killed += WIFSIGNALED (status);
    }
  assert_true (killed > 0); /* else the machine was too quick for this test */
  print_message ("%d of 3 were killed at work\n", killed);
  run_producer (scene);
  expect_plan (scene, FILES);
}

static void
test_two_producers_at_once (void **state)
{
  struct scene *scene = *state;
  enum
  {
    FILES = 3000
  };
  make_files (scene, FILES);
  scene->job.batch_size = 3;
  submit (scene);
  pid_t pids[2] = { start_producer (scene), start_producer (scene) };
  for (int i = 0; i < 2; i++)
    {
      int status = -1;
      assert_int_equal (waitpid (pids[i], &status, 0), pids[i]);
      assert_int_equal (status, 0);
    }
  expect_plan (scene, FILES);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    TEST (test_a_job_becomes_shards),
    TEST (test_a_job_without_a_glob),
    TEST (test_a_job_that_cannot_be_planned_fails),
    TEST (test_a_bad_job_from_another_client_fails),
    TEST (test_a_cancelled_job_is_not_planned),
    TEST (test_large_shards_lie_in_the_plan_file),
    TEST (test_a_disk_that_fails_once_is_tried_again),
    TEST (test_a_stopped_producer_leaves_the_job),
    TEST (test_inputs_that_changed_since_planning_began),
    TEST (test_a_killed_producer_is_followed_by_another),
    TEST (test_two_producers_at_once),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}

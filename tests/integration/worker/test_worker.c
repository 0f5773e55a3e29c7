/* Whole workers on a bus: they run, die, are stopped and come back. The runtime is `process`: what
 * is tested is who runs what. */
#include "bus/follower.h"
#include "worker/worker.h"

#include "bus/bus.h"
#include "common/auto.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/memory.h"
#include "result/result.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum
{
  DEADLINE_MS = 60000,
  LEASE_MS = 1500,
  SHARDS_MAX = 64,
};

/* ---- scenery ---------------------------------------------------------------------------- */

/* What the events say of one shard. */
struct history
{
  int started;
  int finished;
  int final;
  int succeeded;
  struct attempt_report last;
  uint32_t starts; /* of the last event */
  uint32_t attempt;
};

struct scene
{
  char *root;
  char *place;
  char *url;
  struct bus *bus;
  struct follower *follower;
  struct job job;
  uint32_t shards;
  struct history history[SHARDS_MAX];
  pid_t workers[4];
};

static struct scene *
new_scene (void)
{
  struct scene *scene = xcalloc (1, sizeof *scene);
  struct error err = ERROR_INIT;
  scene->root = xstrdup ("/tmp/shoal-worker-XXXXXX");
  assert_non_null (mkdtemp (scene->root));
  auto_free char *result = xasprintf ("%s/result", scene->root);
  scene->place = result_location (result, &err);
  assert_int_equal (result_create (scene->place, NULL, &err), 0);
  auto_free char *folder = result_folder (scene->place, &err);
  scene->url = xasprintf ("sqlite:%s/" RESULT_BUS, folder);
  const struct bus_options options = { .client = "test", .lease_ms = LEASE_MS };
  scene->bus = bus_open (scene->url, &options, &err);
  if (scene->bus == NULL)
    fail_msg ("%s", err.message);
  job_init (&scene->job);
  scene->job.id = xstrdup ("j");
  scene->job.results = xstrdup (scene->place);
  scene->job.image = xstrdup ("none");
  free (scene->job.runtime);
  scene->job.runtime = xstrdup ("process");
  scene->job.glob = xstrdup ("*");
  scene->job.volumes = xcalloc (1, sizeof *scene->job.volumes);
  scene->job.volumes[scene->job.volume_count++] =
      (struct volume){ .source = xasprintf ("%s/in", scene->root), .path = xstrdup ("/in") };
  assert_int_equal (mkdir (scene->job.volumes[0].source, 0755), 0);
  return scene;
}

static int
set_up (void **state)
{
  *state = new_scene ();
  return 0;
}

static void
reap (pid_t *pid)
{
  if (*pid <= 0)
    return;
  (void) kill (*pid, SIGCONT);
  (void) kill (*pid, SIGKILL);
  (void) waitpid (*pid, NULL, 0);
  *pid = 0;
}

static int
tear_down (void **state)
{
  struct scene *scene = *state;
  for (size_t i = 0; i < 4; i++)
    reap (&scene->workers[i]);
  for (size_t i = 0; i < SHARDS_MAX; i++)
    attempt_report_release (&scene->history[i].last);
  follower_close (scene->follower);
  bus_close (scene->bus);
  job_release (&scene->job);
  assert_int_equal (fs_remove_tree (AT_FDCWD, scene->root, NULL), 0);
  free (scene->root);
  free (scene->place);
  free (scene->url);
  free (scene);
  return 0;
}

/* Submits a job of COUNT shards that each run SCRIPT; $D in it is the scene's folder. */
static void
submit (struct scene *scene, uint32_t count, const char *script)
{
  struct error err = ERROR_INIT;
  auto_digest struct digest *digest = digest_new ();
  uint8_t empty[DIGEST_SIZE];
  digest_finish (digest, empty);
  strlist_add (&scene->job.command, "/bin/sh");
  strlist_add (&scene->job.command, "-c");
  strlist_addf (&scene->job.command, "D=%s; %s", scene->root, script);
  assert_int_equal (bus_submit (scene->bus, &scene->job, &err), 1);
  for (uint32_t i = 0; i < count; i++)
    {
      struct shard shard = { .job_id = scene->job.id,
                             .generation = 1,
                             .index = i,
                             .count = count,
                             .attempt = 1,
                             .bytes = -1,
                             .plan_offset = -1,
                             .plan_length = -1 };
      memcpy (shard.digest, empty, sizeof empty);
      assert_int_equal (bus_publish_shard (scene->bus, &shard, &err), 0);
    }
  assert_int_equal (bus_flush (scene->bus, &err), 0);
  scene->shards = count;
  scene->follower = bus_follow (scene->bus, NULL, scene->job.id, &err);
  assert_non_null (scene->follower);
}

static volatile sig_atomic_t stop_requests;

static void
count_stop (int signal)
{
  (void) signal;
  stop_requests++;
}

/* A worker in a process of its own; SIGTERM stops it, twice at once. */
static void
start_worker (struct scene *scene, size_t which, int slots)
{
  pid_t pid = fork ();
  assert_true (pid >= 0);
  if (pid == 0)
    {
      struct error err = ERROR_INIT;
      (void) signal (SIGTERM, count_stop);
      const struct worker_options options = { .bus_url = scene->url,
                                              .job_id = "j",
                                              .slots = slots,
                                              .lease_ms = LEASE_MS,
                                              .drain_ms = -1,
                                              .backoff_ms = 20,
                                              .stop = &stop_requests };
      int result = worker_run (&options, &err);
      if (result != 0)
        dprintf (2, "worker: %s\n", err.message);
      _exit (result == 0 ? 0 : 1);
    }
  scene->workers[which] = pid;
}

static void
note (struct scene *scene, struct event *event)
{
  if (event->kind != EVENT_STARTED && event->kind != EVENT_FINISHED)
    return;
  assert_true (event->index < SHARDS_MAX);
  struct history *history = &scene->history[event->index];
  history->starts = event->starts;
  history->attempt = event->attempt;
  if (event->kind == EVENT_STARTED)
    {
      history->started++;
      return;
    }
  history->finished++;
  history->final += event->report.final ? 1 : 0;
  history->succeeded += event->report.outcome == OUTCOME_SUCCEEDED ? 1 : 0;
  attempt_report_release (&history->last);
  history->last = event->report;
  event->report = (struct attempt_report){ 0 };
}

/* Reads events until IS_ENOUGH, or fails at the deadline. */
static void
follow_until (struct scene *scene, bool (*is_enough) (const struct scene *scene), const char *what)
{
  int64_t deadline = clock_boot_ms () + DEADLINE_MS;
  while (!is_enough (scene))
    {
      struct error err = ERROR_INIT;
      auto_event struct event event = { 0 };
      int got = follower_next (scene->follower, &event, &err);
      if (got < 0)
        fail_msg ("%s", err.message);
      if (got > 0)
        note (scene, &event);
      else
        (void) bus_poll (scene->bus, NULL, 0, 50);
      if (clock_boot_ms () > deadline)
        fail_msg ("waited in vain until %s", what);
    }
}

static bool
all_final (const struct scene *scene)
{
  for (uint32_t i = 0; i < scene->shards; i++)
    if (scene->history[i].final == 0)
      return false;
  return true;
}

static bool
one_started (const struct scene *scene)
{
  return scene->history[0].started > 0;
}

static bool
two_starts (const struct scene *scene)
{
  return scene->history[0].starts >= 2;
}

/* Waits until the file NAME of the scene is there. */
static void
wait_for_file (const struct scene *scene, const char *name)
{
  auto_free char *path = xasprintf ("%s/%s", scene->root, name);
  int64_t deadline = clock_boot_ms () + DEADLINE_MS;
  while (access (path, F_OK) != 0)
    {
      if (clock_boot_ms () > deadline)
        fail_msg ("waited in vain for %s", name);
      (void) poll (NULL, 0, 5);
    }
}

static void
make_file (const struct scene *scene, const char *name)
{
  auto_free char *path = xasprintf ("%s/%s", scene->root, name);
  auto_fd int fd = open (path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  assert_true (fd >= 0);
}

static void
end_job (struct scene *scene)
{
  struct error err = ERROR_INIT;
  const struct job_status status = { .job_id = scene->job.id,
                                     .state = JOB_SUCCEEDED,
                                     .generation = 1 };
  assert_int_equal (bus_put_status (scene->bus, &status, &err), 0);
}

static void
assert_ends_well (struct scene *scene, size_t which)
{
  int status = -1;
  int64_t deadline = clock_boot_ms () + DEADLINE_MS;
  while (waitpid (scene->workers[which], &status, WNOHANG) == 0)
    {
      if (clock_boot_ms () > deadline)
        fail_msg ("the worker doesn't end");
      (void) poll (NULL, 0, 5);
    }
  scene->workers[which] = 0;
  assert_int_equal (status, 0);
}

/* How many entries FOLDER of the result has. */
static int
entries (const struct scene *scene, const char *folder)
{
  auto_fd int result = result_open (scene->place, NULL);
  int fd = openat (result, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return 0;
  auto_dir DIR *dir = fdopendir (fd);
  int count = 0;
  for (const struct dirent *entry = readdir (dir); entry != NULL; entry = readdir (dir))
    count += entry->d_name[0] != '.' ? 1 : 0;
  return count;
}

/* The slot processes of the worker, the first one of them. */
static pid_t
first_child (pid_t worker)
{
  auto_free char *path = xasprintf ("/proc/%d/task/%d/children", (int) worker, (int) worker);
  auto_buffer struct buffer text = { 0 };
  if (fs_read_file (AT_FDCWD, path, 65536, &text, NULL) != 0)
    {
      fprintf (stderr, "SKIPPED: %s can't be read\n", path);
      skip ();
    }
  assert_true (text.size > 0);
  return (pid_t) strtol (text.data, NULL, 10);
}

/* ---- tests ------------------------------------------------------------------------------ */

static void
test_every_shard_runs_once (void **state)
{
  struct scene *scene = *state;
  submit (scene, 40, "echo $SHOAL_SHARD_INDEX");
  start_worker (scene, 0, 2);
  start_worker (scene, 1, 2);
  follow_until (scene, all_final, "all shards are final");
  for (uint32_t i = 0; i < scene->shards; i++)
    {
      assert_int_equal (scene->history[i].started, 1);
      assert_int_equal (scene->history[i].finished, 1);
      assert_int_equal (scene->history[i].succeeded, 1);
    }
  end_job (scene);
  assert_ends_well (scene, 0);
  assert_ends_well (scene, 1);
  assert_int_equal (entries (scene, RESULT_ATTEMPTS), 40);
  assert_int_equal (entries (scene, RESULT_TMP), 0);
}

static void
test_retries (void **state)
{
  struct scene *scene = *state;
  scene->job.retries = 2;
  scene->job.fail_on.has[9] = true;
  submit (scene, 3,
          "case $SHOAL_SHARD_INDEX in 0) exit 1;; 1) exit 9;; 2) test $SHOAL_ATTEMPT = 2;; esac");
  start_worker (scene, 0, 2);
  follow_until (scene, all_final, "all shards are final");
  assert_int_equal (scene->history[0].finished, 3);
  assert_int_equal (scene->history[0].last.outcome, OUTCOME_FAILED);
  assert_int_equal (scene->history[0].last.exit_code, 1);
  assert_int_equal (scene->history[1].finished, 1);
  assert_int_equal (scene->history[2].finished, 2);
  assert_int_equal (scene->history[2].succeeded, 1);
  end_job (scene);
  assert_ends_well (scene, 0);
}

/* It came by a door that asked nothing: once is enough, whatever it says of retries. */
static void
test_a_job_that_no_door_would_take_fails_at_once (void **state)
{
  struct scene *scene = *state;
  scene->job.retries = 1000;
  scene->job.timeout_ms = INT64_MAX;
  submit (scene, 2, "touch $D/ran");
  start_worker (scene, 0, 1);
  follow_until (scene, all_final, "all shards are final");
  for (uint32_t i = 0; i < scene->shards; i++)
    {
      assert_int_equal (scene->history[i].finished, 1);
      assert_int_equal (scene->history[i].last.outcome, OUTCOME_FAILED);
      assert_non_null (strstr (scene->history[i].last.reason, "the job: timeout_ms: "));
    }
  auto_free char *ran = xasprintf ("%s/ran", scene->root);
  assert_int_not_equal (access (ran, F_OK), 0);
  end_job (scene);
  assert_ends_well (scene, 0);
}

/* A reduce shard of a job without an image for it. */
static void
test_a_shard_that_cannot_be_fails_at_once (void **state)
{
  struct scene *scene = *state;
  struct error err = ERROR_INIT;
  submit (scene, 1, "true");
  struct shard shard = { .job_id = scene->job.id,
                         .kind = SHARD_REDUCE,
                         .generation = 1,
                         .index = 1,
                         .count = 2,
                         .attempt = 1,
                         .bytes = -1,
                         .plan_offset = -1,
                         .plan_length = -1 };
  assert_int_equal (bus_publish_shard (scene->bus, &shard, &err), 0);
  assert_int_equal (bus_flush (scene->bus, &err), 0);
  scene->shards = 2;
  start_worker (scene, 0, 1);
  follow_until (scene, all_final, "all shards are final");
  assert_int_equal (scene->history[0].succeeded, 1);
  assert_int_equal (scene->history[1].finished, 1);
  assert_int_equal (scene->history[1].last.outcome, OUTCOME_FAILED);
  assert_non_null (strstr (scene->history[1].last.reason, "no reduce image"));
  end_job (scene);
  assert_ends_well (scene, 0);
}

static void
test_a_killed_slot_costs_an_attempt_but_no_retry (void **state)
{
  struct scene *scene = *state;
  scene->job.retries = 0;
  submit (scene, 1, "test $SHOAL_ATTEMPT = 2 && exit 0; touch $D/began; exec sleep 100");
  start_worker (scene, 0, 1);
  wait_for_file (scene, "began");
  assert_int_equal (kill (first_child (scene->workers[0]), SIGKILL), 0);
  follow_until (scene, all_final, "the shard is final");
  assert_int_equal (scene->history[0].finished, 2);
  assert_int_equal (scene->history[0].succeeded, 1);
  end_job (scene);
  assert_ends_well (scene, 0);
  assert_int_equal (entries (scene, RESULT_TMP), 0);
}

static void
test_a_killed_workers_shard_runs_elsewhere (void **state)
{
  struct scene *scene = *state;
  submit (scene, 1, "test -e $D/go && exit 0; touch $D/began; exec sleep 100");
  start_worker (scene, 0, 1);
  wait_for_file (scene, "began");
  reap (&scene->workers[0]);
  make_file (scene, "go");
  start_worker (scene, 1, 1);
  follow_until (scene, all_final, "the shard is final");
  assert_int_equal (scene->history[0].starts, 2);
  assert_int_equal (scene->history[0].attempt, 1); /* a lost worker uses up no attempt */
  assert_int_equal (scene->history[0].succeeded, 1);
  end_job (scene);
  assert_ends_well (scene, 1);
  assert_int_equal (entries (scene, RESULT_TMP), 0); /* what the dead one left is swept */
}

static void
test_a_shard_that_kills_its_workers_is_given_up (void **state)
{
  struct scene *scene = *state;
  submit (scene, 1, "touch $D/began; exec sleep 100");
  auto_free char *began = xasprintf ("%s/began", scene->root);
  for (int i = 0; i < 3; i++)
    {
      start_worker (scene, 0, 1);
      wait_for_file (scene, "began");
      reap (&scene->workers[0]);
      assert_int_equal (unlink (began), 0);
    }
  start_worker (scene, 0, 1);
  follow_until (scene, all_final, "the shard is final");
  assert_int_equal (scene->history[0].last.outcome, OUTCOME_INFRA);
  assert_non_null (strstr (scene->history[0].last.reason, "worker_lost"));
  assert_int_equal (access (began, F_OK), -1);
  end_job (scene);
  assert_ends_well (scene, 0);
}

static void
test_cancel (void **state)
{
  struct scene *scene = *state;
  struct error err = ERROR_INIT;
  submit (scene, 2, "touch $D/began; exec sleep 100");
  start_worker (scene, 0, 1);
  wait_for_file (scene, "began");
  const struct control control = { .kind = CONTROL_CANCEL,
                                   .job_id = scene->job.id,
                                   .time = clock_wall_ms () };
  assert_int_equal (bus_publish_control (scene->bus, &control, &err), 0);
  scene->shards = 1;
  follow_until (scene, all_final, "the running attempt is cancelled");
  assert_int_equal (scene->history[0].last.outcome, OUTCOME_CANCELLED);
  const struct job_status status = { .job_id = scene->job.id,
                                     .state = JOB_CANCELLED,
                                     .generation = 1 };
  assert_int_equal (bus_put_status (scene->bus, &status, &err), 0);
  assert_ends_well (scene, 0);
  assert_int_equal (scene->history[1].started, 0);
}

static void
test_first_stop_lets_it_end (void **state)
{
  struct scene *scene = *state;
  submit (scene, 2, "touch $D/began; while ! test -e $D/go; do sleep 0.01; done");
  start_worker (scene, 0, 1);
  wait_for_file (scene, "began");
  assert_int_equal (kill (scene->workers[0], SIGTERM), 0);
  make_file (scene, "go");
  assert_ends_well (scene, 0);
  scene->shards = 1;
  follow_until (scene, all_final, "the running attempt ended");
  assert_int_equal (scene->history[0].succeeded, 1);
  assert_int_equal (scene->history[1].started, 0);
}

static void
test_second_stop_gives_it_back (void **state)
{
  struct scene *scene = *state;
  submit (scene, 1, "test -e $D/go && exit 0; touch $D/began; trap '' TERM; sleep 100; sleep 100");
  start_worker (scene, 0, 1);
  wait_for_file (scene, "began");
  int status = -1;
  int64_t deadline = clock_boot_ms () + DEADLINE_MS;
  while (waitpid (scene->workers[0], &status, WNOHANG) == 0)
    {
      (void) kill (scene->workers[0], SIGTERM); /* two that are pending at once are one */
      (void) poll (NULL, 0, 5);
      if (clock_boot_ms () > deadline)
        fail_msg ("the worker doesn't end");
    }
  scene->workers[0] = 0;
  assert_int_equal (status, 0);
  assert_int_equal (entries (scene, RESULT_TMP), 0);
  assert_int_equal (entries (scene, RESULT_ATTEMPTS), 0);
  make_file (scene, "go");
  start_worker (scene, 1, 1);
  follow_until (scene, all_final, "the shard is final");
  assert_int_equal (scene->history[0].starts, 1); /* the first start doesn't count */
  assert_int_equal (scene->history[0].finished, 1);
  end_job (scene);
  assert_ends_well (scene, 1);
}

static void
test_a_stopped_worker_that_comes_back_settles_nothing (void **state)
{
  struct scene *scene = *state;
  submit (scene, 1, "touch $D/began; while ! test -e $D/go; do sleep 0.01; done");
  start_worker (scene, 0, 1);
  follow_until (scene, one_started, "the shard is started");
  wait_for_file (scene, "began");
  assert_int_equal (kill (scene->workers[0], SIGSTOP), 0);
  start_worker (scene, 1, 1);
  follow_until (scene, two_starts, "the lease ran out and the other worker took it");
  make_file (scene, "go"); /* both attempts end now */
  follow_until (scene, all_final, "the shard is final");
  assert_int_equal (kill (scene->workers[0], SIGCONT), 0);
  end_job (scene);
  assert_ends_well (scene, 0);
  assert_ends_well (scene, 1);
  /* nothing came behind the one that counts, and what the first worker made is gone */
  auto_event struct event event = { 0 };
  struct error err = ERROR_INIT;
  while (follower_next (scene->follower, &event, &err) > 0)
    {
      note (scene, &event);
      event_release (&event);
    }
  assert_int_equal (scene->history[0].finished, 1);
  assert_int_equal (scene->history[0].starts, 2);
  assert_int_equal (entries (scene, RESULT_ATTEMPTS), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int
main (int argc, char **argv)
{
  if (argc > 1 && strcmp (argv[1], "slot") == 0)
    return slot_main (3, &(struct worker_options){ 0 });
  log_set_level (LOG_ERROR);
  const struct CMUnitTest tests[] = {
    TEST (test_every_shard_runs_once),
    TEST (test_retries),
    TEST (test_a_job_that_no_door_would_take_fails_at_once),
    TEST (test_a_shard_that_cannot_be_fails_at_once),
    TEST (test_a_killed_slot_costs_an_attempt_but_no_retry),
    TEST (test_a_killed_workers_shard_runs_elsewhere),
    TEST (test_a_shard_that_kills_its_workers_is_given_up),
    TEST (test_cancel),
    TEST (test_first_stop_lets_it_end),
    TEST (test_second_stop_gives_it_back),
    TEST (test_a_stopped_worker_that_comes_back_settles_nothing),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}

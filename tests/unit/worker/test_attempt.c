/* One attempt, with a runtime whose container is a forked C function: outcomes, orders, limits, and
 * what is left when a call fails. */
#include "worker/attempt.h"

#include "common/clock.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/path.h"
#include "common/sys.h"
#include "result/result.h"
#include "schemas/codec.h"
#include "worker/workplace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define NAME "00003.g1.a2.s1"

/* ---- a runtime without containers ------------------------------------------------------- */

struct fake
{
  struct container_runtime runtime;
  int (*command) (const struct container *container); /* runs in a child; returns the exit code */
  enum error_class start_fails;                       /* ERROR_NONE: it starts */
  bool oom;
  pid_t pid;
  int end_fd;
};

static int
fake_prepare (struct container_runtime *runtime, const struct container *container,
              struct error *err)
{
  (void) runtime, (void) container, (void) err;
  return 0;
}

static int
fake_start (struct container_runtime *runtime, const struct container *container, struct error *err)
{
  struct fake *fake = (struct fake *) runtime;
  if (fake->start_fails != ERROR_NONE)
    return error_set (err, fake->start_fails, "no such program");
  if (sys_before_spawn () != 0)
    return error_errno (err, errno, "clone");
  fake->pid = fork ();
  assert_true (fake->pid >= 0);
  if (fake->pid == 0)
    {
      (void) dup2 (container->stdout_fd, STDOUT_FILENO);
      (void) dup2 (container->stderr_fd, STDERR_FILENO);
      _exit (fake->command (container));
    }
  fake->end_fd = (int) syscall (SYS_pidfd_open, fake->pid, 0);
  return fake->end_fd;
}

static void
fake_signal (struct container_runtime *runtime, int signal)
{
  (void) kill (((struct fake *) runtime)->pid, signal);
}

static int
fake_wait (struct container_runtime *runtime, struct container_exit *exit, struct error *err)
{
  (void) err;
  struct fake *fake = (struct fake *) runtime;
  int status = 0;
  while (waitpid (fake->pid, &status, 0) < 0 && errno == EINTR)
    ;
  close (fake->end_fd);
  *exit = (struct container_exit){ .cpu_us = 1000, .peak_memory = 4096, .oom = fake->oom };
  exit->signal = WIFSIGNALED (status) ? WTERMSIG (status) : 0;
  exit->exit_code = exit->signal > 0 ? 128 + exit->signal : WEXITSTATUS (status);
  return 0;
}

static const struct container_runtime_ops fake_ops = {
  .prepare = fake_prepare, .start = fake_start, .signal = fake_signal, .wait = fake_wait
};

/* The host path of the container's PATH. */
static char *
host_path (const struct container *container, const char *path)
{
  char *host = NULL;
  for (size_t i = 0; i < container->mount_count; i++)
    {
      const char *rest = path_below (path, container->mounts[i].target);
      if (rest == NULL)
        continue;
      free (host);
      host = path_join (container->mounts[i].source, rest);
    }
  return host;
}

/* ---- scenery ---------------------------------------------------------------------------- */

struct scene
{
  char *root;
  char *place;
  int result_fd;
  struct job job;
  struct shard shard;
  struct fake fake;
  enum attempt_order order; /* given as soon as it is asked for */
  int order_fds[2];         /* a pipe: readable when there is an order */
  struct attempt_report report;
};

static enum attempt_order
read_order (void *context)
{
  const struct scene *scene = context;
  struct pollfd fd = { .fd = scene->order_fds[0], .events = POLLIN };
  return poll (&fd, 1, 0) == 1 ? scene->order : ATTEMPT_GO_ON;
}

static int
set_up (void **state)
{
  struct scene *scene = xcalloc (1, sizeof *scene);
  struct error err = ERROR_INIT;
  scene->root = xstrdup ("/tmp/shoal-attempt-XXXXXX");
  assert_non_null (mkdtemp (scene->root));
  auto_free char *in = xasprintf ("%s/in", scene->root);
  assert_int_equal (mkdir (in, 0755), 0);
  auto_free char *file = xasprintf ("%s/a.txt", in);
  assert_int_equal (fs_write_file (AT_FDCWD, file, (struct bytes){ "hello\n", 6 }, &err), 0);
  auto_free char *result = xasprintf ("%s/result", scene->root);
  scene->place = result_location (result, &err);
  assert_int_equal (result_create (scene->place, NULL, &err), 0);
  scene->result_fd = result_open (scene->place, &err);
  job_init (&scene->job);
  scene->job.id = xstrdup ("j");
  scene->job.results = xstrdup (scene->place);
  scene->job.glob = xstrdup ("*");
  scene->job.base_path = xstrdup ("/in");
  scene->job.volumes = xcalloc (1, sizeof *scene->job.volumes);
  scene->job.volume_count = 1;
  scene->job.volumes[0] = (struct volume){ .source = xstrdup (in), .path = xstrdup ("/in") };
  scene->job.outputs = xcalloc (1, sizeof *scene->job.outputs);
  scene->job.output_count = 1;
  scene->job.outputs[0] = (struct output){ .name = xstrdup ("out"), .path = xstrdup ("/out") };
  scene->shard = (struct shard){ .job_id = xstrdup ("j"),
                                 .generation = 1,
                                 .index = 3,
                                 .attempt = 2,
                                 .count = 10,
                                 .atom_count = 1,
                                 .bytes = -1,
                                 .plan_offset = -1,
                                 .plan_length = -1 };
  const struct atom atom = { .path = "a.txt", .path_size = 5, .size = -1 };
  atom_append (&scene->shard.atoms, &atom);
  auto_digest struct digest *digest = digest_new ();
  digest_add (digest, scene->shard.atoms.data, scene->shard.atoms.size);
  digest_finish (digest, scene->shard.digest);
  scene->fake.runtime.ops = &fake_ops;
  assert_int_equal (pipe2 (scene->order_fds, O_CLOEXEC), 0);
  *state = scene;
  return 0;
}

static int
tear_down (void **state)
{
  struct scene *scene = *state;
  for (int call = 0; call < SYS_CALLS; call++)
    sys_fail ((enum sys_call) call, 0, 0);
  attempt_report_release (&scene->report);
  job_release (&scene->job);
  shard_release (&scene->shard);
  close (scene->result_fd);
  close (scene->order_fds[0]);
  close (scene->order_fds[1]);
  assert_int_equal (fs_remove_tree (AT_FDCWD, scene->root, NULL), 0);
  free (scene->root);
  free (scene->place);
  free (scene);
  return 0;
}

static void
run (struct scene *scene, int (*command) (const struct container *container))
{
  scene->fake.command = command;
  const struct attempt attempt = {
    .job = &scene->job,
    .shard = &scene->shard,
    .starts = 1,
    .writer = "worker-test",
    .runtime = &scene->fake.runtime,
    .control = { .fd = scene->order_fds[0], .read = read_order, .context = scene }
  };
  attempt_report_release (&scene->report);
  attempt_run (&attempt, &scene->report);
}

static char *
kept (const struct scene *scene, const char *file)
{
  auto_free char *path = xasprintf (RESULT_ATTEMPTS "/" NAME "/%s", file);
  struct buffer content = { 0 };
  if (fs_read_file (scene->result_fd, path, 64 << 20, &content, NULL) != 0)
    {
      buffer_release (&content);
      return NULL;
    }
  return buffer_take (&content);
}

static void
assert_kept (const struct scene *scene, const char *file, const char *expected)
{
  auto_free char *content = kept (scene, file);
  if (content == NULL)
    fail_msg ("%s isn't in the attempt's folder", file);
  assert_string_equal (content, expected);
}

/* How many entries FOLDER of the result has. */
static int
entries (const struct scene *scene, const char *folder)
{
  int fd = openat (scene->result_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return 0;
  auto_dir DIR *dir = fdopendir (fd);
  int count = 0;
  for (const struct dirent *entry = readdir (dir); entry != NULL; entry = readdir (dir))
    count += entry->d_name[0] != '.' ? 1 : 0;
  return count;
}

static void
assert_outcome (const struct scene *scene, enum outcome outcome, int32_t exit_code,
                const char *reason)
{
  const struct attempt_report *report = &scene->report;
  if (report->outcome != outcome)
    fail_msg ("expected %s, got %s: %s", outcome_name (outcome), outcome_name (report->outcome),
              report->reason != NULL ? report->reason : "");
  assert_int_equal (report->exit_code, exit_code);
  if (reason == NULL)
    assert_null (report->reason);
  else if (report->reason == NULL || strstr (report->reason, reason) == NULL)
    fail_msg ("expected a reason with \"%s\", got \"%s\"", reason, report->reason);
  assert_int_equal (entries (scene, RESULT_TMP), 0);
}

/* ---- commands --------------------------------------------------------------------------- */

static int
copies_its_input (const struct container *container)
{
  auto_free char *in = host_path (container, "/in/a.txt");
  auto_free char *out = host_path (container, "/out/b.txt");
  struct buffer content = { 0 };
  if (fs_read_file (AT_FDCWD, in, 100, &content, NULL) != 0)
    return 90;
  int fd = open (out, O_WRONLY | O_CREAT | O_EXCL, 0600);
  if (fd < 0 || write (fd, content.data, content.size) < 0)
    return 91;
  dprintf (1, "to stdout\n");
  dprintf (2, "to stderr\n");
  return 0;
}

static int
fails_with_3 (const struct container *container)
{
  (void) copies_its_input (container);
  return 3;
}

static int
crashes (const struct container *container)
{
  (void) container;
  (void) signal (SIGSEGV, SIG_DFL);
  raise (SIGSEGV);
  return 0;
}

static int
sleeps (const struct container *container)
{
  (void) container;
  (void) signal (SIGTERM, SIG_DFL);
  dprintf (1, "began\n");
  while (pause () < 0)
    ;
  return 0;
}

static int
waits_for_sigint (const struct container *container)
{
  sigset_t set;
  int number = 0;
  (void) container;
  (void) sigemptyset (&set);
  (void) sigaddset (&set, SIGINT);
  (void) sigprocmask (SIG_BLOCK, &set, NULL);
  dprintf (1, "began\n");
  (void) sigwait (&set, &number);
  dprintf (1, "%s\n", sigabbrev_np (number));
  return 4;
}

static int
ignores_sigterm (const struct container *container)
{
  (void) container;
  (void) signal (SIGTERM, SIG_IGN);
  dprintf (1, "began\n");
  while (pause () < 0)
    ;
  return 0;
}

static int
prints_a_lot (const struct container *container)
{
  (void) container;
  char block[65536];
  memset (block, 'x', sizeof block);
  for (int i = 0; i < 1024; i++)
    if (write (1, block, sizeof block) < 0)
      return 1;
  dprintf (2, "done\n");
  return 0;
}

static int
prints_its_environment (const struct container *container)
{
  for (size_t i = 0; i < container->env.count; i++)
    dprintf (1, "%s\n", container->env.items[i]);
  return 0;
}

static int
leaves_a_fifo (const struct container *container)
{
  auto_free char *out = host_path (container, "/out/pipe");
  return mkfifo (out, 0666);
}

static int
leaves_links (const struct container *container)
{
  auto_free char *a = host_path (container, "/out/passwd");
  auto_free char *b = host_path (container, "/out/up");
  return symlink ("/etc/passwd", a) | symlink ("../../../../../..", b);
}

static int
writes_as_somebody (const struct container *container)
{
  auto_free char *out = host_path (container, "/out");
  int fd = open (out, O_RDONLY | O_DIRECTORY);
  if (setgid (1000) != 0 || setuid (1000) != 0)
    return 1;
  return openat (fd, "mine", O_WRONLY | O_CREAT, 0600) < 0 ? 2 : 0;
}

/* ---- outcomes --------------------------------------------------------------------------- */

static void
test_success (void **state)
{
  struct scene *scene = *state;
  run (scene, copies_its_input);
  assert_outcome (scene, OUTCOME_SUCCEEDED, 0, NULL);
  assert_string_equal (scene->report.folder, NAME);
  assert_kept (scene, "exit_code", "0\n");
  assert_kept (scene, "stdout", "to stdout\n");
  assert_kept (scene, "stderr", "to stderr\n");
  assert_kept (scene, "outputs/out/b.txt", "hello\n");
  auto_free char *list = kept (scene, "outputs.jsonl");
  assert_non_null (strstr (list, "\"path\":\"b.txt\",\"size\":6"));
  auto_free char *json = kept (scene, "attempt.json");
  assert_non_null (strstr (json, "\"outcome\": \"succeeded\""));
  assert_int_equal (scene->report.files_out, 1);
  assert_int_equal (scene->report.bytes_out, 6);
  assert_int_equal (scene->report.bytes_in, 6);
  assert_int_equal (scene->report.cpu_us, 1000);
  assert_true (scene->report.ended >= scene->report.started);
}

static void
test_failure_is_kept (void **state)
{
  struct scene *scene = *state;
  run (scene, fails_with_3);
  assert_outcome (scene, OUTCOME_FAILED, 3, "exit code 3");
  assert_kept (scene, "exit_code", "3\n");
  assert_kept (scene, "outputs/out/b.txt", "hello\n");
}

static void
test_success_codes (void **state)
{
  struct scene *scene = *state;
  scene->job.success_codes.has[3] = true;
  run (scene, fails_with_3);
  assert_outcome (scene, OUTCOME_SUCCEEDED, 3, NULL);
}

static void
test_signal (void **state)
{
  struct scene *scene = *state;
  run (scene, crashes);
  assert_outcome (scene, OUTCOME_FAILED, 128 + SIGSEGV, "signal 11");
  assert_int_equal (scene->report.signal, SIGSEGV);
}

static void
test_out_of_memory (void **state)
{
  struct scene *scene = *state;
  scene->fake.oom = true;
  run (scene, fails_with_3);
  assert_outcome (scene, OUTCOME_OOM, 3, "out of memory");
  run (scene, copies_its_input); /* a child was killed, the command coped with it */
  assert_outcome (scene, OUTCOME_SUCCEEDED, 0, NULL);
}

static void
test_timeout (void **state)
{
  struct scene *scene = *state;
  scene->job.timeout_ms = 100;
  run (scene, sleeps);
  assert_outcome (scene, OUTCOME_TIMEOUT, 128 + SIGTERM, "timeout after 100 ms");
  assert_kept (scene, "stdout", "began\n");
  scene->job.stop_timeout_ms = 100;
  run (scene, ignores_sigterm);
  assert_outcome (scene, OUTCOME_TIMEOUT, 128 + SIGKILL, "timeout after 100 ms");
  scene->job.stop_signal = xstrdup ("INT");
  run (scene, waits_for_sigint);
  assert_outcome (scene, OUTCOME_TIMEOUT, 4, "timeout after 100 ms");
  assert_kept (scene, "stdout", "began\nINT\n");
}

static void
test_cannot_start (void **state)
{
  struct scene *scene = *state;
  scene->fake.start_fails = ERROR_USER;
  run (scene, copies_its_input);
  assert_outcome (scene, OUTCOME_FAILED, -1, "no such program");
  assert_kept (scene, "exit_code", "-1\n");
  scene->fake.start_fails = ERROR_TRANSIENT;
  run (scene, copies_its_input);
  assert_outcome (scene, OUTCOME_INFRA, -1, "no such program");
}

static void
test_vanished_input (void **state)
{
  struct scene *scene = *state;
  auto_free char *file = xasprintf ("%s/in/a.txt", scene->root);
  assert_int_equal (unlink (file), 0);
  run (scene, copies_its_input);
  assert_outcome (scene, OUTCOME_FAILED, -1, "a.txt");
}

static void
test_reason_is_one_line (void **state)
{
  struct scene *scene = *state;
  const struct atom atom = { .path = "x\ny\xff", .path_size = 4, .size = -1 };
  buffer_clear (&scene->shard.atoms);
  atom_append (&scene->shard.atoms, &atom);
  auto_digest struct digest *digest = digest_new ();
  digest_add (digest, scene->shard.atoms.data, scene->shard.atoms.size);
  digest_finish (digest, scene->shard.digest);
  run (scene, copies_its_input);
  assert_outcome (scene, OUTCOME_FAILED, -1, "x\\ny\\xff");
}

/* ---- orders ----------------------------------------------------------------------------- */

static void
test_stop (void **state)
{
  struct scene *scene = *state;
  scene->order = ATTEMPT_STOP;
  assert_int_equal (write (scene->order_fds[1], "x", 1), 1);
  run (scene, sleeps);
  assert_outcome (scene, OUTCOME_CANCELLED, -1, "cancelled"); /* it came before the start */
  assert_string_equal (scene->report.folder, NAME);
}

/* The order comes while the command runs: the command itself gives it. */
static int order_from_inside = -1;

static int
is_stopped_while_it_runs (const struct container *container)
{
  (void) signal (SIGTERM, SIG_DFL);
  if (write (order_from_inside, "x", 1) != 1)
    return 1;
  return sleeps (container);
}

static void
test_stop_while_it_runs (void **state)
{
  struct scene *scene = *state;
  scene->order = ATTEMPT_STOP;
  order_from_inside = scene->order_fds[1];
  run (scene, is_stopped_while_it_runs);
  assert_outcome (scene, OUTCOME_CANCELLED, 128 + SIGTERM, "cancelled");
  assert_kept (scene, "exit_code", "143\n");
}

static void
test_kill_leaves_nothing (void **state)
{
  struct scene *scene = *state;
  scene->order = ATTEMPT_KILL;
  order_from_inside = scene->order_fds[1];
  run (scene, is_stopped_while_it_runs);
  assert_int_equal (scene->report.outcome, OUTCOME_CANCELLED);
  assert_null (scene->report.folder);
  assert_int_equal (entries (scene, RESULT_TMP), 0);
  assert_int_equal (entries (scene, RESULT_ATTEMPTS), 0);
}

/* ---- limits and hostility --------------------------------------------------------------- */

static void
test_output_is_cut (void **state)
{
  struct scene *scene = *state;
  scene->job.log_limit = 1000000;
  run (scene, prints_a_lot);
  assert_outcome (scene, OUTCOME_SUCCEEDED, 0, NULL);
  auto_free char *out = kept (scene, "stdout");
  static const char mark[] = "\n[shoal: cut after 1000000 bytes]\n";
  assert_int_equal (strlen (out), 1000000 + strlen (mark));
  assert_string_equal (out + 1000000, mark);
  assert_int_equal (strspn (out, "x"), 1000000);
  assert_kept (scene, "stderr", "done\n");
}

static void
test_output_of_exactly_the_limit_is_whole (void **state)
{
  struct scene *scene = *state;
  scene->job.log_limit = 64 << 20;
  run (scene, prints_a_lot);
  auto_free char *out = kept (scene, "stdout");
  assert_int_equal (strlen (out), 64 << 20);
}

/* ---- limits of what is staged and kept ---------------------------------------------------- */

static int
leaves_a_hole (const struct container *container)
{
  auto_free char *path = host_path (container, "/out/hole");
  auto_fd int fd = open (path, O_WRONLY | O_CREAT, 0644);
  dprintf (1, "printed\n");
  return ftruncate (fd, (off_t) 4 << 40) != 0;
}

static int
leaves_five_things (const struct container *container)
{
  auto_free char *out = host_path (container, "/out");
  auto_fd int fd = open (out, O_RDONLY | O_DIRECTORY);
  char bytes[100] = "";
  for (int i = 0; i < 3; i++)
    {
      char name[] = { (char) ('a' + i), '\0' };
      auto_fd int file = openat (fd, name, O_WRONLY | O_CREAT, 0644);
      if (write (file, bytes, sizeof bytes) != sizeof bytes)
        return 1;
    }
  return symlinkat ("a", fd, "link") | mkdirat (fd, "empty", 0755);
}

static int
writes_and_goes_on (const struct container *container)
{
  auto_free char *path = host_path (container, "/out/much");
  auto_fd int fd = open (path, O_WRONLY | O_CREAT, 0644);
  char bytes[65536] = "";
  for (int i = 0; i < 64; i++)
    if (write (fd, bytes, sizeof bytes) != sizeof bytes)
      return 1;
  return ignores_sigterm (container);
}

static int
makes_files_and_goes_on (const struct container *container)
{
  auto_free char *out = host_path (container, "/out");
  for (int i = 0; i < 1000; i++)
    {
      auto_free char *folder = xasprintf ("%s/%d", out, i / 100);
      auto_free char *path = xasprintf ("%s/%d", folder, i);
      (void) mkdir (folder, 0755);
      auto_fd int fd = open (path, O_WRONLY | O_CREAT, 0644);
      if (fd < 0)
        return 1;
    }
  return ignores_sigterm (container);
}

static void
assert_no_outputs (const struct scene *scene)
{
  assert_string_equal (scene->report.folder, NAME);
  assert_kept (scene, "outputs.jsonl", "");
  assert_int_equal (entries (scene, RESULT_ATTEMPTS "/" NAME "/outputs/out"), 0);
  assert_int_equal (scene->report.files_out, 0);
  assert_int_equal (scene->report.bytes_out, 0);
}

/* As run, which must not take longer than LIMIT_MS. */
static void
run_within (struct scene *scene, int (*command) (const struct container *container),
            int64_t limit_ms)
{
  int64_t began = clock_boot_ms ();
  run (scene, command);
  int64_t took = clock_boot_ms () - began;
  if (took > limit_ms)
    fail_msg ("it took %lld ms, more than %lld", (long long) took, (long long) limit_ms);
}

static void
test_collecting_has_an_end (void **state)
{
  struct scene *scene = *state;
  scene->job.collect_timeout_ms = 300;
  run_within (scene, leaves_a_hole, 3000);
  assert_outcome (scene, OUTCOME_TIMEOUT, 0,
                  "collecting the outputs exceeded its time limit of 300ms (--collect-timeout)");
  assert_no_outputs (scene);
  assert_kept (scene, "stdout", "printed\n");
}

static void
test_staging_has_an_end (void **state)
{
  struct scene *scene = *state;
  for (int i = 0; i < 2000; i++)
    {
      auto_free char *name = xasprintf ("%d", i);
      auto_free char *path = xasprintf ("%s/in/%s", scene->root, name);
      const struct atom atom = { .path = name, .path_size = strlen (name), .size = -1 };
      auto_fd int fd = open (path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
      assert_true (fd >= 0);
      atom_append (&scene->shard.atoms, &atom);
    }
  auto_digest struct digest *digest = digest_new ();
  digest_add (digest, scene->shard.atoms.data, scene->shard.atoms.size);
  digest_finish (digest, scene->shard.digest);
  scene->shard.atom_count = 2001;
  static const enum stage_mode modes[] = { STAGE_LINK, STAGE_COPY };
  for (size_t i = 0; i < 2; i++)
    {
      scene->job.stage = modes[i];
      scene->job.stage_timeout_ms = 1;
      run (scene, copies_its_input);
      assert_outcome (scene, OUTCOME_TIMEOUT, -1,
                      "staging the inputs exceeded its time limit of 1ms (--stage-timeout)");
      scene->job.stage_timeout_ms = 600000;
      run (scene, copies_its_input);
      assert_outcome (scene, OUTCOME_SUCCEEDED, 0, NULL);
    }
}

static void
test_too_many_bytes (void **state)
{
  struct scene *scene = *state;
  scene->job.max_output_bytes = 299;
  run (scene, leaves_five_things);
  assert_outcome (scene, OUTCOME_FAILED, 0,
                  "outputs of 300 B, more than the 299 B allowed (--max-output-bytes)");
  assert_no_outputs (scene);
  scene->job.max_output_bytes = 300;
  run (scene, leaves_five_things);
  assert_outcome (scene, OUTCOME_SUCCEEDED, 0, NULL);
  assert_int_equal (scene->report.bytes_out, 300);
}

/* Holes count, and nothing is summed first. */
static void
test_too_large_a_hole (void **state)
{
  struct scene *scene = *state;
  scene->job.max_output_bytes = (int64_t) 1 << 40;
  run_within (scene, leaves_a_hole, 2000);
  assert_outcome (scene, OUTCOME_FAILED, 0,
                  "outputs of 4.0 TiB, more than the 1.0 TiB allowed (--max-output-bytes)");
  assert_no_outputs (scene);
}

static void
test_too_many_files (void **state)
{
  struct scene *scene = *state;
  scene->job.max_output_files = 4;
  run (scene, leaves_five_things);
  assert_outcome (scene, OUTCOME_FAILED, 0,
                  "5 files of output, more than the 4 allowed (--max-output-files)");
  assert_no_outputs (scene);
  scene->job.max_output_files = 5;
  run (scene, leaves_five_things);
  assert_outcome (scene, OUTCOME_SUCCEEDED, 0, NULL);
}

static void
test_limits_end_a_command (void **state)
{
  struct scene *scene = *state;
  scene->job.max_output_bytes = 1 << 20;
  run_within (scene, writes_and_goes_on, 10000);
  assert_outcome (scene, OUTCOME_FAILED, 128 + SIGKILL, "(--max-output-bytes)");
  assert_no_outputs (scene);
  assert_kept (scene, "stdout", "began\n");
  scene->job.max_output_bytes = 8 << 20;
  scene->job.max_output_files = 500;
  run_within (scene, makes_files_and_goes_on, 10000);
  assert_outcome (scene, OUTCOME_FAILED, 128 + SIGKILL, "(--max-output-files)");
  assert_no_outputs (scene);
}

/* The order comes while a file is summed that takes for ever. */
static void *
order_later (void *context)
{
  const struct scene *scene = context;
  const struct timespec pause = { .tv_nsec = 500000000 };
  (void) nanosleep (&pause, NULL);
  assert_int_equal (write (scene->order_fds[1], "x", 1), 1);
  return NULL;
}

static void
test_orders_while_it_is_collected (void **state)
{
  struct scene *scene = *state;
  pthread_t thread;
  scene->order = ATTEMPT_STOP;
  assert_int_equal (pthread_create (&thread, NULL, order_later, scene), 0);
  run_within (scene, leaves_a_hole, 4000);
  assert_int_equal (pthread_join (thread, NULL), 0);
  assert_outcome (scene, OUTCOME_CANCELLED, 0, "cancelled");
  assert_no_outputs (scene);
  assert_kept (scene, "stdout", "printed\n");
  char byte = 0;
  assert_int_equal (read (scene->order_fds[0], &byte, 1), 1);
  assert_int_equal (fs_remove_tree (scene->result_fd, RESULT_ATTEMPTS, NULL), 0);
  scene->order = ATTEMPT_KILL;
  assert_int_equal (pthread_create (&thread, NULL, order_later, scene), 0);
  run_within (scene, leaves_a_hole, 2500);
  assert_int_equal (pthread_join (thread, NULL), 0);
  assert_int_equal (scene->report.outcome, OUTCOME_CANCELLED);
  assert_null (scene->report.folder);
  assert_int_equal (entries (scene, RESULT_TMP), 0);
  assert_int_equal (entries (scene, RESULT_ATTEMPTS), 0);
}

static void
test_fifo_in_the_output (void **state)
{
  struct scene *scene = *state;
  run (scene, leaves_a_fifo);
  assert_outcome (scene, OUTCOME_FAILED, 0, "out/pipe is a FIFO");
}

static void
test_links_are_kept_as_links (void **state)
{
  struct scene *scene = *state;
  run (scene, leaves_links);
  assert_outcome (scene, OUTCOME_SUCCEEDED, 0, "2 links lead out of the outputs: out/");
  char target[100] = "";
  assert_true (readlinkat (scene->result_fd, RESULT_ATTEMPTS "/" NAME "/outputs/out/passwd", target,
                           sizeof target - 1)
               > 0);
  assert_string_equal (target, "/etc/passwd");
}

static void
test_any_user_may_write_and_it_becomes_ours (void **state)
{
  struct scene *scene = *state;
  struct stat status;
  if (geteuid () != 0)
    {
      fprintf (stderr, "SKIPPED: only root can be somebody else\n");
      skip ();
    }
  run (scene, writes_as_somebody);
  assert_outcome (scene, OUTCOME_SUCCEEDED, 0, NULL);
  assert_int_equal (
      fstatat (scene->result_fd, RESULT_ATTEMPTS "/" NAME "/outputs/out/mine", &status, 0), 0);
  assert_int_equal (status.st_uid, 0);
  assert_int_equal (fstatat (scene->result_fd, RESULT_ATTEMPTS "/" NAME "/outputs/out", &status, 0),
                    0);
  assert_int_equal (status.st_mode & 07777, 0755);
}

static void
test_environment (void **state)
{
  struct scene *scene = *state;
  run (scene, prints_its_environment);
  auto_free char *out = kept (scene, "stdout");
  assert_non_null (strstr (out, "SHOAL_JOB_ID=j\n"));
  assert_non_null (strstr (out, "SHOAL_SHARD_INDEX=3\n"));
  assert_non_null (strstr (out, "SHOAL_SHARD_COUNT=10\n"));
  assert_non_null (strstr (out, "SHOAL_ATTEMPT=2\n"));
  assert_non_null (strstr (out, "SHOAL_ATOMS_FILE=/.shoal/atoms\n"));
  assert_non_null (strstr (out, "TRACEPARENT=00-"));
  /* an unsharded job's environment shows none of it, a trace is passed on */
  free (take (&scene->job.glob));
  strlist_add (&scene->job.env,
               "TRACEPARENT=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  run (scene, prints_its_environment);
  auto_free char *plain = kept (scene, "stdout");
  assert_null (strstr (plain, "SHARD"));
  assert_null (strstr (plain, "ATOMS"));
  assert_non_null (strstr (plain, "TRACEPARENT=00-0af7651916cd43dd8448eb211c80319c-"));
  assert_non_null (strstr (plain, "-01\n"));
  assert_null (strstr (plain, "b7ad6b7169203331"));
}

/* ---- what is left behind ---------------------------------------------------------------- */

/* Each call fails once. Whatever happens: what is in attempts/ is whole, tmp/ is empty, and no
 * success is claimed without a folder. */
static void
test_failing_calls (void **state)
{
  struct scene *scene = *state;
  static const enum sys_call calls[] = { SYS_WRITE, SYS_FSYNC, SYS_RENAME,
                                         SYS_LINK,  SYS_MKDIR, SYS_SPAWN };
  static const char *const files[] = { "exit_code",    "stdout",        "stderr",
                                       "attempt.json", "outputs.jsonl", "outputs/out/b.txt" };
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    {
      unsigned int failures = 0;
      for (unsigned int nth = 1; nth < 100; nth++)
        {
          assert_int_equal (fs_remove_tree (scene->result_fd, RESULT_ATTEMPTS, NULL), 0);
          sys_fail (calls[i], nth, ENOSPC);
          run (scene, copies_its_input);
          sys_fail (calls[i], 0, 0);
          assert_int_equal (entries (scene, RESULT_TMP), 0);
          assert_int_equal (entries (scene, RESULT_ATTEMPTS), scene->report.folder != NULL ? 1 : 0);
          if (scene->report.outcome == OUTCOME_SUCCEEDED)
            {
              for (size_t k = 0; k < sizeof files / sizeof *files; k++)
                {
                  auto_free char *content = kept (scene, files[k]);
                  assert_non_null (content);
                }
              break;
            }
          assert_int_equal (scene->report.outcome, OUTCOME_INFRA);
          assert_non_null (scene->report.reason);
          failures++;
        }
      assert_int_equal (scene->report.outcome, OUTCOME_SUCCEEDED);
      if (calls[i] != SYS_FSYNC)
        assert_true (failures > 0);
    }
}

static void
test_unsettled_leftover_is_replaced (void **state)
{
  struct scene *scene = *state;
  run (scene, fails_with_3);
  run (scene, copies_its_input);
  assert_outcome (scene, OUTCOME_SUCCEEDED, 0, NULL);
  assert_kept (scene, "exit_code", "0\n");
}

static void
test_dead_leftover_is_replaced_but_a_living_one_is_not (void **state)
{
  struct scene *scene = *state;
  assert_int_equal (fs_make_folders (scene->result_fd, RESULT_TMP "/" NAME "/outputs", 0700, NULL),
                    0);
  run (scene, copies_its_input);
  assert_outcome (scene, OUTCOME_SUCCEEDED, 0, NULL);
  assert_int_equal (fs_make_folders (scene->result_fd, RESULT_TMP "/" NAME "/outputs", 0700, NULL),
                    0);
  auto_fd int living = openat (scene->result_fd, RESULT_TMP "/" NAME, O_RDONLY | O_CLOEXEC);
  assert_int_equal (flock (living, LOCK_EX), 0);
  run (scene, copies_its_input);
  assert_int_equal (scene->report.outcome, OUTCOME_INFRA);
  assert_int_equal (entries (scene, RESULT_TMP), 1);
}

static void
test_sweep (void **state)
{
  struct scene *scene = *state;
  static const char *const folders[] = { RESULT_TMP "/a/outputs", RESULT_TMP "/a.scratch/in",
                                         RESULT_TMP "/b/outputs" };
  for (size_t i = 0; i < 3; i++)
    assert_int_equal (fs_make_folders (scene->result_fd, folders[i], 0700, NULL), 0);
  auto_fd int living = openat (scene->result_fd, RESULT_TMP "/b", O_RDONLY | O_CLOEXEC);
  assert_int_equal (flock (living, LOCK_EX), 0);
  assert_int_equal (workplace_sweep (scene->place, NULL), 2);
  assert_int_equal (entries (scene, RESULT_TMP), 1);
  assert_true (fs_exists (scene->result_fd, RESULT_TMP "/b/outputs"));
}

/* What a killed slot had started holds the folder a little longer than the slot lived. */
static void
test_sweep_behind_a_slot (void **state)
{
  enum
  {
    HELD_MS = 100
  };
  struct scene *scene = *state;
  assert_int_equal (fs_make_folders (scene->result_fd, RESULT_TMP "/a/outputs", 0700, NULL), 0);
  auto_fd int held = openat (scene->result_fd, RESULT_TMP "/a", O_RDONLY | O_CLOEXEC);
  assert_int_equal (flock (held, LOCK_EX), 0);
  pid_t pid = fork ();
  if (pid == 0)
    {
      (void) poll (NULL, 0, HELD_MS);
      _exit (0);
    }
  (void) close (held);
  held = -1;
  assert_int_equal (workplace_sweep (scene->place, NULL), 0);
  workplace_sweep_behind (scene->place, NULL, "a");
  assert_int_equal (entries (scene, RESULT_TMP), 0);
  assert_int_equal (waitpid (pid, NULL, 0), pid);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int
main (void)
{
  umask (022);
  const struct CMUnitTest tests[] = {
    TEST (test_success),
    TEST (test_failure_is_kept),
    TEST (test_success_codes),
    TEST (test_signal),
    TEST (test_out_of_memory),
    TEST (test_timeout),
    TEST (test_cannot_start),
    TEST (test_vanished_input),
    TEST (test_reason_is_one_line),
    TEST (test_stop),
    TEST (test_stop_while_it_runs),
    TEST (test_kill_leaves_nothing),
    TEST (test_output_is_cut),
    TEST (test_output_of_exactly_the_limit_is_whole),
    TEST (test_collecting_has_an_end),
    TEST (test_staging_has_an_end),
    TEST (test_too_many_bytes),
    TEST (test_too_large_a_hole),
    TEST (test_too_many_files),
    TEST (test_limits_end_a_command),
    TEST (test_orders_while_it_is_collected),
    TEST (test_fifo_in_the_output),
    TEST (test_links_are_kept_as_links),
    TEST (test_any_user_may_write_and_it_becomes_ours),
    TEST (test_environment),
    TEST (test_failing_calls),
    TEST (test_unsettled_leftover_is_replaced),
    TEST (test_dead_leftover_is_replaced_but_a_living_one_is_not),
    TEST (test_sweep),
    TEST (test_sweep_behind_a_slot),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}

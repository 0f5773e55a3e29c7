/* The runtime `pod` with a real container beside it (lib/pod.sh): what every runtime must do, and
 * what is a pod's own. */
#include "common/auto.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/spawn.h"
#include "tests/lib/container_conformance.h"
#include "tests/lib/container_rig.h"
#include "worker/image_store.h"
#include "worker/pod.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ONE "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define TWO "sha256:2222222222222222222222222222222222222222222222222222222222222222"

/* What all tests have: the pod is started once. */
static char folder[] = "/var/tmp/shoal-pod-XXXXXX";
static struct pod_options options;

static int
run_script (const char *a, const char *b, const char *c, const char *d, struct buffer *out)
{
  auto_strlist struct strlist argv = { 0 };
  struct error err = ERROR_INIT;
  const char *const words[] = { "bash", a, b, c, d };
  auto_buffer struct buffer unused = { 0 };
  for (size_t i = 0; i < 5 && words[i] != NULL; i++)
    strlist_add (&argv, words[i]);
  if (spawn_run (strlist_argv (&argv), out != NULL ? out : &unused, &err) == 0)
    return 0;
  (void) fprintf (stderr, "%s\n", err.message);
  return -1;
}

/* NAME in the pod's folder; the caller frees. */
static char *
in_pod (const char *name)
{
  return xasprintf ("%s/%s", folder, name);
}

static void
put_file (const char *path, const char *text)
{
  struct error err = ERROR_INIT;
  if (fs_write_file (AT_FDCWD, path, (struct bytes){ text, strlen (text) }, &err) != 0)
    fail_msg ("%s", err.message);
}

static void
expect_file (const char *path, const char *text)
{
  auto_buffer struct buffer content = { 0 };
  struct error err = ERROR_INIT;
  if (fs_read_file (AT_FDCWD, path, 1 << 20, &content, &err) != 0)
    fail_msg ("%s", err.message);
  assert_string_equal (content.data, text);
}

/* ---- what a pod doesn't have ------------------------------------------------------------ */

/* JOB isn't tried: another worker may take it. */
static void
expect_refused (struct rig *rig, const struct job *job, const struct rig_mount *mounts,
                size_t count, const char *why)
{
  auto_result struct result result;
  rig_run_mounted (rig, job, mounts, count, &result);
  assert_int_equal (result.outcome, -1);
  assert_int_equal (result.err.class, ERROR_TRANSIENT);
  if (strstr (result.err.message, why) == NULL)
    fail_msg ("\"%s\" isn't in \"%s\"", why, result.err.message);
  assert_string_equal (result.out.data, "");
}

static void
what_a_pod_lacks_is_refused_by_name (void **state)
{
  struct rig *rig = *state;
  static const char *const names[] = { "--read-only",  "--tmpfs",       "--pids-limit",
                                       "--hostname",   "--group-add",   "--cap-drop",
                                       "--ulimit",     "--shm-size",    "--platform",
                                       "--init=false", "--user 5",      "--memory",
                                       "--cpus",       "--user nobody", "--device and --gpus" };
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    {
      auto_job struct job job;
      rig_shell (&job, "echo ran");
      job.read_only = i == 0;
      if (i == 1)
        strlist_add (&job.tmpfs, "/x");
      job.pids = i == 2 ? 100 : -1;
      job.hostname = i == 3 ? xstrdup ("name") : NULL;
      if (i == 4)
        strlist_add (&job.groups, "5");
      if (i == 5)
        strlist_add (&job.cap_drop, "ALL");
      if (i == 6)
        strlist_add (&job.ulimits, "nofile=10");
      job.shm_size = i == 7 ? 1 << 20 : -1;
      if (i == 14)
        strlist_add (&job.devices, "/dev/null");
      job.platform = i == 8 ? xstrdup ("linux/arm64") : NULL;
      job.init = i != 9;
      job.user = i == 10 ? xstrdup ("5") : i == 13 ? xstrdup ("nobody") : NULL;
      job.memory = i == 11 ? 64 << 20 : -1;
      job.cpus = i == 12 ? 100 : -1;
      expect_refused (rig, &job, NULL, 0, names[i]);
    }
}

static void
its_own_user_is_fine (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  rig_shell (&job, "id -u; id -g; grep NoNewPrivs /proc/self/status");
  job.user = xstrdup ("0:0");
  auto_result struct result result;
  rig_run (rig, &job, &result);
  rig_assert_ran (&result, 0);
  assert_string_equal (result.out.data, "0\n0\nNoNewPrivs:\t1\n");
}

static void
mounts_that_a_pod_lacks_are_refused_by_name (void **state)
{
  struct rig *rig = *state;
  auto_free char *in = rig_folder (rig, "in");
  const struct rig_mount elsewhere = { in, "/elsewhere/in", false };
  const struct rig_mount written = { in, "/shoal-in", true };
  const struct rig_mount read = { in, "/shoal-out", false };
  auto_job struct job job;
  rig_shell (&job, "echo ran");
  expect_refused (rig, &job, &elsewhere, 1, "mount /elsewhere/in: this pod has none");
  expect_refused (rig, &job, &written, 1, "mount /shoal-in: this pod has it read-only");
  expect_refused (rig, &job, &read, 1, "mount /shoal-out: this pod has it writable");
}

/* ---- images ----------------------------------------------------------------------------- */

/* A rig whose pod says that it has IMAGE, of ID. */
static void
image_is_refused (const char *image, const char *id, const char *wanted, const char *why)
{
  const struct pod_options other = {
    .socket = options.socket, .folder = options.folder, .image = image, .image_id = id
  };
  const struct container_conformance subject = { .runtime = "oci", .pod = &other };
  struct rig *rig = rig_open (&subject);
  auto_job struct job job;
  rig_shell (&job, "echo ran");
  free (job.image);
  job.image = xstrdup (wanted);
  if (why != NULL)
    expect_refused (rig, &job, NULL, 0, why);
  else
    {
      auto_result struct result result;
      rig_run (rig, &job, &result);
      rig_assert_ran (&result, 0);
    }
  assert_int_equal (rig_close (rig), 0);
}

static void
a_job_of_another_image_is_refused_with_both (void **state)
{
  (void) state;
  image_is_refused ("busybox", NULL, "alpine", "the job's image is alpine, this pod's is busybox");
  image_is_refused ("busybox", NULL, "busybox:2",
                    "job's image is busybox:2, this pod's is busybox");
  image_is_refused ("busybox@" ONE, NULL, "busybox@" TWO,
                    "job's image is busybox@" TWO ", this pod's is busybox@" ONE);
  image_is_refused ("busybox:1", NULL, "busybox@" TWO, "this pod's is busybox:1");
  /* Which tag that digest has isn't said. */
  image_is_refused ("busybox@" ONE, NULL, "busybox:1", "this pod's is busybox@" ONE);
  image_is_refused ("localhost:5000/busybox@" ONE, NULL, "localhost:5000/busybox",
                    "this pod's is localhost:5000/busybox@" ONE);
  image_is_refused ("docker.io/library/busybox:latest", NULL, "busybox", NULL);
  image_is_refused ("busybox:1@" ONE, NULL, "busybox:1", NULL);
  image_is_refused ("mirror.example/busybox:1@" ONE, NULL, "busybox@" ONE, NULL);
}

static void
a_pinned_id_is_compared (void **state)
{
  (void) state;
  static const struct
  {
    const char *pod;
    const char *job;
    const char *why;
  } cases[] = {
    { ONE, TWO, "the job's image id is " TWO ", this pod's is " ONE },
    { NULL, TWO, "the job's image id is " TWO ", this pod's is not known (worker --pod-image-id)" },
    { ONE, ONE, NULL },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    {
      const struct pod_options other = { .socket = options.socket,
                                         .folder = options.folder,
                                         .image = "busybox",
                                         .image_id = cases[i].pod };
      const struct container_runtime_options how = { .slot_name = "test", .pod = &other };
      auto_container_runtime struct container_runtime *runtime =
          container_runtime_open ("oci", &how, NULL);
      auto_job struct job job;
      rig_shell (&job, "true");
      const struct container container = { .id = "x",
                                           .job = &job,
                                           .image = "busybox",
                                           .image_id = cases[i].job,
                                           .command = &job.command,
                                           .scratch_fd = -1 };
      struct error err = ERROR_INIT;
      assert_int_equal (container_prepare (runtime, &container, &err),
                        cases[i].why == NULL ? 0 : -1);
      if (cases[i].why != NULL)
        assert_non_null (strstr (err.message, cases[i].why));
    }
}

/* ---- the shared folder ------------------------------------------------------------------ */

static void
inputs_lie_below_their_mounts (void **state)
{
  struct rig *rig = *state;
  auto_free char *in = rig_folder (rig, "in");
  auto_free char *deep = rig_folder (rig, "deep");
  auto_free char *file = rig_folder (rig, "of-file");
  auto_free char *a = xasprintf ("%s/a", in);
  auto_free char *b = xasprintf ("%s/b", deep);
  auto_free char *c = xasprintf ("%s/c", file);
  auto_free char *link = xasprintf ("%s/link", in);
  put_file (a, "a\n");
  put_file (b, "b\n");
  put_file (c, "c\n");
  assert_int_equal (symlink ("a", link), 0);
  /* What is mounted in it has its mount point there. */
  free (rig_folder (rig, "in/x/deep"));
  auto_free char *point = xasprintf ("%s/x/file", in);
  put_file (point, "");
  const struct rig_mount mounts[] = { { in, "/shoal-in", false },
                                      { deep, "/shoal-in/x/deep", false },
                                      { c, "/shoal-in/x/file", false } };
  auto_job struct job job;
  rig_shell (&job, "cd /shoal-in; cat a link x/deep/b x/file; echo x >>a");
  auto_result struct result result;
  rig_run_mounted (rig, &job, mounts, 3, &result);
  rig_assert_ran (&result, 1);
  assert_string_equal (result.out.data, "a\na\nb\nc\n");
  expect_file (a, "a\n");
  /* The next shard finds nothing of it. */
  auto_job struct job next;
  rig_shell (&next, "find /shoal-in");
  const struct rig_mount empty = { .source = rig_folder (rig, "empty"), .target = "/shoal-in" };
  auto_result struct result second;
  rig_run_mounted (rig, &next, &empty, 1, &second);
  free ((char *) (uintptr_t) empty.source);
  rig_assert_ran (&second, 0);
  assert_string_equal (second.out.data, "/shoal-in\n");
}

/* Folders without permission, links out of it, what a killed worker left, and another file system.
 */
static void
outputs_come_as_they_were_made (void **state)
{
  struct rig *rig = *state;
  auto_free char *left = in_pod ("data/shoal-out/left");
  auto_free char *trap = in_pod ("data/shoal-out/trap");
  put_file (left, "of another shard");
  assert_int_equal (symlink ("/etc", trap), 0);
  for (int other = 0; other < 2; other++)
    {
      auto_free char *out = rig_folder (rig, other == 0 ? "out" : "other");
      if (other == 1)
        assert_int_equal (mount ("none", out, "tmpfs", 0, "size=1m"), 0);
      const struct rig_mount mount = { out, "/shoal-out", true };
      auto_job struct job job;
      rig_shell (&job,
                 "cd /shoal-out; ls -A; mkdir -p sub/empty; echo 1 >sub/f; ln -s f sub/l; ln -s "
                 "/etc/passwd out; chmod 555 sub; printf x >'a b'");
      auto_result struct result result;
      rig_run_mounted (rig, &job, &mount, 1, &result);
      auto_free char *file = xasprintf ("%s/sub/f", out);
      auto_free char *empty = xasprintf ("%s/sub/empty", out);
      auto_free char *sub = xasprintf ("%s/sub", out);
      auto_free char *link = xasprintf ("%s/out", out);
      char to[64] = "";
      struct stat status;
      rig_assert_ran (&result, 0);
      assert_string_equal (result.out.data, "");
      expect_file (file, "1\n");
      assert_true (fs_exists (AT_FDCWD, empty));
      assert_int_equal (readlink (link, to, sizeof to - 1), strlen ("/etc/passwd"));
      assert_string_equal (to, "/etc/passwd");
      assert_int_equal (stat (sub, &status), 0);
      assert_int_equal (status.st_mode & 0777, 0555);
      auto_free char *share = in_pod ("data/shoal-out/sub");
      assert_false (fs_exists (AT_FDCWD, share));
      if (other == 1)
        assert_int_equal (umount (out), 0);
    }
  assert_true (fs_exists (AT_FDCWD, "/etc/passwd"));
}

/* What is no file can't be copied: it is named, and nobody waits for its other end. */
static void
a_fifo_on_another_file_system_is_named (void **state)
{
  struct rig *rig = *state;
  auto_free char *out = rig_folder (rig, "fifo-out");
  auto_free char *in = rig_folder (rig, "fifo-in");
  auto_free char *pipe = xasprintf ("%s/pipe", in);
  const struct rig_mount made = { out, "/shoal-out", true };
  const struct rig_mount given = { in, "/shoal-in", false };
  assert_int_equal (mount ("none", out, "tmpfs", 0, "size=1m"), 0);
  assert_int_equal (mount ("none", in, "tmpfs", 0, "size=1m"), 0);
  assert_int_equal (mkfifo (pipe, 0666), 0);
  auto_job struct job maker;
  auto_job struct job reader;
  auto_result struct result result;
  auto_result struct result other;
  rig_shell (&maker, "echo x >/shoal-out/a; mkfifo /shoal-out/pipe");
  rig_run_mounted (rig, &maker, &made, 1, &result);
  rig_shell (&reader, "echo ran");
  rig_run_mounted (rig, &reader, &given, 1, &other);
  assert_int_equal (umount (out), 0);
  assert_int_equal (umount (in), 0);
  assert_int_equal (result.outcome, -1);
  assert_int_equal (result.err.class, ERROR_USER);
  assert_string_equal (result.err.message, "mount /shoal-out: pipe: neither a file nor a folder");
  assert_int_equal (other.outcome, -1);
  assert_int_equal (other.err.class, ERROR_USER);
  assert_string_equal (other.err.message, "mount /shoal-in: pipe: neither a file nor a folder");
}

/* A mount hides what another one has at its place. */
static void
a_mount_in_another_hides_what_was_there (void **state)
{
  struct rig *rig = *state;
  auto_free char *in = rig_folder (rig, "hiding");
  auto_free char *hidden = rig_folder (rig, "hiding/sub/deep");
  auto_free char *old = xasprintf ("%s/old", hidden);
  auto_free char *kept = xasprintf ("%s/kept", in);
  auto_free char *inner = rig_folder (rig, "inner");
  auto_free char *new = xasprintf ("%s/new", inner);
  put_file (old, "old");
  put_file (kept, "kept");
  put_file (new, "new");
  const struct rig_mount mounts[] = { { in, "/shoal-in", false },
                                      { inner, "/shoal-in/sub", false } };
  auto_job struct job job;
  rig_shell (&job, "cd /shoal-in; find * -type f");
  auto_result struct result result;
  rig_run_mounted (rig, &job, mounts, 2, &result);
  rig_assert_ran (&result, 0);
  assert_string_equal (result.out.data, "kept\nsub/new\n");
  expect_file (old, "old");
}

/* Nothing outside of the pod's folder is removed by it. */
static void
a_mount_behind_a_link_is_refused (void **state)
{
  struct rig *rig = *state;
  auto_free char *in = rig_folder (rig, "linking");
  auto_free char *link = xasprintf ("%s/link", in);
  auto_free char *victim = rig_folder (rig, "victim");
  auto_free char *precious = rig_folder (rig, "victim/sub");
  auto_free char *file = xasprintf ("%s/file", precious);
  auto_free char *inner = rig_folder (rig, "inner");
  put_file (file, "precious");
  assert_int_equal (symlink (victim, link), 0);
  const struct rig_mount mounts[] = { { in, "/shoal-in", false },
                                      { inner, "/shoal-in/link/sub", false } };
  auto_job struct job job;
  rig_shell (&job, "echo ran");
  auto_result struct result result;
  rig_run_mounted (rig, &job, mounts, 2, &result);
  assert_int_equal (result.outcome, -1);
  assert_string_equal (result.out.data, "");
  expect_file (file, "precious");
}

/* Where the attempt's folder lies on the pod's volume; the worker's own folders there have a dot.
 */
static void
outputs_are_renamed_on_the_pods_volume (void **state)
{
  struct rig *rig = *state;
  auto_free char *kept = in_pod ("data/.state/kept");
  auto_free char *out = in_pod ("data/.state/attempt/out");
  auto_free char *file = xasprintf ("%s/file", out);
  auto_free char *deep = xasprintf ("%s/sub/file", out);
  assert_int_equal (fs_make_path (out, 0755, NULL), 0);
  put_file (kept, "state");
  const struct rig_mount mount = { out, "/shoal-out", true };
  auto_job struct job job;
  rig_shell (&job, "cd /shoal-out; mkdir sub; echo x >file; echo x >sub/file; stat -c %i file "
                   "sub/file");
  auto_result struct result result;
  rig_run_mounted (rig, &job, &mount, 1, &result);
  rig_assert_ran (&result, 0);
  struct stat first;
  struct stat second;
  assert_int_equal (stat (file, &first), 0);
  assert_int_equal (stat (deep, &second), 0);
  auto_free char *same = xasprintf ("%llu\n%llu\n", (unsigned long long) first.st_ino,
                                    (unsigned long long) second.st_ino);
  assert_string_equal (result.out.data, same);
  expect_file (kept, "state");
}

/* A volume that both containers have at one place isn't put anywhere. */
static void
what_is_mounted_in_both_stays_where_it_is (void **state)
{
  struct rig *rig = *state;
  auto_free char *both = in_pod ("both");
  auto_free char *file = in_pod ("both/file");
  put_file (file, "both\n");
  const struct rig_mount mount = { both, "/both", false };
  auto_job struct job job;
  rig_shell (&job, "cat /both/file");
  auto_result struct result result;
  rig_run_mounted (rig, &job, &mount, 1, &result);
  rig_assert_ran (&result, 0);
  assert_string_equal (result.out.data, "both\n");
  expect_file (file, "both\n");
}

/* ---- the container itself --------------------------------------------------------------- */

static pid_t
agent_process (void)
{
  auto_buffer struct buffer out = { 0 };
  assert_int_equal (run_script ("lib/pod.sh", "process", folder, NULL, &out), 0);
  return (pid_t) strtol (out.data, NULL, 10);
}

static void
kill_container (void *context)
{
  (void) context;
  (void) fflush (NULL);
  pid_t agent = agent_process ();
  if (fork () != 0)
    return;
  /* Once its command runs. */
  auto_free char *began = in_pod ("data/shoal-out/began");
  while (!fs_exists (AT_FDCWD, began))
    (void) usleep (1000);
  (void) kill (agent, SIGKILL);
  _exit (0);
}

static void
a_container_that_ended_is_the_machines_trouble (void **state)
{
  struct rig *rig = *state;
  auto_free char *out = rig_folder (rig, "lost");
  const struct rig_mount mount = { out, "/shoal-out", true };
  auto_job struct job job;
  rig_shell (&job, "echo >/shoal-out/began; sleep 98765.375");
  rig->meanwhile = kill_container;
  auto_result struct result result;
  rig_run_mounted (rig, &job, &mount, 1, &result);
  rig->meanwhile = NULL;
  assert_int_equal (result.outcome, -1);
  assert_int_equal (result.err.class, ERROR_TRANSIENT);
  assert_string_equal (result.err.message, "the pod's container ended while the command ran");
  while (wait (NULL) > 0)
    ;
  auto_job struct job next;
  rig_shell (&next, "ls -A /shoal-out");
  expect_refused (rig, &next, NULL, 0, "the pod's agent: ");
  assert_int_equal (run_script ("lib/pod.sh", "stop", folder, NULL, NULL), 0);
  assert_int_equal (run_script ("lib/pod.sh", "start", folder, "-", NULL), 0);
  auto_result struct result again;
  rig_run (rig, &next, &again);
  rig_assert_ran (&again, 0);
  /* It sees nothing of the one that was lost, also without that mount. */
  assert_string_equal (again.out.data, "");
}

static int
stop_at_third (void *context, struct error *err)
{
  int *asked = context;
  return ++*asked < 3 ? 0 : error_set (err, ERROR_TRANSIENT, "stopped");
}

/* A worker that is told to end isn't held up by a container that may come. */
static void
waiting_for_an_agent_can_be_stopped (void **state)
{
  (void) state;
  const struct pod_options none = { .socket = "/no/such/socket",
                                    .folder = options.folder,
                                    .image = "busybox" };
  const struct container_runtime_options how = { .slot_name = "test", .pod = &none };
  auto_container_runtime struct container_runtime *runtime =
      container_runtime_open ("oci", &how, NULL);
  int asked = 0;
  const struct halt halt = { .ask = stop_at_third, .context = &asked };
  auto_job struct job job;
  rig_shell (&job, "true");
  const struct container container = { .id = "x",
                                       .job = &job,
                                       .image = "busybox",
                                       .command = &job.command,
                                       .halt = &halt,
                                       .scratch_fd = -1 };
  struct error err = ERROR_INIT;
  assert_int_equal (container_prepare (runtime, &container, &err), -1);
  assert_string_equal (err.message, "waiting for the pod's agent: stopped");
  assert_int_equal (asked, 3);
}

/* ---- all of it -------------------------------------------------------------------------- */

/* A pod with busybox; the image's files. */
static int
start_pod (void)
{
  const char *cache = getenv ("SHOAL_TEST_CACHE");
  const char *layouts = cache != NULL ? cache : "/var/tmp/shoal-test-images";
  auto_free char *layout = xasprintf ("%s/busybox", layouts);
  auto_free char *store = in_pod ("store");
  auto_image struct image image = { 0 };
  struct error err = ERROR_INIT;
  if (run_script ("lib/images.sh", layouts, "busybox", NULL, NULL) != 0)
    return -1;
  if (image_store_import (store, layout, "busybox", &(const struct image_access){ 0 }, &err) != 0
      || image_store_find (store, "busybox", &image, &err) != 0)
    {
      (void) fprintf (stderr, "%s\n", err.message);
      return -1;
    }
  (void) setenv ("POD_AGENT", AGENT_PROGRAM, 1);
  (void) setenv ("POD_MOUNTS",
                 "data/shoal-in:/shoal-in:ro data/shoal-out:/shoal-out:rw both:/both:ro", 1);
  return run_script ("lib/pod.sh", "start", folder, image.rootfs, NULL);
}

int
main (void)
{
  if (geteuid () != 0)
    {
      (void) puts ("SKIPPED: a pod's container is made by root here");
      return 0;
    }
  if (mkdtemp (folder) == NULL || start_pod () != 0)
    return 1;
  auto_free char *socket = in_pod ("run/agent.sock");
  auto_free char *data = in_pod ("data");
  options = (struct pod_options){ .socket = socket, .folder = data, .image = "busybox" };
  const struct container_conformance subject = { .runtime = "oci", .pod = &options };
  int failed = container_conformance_run_pod (&subject);
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (what_a_pod_lacks_is_refused_by_name),
    cmocka_unit_test (its_own_user_is_fine),
    cmocka_unit_test (mounts_that_a_pod_lacks_are_refused_by_name),
    cmocka_unit_test (a_job_of_another_image_is_refused_with_both),
    cmocka_unit_test (a_pinned_id_is_compared),
    cmocka_unit_test (inputs_lie_below_their_mounts),
    cmocka_unit_test (outputs_come_as_they_were_made),
    cmocka_unit_test (a_fifo_on_another_file_system_is_named),
    cmocka_unit_test (a_mount_in_another_hides_what_was_there),
    cmocka_unit_test (a_mount_behind_a_link_is_refused),
    cmocka_unit_test (outputs_are_renamed_on_the_pods_volume),
    cmocka_unit_test (what_is_mounted_in_both_stays_where_it_is),
    cmocka_unit_test (a_container_that_ended_is_the_machines_trouble),
    cmocka_unit_test (waiting_for_an_agent_can_be_stopped),
  };
  rig_use (&subject);
  failed += cmocka_run_group_tests (tests, rig_set_up, rig_tear_down);
  (void) run_script ("lib/pod.sh", "stop", folder, NULL, NULL);
  (void) fs_remove_tree (AT_FDCWD, folder, NULL);
  return failed == 0 ? 0 : 1;
}

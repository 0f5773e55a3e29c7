#include "tests/lib/container_rig.h"

#include "common/clock.h"
#include "common/fs.h"
#include "common/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

/* A machine that is computed needs more of it. */
static int
rig_patience_ms (void)
{
  const char *given = getenv ("SHOAL_PATIENCE");
  return 1000 * (given == NULL ? 30 : atoi (given));
}

/* ---- the rig ---------------------------------------------------------------------------- */

struct rig *
rig_open (const struct container_conformance *subject)
{
  struct rig *rig = xcalloc (1, sizeof *rig);
  auto_free char *slot = xasprintf ("test-%d", (int) getpid ());
  const struct container_runtime_options options = { .images = subject->images,
                                                     .oci_program = subject->oci_program,
                                                     .userns = subject->userns,
                                                     .pod = subject->pod,
                                                     .slot_name = slot };
  struct error err = ERROR_INIT;
  rig->subject = subject;
  rig->runtime = container_runtime_open (subject->runtime, &options, &err);
  if (rig->runtime == NULL)
    {
      print_error ("%s\n", err.message);
      free (rig);
      return NULL;
    }
  print_message ("%s\n", container_runtime_describe (rig->runtime));
  rig->folder = xstrdup ("/tmp/shoal-container,upperdir=a:b\\c d%n'\"\n$(x)-XXXXXX");
  assert_non_null (mkdtemp (rig->folder));
  return rig;
}

int
rig_close (struct rig *rig)
{
  container_runtime_close (rig->runtime);
  int outcome = fs_remove_tree (AT_FDCWD, rig->folder, NULL);
  free (rig->folder);
  free (rig);
  return outcome;
}

void
rig_result_release (struct result *result)
{
  buffer_release (&result->out);
  buffer_release (&result->log);
}
/* ---- running ---------------------------------------------------------------------------- */

void
rig_shell (struct job *job, const char *script)
{
  job_init (job);
  job->id = xstrdup ("job");
  job->image = xstrdup ("busybox");
  strlist_add (&job->command, "sh");
  strlist_add (&job->command, "-c");
  strlist_add (&job->command, script);
}

char *
rig_folder (const struct rig *rig, const char *name)
{
  char *path = xasprintf ("%s/%s", rig->folder, name);
  assert_int_equal (fs_make_path (path, 0755, NULL), 0);
  return path;
}

static int
open_log (const char *scratch, const char *name)
{
  auto_free char *path = xasprintf ("%s.%s", scratch, name);
  int fd = open (path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  assert_true (fd >= 0);
  return fd;
}

static void
read_log (const char *scratch, const char *name, struct buffer *text)
{
  auto_free char *path = xasprintf ("%s.%s", scratch, name);
  buffer_puts (text, "");
  assert_int_equal (fs_read_file (AT_FDCWD, path, 1 << 24, text, NULL), 0);
}

/* A copy of MOUNTS as staging hands them over: paths without links, and what is there now. */
static struct container_mount *
identify (const struct rig_mount *mounts, size_t count)
{
  struct container_mount *copy = xcalloc (count + 1, sizeof *copy);
  for (size_t i = 0; i < count; i++)
    {
      auto_fd int fd = open (mounts[i].source, O_PATH | O_CLOEXEC);
      assert_true (fd >= 0);
      copy[i] =
          (struct container_mount){ .target = mounts[i].target, .writable = mounts[i].writable };
      copy[i].source = identity_take (&copy[i].identity, fd, NULL);
      assert_non_null (copy[i].source);
    }
  return copy;
}

static void
free_identified (struct container_mount *mounts, size_t count)
{
  for (size_t i = 0; i < count; i++)
    free ((char *) (uintptr_t) mounts[i].source);
  free (mounts);
}

void
rig_run_signalled (struct rig *rig, const struct job *job, const struct rig_mount *mounts,
                   size_t mount_count, const int *signals, size_t signal_count,
                   struct result *result)
{
  auto_free char *name = xasprintf ("run%d", rig->runs);
  auto_free char *scratch = rig_folder (rig, name);
  auto_free char *id = xasprintf ("shoal-test-%d-%d", (int) getpid (), rig->runs++);
  auto_fd int out = open_log (scratch, "out");
  auto_fd int log = open_log (scratch, "log");
  auto_fd int scratch_fd = fs_open_folder (AT_FDCWD, scratch, NULL);
  struct container_mount *identified = identify (mounts, mount_count);
  struct container container = { .id = id,
                                 .job = job,
                                 .image = job->image,
                                 .command = &job->command,
                                 .mounts = identified,
                                 .mount_count = mount_count,
                                 .scratch_fd = scratch_fd,
                                 .stdout_fd = out,
                                 .stderr_fd = log };
  strlist_add (&container.env, "FROM_SHOAL=yes");
  *result = (struct result){ .err = ERROR_INIT };
  if (rig->meanwhile != NULL)
    rig->meanwhile (rig->context);
  result->outcome = container_prepare (rig->runtime, &container, &result->err);
  int ended = result->outcome == 0 ? container_start (rig->runtime, &container, &result->err) : -1;
  int64_t end = clock_boot_ms () + rig_patience_ms ();
  for (size_t i = 0; ended >= 0 && i < signal_count; i++)
    {
      struct stat status = { 0 };
      while (clock_boot_ms () < end && fstat (out, &status) == 0 && status.st_size == 0)
        (void) poll (NULL, 0, 2);
      container_signal (rig->runtime, signals[i]);
    }
  if (ended >= 0)
    {
      struct pollfd fd = { .fd = ended, .events = POLLIN };
      assert_int_equal (poll (&fd, 1, rig_patience_ms ()), 1);
      result->outcome = container_wait (rig->runtime, &result->exit, &result->err);
    }
  else
    result->outcome = -1;
  strlist_release (&container.env);
  free_identified (identified, mount_count);
  read_log (scratch, "out", &result->out);
  read_log (scratch, "log", &result->log);
  struct error err = ERROR_INIT;
  if (fs_remove_tree (AT_FDCWD, scratch, &err) != 0)
    fail_msg ("something is left behind: %s", err.message);
}

void
rig_run_mounted (struct rig *rig, const struct job *job, const struct rig_mount *mounts,
                 size_t mount_count, struct result *result)
{
  rig_run_signalled (rig, job, mounts, mount_count, NULL, 0, result);
}

void
rig_run (struct rig *rig, const struct job *job, struct result *result)
{
  rig_run_signalled (rig, job, NULL, 0, NULL, 0, result);
}

void
rig_assert_ran (const struct result *result, int exit_code)
{
  if (result->outcome != 0)
    fail_msg ("%s; its log: %s", result->err.message, result->log.data);
  if (result->exit.exit_code != exit_code)
    fail_msg ("exit code %d, expected %d; its log: %s", result->exit.exit_code, exit_code,
              result->log.data);
}

static const struct container_conformance *used;

void
rig_use (const struct container_conformance *subject)
{
  used = subject;
}

int
rig_set_up (void **state)
{
  *state = rig_open (used);
  return *state != NULL ? 0 : -1;
}

int
rig_tear_down (void **state)
{
  return rig_close (*state);
}

bool
rig_is_oci (const struct rig *rig)
{
  return strcmp (rig->subject->runtime, "oci") == 0;
}

bool
rig_is_mapped (const struct rig *rig)
{
  return geteuid () == 0 && rig->subject->userns != NULL
         && strcmp (rig->subject->userns, "none") != 0;
}

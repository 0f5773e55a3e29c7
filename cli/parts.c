#include "cli/parts.h"

#include "common/clock.h"
#include "common/memory.h"
#include "common/spawn.h"
#include "policy/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum
{
  CRASHES_MAX = 10,
  GOOD_LIFE_MS = 10000, /* who lived so long starts with a clean slate */
  FIRST_PAUSE_MS = 50,
  LINE_MAX_SIZE = 8192,
};

static const char *const part_names[PARTS] = { "producer", "worker", "merger" };

static int
make_meter (struct parts *parts, struct error *err)
{
  parts->meter_fd = memfd_create ("meter", MFD_CLOEXEC);
  if (parts->meter_fd < 0 || ftruncate (parts->meter_fd, sizeof *parts->meter) != 0)
    return error_errno (err, errno, "shared memory");
  void *meter =
      mmap (NULL, sizeof *parts->meter, PROT_READ | PROT_WRITE, MAP_SHARED, parts->meter_fd, 0);
  if (meter == MAP_FAILED)
    return error_errno (err, errno, "shared memory");
  parts->meter = meter;
  return 0;
}

int64_t
parts_coming (const struct parts *parts)
{
  return __atomic_load_n (parts->meter, __ATOMIC_RELAXED);
}

int
parts_init (struct parts *parts, const struct session *session, const struct run_options *options,
            struct error *err)
{
  *parts = (struct parts){ .session = session, .options = options, .meter_fd = -1 };
  int ends[2];
  if (pipe2 (ends, O_CLOEXEC) != 0)
    {
      parts->pipe_read = parts->pipe_write = -1;
      return error_errno (err, errno, "pipe");
    }
  parts->pipe_read = ends[0];
  parts->pipe_write = ends[1];
  if (fcntl (ends[0], F_SETFL, O_NONBLOCK) != 0)
    return error_errno (err, errno, "pipe");
  return make_meter (parts, err);
}

/* ---- starting --------------------------------------------------------------------------- */

static void
add_option (struct strlist *words, const char *option, const char *value)
{
  if (value == NULL)
    return;
  strlist_add (words, option);
  strlist_add (words, value);
}

static void
add_worker_options (struct strlist *words, const struct run_options *options)
{
  add_option (words, "--prefetch-bytes", options->prefetch);
  if (options->slots > 0)
    strlist_addf (words, "--jobs=%lld", (long long) options->slots);
  if (options->backoff_ms > 0)
    strlist_addf (words, "--backoff=%lldms", (long long) options->backoff_ms);
  add_option (words, "--oci-runtime", options->oci_runtime);
  add_option (words, "--userns", options->userns);
  add_option (words, "--images", options->images);
  add_option (words, "--scratch", options->scratch);
}

static int
start (struct parts *parts, enum part_name name, struct error *err)
{
  struct part *part = &parts->part[name];
  auto_strlist struct strlist words = { 0 };
  auto_free char *self = spawn_self (err);
  /* The folder may have got its final name since the last start. */
  auto_free char *url = session_bus_url (parts->session, err);
  if (self == NULL || url == NULL)
    return -1;
  strlist_add (&words, self);
  strlist_add (&words, part_names[name]);
  add_option (&words, "--bus", url);
  add_option (&words, "--job", parts->session->job.id);
  strlist_addf (&words, "--parent=%d", (int) getpid ());
  add_option (&words, "--policy", POLICY_NONE); /* who runs us has the shell as well */
  struct spawn_options spawning = SPAWN_DEFAULT;
  if (name == PART_WORKER)
    {
      add_worker_options (&words, parts->options);
      strlist_add (&words, "--meter");
      __atomic_store_n (parts->meter, 0, __ATOMIC_RELAXED); /* a crashed one's */
      spawning.extra_fd = parts->meter_fd;
    }
  spawning.stderr_fd = parts->pipe_write;
  spawning.stdout_fd = parts->pipe_write;
  pid_t pid = spawn (strlist_argv (&words), &spawning, err);
  if (pid < 0)
    return error_wrap (err, "starting the %s", part_names[name]);
  part->pid = pid;
  part->since = clock_boot_ms ();
  return 0;
}

int
parts_start (struct parts *parts, struct error *err)
{
  for (int name = 0; name < PARTS; name++)
    {
      struct part *part = &parts->part[name];
      if (!part->wanted || part->pid > 0 || clock_boot_ms () < part->due)
        continue;
      struct error why = ERROR_INIT;
      if (start (parts, (enum part_name) name, &why) == 0)
        continue;
      free (parts->last_line);
      parts->last_line = xstrdup (why.message);
      part->since = clock_boot_ms ();
      if (parts_crashed (parts, (enum part_name) name, err) != 0)
        return -1;
    }
  return 0;
}

/* ---- ending ----------------------------------------------------------------------------- */

int
parts_reap (struct parts *parts)
{
  for (int name = 0; name < PARTS; name++)
    {
      struct part *part = &parts->part[name];
      if (part->pid <= 0 || waitpid (part->pid, &part->status, WNOHANG) != part->pid)
        continue;
      part->pid = 0;
      return name;
    }
  return -1;
}

int
parts_crashed (struct parts *parts, enum part_name name, struct error *err)
{
  struct part *part = &parts->part[name];
  int64_t now = clock_boot_ms ();
  if (now - part->since > GOOD_LIFE_MS)
    part->crashes = 0;
  part->crashes++;
  if (part->crashes <= CRASHES_MAX)
    {
      part->due = now + ((int64_t) FIRST_PAUSE_MS << (part->crashes < 6 ? part->crashes - 1 : 5));
      return 0;
    }
  return error_set (err, ERROR_TRANSIENT, "the %s crashed repeatedly: %s", part_names[name],
                    parts->last_line != NULL ? parts->last_line : "no output");
}

void
parts_signal (const struct parts *parts, enum part_name name, int signal)
{
  if (parts->part[name].pid > 0)
    (void) kill (parts->part[name].pid, signal);
}

bool
parts_running (const struct parts *parts)
{
  for (int name = 0; name < PARTS; name++)
    if (parts->part[name].pid > 0)
      return true;
  return false;
}

void
parts_release (struct parts *parts)
{
  for (int name = 0; name < PARTS; name++)
    {
      pid_t pid = parts->part[name].pid;
      if (pid <= 0)
        continue;
      (void) kill (pid, SIGKILL);
      while (waitpid (pid, NULL, 0) < 0 && errno == EINTR)
        ;
      parts->part[name].pid = 0;
    }
  auto_fd_ (&parts->pipe_read);
  auto_fd_ (&parts->pipe_write);
  auto_fd_ (&parts->meter_fd);
  if (parts->meter != NULL)
    (void) munmap (parts->meter, sizeof *parts->meter);
  parts->meter = NULL;
  buffer_release (&parts->said);
  free (parts->last_line);
  parts->last_line = NULL;
  parts->pipe_read = parts->pipe_write = -1;
}

/* ---- what they say ---------------------------------------------------------------------- */

static void
read_pipe (struct parts *parts)
{
  if (parts->said.size >= LINE_MAX_SIZE)
    return;
  char *end = buffer_reserve (&parts->said, LINE_MAX_SIZE);
  ssize_t got = read (parts->pipe_read, end, LINE_MAX_SIZE);
  if (got <= 0)
    return;
  parts->said.size += (size_t) got;
  parts->said.data[parts->said.size] = '\0';
}

char *
parts_line (struct parts *parts)
{
  char *newline = parts->said.size == 0 ? NULL : memchr (parts->said.data, '\n', parts->said.size);
  if (newline == NULL)
    {
      read_pipe (parts);
      newline = parts->said.size == 0 ? NULL : memchr (parts->said.data, '\n', parts->said.size);
    }
  if (newline == NULL && parts->said.size < LINE_MAX_SIZE)
    return NULL;
  size_t length = newline != NULL ? (size_t) (newline - parts->said.data) : parts->said.size;
  size_t used = newline != NULL ? length + 1 : length;
  char *line = xstrndup (parts->said.data, length);
  memmove (parts->said.data, parts->said.data + used, parts->said.size - used + 1);
  parts->said.size -= used;
  free (parts->last_line);
  parts->last_line = xstrdup (line);
  return line;
}

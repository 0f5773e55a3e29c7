#include "cli/service_processes.h"

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

static const char *const service_names[SERVICES] = { "producer", "worker", "merger" };

static int
make_meter (struct services *services, struct error *err)
{
  services->meter_fd = memfd_create ("meter", MFD_CLOEXEC);
  if (services->meter_fd < 0 || ftruncate (services->meter_fd, sizeof *services->meter) != 0)
    return error_errno (err, errno, "shared memory");
  void *meter = mmap (NULL, sizeof *services->meter, PROT_READ | PROT_WRITE, MAP_SHARED,
                      services->meter_fd, 0);
  if (meter == MAP_FAILED)
    return error_errno (err, errno, "shared memory");
  services->meter = meter;
  return 0;
}

int64_t
services_coming (const struct services *services)
{
  return __atomic_load_n (services->meter, __ATOMIC_RELAXED);
}

int
services_init (struct services *services, const struct session *session,
               const struct run_options *options, struct error *err)
{
  *services = (struct services){ .session = session, .options = options, .meter_fd = -1 };
  int ends[2];
  if (pipe2 (ends, O_CLOEXEC) != 0)
    {
      services->pipe_read = services->pipe_write = -1;
      return error_errno (err, errno, "pipe");
    }
  services->pipe_read = ends[0];
  services->pipe_write = ends[1];
  if (fcntl (ends[0], F_SETFL, O_NONBLOCK) != 0)
    return error_errno (err, errno, "pipe");
  return make_meter (services, err);
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
  add_option (words, "--cdi-spec-dir", options->cdi);
  add_option (words, "--images", options->images);
  add_option (words, "--scratch", options->scratch);
}

static int
services_start_one (struct services *services, enum service_name name, struct error *err)
{
  struct service *service = &services->service[name];
  auto_strlist struct strlist words = { 0 };
  auto_free char *self = spawn_self (err);
  /* The folder may have got its final name since the last start. */
  auto_free char *url = session_bus_url (services->session, err);
  if (self == NULL || url == NULL)
    return -1;
  strlist_add (&words, self);
  strlist_add (&words, service_names[name]);
  add_option (&words, "--bus", url);
  add_option (&words, "--job", services->session->job.id);
  strlist_addf (&words, "--parent=%d", (int) getpid ());
  add_option (&words, "--policy", POLICY_NONE); /* who runs us has the shell as well */
  struct spawn_options spawning = SPAWN_DEFAULT;
  if (name == SERVICE_WORKER)
    {
      add_worker_options (&words, services->options);
      strlist_add (&words, "--meter");
      __atomic_store_n (services->meter, 0, __ATOMIC_RELAXED); /* a crashed one's */
      spawning.extra_fd = services->meter_fd;
    }
  spawning.stderr_fd = services->pipe_write;
  spawning.stdout_fd = services->pipe_write;
  pid_t pid = spawn (strlist_argv (&words), &spawning, err);
  if (pid < 0)
    return error_wrap (err, "starting the %s", service_names[name]);
  service->pid = pid;
  service->since = clock_boot_ms ();
  return 0;
}

int
services_start (struct services *services, struct error *err)
{
  for (int name = 0; name < SERVICES; name++)
    {
      struct service *service = &services->service[name];
      if (!service->wanted || service->pid > 0 || clock_boot_ms () < service->due)
        continue;
      struct error why = ERROR_INIT;
      if (services_start_one (services, (enum service_name) name, &why) == 0)
        continue;
      free (services->last_line);
      services->last_line = xstrdup (why.message);
      service->since = clock_boot_ms ();
      if (services_crashed (services, (enum service_name) name, err) != 0)
        return -1;
    }
  return 0;
}

/* ---- ending ----------------------------------------------------------------------------- */

int
services_reap (struct services *services)
{
  for (int name = 0; name < SERVICES; name++)
    {
      struct service *service = &services->service[name];
      if (service->pid <= 0 || waitpid (service->pid, &service->status, WNOHANG) != service->pid)
        continue;
      service->pid = 0;
      return name;
    }
  return -1;
}

int
services_crashed (struct services *services, enum service_name name, struct error *err)
{
  struct service *service = &services->service[name];
  int64_t now = clock_boot_ms ();
  if (now - service->since > GOOD_LIFE_MS)
    service->crashes = 0;
  service->crashes++;
  if (service->crashes <= CRASHES_MAX)
    {
      service->due =
          now + ((int64_t) FIRST_PAUSE_MS << (service->crashes < 6 ? service->crashes - 1 : 5));
      return 0;
    }
  return error_set (err, ERROR_TRANSIENT, "the %s crashed repeatedly: %s", service_names[name],
                    services->last_line != NULL ? services->last_line : "no output");
}

void
services_signal (const struct services *services, enum service_name name, int signal)
{
  if (services->service[name].pid > 0)
    (void) kill (services->service[name].pid, signal);
}

bool
services_running (const struct services *services)
{
  for (int name = 0; name < SERVICES; name++)
    if (services->service[name].pid > 0)
      return true;
  return false;
}

void
services_release (struct services *services)
{
  for (int name = 0; name < SERVICES; name++)
    {
      pid_t pid = services->service[name].pid;
      if (pid <= 0)
        continue;
      (void) kill (pid, SIGKILL);
      while (waitpid (pid, NULL, 0) < 0 && errno == EINTR)
        ;
      services->service[name].pid = 0;
    }
  auto_fd_ (&services->pipe_read);
  auto_fd_ (&services->pipe_write);
  auto_fd_ (&services->meter_fd);
  if (services->meter != NULL)
    (void) munmap (services->meter, sizeof *services->meter);
  services->meter = NULL;
  buffer_release (&services->said);
  free (services->last_line);
  services->last_line = NULL;
  services->pipe_read = services->pipe_write = -1;
}

/* ---- what they say ---------------------------------------------------------------------- */

static void
read_pipe (struct services *services)
{
  if (services->said.size >= LINE_MAX_SIZE)
    return;
  char *end = buffer_reserve (&services->said, LINE_MAX_SIZE);
  ssize_t got = read (services->pipe_read, end, LINE_MAX_SIZE);
  if (got <= 0)
    return;
  services->said.size += (size_t) got;
  services->said.data[services->said.size] = '\0';
}

char *
services_line (struct services *services)
{
  char *newline =
      services->said.size == 0 ? NULL : memchr (services->said.data, '\n', services->said.size);
  if (newline == NULL)
    {
      read_pipe (services);
      newline =
          services->said.size == 0 ? NULL : memchr (services->said.data, '\n', services->said.size);
    }
  if (newline == NULL && services->said.size < LINE_MAX_SIZE)
    return NULL;
  size_t length = newline != NULL ? (size_t) (newline - services->said.data) : services->said.size;
  size_t used = newline != NULL ? length + 1 : length;
  char *line = xstrndup (services->said.data, length);
  memmove (services->said.data, services->said.data + used, services->said.size - used + 1);
  services->said.size -= used;
  free (services->last_line);
  services->last_line = xstrdup (line);
  return line;
}

#include "cli/notify.h"

#include "common/clock.h"
#include "common/memory.h"
#include "common/text.h"
#include "common/thread.h"
#include "common/units.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum
{
  STEP_MS = 100,
};

struct notify
{
  struct sockaddr_un address;
  socklen_t address_size;
  int fd;
  int64_t watchdog_ms;
  struct health *health;
  const volatile sig_atomic_t *stop;
  pthread_t thread;
  bool ending; /* atomic */
};

static int
notify_parse_address (const char *text, struct sockaddr_un *address, socklen_t *size,
                      struct error *err)
{
  size_t length = strlen (text);
  *address = (struct sockaddr_un){ .sun_family = AF_UNIX };
  if ((text[0] != '/' && text[0] != '@') || length < 2 || length >= sizeof address->sun_path)
    return error_set (err, ERROR_USER, "NOTIFY_SOCKET: \"%s\" is no address of a socket", text);
  memcpy (address->sun_path, text, length);
  if (text[0] == '@')
    address->sun_path[0] = '\0';
  *size = (socklen_t) (offsetof (struct sockaddr_un, sun_path) + length + (text[0] == '/'));
  return 0;
}

int
notify_read (struct notify_args *args, struct error *err)
{
  const char *address = getenv ("NOTIFY_SOCKET");
  const char *watchdog = getenv ("WATCHDOG_USEC");
  const char *whose = getenv ("WATCHDOG_PID");
  struct sockaddr_un parsed;
  socklen_t size = 0;
  int64_t us = 0;
  *args = (struct notify_args){ 0 };
  if (address != NULL && notify_parse_address (address, &parsed, &size, err) != 0)
    return -1;
  if (watchdog != NULL && (whose == NULL || strtoll (whose, NULL, 10) == getpid ())
      && units_parse_number (watchdog, 1, INT64_MAX, &us, err) != 0)
    return error_wrap (err, "WATCHDOG_USEC");
  args->address = xstrdup (address);
  args->watchdog_ms = us == 0 ? 0 : us < 2000 ? 1 : us / 1000;
  (void) unsetenv ("NOTIFY_SOCKET");
  (void) unsetenv ("WATCHDOG_USEC");
  (void) unsetenv ("WATCHDOG_PID");
  return 0;
}

/* What isn't taken is lost: the next one says how things stand. */
static void
notify_send (const struct notify *notify, const char *text)
{
  (void) sendto (notify->fd, text, strlen (text), MSG_NOSIGNAL | MSG_DONTWAIT,
                 (const struct sockaddr *) &notify->address, notify->address_size);
}

/* Tells what has changed; *STATUS is what was told last. */
static void
notify_tell_status (const struct notify *notify, bool *ready, char **status)
{
  struct error why = ERROR_INIT;
  bool is_ready = health_is_ready (notify->health, &why);
  auto_free char *reason = text_log (error_is_set (&why) ? why.message : "the bus doesn't answer");
  const char *shown = is_ready ? "ready" : reason;
  if (*status != NULL && strcmp (*status, shown) == 0)
    return;
  auto_free char *text = xasprintf ("%sSTATUS=%s", is_ready && !*ready ? "READY=1\n" : "", shown);
  notify_send (notify, text);
  *ready = *ready || is_ready;
  free (*status);
  *status = xstrdup (shown);
}

static void *
notify_run (void *context)
{
  struct notify *notify = context;
  auto_free char *status = NULL;
  bool ready = false;
  bool stopping = false;
  int64_t alive = 0; /* boot ms of the last sign of life */
  for (bool ending = false; !ending;)
    {
      int64_t now = clock_boot_ms ();
      ending = __atomic_load_n (&notify->ending, __ATOMIC_ACQUIRE);
      if (!stopping && (ending || __atomic_load_n (notify->stop, __ATOMIC_RELAXED) != 0))
        {
          notify_send (notify, "STOPPING=1\nSTATUS=stopping");
          stopping = true;
        }
      if (!stopping)
        notify_tell_status (notify, &ready, &status);
      if (notify->watchdog_ms > 0 && now - alive >= notify->watchdog_ms / 3
          && health_is_good (notify->health, now, NULL))
        {
          notify_send (notify, "WATCHDOG=1");
          alive = now;
        }
      if (!ending)
        (void) poll (NULL, 0, STEP_MS);
    }
  return NULL;
}

struct notify *
notify_start (const struct notify_args *args, struct health *health,
              const volatile sig_atomic_t *stop, struct error *err)
{
  struct notify *notify = xcalloc (1, sizeof *notify);
  notify->health = health;
  notify->stop = stop;
  notify->watchdog_ms = args->watchdog_ms;
  notify->fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  int failed = notify->fd < 0 ? errno : 0;
  if (failed == 0
      && notify_parse_address (args->address, &notify->address, &notify->address_size, err) == 0)
    {
      failed = thread_start (&notify->thread, notify_run, notify);
      if (failed == 0)
        return notify;
    }
  if (failed != 0)
    (void) error_errno (err, failed, "NOTIFY_SOCKET");
  auto_fd_ (&notify->fd);
  free (notify);
  return NULL;
}

void
notify_end (struct notify *notify)
{
  if (notify == NULL)
    return;
  __atomic_store_n (&notify->ending, true, __ATOMIC_RELEASE);
  (void) pthread_join (notify->thread, NULL);
  auto_fd_ (&notify->fd);
  free (notify);
}

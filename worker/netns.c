#include "worker/netns.h"

#include "common/auto.h"
#include "common/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define OWN_NAMESPACE "/proc/thread-self/ns/net"

static int
netns_raise_loopback (void)
{
  struct ifreq request = { .ifr_name = "lo" };
  auto_fd int fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || ioctl (fd, SIOCGIFFLAGS, &request) != 0)
    return -1;
  request.ifr_flags = (short) (request.ifr_flags | IFF_UP);
  return ioctl (fd, SIOCSIFFLAGS, &request);
}

/* Whether the namespace that we are in holds no socket, not even one that is gone but for its
 * waiting time. The counts are its own since Linux 6.1; an older kernel counts the whole host's
 * waiting ones, and a new namespace is made more often. */
static bool
netns_is_quiet (void)
{
  char line[256];
  long sockets = -1;
  long waiting = -1;
  auto_file FILE *file = fopen ("/proc/thread-self/net/sockstat", "re");
  while (file != NULL && fgets (line, sizeof line, file) != NULL)
    {
      const char *at = strstr (line, " tw ");
      (void) sscanf (line, "sockets: used %ld", &sockets);
      if (at != NULL)
        (void) sscanf (at, " tw %ld", &waiting);
    }
  return sockets == 0 && waiting == 0;
}

int
netns_enter_new (struct error *err)
{
  if (unshare (CLONE_NEWNET) != 0)
    return error_errno (err, errno, "making a network namespace");
  if (netns_raise_loopback () != 0)
    return error_errno (err, errno, "the loopback interface of a network namespace");
  return 0;
}

/* Makes a new namespace and enters it. */
static int
netns_make (struct netns *netns, const struct job *job, struct error *err)
{
  auto_fd_ (&netns->fd);
  netns->fd = -1;
  if (netns_enter_new (err) != 0)
    return -1;
  netns->fd = open (OWN_NAMESPACE, O_RDONLY | O_CLOEXEC);
  if (netns->fd < 0)
    return error_errno (err, errno, OWN_NAMESPACE);
  free (netns->job_id);
  netns->job_id = xstrdup (job->id);
  netns->submitted = job->submitted;
  return 0;
}

static bool
netns_is_of_job (const struct netns *netns, const struct job *job)
{
  return netns->fd >= 0 && netns->submitted == job->submitted
         && strcmp (netns->job_id, job->id) == 0;
}

int
netns_take (struct netns *netns, const struct job *job, struct error *err)
{
  if (netns->home_fd < 0)
    netns->home_fd = open (OWN_NAMESPACE, O_RDONLY | O_CLOEXEC);
  if (netns->home_fd < 0)
    return error_errno (err, errno, OWN_NAMESPACE);
  int result = 0;
  bool usable =
      netns_is_of_job (netns, job) && setns (netns->fd, CLONE_NEWNET) == 0 && netns_is_quiet ();
  if (!usable)
    result = netns_make (netns, job, err);
  if (setns (netns->home_fd, CLONE_NEWNET) != 0)
    result = error_errno (err, errno, "going back to the slot's network namespace");
  if (result != 0 && err != NULL)
    err->class = ERROR_TRANSIENT;
  return result == 0 ? netns->fd : -1;
}

void
netns_release (struct netns *netns)
{
  auto_fd_ (&netns->fd);
  auto_fd_ (&netns->home_fd);
  free (netns->job_id);
  *netns = (struct netns) NETNS_INIT;
}

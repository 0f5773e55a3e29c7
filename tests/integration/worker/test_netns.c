/* A slot's network namespaces: shared by the shards of one job, and only while nothing of one of
 * them is left. As root. */
#include "worker/netns.h"

#include "common/auto.h"
#include "common/memory.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static ino_t
inode_of_fd (int fd)
{
  struct stat status;
  assert_int_equal (fstat (fd, &status), 0);
  return status.st_ino;
}

static ino_t
own_namespace (void)
{
  struct stat status;
  assert_int_equal (stat ("/proc/thread-self/ns/net", &status), 0);
  return status.st_ino;
}

static ino_t
take_for (struct netns *netns, const char *id, int64_t submitted)
{
  auto_job struct job job = { 0 };
  job_init (&job);
  job.id = xstrdup (id);
  job.submitted = submitted;
  ino_t before = own_namespace ();
  int fd = netns_take (netns, &job, NULL);
  assert_true (fd >= 0);
  assert_int_equal (own_namespace (), before);
  return inode_of_fd (fd);
}

static void
shards_of_one_job_share_a_namespace (void **state)
{
  (void) state;
  struct netns netns = NETNS_INIT;
  ino_t first = take_for (&netns, "a", 1);
  assert_int_not_equal (first, own_namespace ());
  assert_int_equal (take_for (&netns, "a", 1), first);
  netns_release (&netns);
}

/* The old one is held open, so that the new one can't have its number again. */
static void
another_job_gets_another_namespace (void **state)
{
  (void) state;
  struct netns netns = NETNS_INIT;
  ino_t first = take_for (&netns, "a", 1);
  auto_fd int held = dup (netns.fd);
  ino_t second = take_for (&netns, "b", 1);
  auto_fd int held_too = dup (netns.fd);
  assert_int_not_equal (second, first);
  ino_t third = take_for (&netns, "b", 2);
  assert_int_not_equal (third, second);
  assert_int_not_equal (third, first);
  netns_release (&netns);
}

/* Runs ACTION in the namespace; what it returns, a descriptor to be closed later or -1. */
static int
do_inside (const struct netns *netns, int (*action) (void))
{
  auto_fd int home = open ("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  assert_int_equal (setns (netns->fd, CLONE_NEWNET), 0);
  int result = action ();
  assert_int_equal (setns (home, CLONE_NEWNET), 0);
  return result;
}

static int
open_abstract_socket (void)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "\0left" };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal (bind (fd, (struct sockaddr *) &address, sizeof (sa_family_t) + 5), 0);
  return fd;
}

/* A connection over loopback, which has to be up, closed by both sides: its port stays taken for a
 * minute. */
static int
leave_a_connection_waiting (void)
{
  struct sockaddr_in address = { .sin_family = AF_INET,
                                 .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t size = sizeof address;
  auto_fd int server = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  auto_fd int client = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal (bind (server, (struct sockaddr *) &address, size), 0);
  assert_int_equal (listen (server, 1), 0);
  assert_int_equal (getsockname (server, (struct sockaddr *) &address, &size), 0);
  assert_int_equal (connect (client, (struct sockaddr *) &address, size), 0);
  int accepted = accept4 (server, NULL, NULL, SOCK_CLOEXEC);
  assert_true (accepted >= 0);
  assert_int_equal (close (accepted), 0);
  char byte;
  assert_int_equal (read (client, &byte, 1), 0);
  return -1;
}

static void
what_is_left_in_a_namespace_ends_it (void **state)
{
  (void) state;
  int (*const actions[]) (void) = { open_abstract_socket, leave_a_connection_waiting };
  for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
    {
      struct netns netns = NETNS_INIT;
      ino_t first = take_for (&netns, "a", 1);
      auto_fd int held = dup (netns.fd);
      auto_fd int left = do_inside (&netns, actions[i]);
      assert_int_not_equal (take_for (&netns, "a", 1), first);
      netns_release (&netns);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (shards_of_one_job_share_a_namespace),
    cmocka_unit_test (another_job_gets_another_namespace),
    cmocka_unit_test (what_is_left_in_a_namespace_ends_it),
  };
  if (geteuid () != 0)
    {
      (void) fprintf (stderr, "SKIPPED: network namespaces of a slot are root's\n");
      return 0;
    }
  return cmocka_run_group_tests (tests, NULL, NULL);
}

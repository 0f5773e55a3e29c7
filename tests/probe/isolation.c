/* Small attempts that a shell can't make, for tests/bench/isolation.py. Linked statically, to be
 * run in any container.
 *
 *   isolation me                      real user, effective user, effective capabilities
 *   isolation as USER PROGRAM ARG…    runs it as that user without capabilities
 *   isolation open FILE…              "FILE: read", or why not
 *   isolation capable FILE            gives a file the capability to set its user; says what came
 *                                     of it
 *   isolation processes N             how many of N processes at a time there can be
 *   isolation orphan                  whether a process whose parent has ended is reaped
 *   isolation trace                   what a child's memory holds, by ptrace and by
 * process_vm_readv and process_vm_writev, as debuggers and LeakSanitizer read it
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static int
say_me (void)
{
  char line[256];
  FILE *status = fopen ("/proc/self/status", "re");
  if (status == NULL)
    return 1;
  (void) printf ("%d %d", (int) getuid (), (int) geteuid ());
  while (fgets (line, sizeof line, status) != NULL)
    if (strncmp (line, "CapEff:\t", 8) == 0)
      (void) printf (" %s", line + 8);
  (void) fclose (status);
  return 0;
}

static int
run_as (char **words)
{
  uid_t user = (uid_t) strtoul (words[0], NULL, 10);
  if (getuid () == 0 && (setgroups (0, NULL) != 0 || setgid (user) != 0 || setuid (user) != 0))
    {
      (void) printf ("%s\n", strerror (errno));
      return 1;
    }
  (void) execv (words[1], words + 1);
  (void) printf ("%s\n", strerror (errno));
  return 1;
}

static void
say_open (const char *path)
{
  char byte;
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  ssize_t got = fd < 0 ? -1 : read (fd, &byte, 1);
  (void) printf ("%s: %s\n", path, got == 1 ? "read" : got == 0 ? "empty" : strerror (errno));
  if (fd >= 0)
    (void) close (fd);
}

static int
make_capable (const char *path)
{
  const struct vfs_cap_data data = { .magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
                                     .data[0].permitted = 1 << CAP_SETUID };
  int fd = open (path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
  bool done = fd >= 0 && fsetxattr (fd, "security.capability", &data, sizeof data, 0) == 0;
  (void) printf ("%s\n", done ? "done" : strerror (errno));
  return 0;
}

static int
count_processes (int wanted)
{
  int made = 0;
  pid_t *children = calloc ((size_t) wanted, sizeof *children);
  if (children == NULL)
    return 1;
  for (; made < wanted; made++)
    {
      children[made] = fork ();
      if (children[made] == 0)
        for (;;)
          (void) pause ();
      if (children[made] < 0)
        break;
    }
  (void) printf ("%d\n", made);
  for (int i = 0; i < made; i++)
    (void) kill (children[i], SIGKILL);
  while (wait (NULL) > 0)
    ;
  free (children);
  return 0;
}

/* Makes a process that ends later than its parent: its id. */
static pid_t
make_orphan (void)
{
  int ids[2];
  pid_t orphan = -1;
  if (pipe (ids) != 0)
    return -1;
  pid_t parent = fork ();
  if (parent == 0)
    {
      orphan = fork ();
      if (orphan == 0)
        {
          (void) usleep (20000);
          _exit (0);
        }
      (void) !write (ids[1], &orphan, sizeof orphan);
      _exit (0);
    }
  (void) waitpid (parent, NULL, 0);
  return read (ids[0], &orphan, sizeof orphan) == sizeof orphan ? orphan : -1;
}

static int
watch_orphan (void)
{
  enum
  {
    TURNS = 500, /* of 10 ms */
  };
  pid_t orphan = make_orphan ();
  bool there = orphan > 0;
  for (int i = 0; there && i < TURNS; i++)
    {
      (void) usleep (10000);
      there = kill (orphan, 0) == 0;
    }
  (void) printf ("%s\n", orphan < 0 ? "none" : there ? "left" : "reaped");
  return 0;
}

static volatile long traced = 1;

/* In the child: waits to be looked at, then says what it has. */
static void
be_traced (void)
{
  traced = 2;
  if (ptrace (PTRACE_TRACEME, 0, NULL, NULL) != 0)
    _exit (100);
  (void) raise (SIGSTOP);
  _exit ((int) traced);
}

static int
trace_child (void)
{
  int status = 0;
  long value = 0;
  struct iovec here = { &value, sizeof value };
  struct iovec there = { (void *) (uintptr_t) &traced, sizeof value };
  pid_t pid = fork ();
  if (pid == 0)
    be_traced ();
  if (waitpid (pid, &status, WUNTRACED) != pid || !WIFSTOPPED (status))
    return 1;
  (void) printf ("ptrace %ld\n", ptrace (PTRACE_PEEKDATA, pid, &traced, NULL));
  if (process_vm_readv (pid, &here, 1, &there, 1, 0) == (ssize_t) sizeof value)
    (void) printf ("process_vm_readv %ld\n", value);
  value = 3;
  (void) process_vm_writev (pid, &here, 1, &there, 1, 0);
  (void) ptrace (PTRACE_CONT, pid, NULL, NULL);
  (void) waitpid (pid, &status, 0);
  (void) printf ("process_vm_writev %d\n", WIFEXITED (status) ? WEXITSTATUS (status) : -1);
  return 0;
}

int
main (int argc, char **argv)
{
  if (argc == 2 && strcmp (argv[1], "me") == 0)
    return say_me ();
  if (argc >= 4 && strcmp (argv[1], "as") == 0)
    return run_as (argv + 2);
  if (argc == 3 && strcmp (argv[1], "capable") == 0)
    return make_capable (argv[2]);
  if (argc == 2 && strcmp (argv[1], "orphan") == 0)
    return watch_orphan ();
  if (argc == 2 && strcmp (argv[1], "trace") == 0)
    return trace_child ();
  if (argc == 3 && strcmp (argv[1], "processes") == 0)
    return count_processes (atoi (argv[2]));
  if (argc < 3 || strcmp (argv[1], "open") != 0)
    return 2;
  for (int i = 2; i < argc; i++)
    say_open (argv[i]);
  return 0;
}

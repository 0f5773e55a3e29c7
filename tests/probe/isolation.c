/* Small attempts that a shell can't make, for tests/bench/isolation.py. Linked statically, to be
 * run in any container.
 *
 *   isolation me                      real user, effective user, effective capabilities
 *   isolation as USER PROGRAM ARG…    runs it as that user without capabilities
 *   isolation open FILE…              "FILE: read", or why not
 *   isolation capable FILE            gives a file the capability to set its user; says what came
 *                                     of it
 *   isolation processes N             how many of N processes at a time there can be
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

int
main (int argc, char **argv)
{
  if (argc == 2 && strcmp (argv[1], "me") == 0)
    return say_me ();
  if (argc >= 4 && strcmp (argv[1], "as") == 0)
    return run_as (argv + 2);
  if (argc == 3 && strcmp (argv[1], "capable") == 0)
    return make_capable (argv[2]);
  if (argc == 3 && strcmp (argv[1], "processes") == 0)
    return count_processes (atoi (argv[2]));
  if (argc < 3 || strcmp (argv[1], "open") != 0)
    return 2;
  for (int i = 2; i < argc; i++)
    say_open (argv[i]);
  return 0;
}

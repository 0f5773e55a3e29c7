#include "tests/lib/peer.h"

#include "common/fs.h"
#include "common/memory.h"
#include "common/spawn.h"
#include "common/strlist.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

struct peer *
peer_start (const char *script, ...)
{
  struct peer *peer = xcalloc (1, sizeof *peer);
  peer->folder = xstrdup ("/tmp/shoal-peer-XXXXXX");
  assert_non_null (mkdtemp (peer->folder));
  peer->log = xasprintf ("%s/log", peer->folder);
  auto_strlist struct strlist argv = { 0 };
  strlist_add (&argv, "/usr/bin/python3");
  strlist_add (&argv, "-B");
  strlist_addf (&argv, "lib/%s", script); /* tests run in tests/ */
  va_list arguments;
  va_start (arguments, script);
  for (const char *word = va_arg (arguments, const char *); word != NULL;
       word = va_arg (arguments, const char *))
    strlist_add (&argv, strcmp (word, "LOG") == 0 ? peer->log : word);
  va_end (arguments);
  int ends[2];
  assert_int_equal (pipe2 (ends, O_CLOEXEC), 0);
  struct spawn_options options = SPAWN_DEFAULT;
  options.stdout_fd = ends[1];
  peer->pid = spawn (strlist_argv (&argv), &options, NULL);
  assert_true (peer->pid > 0);
  close (ends[1]);
  auto_file FILE *said = fdopen (ends[0], "r");
  if (fscanf (said, "%d", &peer->port) != 1)
    fail_msg ("%s doesn't start", script);
  return peer;
}

void
peer_stop (struct peer *peer)
{
  if (peer == NULL)
    return;
  (void) kill (peer->pid, SIGKILL);
  (void) waitpid (peer->pid, NULL, 0);
  assert_int_equal (fs_remove_tree (AT_FDCWD, peer->folder, NULL), 0);
  free (peer->folder);
  free (peer->log);
  free (peer);
}

int
peer_logged (const struct peer *peer, const char *prefix)
{
  auto_buffer struct buffer text = { 0 };
  int count = 0;
  if (fs_read_file (AT_FDCWD, peer->log, 16 << 20, &text, NULL) != 0)
    return 0;
  for (const char *line = text.data; line != NULL && *line != '\0';)
    {
      count += strncmp (line, prefix, strlen (prefix)) == 0;
      line = strchr (line, '\n');
      line = line == NULL ? NULL : line + 1;
    }
  return count;
}

const char *
peer_server (const char *name)
{
  const char *value = getenv (name);
  if (value == NULL)
    fail_msg ("%s isn't set: tests/run.sh sets it, `deploy/storage/server.sh start` brings such a "
              "server up",
              name);
  return value;
}

/* The bus in one SQLite file: held to the seam's suite, and what only a file can suffer. */
#include "common/auto.h"
#include "common/memory.h"
#include "tests/lib/bus_actor.h"
#include "tests/lib/bus_conformance.h"

#include "common/fs.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static char *
make_place (void)
{
  char folder[] = "/tmp/shoal-bus-XXXXXX";
  if (mkdtemp (folder) == NULL)
    abort ();
  return xasprintf ("sqlite:%s/bus.db", folder);
}

static void
discard_place (char *url)
{
  *strrchr (url, '/') = '\0';
  if (fs_remove_tree (AT_FDCWD, url + strlen ("sqlite:"), NULL) != 0)
    abort ();
  free (url);
}

int
main (int argc, char **argv)
{
  actor_main (argc, argv);
  (void) signal (SIGPIPE, SIG_IGN);
  static const struct bus_place place = { make_place, discard_place };
  return bus_conformance_run (&place);
}

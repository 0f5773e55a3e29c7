/* The container runtimes with real containers: the conformance suite against crun, runc and no
 * container at all, as the user who runs the tests and, when that is root, as nobody too. */
#include "tests/lib/container_conformance.h"

#include "common/auto.h"
#include "common/memory.h"
#include "common/spawn.h"
#include "common/strlist.h"
#include "worker/image_store.h"

#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum
{
  NOBODY = 65534,
};

/* An image store of our own, in FOLDER, with busybox in it. The caller frees; NULL when it can't be
 * made. */
static char *
make_store (const char *folder, const char *layout)
{
  auto_free char *made = xasprintf ("%s/images-%d", folder, (int) geteuid ());
  auto_free char *store = xasprintf ("%s,upperdir=a:b\\c d\n-%d", made, (int) getpid ());
  struct error err = ERROR_INIT;
  /* The tool that unpacks takes no such path. */
  if (image_store_import (made, layout, "busybox", &(const struct image_access){ 0 }, &err) == 0
      && rename (made, store) == 0)
    return take (&store);
  (void) fprintf (stderr, "%s: %s\n", store, err.message);
  return NULL;
}

/* Becomes USER, as a login would. */
static int
become (uid_t user)
{
  if (user == geteuid ())
    return 0;
  if (setgroups (0, NULL) != 0 || setgid (user) != 0 || setuid (user) != 0)
    return -1;
  /* After a change of user the kernel gives our files in /proc to root, which no login would. */
  return prctl (PR_SET_DUMPABLE, 1);
}

static int
run_suite (struct container_conformance subject, const char *folder, const char *layout, uid_t user)
{
  auto_free char *store = become (user) == 0 ? make_store (folder, layout) : NULL;
  subject.images = store;
  return store == NULL ? 1 : container_conformance_run (&subject);
}

/* Runs one suite in a child: a runtime changes the process it is opened in. */
static int
run_apart (const struct container_conformance *subject, const char *folder, const char *layout,
           uid_t user)
{
  (void) fflush (NULL);
  pid_t pid = fork ();
  if (pid == 0)
    exit (run_suite (*subject, folder, layout, user) == 0 ? 0 : 1);
  int status = 0;
  if (pid < 0 || waitpid (pid, &status, 0) != pid)
    return 1;
  return status == 0 ? 0 : 1;
}

static int
run_script (const char *a, const char *b, const char *c, const char *d)
{
  auto_strlist struct strlist argv = { 0 };
  auto_buffer struct buffer out = { 0 };
  struct error err = ERROR_INIT;
  const char *const words[] = { a, b, c, d };
  for (size_t i = 0; i < 4 && words[i] != NULL; i++)
    strlist_add (&argv, words[i]);
  if (spawn_run (strlist_argv (&argv), &out, &err) == 0)
    return 0;
  (void) fprintf (stderr, "%s\n", err.message);
  return -1;
}

/* A checkout may be closed to nobody. */
static int
copy_probes (const char *folder)
{
  static const char *const programs[] = {
    PROBE_SYSTEM_CALLS,
    PROBE_ISOLATION,
#ifdef PROBE_I386
    PROBE_I386,
#endif
  };
  for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++)
    if (run_script ("cp", programs[i], folder, NULL) != 0)
      return -1;
  return 0;
}

int
main (void)
{
  const char *cache = getenv ("SHOAL_TEST_CACHE");
  auto_free char *layouts = xstrdup (cache != NULL ? cache : "/var/tmp/shoal-test-images");
  auto_free char *layout = xasprintf ("%s/busybox", layouts);
  char folder[] = "/var/tmp/shoal-containers-XXXXXX";
  if (run_script ("bash", "lib/images.sh", layouts, "busybox") != 0 || mkdtemp (folder) == NULL
      || chmod (folder, 01777) != 0)
    return 1;
  if (copy_probes (folder) != 0)
    return 1;
  const struct container_conformance subjects[] = {
    { "oci", "crun", NULL, "none", folder, NULL },
    { "process", NULL, NULL, "none", folder, NULL },
    { "oci", "runc", NULL, "none", folder,
      NULL }, /* wants control groups, which nobody doesn't have */
    { "oci", "crun", NULL, "1000000:65536", folder, NULL }
  };
  int failed = 0;
  for (size_t i = 0; i < 4; i++)
    {
      bool root = geteuid () == 0;
      if (root || i < 3)
        failed += run_apart (&subjects[i], folder, layout, geteuid ());
      if (root && i < 2)
        failed += run_apart (&subjects[i], folder, layout, NOBODY);
    }
  (void) run_script ("rm", "-rf", folder, NULL);
  (void) printf ("%d suites failed\n", failed);
  return failed == 0 ? 0 : 1;
}

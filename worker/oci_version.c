#include "worker/oci_version.h"

#include "common/buffer.h"
#include "common/memory.h"
#include "common/spawn.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

int
oci_version_of (const char *program, char **version, struct error *err)
{
  auto_buffer struct buffer out = { 0 };
  struct error problem = ERROR_INIT;
  char *const argv[] = { (char *) (uintptr_t) program, (char *) (uintptr_t) "--version", NULL };
  if (spawn_run (argv, &out, &problem) != 0)
    return problem.code == ENOENT || problem.code == EACCES
               ? 0
               : error_set (err, problem.class, "%s", problem.message);
  *version =
      xstrndup (out.data == NULL ? "" : out.data, out.data == NULL ? 0 : strcspn (out.data, "\n"));
  return 1;
}

bool
oci_version_is (const char *version, int minor)
{
  int found[2] = { 0 };
  if (sscanf (version, "%*s version %d.%d", &found[0], &found[1]) != 2)
    return true;
  return found[0] > 1 || (found[0] == 1 && found[1] >= minor);
}

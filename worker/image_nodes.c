#include "worker/image_nodes.h"

#include "common/auto.h"
#include "common/memory.h"

#include <errno.h>
#include <fts.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
is_device (const FTSENT *entry)
{
  return entry->fts_info == FTS_DEFAULT
         && (S_ISCHR (entry->fts_statp->st_mode) || S_ISBLK (entry->fts_statp->st_mode));
}

/* Removes it when it is a device: 1, 0 when it isn't, or -1. */
static int
image_nodes_remove_device (const FTSENT *entry, struct error *err)
{
  if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR || entry->fts_info == FTS_NS)
    return error_errno (err, entry->fts_errno, "%s", entry->fts_path);
  if (!is_device (entry))
    return 0;
  return unlink (entry->fts_accpath) == 0 ? 1 : error_errno (err, errno, "%s", entry->fts_path);
}

int
image_nodes_remove (const char *rootfs, char **first, struct error *err)
{
  auto_free char *folder = xstrdup (rootfs);
  char *const paths[] = { folder, NULL };
  FTS *walk = fts_open (paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
  if (walk == NULL)
    return error_errno (err, errno, "%s", rootfs);
  int removed = 0;
  int result = 0;
  for (const FTSENT *entry = fts_read (walk); entry != NULL && result >= 0; entry = fts_read (walk))
    {
      result = image_nodes_remove_device (entry, err);
      removed += result == 1 ? 1 : 0;
      if (result == 1 && *first == NULL)
        *first = xstrdup (entry->fts_path + strlen (rootfs));
    }
  (void) fts_close (walk);
  return result < 0 ? -1 : removed;
}

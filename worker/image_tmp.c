#include "worker/image_tmp.h"

#include "common/closed.h"
#include "common/digest.h"
#include "common/fs.h"
#include "common/hex.h"
#include "common/lock.h"
#include "common/memory.h"
#include "common/path.h"
#include "common/scratch.h"
#include "worker/image_ref.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

enum
{
  TRIES = 100,
};

/* ---- closed to others ------------------------------------------------------------------- */

static bool
is_ref (const char *name)
{
  auto_free char *ref = image_ref_decode (name);
  return ref != NULL;
}

static bool
image_tmp_is_digest (const char *name)
{
  return hex_is_text (name, DIGEST_TEXT_SIZE - 1);
}

/* "PID.N": the store may have been put where a folder `tmp` of other things is. */
static bool
image_tmp_is_unfinished (const char *name)
{
  size_t pid = strspn (name, "0123456789");
  const char *number = name + pid + 1;
  return pid > 0 && name[pid] == '.' && number[0] != '\0'
         && strspn (number, "0123456789") == strlen (number);
}

/* What image_use.h names. */
static bool
is_use (const char *name)
{
  return image_tmp_is_unfinished (name) || strncmp (name, "job.", strlen ("job.")) == 0;
}

static const struct tmp_folder
{
  const char *name;
  bool (*is_ours) (const char *name);
} folders[] = { { "refs", is_ref },
                { "images", image_tmp_is_digest },
                { "tmp", image_tmp_is_unfinished },
                { "uses", is_use } };

enum
{
  FOLDERS = sizeof folders / sizeof *folders,
};

static bool
is_of_a_store (const char *name)
{
  for (size_t i = 0; i < FOLDERS; i++)
    if (strcmp (name, folders[i].name) == 0)
      return true;
  return strcmp (name, "lock") == 0;
}

void
image_tmp_close_off (const char *store)
{
  closed_tighten (store, is_of_a_store);
  for (size_t i = 0; i < FOLDERS; i++)
    {
      auto_free char *path = path_join (store, folders[i].name);
      closed_tighten (path, folders[i].is_ours);
    }
}

static int
make_store (const char *store, struct error *err)
{
  if (closed_make (store, err) != 0)
    return error_wrap (err, "image store");
  for (size_t i = 0; i < FOLDERS; i++)
    {
      auto_free char *path = path_join (store, folders[i].name);
      if (closed_make (path, err) != 0)
        return error_wrap (err, "image store");
    }
  image_tmp_close_off (store);
  return 0;
}

/* ---- unfinished things ------------------------------------------------------------------ */

int
image_tmp_make (const char *store, struct image_tmp *tmp, struct error *err)
{
  auto_free char *parent = path_join (store, "tmp");
  if (make_store (store, err) != 0)
    return -1;
  tmp->parent = fs_open_folder (AT_FDCWD, parent, err);
  if (tmp->parent < 0)
    return -1;
  (void) scratch_sweep_ours (tmp->parent, image_tmp_is_unfinished);
  for (unsigned int n = 0; n < TRIES && tmp->fd < 0; n++)
    {
      free (tmp->name);
      error_clear (err);
      tmp->name = xasprintf ("%d.%u", (int) getpid (), n);
      /* Another's, who is process N as well but in a container of its own, is left alone. */
      tmp->fd = scratch_make (tmp->parent, tmp->name, 0700, err);
    }
  if (tmp->fd < 0)
    return error_wrap (err, "%s", parent);
  tmp->path = path_join (parent, tmp->name);
  return 0;
}

void
image_tmp_release (struct image_tmp *tmp)
{
  if (tmp->fd >= 0)
    (void) fs_remove_tree (tmp->parent, tmp->name, NULL);
  auto_fd_ (&tmp->fd);
  auto_fd_ (&tmp->parent);
  free (tmp->name);
  free (tmp->path);
}

int
image_tmp_lock (const char *store, struct error *err)
{
  auto_free char *path = path_join (store, "lock");
  auto_fd int fd = lock_open (AT_FDCWD, path, err);
  if (fd < 0)
    return -1;
  while (flock (fd, LOCK_EX) != 0)
    if (errno != EINTR)
      return error_errno (err, errno, "locking %s", path);
  return take_fd (&fd);
}

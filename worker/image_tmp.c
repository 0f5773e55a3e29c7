#include "worker/image_tmp.h"

#include "common/fs.h"
#include "common/lock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/path.h"
#include "common/sys.h"
#include "common/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

static int
make_store (const char *store, struct error *err)
{
  static const char *const folders[] = { "refs", "images", "tmp" };
  for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
    {
      auto_free char *path = path_join (store, folders[i]);
      if (fs_make_path (path, 0755, err) != 0)
        return error_wrap (err, "image store");
    }
  return 0;
}

/* Opens and locks folder NAME; -1 when somebody else holds it, or it was removed meanwhile. */
static int
hold (int parent, const char *name)
{
  auto_fd int fd = fs_open_beneath (parent, name, O_RDONLY | O_DIRECTORY, 0, NULL);
  struct stat held;
  struct stat there;
  if (fd < 0 || flock (fd, LOCK_EX | LOCK_NB) != 0 || fstat (fd, &held) != 0
      || fstatat (parent, name, &there, AT_SYMLINK_NOFOLLOW) != 0 || held.st_ino != there.st_ino)
    return -1;
  return take_fd (&fd);
}

/* Whether NAME is "PID.N" as image_tmp_make gives them: the store may have been put where a folder `tmp` of other things is. */
static bool
is_ours (const char *name)
{
  size_t pid = strspn (name, "0123456789");
  const char *number = name + pid + 1;
  return pid > 0 && name[pid] == '.' && number[0] != '\0'
         && strspn (number, "0123456789") == strlen (number);
}

/* Trouble here is no reason to fail: a child of the dead process may still write there. The next one sweeps again. */
static void
sweep (int parent)
{
  auto_fd int copy = fs_open_folder (parent, ".", NULL);
  auto_dir DIR *dir = copy < 0 ? NULL : fdopendir (copy);
  if (dir == NULL)
    return;
  (void) take_fd (&copy);
  for (struct dirent *entry = readdir (dir); entry != NULL; entry = readdir (dir))
    {
      if (!is_ours (entry->d_name))
        continue;
      auto_fd int fd = hold (parent, entry->d_name);
      struct error why = ERROR_INIT;
      if (fd >= 0 && fs_remove_tree (parent, entry->d_name, &why) != 0)
        {
          auto_free char *quoted = text_log (why.message);
          log_warn ("image_sweep", "reason=%s", quoted);
        }
    }
}

int
image_tmp_make (const char *store, struct image_tmp *tmp, struct error *err)
{
  auto_free char *parent = path_join (store, "tmp");
  if (make_store (store, err) != 0)
    return -1;
  tmp->parent = fs_open_folder (AT_FDCWD, parent, err);
  if (tmp->parent < 0)
    return -1;
  sweep (tmp->parent);
  for (unsigned int n = 0; tmp->fd < 0; n++)
    {
      free (tmp->name);
      tmp->name = xasprintf ("%d.%u", (int) getpid (), n);
      if (sys_mkdir (tmp->parent, tmp->name, 0755) == 0)
        tmp->fd = hold (tmp->parent, tmp->name); /* not ours when a sweep was faster */
      else if (errno != EEXIST)
        return error_errno (err, errno, "%s/%s", parent, tmp->name);
    }
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

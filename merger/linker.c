#include "merger/linker.h"

#include "common/fs.h"
#include "common/memory.h"
#include "merger/unchanged.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

void
linker_release (struct linker *linker)
{
  auto_fd_ (&linker->source_fd);
  auto_fd_ (&linker->folder_fd);
  free (linker->source);
  free (linker->target);
  bool pointers = linker->pointers;
  const struct heartbeat *heartbeat = linker->heartbeat;
  *linker = (struct linker) LINKER_INIT (linker->target_fd);
  linker->pointers = pointers;
  linker->heartbeat = heartbeat;
}

static enum link_outcome
linker_make_folder (const struct linker *linker, const char *path, struct error *err)
{
  struct error problem = ERROR_INIT;
  if (fs_make_folders (linker->target_fd, path, 0755, &problem) == 0)
    return LINK_DONE;
  if (problem.code == ENOTDIR || problem.code == ELOOP)
    return LINK_COLLIDES;
  if (err != NULL)
    *err = problem;
  return LINK_FAILED;
}

/* Opens the folders that the file lies in, unless they are open already. */
static enum link_outcome
linker_open_folders (struct linker *linker, int from_fd, char *source, char *target,
                     struct error *err)
{
  if (linker->source != NULL && strcmp (linker->source, source) == 0
      && strcmp (linker->target, target) == 0)
    return LINK_DONE;
  linker_release (linker);
  enum link_outcome made = linker_make_folder (linker, target, err);
  if (made != LINK_DONE)
    return made;
  linker->folder_fd = fs_open_beneath (linker->target_fd, target, O_PATH | O_DIRECTORY, 0, err);
  if (linker->folder_fd < 0)
    return LINK_FAILED;
  if (!linker->pointers)
    linker->source_fd = fs_open_beneath (from_fd, source, O_PATH | O_DIRECTORY, 0, err);
  if (!linker->pointers && linker->source_fd < 0)
    return LINK_FAILED;
  linker->source = xstrdup (source);
  linker->target = xstrdup (target);
  return LINK_DONE;
}

/* What is in the way of NAME. */
static enum link_outcome
in_the_way (const struct linker *linker, const char *name)
{
  struct stat status;
  bool folder = fstatat (linker->folder_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0
                && S_ISDIR (status.st_mode);
  return folder ? LINK_COLLIDES : LINK_TAKEN;
}

/* A link that says where the file is, from the tree's root. */
static int
point (const struct linker *linker, const char *name, struct error *err)
{
  auto_free char *target = xasprintf ("%s/%s", linker->source, name);
  if (symlinkat (target, linker->folder_fd, name) == 0)
    return 0;
  return error_errno (err, errno, "pointing to %s", target);
}

enum link_outcome
linker_link (struct linker *linker, int from_fd, const char *from, const char *to,
             const struct line *line, struct error *err)
{
  const char *path = line->path.data;
  const char *slash = strrchr (path, '/');
  int folder_size = slash == NULL ? 0 : (int) (slash - path);
  const char *name = slash == NULL ? path : slash + 1;
  auto_free char *source = xasprintf ("%s/%.*s", from, folder_size, path);
  auto_free char *target = xasprintf ("%s/%.*s", to, folder_size, path);
  enum link_outcome opened = linker_open_folders (linker, from_fd, source, target, err);
  if (opened != LINK_DONE)
    return opened;
  int unchanged =
      linker->pointers ? 1 : unchanged_file (linker->source_fd, name, line, linker->heartbeat, err);
  if (unchanged != 1)
    return unchanged < 0 ? LINK_FAILED : LINK_CHANGED;
  struct error problem = ERROR_INIT;
  if ((linker->pointers
           ? point (linker, name, &problem)
           : fs_link_or_copy (linker->source_fd, name, linker->folder_fd, name, &problem))
      == 0)
    return LINK_DONE;
  if (problem.code == EEXIST)
    return in_the_way (linker, name);
  if (err != NULL)
    *err = problem;
  return LINK_FAILED;
}

enum link_outcome
linker_folder (struct linker *linker, const char *to, const char *path, struct error *err)
{
  auto_free char *target = xasprintf ("%s/%s", to, path);
  return linker_make_folder (linker, target, err);
}

char *
linker_obstacle (const struct linker *linker, const char *to, const char *path)
{
  for (const char *slash = strchr (path, '/'); slash != NULL; slash = strchr (slash + 1, '/'))
    {
      auto_free char *above = xstrndup (path, (size_t) (slash - path));
      auto_free char *full = xasprintf ("%s/%s", to, above);
      struct stat status;
      if (fstatat (linker->target_fd, full, &status, AT_SYMLINK_NOFOLLOW) == 0
          && !S_ISDIR (status.st_mode))
        return take (&above);
    }
  return xstrdup (path);
}

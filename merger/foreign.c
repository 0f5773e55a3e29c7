#include "merger/foreign.h"

#include "common/digest.h"
#include "common/fs.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"
#include "common/unique.h"
#include "merger/hashes.h"
#include "merger/manifest_lines.h"
#include "merger/same_files.h"
#include "result/result.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

enum
{
  RENEW_ENTRIES = 256,
};

struct foreign
{
  bool top;
  const struct heartbeat *heartbeat;
  int *manifests; /* open; they are read when somebody must know what is shoal's */
  size_t manifest_count;
  bool read;
  bool listed;         /* a manifest says what is shoal's */
  struct hashes known; /* of shoal's paths; of a million two are the same in one of 40 million
                          results */
  unsigned int renewals;
};

/* One walk from OLD to NEW. */
struct foreign_walk
{
  struct foreign *foreign;
  int old;
  int new;
  dev_t device;
  bool late;
  bool suspects; /* there are outputs that aren't the same file in both trees */
  char *problem;
  struct error *err;
};

/* ---- shoal's own paths ------------------------------------------------------------------ */

/* PATH, and the folders that it lies in. */
static void
know_path (struct foreign *foreign, const char *path)
{
  for (const char *slash = strchr (path, '/'); slash != NULL; slash = strchr (slash + 1, '/'))
    hashes_add (&foreign->known, hash_bytes (path, (size_t) (slash - path)));
  hashes_add (&foreign->known, hash_bytes (path, strlen (path)));
}

static bool
is_known (const struct foreign *foreign, const char *path)
{
  return hashes_has (&foreign->known, hash_bytes (path, strlen (path)));
}

static char *
foreign_path_of (const struct line *line)
{
  return xasprintf ("outputs/%s/%s", line->output, line->path.data);
}

static int
foreign_renew (struct foreign *foreign, struct error *err)
{
  return foreign->renewals++ % RENEW_ENTRIES == 0 ? heartbeat_renew (foreign->heartbeat, err) : 0;
}

/* One that can't be read, because somebody changed it, says nothing. */
static int
read_manifest (struct foreign *foreign, int fd, struct error *err)
{
  auto_manifest_lines struct manifest_lines lines = { 0 };
  int got = manifest_lines_take (&lines, fd, NULL) != 0 ? -1 : 1;
  while (got > 0)
    {
      if (foreign_renew (foreign, err) != 0)
        return -1;
      got = manifest_lines_next (&lines, NULL);
      auto_free char *path = got > 0 ? foreign_path_of (&lines.line) : NULL;
      if (path != NULL)
        know_path (foreign, path);
    }
  foreign->listed |= got == 0;
  return 0;
}

/* Reads what is shoal's: a million lines, which nobody needs as long as each file is the same one
 * in both trees. */
static int
foreign_read (struct foreign *foreign, struct error *err)
{
  foreign->read = true;
  while (foreign->manifest_count > 0)
    if (read_manifest (foreign, foreign->manifests[--foreign->manifest_count], err) != 0)
      return -1;
  return 0;
}

static void
foreign_open_manifest (struct foreign *foreign, int folder_fd, const char *name)
{
  int fd = fs_open_beneath (folder_fd, name, O_RDONLY, 0, NULL);
  if (fd < 0)
    return;
  size_t count = foreign->manifest_count + 1;
  foreign->manifests = xrealloc (foreign->manifests, count, sizeof *foreign->manifests);
  foreign->manifests[foreign->manifest_count++] = fd;
}

/* Those of publishes that were cut off between the old manifest's end and the new one's
 * beginning. */
static int
foreign_open_others (struct foreign *foreign, int folder_fd, struct error *err)
{
  auto_fd int fd = fs_open_beneath (folder_fd, RESULT_STATE, O_RDONLY | O_DIRECTORY, 0, err);
  int copy = fd < 0 ? -1 : fcntl (fd, F_DUPFD_CLOEXEC, 0);
  auto_dir DIR *dir = copy < 0 ? NULL : fdopendir (copy);
  if (dir == NULL)
    return error_is_set (err) ? -1 : error_errno (err, errno, RESULT_STATE);
  for (const struct dirent *entry = readdir (dir); entry != NULL; entry = readdir (dir))
    if (strncmp (entry->d_name, RESULT_LISTED, strlen (RESULT_LISTED)) == 0)
      foreign_open_manifest (foreign, fd, entry->d_name);
  return 0;
}

struct foreign *
foreign_open (int folder_fd, bool top, const struct heartbeat *heartbeat, struct error *err)
{
  struct foreign *foreign = xcalloc (1, sizeof *foreign);
  *foreign = (struct foreign){ .top = top, .heartbeat = heartbeat };
  foreign_open_manifest (foreign, folder_fd, "manifest.json");
  if (foreign_open_others (foreign, folder_fd, err) == 0)
    return foreign;
  foreign_close (foreign);
  return NULL;
}

void
foreign_close (struct foreign *foreign)
{
  if (foreign == NULL)
    return;
  while (foreign->manifest_count > 0)
    (void) close (foreign->manifests[--foreign->manifest_count]);
  free (foreign->manifests);
  hashes_release (&foreign->known);
  free (foreign);
}

/* ---- carrying ---------------------------------------------------------------------------- */

static int walk_folder (struct foreign_walk *walk, const char *path,
                        int (*visit) (struct foreign_walk *walk, const char *path));

static void
foreign_add_problem (struct foreign_walk *walk, const char *path, const char *what)
{
  auto_free char *shown = text_shown (path);
  if (walk->problem == NULL)
    walk->problem =
        xasprintf ("%s %s: move it out of the result, then run `shoal merge`", shown, what);
}

/* The folders that PATH lies in, as they are in the old tree. */
static int
make_above (struct foreign_walk *walk, const char *path)
{
  const char *slash = strrchr (path, '/');
  if (slash == NULL)
    return 0;
  auto_free char *above = xstrndup (path, (size_t) (slash - path));
  return fs_make_folders (walk->new, above, 0755, walk->err);
}

static int
carry_folder (struct foreign_walk *walk, const char *path, const struct stat *old,
              int (*visit) (struct foreign_walk *walk, const char *path))
{
  if (fs_make_folders (walk->new, path, 0755, walk->err) != 0
      || walk_folder (walk, path, visit) != 0)
    return -1;
  auto_fd int fd = fs_open_beneath (walk->new, path, O_RDONLY | O_DIRECTORY, 0, walk->err);
  const struct timespec times[2] = { old->st_atim, old->st_mtim };
  if (fd < 0)
    return -1;
  if ((geteuid () == 0 && fchown (fd, old->st_uid, old->st_gid) != 0)
      || fchmod (fd, old->st_mode & 07777) != 0 || futimens (fd, times) != 0)
    return error_errno (walk->err, errno, "%s", path);
  return 0;
}

static int
link_as (struct foreign_walk *walk, const char *path, const char *name)
{
  return make_above (walk, path) != 0
             ? -1
             : fs_link_or_copy (walk->old, path, walk->new, name, walk->err);
}

/* PATH's place is taken by something else. */
static int
yield (struct foreign_walk *walk, const char *path)
{
  char unique[UNIQUE_SIZE];
  if (!walk->late)
    {
      foreign_add_problem (walk, path,
                           "was not written by shoal and is in the place of a shard's output");
      return 0;
    }
  auto_free char *name = xasprintf ("%s.%s", path, unique_text (unique));
  auto_free char *from = text_log (path);
  auto_free char *to = text_log (name);
  log_warn ("foreign_renamed", "path=%s as=%s", from, to);
  return link_as (walk, path, name);
}

/* Brings PATH of the old tree, and all below it, which isn't shoal's. */
static int
foreign_bring (struct foreign_walk *walk, const char *path)
{
  struct stat old;
  struct stat new;
  if (fstatat (walk->old, path, &old, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT ? 0 : error_errno (walk->err, errno, "%s", path);
  bool there = fstatat (walk->new, path, &new, AT_SYMLINK_NOFOLLOW) == 0;
  if (!there && errno != ENOENT && errno != ENOTDIR)
    return error_errno (walk->err, errno, "%s", path);
  bool blocked = !there && errno == ENOTDIR;
  if (S_ISDIR (old.st_mode) && old.st_dev != walk->device)
    {
      foreign_add_problem (walk, path, "is a mount point");
      return 0;
    }
  if (there && old.st_dev == new.st_dev &&old.st_ino == new.st_ino)
    return 0;
  if (S_ISDIR (old.st_mode) && !blocked && (!there || S_ISDIR (new.st_mode)))
    return there ? walk_folder (walk, path, foreign_bring)
                 : carry_folder (walk, path, &old, foreign_bring);
  if (there || blocked)
    return blocked ? 0 : yield (walk, path); /* the folder above has yielded already */
  return link_as (walk, path, path);
}

/* Without a manifest: what has no second name in an attempt, and isn't made anew, is taken for
 * somebody's. */
static bool
looks_foreign (const struct foreign_walk *walk, const char *path, const struct stat *old)
{
  return !S_ISDIR (old->st_mode) && old->st_nlink == 1 && !fs_exists (walk->new, path);
}

/* PATH below outputs/. */
static int
visit_output (struct foreign_walk *walk, const char *path)
{
  struct stat old;
  struct stat new;
  struct foreign *foreign = walk->foreign;
  if (fstatat (walk->old, path, &old, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT ? 0 : error_errno (walk->err, errno, "%s", path);
  bool there = fstatat (walk->new, path, &new, AT_SYMLINK_NOFOLLOW) == 0;
  if (there && !S_ISDIR (old.st_mode) && old.st_dev == new.st_dev && old.st_ino == new.st_ino)
    return 0;
  bool folder = S_ISDIR (old.st_mode) && old.st_dev == walk->device;
  bool made = there && S_ISDIR (new.st_mode);
  if (folder && made)
    return walk_folder (walk, path, visit_output);
  if (!foreign->read && foreign_read (foreign, walk->err) != 0)
    return -1;
  bool known = is_known (foreign, path);
  walk->suspects |= known;
  if (folder && (known || !foreign->listed))
    return walk_folder (walk, path, visit_output);
  /* Something else where shoal has a folder, or a file system on it. */
  if (made || S_ISDIR (old.st_mode))
    return foreign_bring (walk, path);
  if (foreign->listed ? !known : looks_foreign (walk, path, &old))
    return foreign_bring (walk, path);
  return 0;
}

/* PATH in shards/: links to attempts are shoal's. */
static int
visit_shard (struct foreign_walk *walk, const char *path)
{
  static const char ours[] = "../" RESULT_ATTEMPTS "/";
  char target[sizeof ours] = "";
  ssize_t length = readlinkat (walk->old, path, target, sizeof target);
  if (length >= (ssize_t) strlen (ours) && strncmp (target, ours, strlen (ours)) == 0)
    return 0;
  return foreign_bring (walk, path);
}

static int
visit_top (struct foreign_walk *walk, const char *path)
{
  static const char *const ours[] = { RESULT_STATE, "manifest.json", "stdout", "stderr",
                                      "report.html" };
  /* Only where this tree has one is that name ours. */
  if (strcmp (path, RESULT_QUARANTINED) == 0 && fs_exists (walk->new, path))
    return 0;
  for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
    if (strcmp (path, ours[i]) == 0)
      return 0;
  struct stat about;
  bool folder =
      fstatat (walk->old, path, &about, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR (about.st_mode);
  if (strcmp (path, "outputs") == 0 && folder)
    return walk_folder (walk, path, visit_output);
  if (strcmp (path, "shards") == 0 && folder)
    return walk_folder (walk, path, visit_shard);
  return walk->foreign->top ? foreign_bring (walk, path) : 0;
}

static int
walk_folder (struct foreign_walk *walk, const char *path,
             int (*visit) (struct foreign_walk *walk, const char *path))
{
  auto_fd int fd = fs_open_beneath (walk->old, path, O_RDONLY | O_DIRECTORY, 0, walk->err);
  auto_dir DIR *dir = fd < 0 ? NULL : fdopendir (fd);
  if (dir == NULL)
    return -1;
  (void) take_fd (&fd);
  auto_same_files struct same_files same = { 0 };
  same_files_read (&same, dirfd (dir), walk->new, path);
  for (;;)
    {
      errno = 0;
      const struct dirent *entry = readdir (dir);
      if (entry == NULL)
        return errno == 0 ? 0 : error_errno (walk->err, errno, "%s", path);
      if (strcmp (entry->d_name, ".") == 0 || strcmp (entry->d_name, "..") == 0)
        continue;
      if (foreign_renew (walk->foreign, walk->err) != 0)
        return -1;
      if (same_files_has (&same, entry))
        continue;
      auto_free char *below = strcmp (path, ".") == 0 ? xstrdup (entry->d_name)
                                                      : xasprintf ("%s/%s", path, entry->d_name);
      if (visit (walk, below) != 0)
        return -1;
    }
}

/* ---- outputs that were changed ----------------------------------------------------------- */

static bool
is_link_to (const struct foreign_walk *walk, const char *path, const char *target)
{
  char text[PATH_MAX] = "";
  ssize_t length = readlinkat (walk->old, path, text, sizeof text - 1);
  return length >= 0 && strcmp (text, target) == 0;
}

/* Whether PATH in the old tree is what LINE says that shoal made: 1, 0 or -1. */
static int
is_as_made (const struct foreign_walk *walk, const char *path, const struct stat *old,
            const struct line *line)
{
  uint8_t sum[DIGEST_SIZE];
  char text[DIGEST_TEXT_SIZE];
  if (line->link)
    return is_link_to (walk, path, line->target.data);
  if (!S_ISREG (old->st_mode) || old->st_size != line->size)
    return 0;
  auto_fd int fd = fs_open_beneath (walk->old, path, O_RDONLY | O_NONBLOCK, 0, walk->err);
  auto_digest struct digest *digest = digest_new ();
  if (fd < 0 || digest_file (digest, fd, old, NULL, sum, walk->err) < 0)
    return -1;
  return strcmp (digest_format (sum, text), line->sha256) == 0;
}

/* An output that is in the new tree as the same file is looked after there. */
static int
foreign_check_line (struct foreign_walk *walk, const struct line *line)
{
  struct stat old;
  struct stat new;
  auto_free char *path = foreign_path_of (line);
  if (line->folder || fstatat (walk->old, path, &old, AT_SYMLINK_NOFOLLOW) != 0)
    return 0;
  bool there = fstatat (walk->new, path, &new, AT_SYMLINK_NOFOLLOW) == 0;
  if (there && old.st_dev == new.st_dev &&old.st_ino == new.st_ino)
    return 0;
  int as_made = is_as_made (walk, path, &old, line);
  return as_made != 0 ? as_made < 0 ? -1 : 0 : foreign_bring (walk, path);
}

static int
foreign_check_outputs (struct foreign_walk *walk)
{
  auto_manifest_lines struct manifest_lines lines = { 0 };
  if (!fs_exists (walk->old, "manifest.json"))
    return 0;
  if (manifest_lines_open (&lines, walk->old, "manifest.json", NULL) != 0)
    return 0;
  while (manifest_lines_next (&lines, NULL) > 0)
    if (foreign_renew (walk->foreign, walk->err) != 0
        || foreign_check_line (walk, &lines.line) != 0)
      return -1;
  return 0;
}

/* ---- the whole tree ---------------------------------------------------------------------- */

static int
carry_tree (struct foreign_walk *walk)
{
  struct stat root;
  if (fstat (walk->old, &root) != 0)
    return error_errno (walk->err, errno, "the result's folder");
  walk->device = root.st_dev;
  if (walk_folder (walk, ".", visit_top) != 0)
    return -1;
  return walk->late || !walk->suspects ? 0 : foreign_check_outputs (walk);
}

int
foreign_carry (struct foreign *foreign, int old_fd, int new_fd, char **problem, struct error *err)
{
  struct foreign_walk walk = { .foreign = foreign, .old = old_fd, .new = new_fd, .err = err };
  int result = carry_tree (&walk);
  *problem = walk.problem;
  return result != 0 ? error_wrap (err, "files in the result that are not shoal's") : 0;
}

int
foreign_carry_late (void *context, int old_fd, int new_fd, struct error *err)
{
  struct foreign_walk walk = {
    .foreign = context, .old = old_fd, .new = new_fd, .late = true, .err = err
  };
  int result = carry_tree (&walk);
  free (walk.problem);
  return result != 0 ? error_wrap (err, "files in the result that are not shoal's") : 0;
}

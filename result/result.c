#include "result/result.h"

#include "common/auto.h"
#include "common/fs.h"
#include "common/lock.h"
#include "common/memory.h"
#include "common/scratch.h"
#include "common/sys.h"
#include "common/unique.h"
#include "result/result_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#define PARTIAL_SUFFIX ".partial"
#define MAKING_SUFFIX ".making"
#define MANIFEST "manifest.json"

/* ---- where it is ------------------------------------------------------------------------ */

/* Cuts slashes and ".partial" off the end of PATH. */
static void
cut_suffixes (char *path)
{
  size_t length = strlen (path);
  while (length > 1 && path[length - 1] == '/')
    path[--length] = '\0';
  size_t suffix = strlen (PARTIAL_SUFFIX);
  if (length > suffix && strcmp (path + length - suffix, PARTIAL_SUFFIX) == 0
      && path[length - suffix - 1] != '/')
    path[length - suffix] = '\0';
}

char *
result_location (const char *location, struct error *err)
{
  if (location[0] == '\0')
    {
      (void) error_set (err, ERROR_USER, "the name of the result folder is empty");
      return NULL;
    }
  if (result_is_remote (location))
    return result_store_place (location, err);
  auto_free char *path = xstrdup (location);
  cut_suffixes (path);
  char *slash = strrchr (path, '/');
  const char *name = slash == NULL ? path : slash + 1;
  if (name[0] == '\0' || strcmp (name, ".") == 0 || strcmp (name, "..") == 0)
    {
      (void) error_set (err, ERROR_USER, "%s: a result needs a folder name of its own", location);
      return NULL;
    }
  auto_free char *base = xstrdup (name);
  auto_free char *above =
      slash == NULL ? xstrdup (".") : xstrndup (path, (size_t) (slash - path) + 1);
  auto_free char *absolute = realpath (above, NULL);
  if (absolute == NULL)
    {
      (void) error_errno (err, errno, "%s: the folder above it, %s", location, above);
      return NULL;
    }
  return xasprintf ("%s/%s", strcmp (absolute, "/") == 0 ? "" : absolute, base);
}

/* Where LOCATION's folders are on this machine: LOCATION itself, or the mirror of a URL. The caller
 * frees; NULL with ERR. */
static char *
result_home_of (const char *location, struct error *err)
{
  return result_is_remote (location) ? result_store_mirror (location, err) : xstrdup (location);
}

static char *
partial_of (const char *location)
{
  return xasprintf ("%s" PARTIAL_SUFFIX, location);
}

/* Where the new tree waits for its exchange: a hidden name beside LOCATION that nobody else uses.
 */
static char *
exchange_of (const char *location)
{
  const char *slash = strrchr (location, '/');
  const char *name = slash == NULL ? location : slash + 1; /* a job may name anything */
  return xasprintf ("%.*s.%s.shoal-exchange", (int) (name - location), location, name);
}

static bool
has_state (const char *folder)
{
  auto_free char *state = xasprintf ("%s/" RESULT_STATE, folder);
  return fs_exists (AT_FDCWD, state);
}

/* Moves .shoal over after an exchange. Somebody else may just be doing the same. */
static int
finish_exchange (const char *location, const char *exchange, struct error *err)
{
  auto_free char *from = xasprintf ("%s/" RESULT_STATE, exchange);
  auto_free char *to = xasprintf ("%s/" RESULT_STATE, location);
  if (sys_rename (AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0 || has_state (location))
    return 0;
  return error_errno (err, errno, "renaming %s to %s", from, to);
}

/* Whether PARTIAL is to replace a result that stands. */
static bool
is_newer (const char *partial)
{
  auto_free char *note = xasprintf ("%s/" RESULT_NEWER, partial);
  return fs_exists (AT_FDCWD, note);
}

static enum result_state
state_of (const char *location)
{
  auto_free char *growing = partial_of (location);
  if (has_state (location))
    return is_newer (growing) ? RESULT_PARTIAL : RESULT_COMPLETE;
  auto_free char *exchange = exchange_of (location);
  if (has_state (exchange) && fs_exists (AT_FDCWD, location)
      && finish_exchange (location, exchange, NULL) == 0)
    return RESULT_COMPLETE;
  auto_free char *partial = partial_of (location);
  if (has_state (partial))
    return RESULT_PARTIAL;
  if (has_state (location)) /* it was renamed between the two looks */
    return RESULT_COMPLETE;
  bool taken = fs_exists (AT_FDCWD, location) || fs_exists (AT_FDCWD, partial);
  return taken ? RESULT_FOREIGN : RESULT_ABSENT;
}

enum result_state
result_state (const char *location)
{
  auto_free char *home = result_home_of (location, NULL);
  return home == NULL ? RESULT_ABSENT : state_of (home);
}

char *
result_folder (const char *location, struct error *err)
{
  auto_free char *home = result_home_of (location, err);
  if (home == NULL)
    return NULL;
  switch (state_of (home))
    {
    case RESULT_COMPLETE:
      return take (&home);
    case RESULT_PARTIAL:
      return partial_of (home);
    case RESULT_FOREIGN:
      (void) error_set (err, ERROR_USER, "%s: not a result of shoal", location);
      return NULL;
    case RESULT_ABSENT:
      break;
    }
  (void) error_set (err, ERROR_USER, "%s: no such result", location);
  return NULL;
}

int
result_open (const char *location, struct error *err)
{
  if (result_is_remote (location) && result_state (location) == RESULT_ABSENT)
    (void) result_create (location, NULL, NULL); /* another process may be quicker */
  /* The folder may be renamed between finding and opening it: look again then. */
  for (int tries = 0;; tries++)
    {
      auto_free char *folder = result_folder (location, err);
      if (folder == NULL)
        return -1;
      auto_fd int fd = fs_open_folder (AT_FDCWD, folder, err);
      if (fd >= 0 && fs_exists (fd, RESULT_STATE))
        return take_fd (&fd);
      if (tries == 8)
        return error_set (err, ERROR_TRANSIENT, "%s: opening the result folder", folder);
      error_clear (err);
    }
}

/* ---- making and holding it -------------------------------------------------------------- */

/* What was to become PARTIAL, had its maker lived. */
static void
sweep_makings (const char *partial)
{
  const char *name = strrchr (partial, '/') + 1;
  auto_free char *above = xstrndup (partial, (size_t) (name - partial));
  auto_free char *prefix = xasprintf ("%s.", name);
  auto_fd int fd = fs_open_folder (AT_FDCWD, above, NULL);
  if (fd >= 0)
    (void) scratch_sweep (fd, prefix, MAKING_SUFFIX);
}

enum
{
  JOB_ID_MAX = 4096,
};

/* Whose result it is. The first to link the note into its place decides. */
static int
result_record_owner (int folder_fd, const char *job_id, struct buffer *owner, struct error *err)
{
  char unique[UNIQUE_SIZE];
  auto_free char *making = xasprintf (RESULT_JOB ".%s", unique_text (unique));
  if (fs_read_file (folder_fd, RESULT_JOB, JOB_ID_MAX, owner, NULL) == 0)
    return 0;
  buffer_clear (owner);
  const struct bytes text = { job_id, strlen (job_id) };
  if (fs_write_file (folder_fd, making, text, err) != 0)
    return -1;
  int linked = linkat (folder_fd, making, folder_fd, RESULT_JOB, 0);
  int code = errno;
  (void) unlinkat (folder_fd, making, 0);
  if (linked != 0 && code != EEXIST)
    return error_errno (err, code, RESULT_JOB);
  return fs_read_file (folder_fd, RESULT_JOB, JOB_ID_MAX, owner, err);
}

static int
make_partial (const char *home, const char *job_id, bool newer, struct error *err)
{
  /* Made under a name of its own first, so that LOCATION.partial never exists without its .shoal.
   */
  auto_free char *partial = partial_of (home);
  char unique[UNIQUE_SIZE];
  auto_free char *making = xasprintf ("%s.%s" MAKING_SUFFIX, partial, unique_text (unique));
  sweep_makings (partial);
  auto_buffer struct buffer owner = { 0 };
  static const char *const folders[] = { RESULT_STATE, RESULT_TMP, RESULT_ATTEMPTS };
  auto_fd int fd = scratch_make (AT_FDCWD, making, 0755, err);
  if (fd < 0)
    return -1;
  for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
    if (fs_make_folders (fd, folders[i], 0755, err) != 0)
      goto failed;
  if (job_id != NULL && result_record_owner (fd, job_id, &owner, err) != 0)
    goto failed;
  if (newer && fs_write_file (fd, RESULT_NEWER, (struct bytes){ "", 0 }, err) != 0)
    goto failed;
  if (sys_rename (AT_FDCWD, making, AT_FDCWD, partial, RENAME_NOREPLACE) == 0)
    return 0;
  (void) error_errno (err, errno, "making %s", partial);
failed:
  scratch_remove (AT_FDCWD, making);
  return -1;
}

int
result_create (const char *location, const char *job_id, struct error *err)
{
  auto_free char *home = result_home_of (location, err);
  if (home == NULL)
    return -1;
  if (state_of (home) != RESULT_ABSENT)
    return error_set (err, ERROR_USER, "%s already exists", location);
  return make_partial (home, job_id, false, err);
}

/* Moves OLD to NEW, which keeps it. */
static int
set_aside (const char *old, const char *new, struct error *err)
{
  if (sys_rename (AT_FDCWD, old, AT_FDCWD, new, RENAME_NOREPLACE) == 0)
    return 0;
  return errno == EEXIST ? error_set (err, ERROR_USER, "%s is there already: move it away", new)
                         : error_errno (err, errno, "renaming %s to %s", old, new);
}

int
result_begin_again (const char *location, struct error *err)
{
  auto_free char *partial = partial_of (location);
  auto_free char *before = xasprintf ("%s.before", location);
  auto_free char *before_partial = partial_of (before);
  auto_free char *note = xasprintf ("%s/" RESULT_NEWER, location);
  bool stands = has_state (location);
  if (stands && fs_exists (AT_FDCWD, before))
    return error_set (err, ERROR_USER, "%s is there already: move it away", before);
  if (fs_exists (AT_FDCWD, partial) && set_aside (partial, before_partial, err) != 0)
    return -1;
  (void) unlink (note);
  return make_partial (location, NULL, stands, err);
}

static int
claim_folder (const char *location, const char *job_id, struct error *err)
{
  enum result_state state = result_state (location);
  if (state == RESULT_FOREIGN)
    return error_set (err, ERROR_USER, "%s exists and is not a result of shoal", location);
  if (state == RESULT_ABSENT && result_create (location, job_id, err) != 0
      && result_state (location) == RESULT_ABSENT)
    return -1;
  error_clear (err);
  auto_buffer struct buffer owner = { 0 };
  auto_fd int folder = result_open (location, err);
  if (folder < 0 || result_record_owner (folder, job_id, &owner, err) != 0)
    return -1;
  if (owner.size == strlen (job_id) && memcmp (owner.data, job_id, owner.size) == 0)
    return 0;
  return error_set (err, ERROR_USER, "%s holds the result of another job, %.*s", location,
                    (int) owner.size, owner.data);
}

/* Where the result is behind a URL, that says whose it is. */
static int
claim_store (const char *location, const char *job_id, const char *credentials, struct error *err)
{
  auto_result_store struct result_store *store = result_store_open (location, credentials, err);
  return store == NULL ? -1 : result_store_claim (store, job_id, err);
}

int
result_claim (const char *location, const char *job_id, const char *credentials, struct error *err)
{
  if (result_is_remote (location) && claim_store (location, job_id, credentials, err) != 0)
    return -1;
  return claim_folder (location, job_id, err);
}

char *
result_job (int folder_fd)
{
  auto_buffer struct buffer owner = { 0 };
  if (fs_read_file (folder_fd, RESULT_JOB, JOB_ID_MAX, &owner, NULL) != 0 || owner.size == 0)
    return NULL;
  return xstrndup (owner.data, owner.size);
}

int
result_lock (int folder_fd, struct error *err)
{
  auto_fd int fd = lock_open (folder_fd, RESULT_LOCK, err);
  if (fd < 0)
    return -1;
  char text[32] = "";
  if (flock (fd, LOCK_EX | LOCK_NB) != 0)
    {
      if (errno != EWOULDBLOCK)
        return error_errno (err, errno, RESULT_LOCK);
      ssize_t got = pread (fd, text, sizeof text - 1, 0);
      text[got > 0 ? got : 0] = '\0';
      return error_set (err, ERROR_USER,
                        "the result is in use by process %ld: wait for it or stop it",
                        strtol (text, NULL, 10));
    }
  int length = snprintf (text, sizeof text, "%d\n", (int) getpid ());
  if (ftruncate (fd, 0) != 0 || fs_write_all (fd, text, (size_t) length, RESULT_LOCK, err) != 0)
    return error_is_set (err) ? -1 : error_errno (err, errno, RESULT_LOCK);
  return take_fd (&fd);
}

char *
result_attempt_name (uint32_t index, uint32_t generation, uint32_t attempt, uint32_t starts)
{
  return xasprintf ("%05u.g%u.a%u.s%u", index, generation, attempt, starts);
}

/* ---- publishing ------------------------------------------------------------------------- */

/* Calls VISIT for each name in FOLDER_FD but "." and ".."; stops at the first that isn't 0. */
static int
each_name (int folder_fd, int (*visit) (void *context, const char *name, struct error *err),
           void *context, struct error *err)
{
  int fd = openat (folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  auto_dir DIR *dir = fd < 0 ? NULL : fdopendir (fd);
  if (dir == NULL)
    {
      int code = errno;
      auto_fd_ (&fd);
      return error_errno (err, code, "reading a folder");
    }
  for (;;)
    {
      errno = 0;
      const struct dirent *entry = readdir (dir);
      if (entry == NULL)
        return errno == 0 ? 0 : error_errno (err, errno, "reading a folder");
      if (strcmp (entry->d_name, ".") == 0 || strcmp (entry->d_name, "..") == 0)
        continue;
      if (visit (context, entry->d_name, err) != 0)
        return -1;
    }
}

struct move
{
  int from;
  int to;
};

/* Moves NAME up; what stood there goes down in exchange, or because the new tree has none, and is
 * removed with the build folder. */
static int
result_move_up (const struct move *move, const char *name, struct error *err)
{
  bool new = fs_exists (move->from, name);
  bool old = fs_exists (move->to, name);
  int moved =
      new ? sys_rename (move->from, name, move->to, name, old ? RENAME_EXCHANGE : RENAME_NOREPLACE)
      : old ? sys_rename (move->to, name, move->from, name, RENAME_NOREPLACE)
            : 0;
  return moved == 0 ? 0 : error_errno (err, errno, "moving %s into the result", name);
}

/* Notes what both manifests list, for one who comes upon a tree without any (merger/foreign.h). The
 * old one says that its tree is whole: it goes first. */
static int
put_manifests_by (const struct move *move, struct error *err)
{
  char unique[UNIQUE_SIZE];
  auto_free char *new = xasprintf (RESULT_STATE "/" RESULT_LISTED "%s", unique_text (unique));
  auto_free char *old = xasprintf (RESULT_STATE "/" RESULT_LISTED "%s", unique_text (unique));
  if (fs_exists (move->from, MANIFEST)
      && fs_link_or_copy (move->from, MANIFEST, move->to, new, err) != 0)
    return -1;
  if (fs_exists (move->to, MANIFEST)
      && sys_rename (move->to, MANIFEST, move->to, old, RENAME_NOREPLACE) != 0)
    return error_errno (err, errno, "moving " MANIFEST);
  return 0;
}

static int
drop_listed (void *context, const char *name, struct error *err)
{
  const int *state_fd = context;
  return strncmp (name, RESULT_LISTED, strlen (RESULT_LISTED)) == 0
             ? fs_remove_tree (*state_fd, name, err)
             : 0;
}

static int
drop_manifests (int folder_fd, struct error *err)
{
  auto_fd int state = fs_open_beneath (folder_fd, RESULT_STATE, O_RDONLY | O_DIRECTORY, 0, err);
  return state < 0 ? -1 : each_name (state, drop_listed, &state, err);
}

static int
result_keep_path (const struct result_keeper *keeper, int old_fd, int new_fd, struct error *err)
{
  return keeper == NULL ? 0 : keeper->keep (keeper->context, old_fd, new_fd, err);
}

/* The manifest says that the rest is there: it comes last. */
static int
publish_partial (const char *partial, const char *build, const struct result_keeper *keeper,
                 struct error *err)
{
  auto_fd int to = fs_open_folder (AT_FDCWD, partial, err);
  if (to < 0)
    return -1;
  auto_fd int from = fs_open_beneath (to, build, O_RDONLY | O_DIRECTORY, 0, err);
  if (from < 0)
    return -1;
  const struct move move = { .from = from, .to = to };
  if (put_manifests_by (&move, err) != 0)
    return -1;
  static const char *const visible[] = { "outputs",     "shards",           "stdout", "stderr",
                                         "report.html", RESULT_QUARANTINED, MANIFEST };
  for (size_t i = 0; i < sizeof visible / sizeof visible[0]; i++)
    if (result_move_up (&move, visible[i], err) != 0)
      return -1;
  if (fs_sync_folder (to, err) != 0 || result_keep_path (keeper, from, to, err) != 0
      || fs_remove_tree (to, build, err) != 0)
    return -1;
  return drop_manifests (to, err);
}

static int
sync_above (const char *location, struct error *err)
{
  auto_free char *above = xstrndup (location, (size_t) (strrchr (location, '/') - location) + 1);
  auto_fd int fd = fs_open_folder (AT_FDCWD, above, err);
  return fd < 0 ? -1 : fs_sync_folder (fd, err);
}

static int
publish_exchange (const char *location, const char *build, const struct result_keeper *keeper,
                  struct error *err)
{
  auto_free char *exchange = exchange_of (location);
  auto_free char *tree = xasprintf ("%s/%s", location, build);
  if (fs_remove_tree (AT_FDCWD, exchange, err) != 0)
    return -1;
  if (sys_rename (AT_FDCWD, tree, AT_FDCWD, exchange, RENAME_NOREPLACE) != 0)
    return error_errno (err, errno, "renaming %s to %s", tree, exchange);
  if (sys_rename (AT_FDCWD, exchange, AT_FDCWD, location, RENAME_EXCHANGE) != 0)
    return error_errno (err, errno, "exchanging %s and %s", exchange, location);
  if (finish_exchange (location, exchange, err) != 0 || sync_above (location, err) != 0)
    return -1;
  auto_fd int old = fs_open_folder (AT_FDCWD, exchange, err);
  auto_fd int new = old < 0 ? -1 : fs_open_folder (AT_FDCWD, location, err);
  if (new < 0 || result_keep_path (keeper, old, new, err) != 0)
    return -1;
  return fs_remove_tree (AT_FDCWD, exchange, err);
}

int
result_publish (const char *location, const char *build, bool complete,
                const struct result_keeper *keeper, struct error *err)
{
  auto_free char *home = result_home_of (location, err);
  if (home == NULL)
    return -1;
  switch (state_of (home))
    {
    case RESULT_COMPLETE:
      return complete ? publish_exchange (home, build, keeper, err) : 0;
    case RESULT_PARTIAL:
      break;
    case RESULT_ABSENT:
    case RESULT_FOREIGN:
      return error_set (err, ERROR_FATAL, "%s: the result folder is gone", location);
    }
  auto_free char *partial = partial_of (home);
  if (publish_partial (partial, build, keeper, err) != 0)
    return error_wrap (err, "%s", partial);
  if (!complete)
    return 0;
  bool replaces = has_state (home);
  if (sys_rename (AT_FDCWD, partial, AT_FDCWD, home, replaces ? RENAME_EXCHANGE : RENAME_NOREPLACE)
      != 0)
    return error_errno (err, errno, "renaming %s to %s", partial, home);
  auto_free char *before = xasprintf ("%s.before", home);
  if (replaces && set_aside (partial, before, err) != 0)
    return -1;
  return sync_above (home, err);
}

char *
result_shown (const char *location, struct error *err)
{
  return result_is_remote (location) ? xstrdup (location) : result_folder (location, err);
}

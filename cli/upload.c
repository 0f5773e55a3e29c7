#include "cli/upload.h"

#include "cli/words.h"
#include "common/digest.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/signals.h"
#include "common/text.h"
#include "common/units.h"
#include "result/result_store.h"
#include "storage/listing.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define INPUTS "/.shoal/inputs"

/* ---- what is in a volume ---------------------------------------------------------------- */

struct upload_entry
{
  char *path;         /* of a folder with nothing in it: ends in a slash */
  char *source;       /* the file that a link leads to, beneath the volume; NULL: PATH */
  struct stat status; /* as it was read */
};

struct upload_tree
{
  struct storage *storage;
  const char *root; /* real path */
  enum symlinks symlinks;
  struct upload_entry *entries;
  size_t count;
  size_t capacity;
  int64_t bytes;
  size_t at; /* while they are sent */
  const char *key;
  char *target; /* of the item that is being sent */
};

static void
release_tree (struct upload_tree *tree)
{
  for (size_t i = 0; i < tree->count; i++)
    {
      free (tree->entries[i].path);
      free (tree->entries[i].source);
    }
  free (tree->entries);
  free (tree->target);
  storage_close (tree->storage);
}

static bool
upload_is_folder (const struct upload_entry *entry)
{
  return entry->path[strlen (entry->path) - 1] == '/';
}

static bool
upload_enter (void *context, const char *path, size_t size)
{
  (void) context;
  (void) path;
  (void) size;
  return true;
}

static int
upload_on_entry (void *context, const struct storage_entry *entry, struct error *err)
{
  struct upload_tree *tree = context;
  (void) err;
  /* A folder comes right before what is in it, which tells of it well enough. */
  struct upload_entry *last = tree->count == 0 ? NULL : &tree->entries[tree->count - 1];
  if (last != NULL && upload_is_folder (last)
      && strncmp (entry->path, last->path, strlen (last->path)) == 0)
    {
      free (last->path);
      tree->count--;
    }
  if (tree->count == tree->capacity)
    {
      tree->capacity = tree->capacity == 0 ? 256 : 2 * tree->capacity;
      tree->entries = xrealloc (tree->entries, tree->capacity, sizeof *tree->entries);
    }
  tree->entries[tree->count++] =
      (struct upload_entry){ .path = xasprintf ("%s%s", entry->path, entry->folder ? "/" : "") };
  return 0;
}

/* Where FD's file is beneath the volume, when that isn't at its path. */
static int
upload_find_source (const struct upload_tree *tree, struct upload_entry *entry, int fd,
                    struct error *err)
{
  char name[64];
  char path[PATH_MAX];
  size_t root = strcmp (tree->root, "/") == 0 ? 0 : strlen (tree->root);
  (void) snprintf (name, sizeof name, "/proc/self/fd/%d", fd);
  ssize_t size = readlink (name, path, sizeof path - 1);
  if (size < 0)
    return error_errno (err, errno, "%s", entry->path);
  path[size] = '\0';
  if (strncmp (path, tree->root, root) != 0 || path[root] != '/')
    return error_set (err, ERROR_USER, "%s: points outside the volume and can't be uploaded",
                      entry->path);
  if (strcmp (path + root + 1, entry->path) != 0)
    entry->source = xstrdup (path + root + 1);
  return 0;
}

static int
open_entry (const struct upload_tree *tree, const struct upload_entry *entry, struct stat *status,
            struct error *err)
{
  auto_fd int fd = storage_open_file (tree->storage, entry->path, tree->symlinks, err);
  if (fd >= 0 && fstat (fd, status) != 0)
    return error_errno (err, errno, "%s", entry->path);
  return take_fd (&fd);
}

/* Takes ENTRY into DIGEST: kind and path, ended by a NUL, size, the content's sum. */
static int
sum_entry (struct upload_tree *tree, struct upload_entry *entry, struct digest *digest,
           struct digest *content, struct error *err)
{
  uint8_t sum[DIGEST_SIZE];
  digest_add (digest, entry->path, strlen (entry->path) + 1);
  if (upload_is_folder (entry))
    return 0;
  auto_fd int fd = open_entry (tree, entry, &entry->status, err);
  if (fd < 0 || upload_find_source (tree, entry, fd, err) != 0)
    return -1;
  int64_t size = digest_fd (content, fd, sum, err);
  if (size < 0)
    return error_wrap (err, "%s", entry->path);
  char text[32];
  (void) snprintf (text, sizeof text, "%lld", (long long) size);
  digest_add (digest, text, strlen (text) + 1);
  digest_add (digest, sum, sizeof sum);
  tree->bytes += size;
  return 0;
}

/* Lists and sums all that is in the folder SOURCE. */
static int
read_tree (struct upload_tree *tree, const char *source, enum symlinks symlinks,
           char key[static DIGEST_TEXT_SIZE], struct error *err)
{
  const struct storage_visitor visitor = {
    .context = tree, .symlinks = symlinks, .enter = upload_enter, .entry = upload_on_entry
  };
  tree->symlinks = symlinks;
  tree->storage = storage_open (source, err);
  if (tree->storage == NULL || storage_list (tree->storage, &visitor, err) != 0)
    return -1;
  tree->root = storage_local_path (tree->storage);
  auto_digest struct digest *digest = digest_new ();
  auto_digest struct digest *content = digest_new ();
  for (size_t i = 0; i < tree->count; i++)
    if (sum_entry (tree, &tree->entries[i], digest, content, err) != 0)
      return -1;
  uint8_t sum[DIGEST_SIZE];
  digest_finish (digest, sum);
  tree->key = digest_format (sum, key);
  return 0;
}

/* The key is of what was read; what was sent must be that. */
static int
check_unchanged (const struct upload_tree *tree, struct error *err)
{
  for (size_t i = 0; i < tree->count; i++)
    {
      const struct upload_entry *entry = &tree->entries[i];
      const struct stat *before = &entry->status;
      struct stat now;
      if (upload_is_folder (entry))
        continue;
      auto_fd int fd = open_entry (tree, entry, &now, err);
      if (fd < 0)
        return -1;
      if (now.st_ino != before->st_ino || now.st_size != before->st_size
          || now.st_mtim.tv_sec != before->st_mtim.tv_sec
          || now.st_mtim.tv_nsec != before->st_mtim.tv_nsec)
        return error_set (err, ERROR_USER, "%s: changed during the upload: try again", entry->path);
    }
  return 0;
}

/* ---- copying ---------------------------------------------------------------------------- */

/* Unfinished uploads must not stay there: an interrupt is looked at between two requests. */
static volatile sig_atomic_t interrupted;

static void
on_signal (int number)
{
  interrupted = number;
}

static bool
upload_is_stopped (void *context)
{
  (void) context;
  return interrupted != 0;
}

static int
upload_next_item (void *context, struct storage_item *item, struct error *err)
{
  struct upload_tree *tree = context;
  (void) err;
  while (tree->at < tree->count && upload_is_folder (&tree->entries[tree->at]))
    tree->at++;
  if (tree->at == tree->count)
    return 0;
  const struct upload_entry *entry = &tree->entries[tree->at++];
  free (tree->target);
  tree->target = xasprintf ("%s/%s", tree->key, entry->path);
  *item = (struct storage_item){ .path = tree->target,
                                 .source = entry->source != NULL ? entry->source : entry->path,
                                 .size = entry->status.st_size };
  return 1;
}

static int
send_files (struct upload_tree *tree, struct storage *store, struct error *err)
{
  const struct sigaction action = { .sa_handler = on_signal };
  struct sigaction before[2];
  auto_fd int root = fs_open_folder (AT_FDCWD, tree->root, err);
  if (root < 0)
    return -1;
  const struct storage_batch batch = {
    .context = tree, .next = upload_next_item, .stopped = upload_is_stopped, .folder_fd = root
  };
  interrupted = 0;
  (void) sigaction (SIGINT, signal_is_ignored (SIGINT) ? NULL : &action, &before[0]);
  (void) sigaction (SIGTERM, &action, &before[1]);
  int result = storage_send (store, &batch, err);
  (void) sigaction (SIGINT, &before[0], NULL);
  (void) sigaction (SIGTERM, &before[1], NULL);
  return interrupted != 0 ? error_set (err, ERROR_TRANSIENT, "interrupted") : result;
}

/* Folders with nothing in them are objects whose names end in a slash. */
static int
put_folders (const struct upload_tree *tree, struct storage *store, struct error *err)
{
  for (size_t i = 0; i < tree->count; i++)
    {
      if (!upload_is_folder (&tree->entries[i]))
        continue;
      auto_free char *path = xasprintf ("%s/%s", tree->key, tree->entries[i].path);
      if (storage_put (store, path, (struct bytes){ "", 0 }, false, err) != 0)
        return -1;
    }
  return 0;
}

/* Copies TREE beneath LOCATION unless it is there. */
static int
send_tree (struct upload_tree *tree, const char *source, const char *location, bool say,
           struct error *err)
{
  auto_free char *marker = xasprintf ("%s.complete", tree->key);
  auto_buffer struct buffer found = { 0 };
  auto_storage struct storage *store = storage_open (location, err);
  int there = store == NULL ? -1 : storage_get (store, marker, 0, -1, 4096, &found, err);
  if (there < 0)
    return -1;
  char bytes[UNITS_TEXT_SIZE];
  auto_free char *entries = words_plural ((int64_t) tree->count, "file");
  auto_free char *target = xasprintf ("%s/%s", location, tree->key);
  auto_free char *source_shown = text_shown (source);
  auto_free char *target_shown = text_shown (target);
  if (say)
    (void) fprintf (stderr, "shoal: %s: %s, %s %s %s\n", source_shown, entries,
                    units_format_size (tree->bytes, bytes),
                    there > 0 ? "already uploaded:" : "uploading to", target_shown);
  if (there > 0)
    return 0;
  if (send_files (tree, store, err) != 0 || check_unchanged (tree, err) != 0
      || put_folders (tree, store, err) != 0)
    return -1;
  return storage_put (store, marker, (struct bytes){ "", 0 }, false, err) < 0 ? -1 : 0;
}

static int
upload (struct job *job, struct volume *volume, bool say, struct error *err)
{
  /* Beside the result, where the inputs of other results are as well. */
  auto_free char *location = xstrdup (job->results);
  char *slash = strrchr (location, '/');
  const char *host = strstr (location, "://");
  if (slash != NULL && host != NULL && slash > host + 2)
    *slash = '\0';
  auto_free char *inputs = xasprintf ("%s" INPUTS, location);
  char key[DIGEST_TEXT_SIZE];
  struct upload_tree tree = { 0 };
  int result = read_tree (&tree, volume->source, job->symlinks, key, err);
  if (result == 0)
    result = send_tree (&tree, volume->source, inputs, say, err);
  if (result == 0)
    {
      free (volume->source);
      volume->source = xasprintf ("%s/%s", inputs, key);
    }
  release_tree (&tree);
  return result == 0 ? 0 : error_wrap (err, "copying %s", volume->source);
}

int
upload_inputs (struct job_args *args, bool say, struct error *err)
{
  struct job *job = &args->job;
  bool remote = result_is_remote (job->results);
  if (args->upload && !remote)
    return error_set (err, ERROR_USER, "--upload needs a result on S3: --results s3://…");
  for (size_t i = 0; remote && i < job->volume_count; i++)
    {
      struct volume *volume = &job->volumes[i];
      if (!args->by_path[i])
        continue;
      if (!args->upload)
        return error_set (
            err, ERROR_USER,
            "%s: a local folder that workers on other machines may not see: use --upload, "
            "or file://%s if they do see it",
            volume->source, volume->source);
      if (upload (job, volume, say, err) != 0)
        return -1;
    }
  return 0;
}

#include "cli/fetch.h"

#include "common/digest.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/sys.h"
#include "merger/manifest_lines.h"
#include "result/result.h"
#include "storage/fetched_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum
{
  CHUNK = 1 << 20,
  HOLE = 4096, /* bytes of nothing that aren't written where the source has holes */
};

static const char manifest_name[] = "manifest.json";
static const char part_name[] = ".fetching"; /* the one file that isn't whole */
static const char fresh_name[] = ".manifest.json";

struct result_fetch
{
  struct storage *from;
  bool kept;  /* it isn't a folder of this machine, but objects */
  int folder; /* DIR.partial */
  struct digest *digest;
  char *chunk;
  struct fetch_counts *counts;
};

/* ---- one file --------------------------------------------------------------------------- */

/* As fs_write_all of what has holes: blocks without anything aren't written. */
static int
write_sparse (int target, const char *bytes, size_t size, struct error *err)
{
  static const char nothing[HOLE];
  for (size_t at = 0; at < size;)
    {
      size_t piece = size - at < HOLE ? size - at : HOLE;
      if (memcmp (bytes + at, nothing, piece) != 0)
        {
          if (fs_write_all (target, bytes + at, piece, part_name, err) != 0)
            return -1;
        }
      else if (lseek (target, (off_t) piece, SEEK_CUR) < 0)
        return error_errno (err, errno, part_name);
      at += piece;
    }
  return 0;
}

/* Copies what is left of SOURCE to TARGET: bytes, or -1; SHA256 is its sum. SPARSE: it has holes,
 * which stay. */
static int64_t
fetch_copy_rest (struct result_fetch *fetch, int source, int target, bool sparse,
                 char sha256[static DIGEST_TEXT_SIZE], struct error *err)
{
  uint8_t sum[DIGEST_SIZE];
  int64_t total = 0;
  for (;;)
    {
      ssize_t got = read (source, fetch->chunk, CHUNK);
      if (got < 0 && errno == EINTR)
        continue;
      if (got < 0)
        return error_errno (err, errno, "reading");
      if (got == 0)
        break;
      digest_add (fetch->digest, fetch->chunk, (size_t) got);
      if (sparse ? write_sparse (target, fetch->chunk, (size_t) got, err) != 0
                 : fs_write_all (target, fetch->chunk, (size_t) got, part_name, err) != 0)
        return -1;
      total += got;
    }
  if (sparse && ftruncate (target, total) != 0) /* a hole at the end */
    return error_errno (err, errno, part_name);
  digest_finish (fetch->digest, sum);
  (void) digest_format (sum, sha256);
  return total;
}

/* Descriptor of the folder that PATH is in, made when it isn't there; *NAME is what PATH is called
 * in it. */
static int
fetch_open_parent (struct result_fetch *fetch, const char *path, const char **name,
                   struct error *err)
{
  const char *slash = strrchr (path, '/');
  auto_free char *parent = slash == NULL ? xstrdup (".") : xstrndup (path, (size_t) (slash - path));
  *name = slash == NULL ? path : slash + 1;
  if (fs_make_folders (fetch->folder, parent, 0777, err) != 0)
    return -1;
  return fs_open_beneath (fetch->folder, parent, O_RDONLY | O_DIRECTORY, 0, err);
}

/* Fetches the file PATH whole or not at all. SHA256 is its sum; the size, or -1. */
static int64_t
fetch_whole (struct result_fetch *fetch, const char *path, const char *as,
             char sha256[static DIGEST_TEXT_SIZE], struct error *err)
{
  struct stat stat = { 0 };
  const char *name = NULL;
  auto_fd int source = storage_open_file (fetch->from, path, SYMLINKS_BENEATH, err);
  if (source < 0)
    return -1;
  mode_t mode = fstat (source, &stat) == 0 ? (stat.st_mode & 0777) | 0600 : 0644;
  auto_fd int parent = fetch_open_parent (fetch, as, &name, err);
  if (parent < 0)
    return -1;
  (void) unlinkat (fetch->folder, part_name, 0);
  auto_fd int target =
      fs_open_beneath (fetch->folder, part_name, O_WRONLY | O_CREAT | O_EXCL, mode, err);
  if (target < 0)
    return -1;
  bool sparse = (int64_t) stat.st_blocks * 512 < stat.st_size;
  int64_t size = fetch_copy_rest (fetch, source, target, sparse, sha256, err);
  const struct timespec times[2] = { stat.st_atim, stat.st_mtim };
  if (size >= 0)
    (void) futimens (target, times);
  if (size >= 0 && sys_rename (fetch->folder, part_name, parent, name, 0) != 0)
    return error_errno (err, errno, "%s", as);
  return size;
}

/* Whether the file PATH of LINE is there already, as it should be. */
static bool
fetch_is_there (struct result_fetch *fetch, const char *path, const struct line *line)
{
  struct stat stat = { 0 };
  uint8_t sum[DIGEST_SIZE];
  char sha256[DIGEST_TEXT_SIZE];
  auto_fd int fd = fs_open_beneath (fetch->folder, path, O_RDONLY, 0, NULL);
  return fd >= 0 && fstat (fd, &stat) == 0 && stat.st_size == line->size
         && digest_fd (fetch->digest, fd, sum, NULL) == line->size
         && strcmp (digest_format (sum, sha256), line->sha256) == 0;
}

/* ---- outputs ---------------------------------------------------------------------------- */

static int
make_link (struct result_fetch *fetch, const char *path, const char *target, struct error *err)
{
  const char *name = NULL;
  auto_fd int parent = fetch_open_parent (fetch, path, &name, err);
  if (parent < 0)
    return -1;
  (void) unlinkat (parent, name, 0);
  return symlinkat (target, parent, name) == 0 ? 0 : error_errno (err, errno, "%s", path);
}

static int
fetch_file (struct result_fetch *fetch, const char *path, const struct line *line,
            struct error *err)
{
  char sha256[DIGEST_TEXT_SIZE];
  fetch->counts->files++;
  fetch->counts->bytes += line->size;
  if (fetch_is_there (fetch, path, line))
    {
      fetch->counts->kept++;
      return 0;
    }
  int64_t size = fetch_whole (fetch, path, path, sha256, err);
  if (size < 0)
    return -1;
  if (size == line->size && strcmp (sha256, line->sha256) == 0)
    return 0;
  return error_set (err, ERROR_TRANSIENT,
                    "%s does not match the manifest: %lld bytes, SHA-256 %s; expected %lld, %s: it "
                    "was modified or is damaged",
                    path, (long long) size, sha256, (long long) line->size, line->sha256);
}

static int
fetch_output (struct result_fetch *fetch, const struct line *line, struct error *err)
{
  auto_free char *path = xasprintf ("outputs/%s/%s", line->output, line->path.data);
  if (line->folder)
    return fs_make_folders (fetch->folder, path, 0777, err);
  if (line->link)
    return make_link (fetch, path, line->target.data, err);
  return fetch_file (fetch, path, line, err);
}

static void
fetch_read_state (struct result_fetch *fetch, const struct manifest_lines *lines)
{
  struct fetch_counts *counts = fetch->counts;
  size_t used = 0;
  counts->state = lines->state;
  counts->missing = lines->missing_count;
  for (size_t i = 0; i < lines->missing.count && used < sizeof counts->named; i++)
    used += (size_t) snprintf (counts->named + used, sizeof counts->named - used, "%s%s",
                               i == 0 ? "" : ", ", lines->missing.items[i]);
}

static int
fetch_result_outputs (struct result_fetch *fetch, struct error *err)
{
  auto_manifest_lines struct manifest_lines lines = { 0 };
  if (manifest_lines_open (&lines, fetch->folder, manifest_name, err) != 0)
    return -1;
  fetch_read_state (fetch, &lines);
  for (;;)
    {
      int got = manifest_lines_next (&lines, err);
      if (got <= 0)
        return got;
      if (fetch_output (fetch, &lines.line, err) != 0)
        return -1;
    }
}

/* ---- from where a storage keeps it ------------------------------------------------------ */

struct batch
{
  struct result_fetch *fetch;
  struct manifest_lines lines;
  char *path, *object; /* of the last item */
};

/* The next file that isn't here; folders and links are made on the way. */
static int
fetch_next_item (void *context, struct storage_item *item, struct error *err)
{
  struct batch *batch = context;
  struct result_fetch *fetch = batch->fetch;
  for (;;)
    {
      int got = manifest_lines_next (&batch->lines, err);
      const struct line *line = &batch->lines.line;
      if (got <= 0)
        return got;
      free (batch->path);
      free (batch->object);
      batch->path = xasprintf ("outputs/%s/%s", line->output, line->path.data);
      batch->object = manifest_lines_object (&batch->lines);
      if (line->folder || line->link)
        {
          if (fetch_output (fetch, line, err) != 0)
            return -1;
          continue;
        }
      if (batch->object == NULL)
        return error_set (err, ERROR_TRANSIENT, "%s: the manifest has no location for it",
                          batch->path);
      fetch->counts->files++;
      fetch->counts->bytes += line->size;
      if (fetch_is_there (fetch, batch->path, line))
        {
          fetch->counts->kept++;
          continue;
        }
      *item = (struct storage_item){ .path = batch->path,
                                     .source = batch->object,
                                     .size = line->size,
                                     .sha256 = line->sha256,
                                     .keeps_time = true };
      return 1;
    }
}

static int
fetch_kept_outputs (struct result_fetch *fetch, struct error *err)
{
  struct batch batch = { .fetch = fetch };
  const struct storage_batch wanted = { .context = &batch,
                                        .next = fetch_next_item,
                                        .folder_fd = fetch->folder };
  int result = manifest_lines_open (&batch.lines, fetch->folder, manifest_name, err);
  if (result == 0)
    fetch_read_state (fetch, &batch.lines);
  if (result == 0)
    result = storage_fetch (fetch->from, &wanted, err);
  manifest_lines_close (&batch.lines);
  free (batch.path);
  free (batch.object);
  return result;
}

struct fetched_single
{
  struct storage_item item;
  bool given;
};

static int
fetch_next_single (void *context, struct storage_item *item, struct error *err)
{
  struct fetched_single *single = context;
  (void) err;
  *item = single->item;
  int got = single->given ? 0 : 1;
  single->given = true;
  return got;
}

/* The object NAME as the file AS; 0 when there is none. */
static int
fetch_kept (struct result_fetch *fetch, const char *name, const char *as, struct error *err)
{
  auto_buffer struct buffer first = { 0 };
  int there = storage_get (fetch->from, name, 0, 1, 1, &first, err);
  if (there <= 0)
    return there;
  struct fetched_single single = {
    .item = { .path = as, .source = name, .size = -1, .keeps_time = true }
  };
  const struct storage_batch batch = { .context = &single,
                                       .next = fetch_next_single,
                                       .folder_fd = fetch->folder };
  return storage_fetch (fetch->from, &batch, err) == 0 ? 1 : -1;
}

/* ---- the folder ------------------------------------------------------------------------- */

static int
same_file (int folder, const char *a, const char *b)
{
  struct digest *digest = digest_new ();
  uint8_t sums[2][DIGEST_SIZE];
  const char *names[] = { a, b };
  bool same = true;
  for (int i = 0; i < 2 && same; i++)
    {
      auto_fd int fd = fs_open_beneath (folder, names[i], O_RDONLY, 0, NULL);
      same = fd >= 0 && digest_fd (digest, fd, sums[i], NULL) >= 0;
    }
  digest_free (digest);
  return same && memcmp (sums[0], sums[1], DIGEST_SIZE) == 0;
}

/* What stands in DIR.partial must be of this very result. */
static int
fetch_manifest (struct result_fetch *fetch, const char *partial, struct error *err)
{
  char sha256[DIGEST_TEXT_SIZE];
  if (fetch->kept)
    {
      int there = fetch_kept (fetch, manifest_name, fresh_name, err);
      if (there <= 0)
        return there < 0
                   ? -1
                   : error_set (err, ERROR_USER, "the result is incomplete: no manifest.json");
    }
  else if (fetch_whole (fetch, manifest_name, fresh_name, sha256, err) < 0)
    return -1;
  if (fs_exists (fetch->folder, manifest_name)
      && !same_file (fetch->folder, manifest_name, fresh_name))
    return error_set (err, ERROR_USER,
                      "%s belongs to another result, or to an older state of this one: remove it, "
                      "or choose another folder",
                      partial);
  return sys_rename (fetch->folder, fresh_name, fetch->folder, manifest_name, 0) == 0
             ? 0
             : error_errno (err, errno, "%s", partial);
}

static int
fetch_rest (struct result_fetch *fetch, struct error *err)
{
  static const char *const names[] = { "stdout", "stderr", "report.html", RESULT_QUARANTINED };
  char sha256[DIGEST_TEXT_SIZE];
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (fetch->kept)
      {
        if (strcmp (names[i], RESULT_QUARANTINED) != 0 /* of results in a folder alone */
            && fetch_kept (fetch, names[i], names[i], err) < 0)
          return -1;
      }
    else if (fetch_whole (fetch, names[i], names[i], sha256, err) < 0)
      {
        if (err->code != ENOENT) /* a job without shards has none */
          return -1;
        error_clear (err);
      }
  return 0;
}

/* Whether NAME may be in DIR.partial before the manifest is: what a fetch that was cut off then
 * left. */
static bool
fetch_is_left_over (const char *name)
{
  return strcmp (name, ".") == 0 || strcmp (name, "..") == 0 || strcmp (name, part_name) == 0
         || strcmp (name, fresh_name) == 0 || fetched_file_is_ours (name);
}

/* A folder with other things in it is the user's. */
static int
check_begun (const struct result_fetch *fetch, const char *partial, struct error *err)
{
  if (fs_exists (fetch->folder, manifest_name))
    return 0;
  int fd = openat (fetch->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  auto_dir DIR *dir = fd < 0 ? NULL : fdopendir (fd);
  if (dir == NULL)
    return error_errno (err, errno, "%s", partial);
  for (const struct dirent *entry = readdir (dir); entry != NULL; entry = readdir (dir))
    if (!fetch_is_left_over (entry->d_name))
      return error_set (err, ERROR_USER,
                        "%s already exists and contains %s, which no `shoal get` wrote: move it "
                        "away, or choose another folder",
                        partial, entry->d_name);
  return 0;
}

static int
fetch_into (struct result_fetch *fetch, const char *partial, struct error *err)
{
  if (check_begun (fetch, partial, err) != 0)
    return -1;
  fetched_file_sweep (fetch->folder);
  if (fetch_manifest (fetch, partial, err) != 0
      || (fetch->kept ? fetch_kept_outputs (fetch, err) : fetch_result_outputs (fetch, err)) != 0
      || fetch_rest (fetch, err) != 0)
    return -1;
  (void) unlinkat (fetch->folder, part_name, 0);
  return fs_sync_folder (fetch->folder, err);
}

int
fetch_check (const char *dir, struct error *err)
{
  return !fs_exists (AT_FDCWD, dir)
             ? 0
             : error_set (err, ERROR_USER, "%s already exists: choose another folder", dir);
}

int
fetch_result (struct storage *from, const char *dir, struct fetch_counts *counts, struct error *err)
{
  auto_free char *partial = xasprintf ("%s.partial", dir);
  *counts = (struct fetch_counts){ .state = -1 };
  if (fetch_check (dir, err) != 0)
    return -1;
  if (fs_make_path (partial, 0777, err) != 0)
    return -1;
  auto_fd int folder = fs_open_folder (AT_FDCWD, partial, err);
  if (folder < 0)
    return -1;
  struct result_fetch fetch = { .from = from,
                                .kept = storage_local_path (from) == NULL,
                                .folder = folder,
                                .digest = digest_new (),
                                .chunk = xcalloc (1, CHUNK),
                                .counts = counts };
  int outcome = fetch_into (&fetch, partial, err);
  digest_free (fetch.digest);
  free (fetch.chunk);
  if (outcome != 0)
    return -1;
  if (sys_rename (AT_FDCWD, partial, AT_FDCWD, dir, RENAME_NOREPLACE) == 0)
    return 0;
  return error_errno (err, errno, "%s", dir);
}

#include "merger/conflict.h"

#include "common/digest.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/result.h"
#include "merger/text.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <string.h>

enum
{
  LISTED_MAX = 1000, /* conflicts in the manifest */
};

struct conflict
{
  char *output;
  char *path;
  bool collides;
};

struct conflicts
{
  void *tree; /* of struct conflict, by tsearch */
  size_t count;
  const struct conflict **sorted; /* filled by sort */
  size_t sorted_count;
};

struct conflicts *
conflicts_new (void)
{
  return xcalloc (1, sizeof (struct conflicts));
}

static void
free_conflict (void *node)
{
  struct conflict *conflict = node;
  free (conflict->output);
  free (conflict->path);
  free (conflict);
}

void
conflicts_free (struct conflicts *conflicts)
{
  if (conflicts == NULL)
    return;
  tdestroy (conflicts->tree, free_conflict);
  free (conflicts->sorted);
  free (conflicts);
}

static int
compare (const void *a, const void *b)
{
  const struct conflict *left = a;
  const struct conflict *right = b;
  int order = strcmp (left->output, right->output);
  return order != 0 ? order : strcmp (left->path, right->path);
}

void
conflicts_add (struct conflicts *conflicts, const char *output, const char *path, bool collides)
{
  struct conflict *conflict = xcalloc (1, sizeof *conflict);
  conflict->output = xstrdup (output);
  conflict->path = xstrdup (path);
  conflict->collides = collides;
  struct conflict **found = tsearch (conflict, &conflicts->tree, compare);
  if (found == NULL)
    abort ();
  if (*found == conflict)
    conflicts->count++;
  else
    {
      (*found)->collides |= collides;
      free_conflict (conflict);
    }
}

size_t
conflicts_count (const struct conflicts *conflicts)
{
  return conflicts->count;
}

bool
conflicts_has (const struct conflicts *conflicts, const char *output, const char *path)
{
  if (conflicts->count == 0)
    return false;
  const struct conflict key = { .output = (char *) (uintptr_t) output,
                                .path = (char *) (uintptr_t) path };
  return tfind (&key, (void *const *) &conflicts->tree, compare) != NULL;
}

/* ---- owners ----------------------------------------------------------------------------- */

struct owners
{
  uint32_t *indexes; /* rising */
  size_t count;
};

static void
owners_release (struct owners *owners)
{
  free (owners->indexes);
}

/* Path of CONFLICT in the attempt of shard INDEX, below the result's folder; NULL when the shard didn't succeed. */
static char *
path_in_attempt (const struct conflict *conflict, const struct fold *fold, uint32_t index)
{
  const struct shard_record *record = fold_shard (fold, index);
  if (record == NULL || record->state != SHARD_SUCCEEDED)
    return NULL;
  auto_free char *folder = fold_folder_name (fold, index);
  if (folder == NULL)
    return NULL;
  return xasprintf (RESULT_ATTEMPTS "/%s/outputs/%s/%s", folder, conflict->output, conflict->path);
}

/* All shards that have something at the conflict's path. */
static struct owners
find_owners (const struct conflict *conflict, int folder_fd, const struct fold *fold)
{
  struct owners owners = { 0 };
  for (int64_t i = 0; i < fold_known (fold); i++)
    {
      auto_free char *path = path_in_attempt (conflict, fold, (uint32_t) i);
      struct stat status;
      if (path == NULL || fstatat (folder_fd, path, &status, AT_SYMLINK_NOFOLLOW) != 0
          || (S_ISDIR (status.st_mode) && !conflict->collides))
        continue;
      owners.indexes = xrealloc (owners.indexes, owners.count + 1, sizeof *owners.indexes);
      owners.indexes[owners.count++] = (uint32_t) i;
    }
  return owners;
}

static void
collect_node (const void *node, VISIT visit, void *context)
{
  struct conflicts *walked = context;
  if (visit == postorder || visit == leaf)
    walked->sorted[walked->sorted_count++] = *(const struct conflict *const *) node;
}

/* The conflicts in the order of their paths. */
static void
sort (struct conflicts *conflicts)
{
  free (conflicts->sorted);
  conflicts->sorted = xcalloc (conflicts->count, sizeof (struct conflict *));
  conflicts->sorted_count = 0;

  twalk_r (conflicts->tree, collect_node, conflicts);
}

/* ---- settling --------------------------------------------------------------------------- */

struct settlement
{
  int folder_fd;
  int build_fd;
  const struct fold *fold;
  struct buffer *lines;
};

/* Describes the file that stands at OUTPUT/PATH now, for the manifest. SHARDS: those it is made of. */
static int
describe (const struct settlement *settlement, const char *output, const char *path,
          const uint32_t *shards, size_t count, const char *from, struct error *err)
{
  auto_free char *full = xasprintf ("outputs/%s/%s", output, path);
  json_t *object = json_object ();
  (void) json_object_set_new (object, "output", json_string (output));
  text_set_bytes (object, "path", path);
  char target[4096] = "";
  ssize_t length = readlinkat (settlement->build_fd, full, target, sizeof target - 1);
  int outcome = 0;
  if (length >= 0)
    text_set_bytes (object, "link", target);
  else
    {
      auto_digest struct digest *digest = digest_new ();
      uint8_t sum[DIGEST_SIZE];
      char hex[DIGEST_TEXT_SIZE];
      auto_fd int fd = fs_open_beneath (settlement->build_fd, full, O_RDONLY, 0, err);
      int64_t size = fd < 0 ? -1 : digest_fd (digest, fd, sum, err);
      (void) json_object_set_new (object, "size", json_integer (size));
      (void) json_object_set_new (object, "sha256", json_string (digest_format (sum, hex)));
      outcome = size < 0 ? -1 : 0;
    }
  if (count == 1)
    (void) json_object_set_new (object, "shard", json_integer (shards[0]));
  else
    {
      json_t *array = json_array ();
      for (size_t i = 0; i < count; i++)
        (void) json_array_append_new (array, json_integer (shards[i]));
      (void) json_object_set_new (object, "shards", array);
    }
  if (from != NULL)
    text_set_bytes (object, "renamed_from", from);
  auto_free char *text = json_dumps (object, JSON_COMPACT);
  json_decref (object);
  if (outcome == 0)
    buffer_printf (settlement->lines, "%s,\n", text);
  return outcome;
}

/* Puts shard INDEX's file at PATH of the tree, in place of what is there. */
static int
place (const struct settlement *settlement, const struct conflict *conflict, uint32_t index,
       const char *path, struct error *err)
{
  auto_free char *from = path_in_attempt (conflict, settlement->fold, index);
  auto_free char *to = xasprintf ("outputs/%s/%s", conflict->output, path);
  if (unlinkat (settlement->build_fd, to, 0) != 0 && errno != ENOENT)
    return error_errno (err, errno, "replacing %s", to);
  return fs_link_or_copy (settlement->folder_fd, from, settlement->build_fd, to, err);
}

/* "a/b.shard-00042.jpg" for "a/b.jpg", with a number behind it until nothing is there. The caller frees. */
static char *
name_for_shard (const struct settlement *settlement, const struct conflict *conflict,
                uint32_t index)
{
  const char *slash = strrchr (conflict->path, '/');
  const char *name = slash == NULL ? conflict->path : slash + 1;
  const char *dot = strrchr (name, '.');
  int stem = (int) (dot == NULL || dot == name ? strlen (conflict->path)
                                               : (size_t) (dot - conflict->path));
  for (int number = 0;; number++)
    {
      auto_free char *more = number == 0 ? xstrdup ("") : xasprintf (".%d", number);
      char *path = xasprintf ("%.*s.shard-%05u%s%s", stem, conflict->path, index, more,
                              conflict->path + stem);
      auto_free char *full = xasprintf ("outputs/%s/%s", conflict->output, path);
      if (!fs_exists (settlement->build_fd, full))
        return path;
      free (path);
    }
}

static int
keep_one (const struct settlement *settlement, const struct conflict *conflict, uint32_t index,
          struct error *err)
{
  if (place (settlement, conflict, index, conflict->path, err) != 0)
    return -1;
  return describe (settlement, conflict->output, conflict->path, &index, 1, NULL, err);
}

static int
rename_others (const struct settlement *settlement, const struct conflict *conflict,
               const struct owners *owners, struct error *err)
{
  if (keep_one (settlement, conflict, owners->indexes[0], err) != 0)
    return -1;
  for (size_t i = 1; i < owners->count; i++)
    {
      auto_free char *path = name_for_shard (settlement, conflict, owners->indexes[i]);
      if (place (settlement, conflict, owners->indexes[i], path, err) != 0
          || describe (settlement, conflict->output, path, &owners->indexes[i], 1, conflict->path,
                       err)
                 != 0)
        return -1;
    }
  return 0;
}

static int
append_file (const struct settlement *settlement, const struct conflict *conflict, uint32_t index,
             int target, struct error *err)
{
  auto_free char *from = path_in_attempt (conflict, settlement->fold, index);
  auto_fd int source = fs_open_beneath (settlement->folder_fd, from, O_RDONLY, 0, err);
  return source < 0 || fs_append (source, target, err) < 0 ? -1 : 0;
}

static int
concatenate (const struct settlement *settlement, const struct conflict *conflict,
             const struct owners *owners, struct error *err)
{
  auto_free char *to = xasprintf ("outputs/%s/%s", conflict->output, conflict->path);
  /* What is there is a hard link to an attempt's file: it must not be written to. */
  if (unlinkat (settlement->build_fd, to, 0) != 0 && errno != ENOENT)
    return error_errno (err, errno, "replacing %s", to);
  auto_fd int target =
      fs_open_beneath (settlement->build_fd, to, O_WRONLY | O_CREAT | O_EXCL, 0644, err);
  if (target < 0)
    return -1;
  for (size_t i = 0; i < owners->count; i++)
    if (append_file (settlement, conflict, owners->indexes[i], target, err) != 0)
      return error_wrap (err, "concatenating %s", to);
  return describe (settlement, conflict->output, conflict->path, owners->indexes, owners->count,
                   NULL, err);
}

/* Symbolic links have no content to concatenate. */
static bool
has_link (const struct settlement *settlement, const struct conflict *conflict,
          const struct owners *owners)
{
  for (size_t i = 0; i < owners->count; i++)
    {
      auto_free char *path = path_in_attempt (conflict, settlement->fold, owners->indexes[i]);
      struct stat status;
      if (fstatat (settlement->folder_fd, path, &status, AT_SYMLINK_NOFOLLOW) == 0
          && S_ISLNK (status.st_mode))
        return true;
    }
  return false;
}

static int
settle_one (const struct settlement *settlement, const struct conflict *conflict,
            const struct owners *owners, enum on_conflict policy, struct error *err)
{
  switch (policy)
    {
    case CONFLICT_FIRST:
      return keep_one (settlement, conflict, owners->indexes[0], err);
    case CONFLICT_LAST:
      return keep_one (settlement, conflict, owners->indexes[owners->count - 1], err);
    case CONFLICT_RENAME:
      return rename_others (settlement, conflict, owners, err);
    case CONFLICT_CONCAT:
      return concatenate (settlement, conflict, owners, err);
    case CONFLICT_FAIL:
      break;
    }
  return 0;
}

/* Why CONFLICT can't be settled, the caller frees; NULL when it can. */
static char *
objection (const struct settlement *settlement, const struct conflict *conflict,
           const struct owners *owners, enum on_conflict policy, size_t count)
{
  const char *why = NULL;
  if (conflict->collides)
    why = "one wrote a file, the other a folder";
  else if (policy == CONFLICT_FAIL)
    why = "choose another --on-conflict";
  else if (policy == CONFLICT_CONCAT && has_link (settlement, conflict, owners))
    why = "symbolic links can't be concatenated";
  if (why == NULL)
    return NULL;
  auto_free char *more = count > 1 ? xasprintf (" (and %zu more paths)", count - 1) : xstrdup ("");
  if (owners->count < 2)
    return xasprintf ("outputs/%s/%s was written by two shards%s: %s", conflict->output,
                      conflict->path, more, why);
  return xasprintf ("outputs/%s/%s was written by shard %u and shard %u%s: %s", conflict->output,
                    conflict->path, owners->indexes[0], owners->indexes[1], more, why);
}

int
conflicts_settle (struct conflicts *conflicts, enum on_conflict policy, int folder_fd, int build_fd,
                  const struct fold *fold, struct buffer *lines, char **reason, struct error *err)
{
  const struct settlement settlement = {
    .folder_fd = folder_fd, .build_fd = build_fd, .fold = fold, .lines = lines
  };
  sort (conflicts);
  for (size_t i = 0; i < conflicts->count; i++)
    {
      const struct conflict *conflict = conflicts->sorted[i];
      struct owners owners AUTO (owners_release) = find_owners (conflict, folder_fd, fold);
      *reason = objection (&settlement, conflict, &owners, policy, conflicts->count);
      if (*reason != NULL)
        return 0;
      if (owners.count > 0 && settle_one (&settlement, conflict, &owners, policy, err) != 0)
        return -1;
    }
  return 1;
}

json_t *
conflicts_json (const struct conflicts *conflicts, int folder_fd, const struct fold *fold)
{
  json_t *array = json_array ();
  for (size_t i = 0; i < conflicts->sorted_count && i < LISTED_MAX; i++)
    {
      const struct conflict *conflict = conflicts->sorted[i];
      struct owners owners AUTO (owners_release) = find_owners (conflict, folder_fd, fold);
      json_t *object = json_object ();
      (void) json_object_set_new (object, "output", json_string (conflict->output));
      text_set_bytes (object, "path", conflict->path);
      json_t *shards = json_array ();
      for (size_t k = 0; k < owners.count; k++)
        (void) json_array_append_new (shards, json_integer (owners.indexes[k]));
      (void) json_object_set_new (object, "shards", shards);
      (void) json_array_append_new (array, object);
    }
  return array;
}

#include "merger/resolve.h"

#include "common/digest.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/text.h"
#include "common/utf8.h"
#include "result/result.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

enum
{
  EXTENSION_MAX = 32, /* bytes; what is behind a dot further away from the end isn't an extension */
};

static char *
path_in_tree (const struct conflict *conflict, const char *path)
{
  return xasprintf ("outputs/%s/%s", conflict->output, path);
}

static char *
path_in_attempt (const struct resolution *resolution, const struct conflict *conflict,
                 uint32_t index)
{
  auto_free char *folder = fold_folder_name (resolution->fold, index);
  return xasprintf (RESULT_ATTEMPTS "/%s/outputs/%s/%s", folder, conflict->output, conflict->path);
}

/* ---- the manifest's lines --------------------------------------------------------------- */

static int
set_file (const struct resolution *resolution, json_t *object, const char *full, struct error *err)
{
  char target[PATH_MAX] = "";
  const char *name = NULL;
  auto_fd int above = fs_open_parent (resolution->build_fd, full, &name, err);
  if (above < 0)
    return -1;
  if (readlinkat (above, name, target, sizeof target - 1) >= 0)
    {
      text_set_bytes (object, "link", target);
      return 0;
    }
  auto_digest struct digest *digest = digest_new ();
  uint8_t sum[DIGEST_SIZE];
  char hex[DIGEST_TEXT_SIZE];
  auto_fd int fd = fs_open_beneath (resolution->build_fd, full, O_RDONLY, 0, err);
  int64_t size = fd < 0 ? -1 : digest_fd (digest, fd, sum, err);
  if (size < 0)
    return -1;
  (void) json_object_set_new (object, "size", json_integer (size));
  (void) json_object_set_new (object, "sha256", json_string (digest_format (sum, hex)));
  if (resolution->store != NULL)
    {
      auto_free char *key = xasprintf (RESULT_STORE_MERGED "/%s", hex);
      (void) json_object_set_new (object, "object", json_string (key));
    }
  return 0;
}

static void
resolve_set_shards (json_t *object, const uint32_t *shards, size_t count)
{
  if (count == 1)
    {
      (void) json_object_set_new (object, "shard", json_integer (shards[0]));
      return;
    }
  json_t *array = json_array ();
  for (size_t i = 0; i < count; i++)
    (void) json_array_append_new (array, json_integer (shards[i]));
  (void) json_object_set_new (object, "shards", array);
}

/* Describes the file that stands at PATH of the tree now, made of COUNT shards' files. */
static int
resolve_describe (const struct resolution *resolution, const struct conflict *conflict,
                  const char *path, const uint32_t *shards, size_t count, struct error *err)
{
  auto_free char *full = path_in_tree (conflict, path);
  json_t *object = json_object ();
  text_set_bytes (object, "output", conflict->output);
  text_set_bytes (object, "path", path);
  int outcome = set_file (resolution, object, full, err);
  resolve_set_shards (object, shards, count);
  if (strcmp (path, conflict->path) != 0)
    text_set_bytes (object, "renamed_from", conflict->path);
  auto_free char *text = json_dumps (object, JSON_COMPACT);
  json_decref (object);
  if (outcome != 0)
    return -1;
  buffer_puts (resolution->lines, text);
  buffer_puts (resolution->lines, ",\n");
  return 0;
}

/* ---- one shard's file ------------------------------------------------------------------- */

/* Puts shard INDEX's file at PATH of the tree, in place of what is there. */
static int
resolve_put (const struct resolution *resolution, const struct conflict *conflict, uint32_t index,
             const char *path, struct error *err)
{
  auto_free char *from = path_in_attempt (resolution, conflict, index);
  auto_free char *to = path_in_tree (conflict, path);
  const char *old_name = NULL, *name = NULL;
  auto_fd int source = fs_open_parent (resolution->folder_fd, from, &old_name, err);
  auto_fd int target = source < 0 ? -1 : fs_open_parent (resolution->build_fd, to, &name, err);
  if (target < 0)
    return -1;
  if (unlinkat (target, name, 0) != 0 && errno != ENOENT)
    return error_errno (err, errno, "replacing %s", to);
  if (fs_link_or_copy (source, old_name, target, name, err) != 0)
    return -1;
  return resolve_describe (resolution, conflict, path, &index, 1, err);
}

/* How much of the NAME of SIZE bytes may stay, that MORE bytes fit behind it; never half a
 * character of UTF-8. */
static size_t
resolve_cut_name (const char *name, size_t size, size_t more)
{
  if (size + more <= NAME_MAX)
    return size;
  size = NAME_MAX - more;
  while (size > 1 && utf8_continues (name[size]))
    size--;
  return size;
}

/* "a/b.shard-00042.jpg" for "a/b.jpg", with a number until nothing is there. The caller frees. */
static char *
name_for_shard (const struct resolution *resolution, const struct conflict *conflict,
                uint32_t index)
{
  const char *slash = strrchr (conflict->path, '/');
  const char *name = slash == NULL ? conflict->path : slash + 1;
  const char *dot = strrchr (name, '.');
  if (dot == NULL || dot == name || strlen (dot) > EXTENSION_MAX)
    dot = name + strlen (name);
  for (unsigned int number = 0;; number++)
    {
      auto_free char *mark = number == 0 ? xasprintf (".shard-%05u", index)
                                         : xasprintf (".shard-%05u.%u", index, number);
      size_t stem = resolve_cut_name (name, (size_t) (dot - name), strlen (mark) + strlen (dot));
      auto_free char *path = xasprintf ("%.*s%s%s", (int) ((size_t) (name - conflict->path) + stem),
                                        conflict->path, mark, dot);
      auto_free char *full = path_in_tree (conflict, path);
      if (!fs_exists (resolution->build_fd, full))
        return take (&path);
    }
}

static int
rename_others (const struct resolution *resolution, const struct conflict *conflict,
               struct error *err)
{
  if (resolve_put (resolution, conflict, conflict->owners[0], conflict->path, err) != 0)
    return -1;
  for (size_t i = 1; i < conflict->owner_count; i++)
    {
      auto_free char *path = name_for_shard (resolution, conflict, conflict->owners[i]);
      if (resolve_put (resolution, conflict, conflict->owners[i], path, err) != 0)
        return -1;
    }
  return 0;
}

/* ---- all of them ------------------------------------------------------------------------ */

static int
append_file (const struct resolution *resolution, const struct conflict *conflict, uint32_t index,
             int target, struct error *err)
{
  auto_free char *from = path_in_attempt (resolution, conflict, index);
  auto_fd int source = fs_open_beneath (resolution->folder_fd, from, O_RDONLY, 0, err);
  return source < 0 || fs_append (source, target, err) < 0 ? -1 : 0;
}

static int
concatenate (const struct resolution *resolution, const struct conflict *conflict,
             struct error *err)
{
  auto_free char *to = path_in_tree (conflict, conflict->path);
  const char *name = NULL;
  auto_fd int above = fs_open_parent (resolution->build_fd, to, &name, err);
  if (above < 0)
    return -1;
  /* What is there is a hard link to an attempt's file: it must not be written to. */
  if (unlinkat (above, name, 0) != 0 && errno != ENOENT)
    return error_errno (err, errno, "replacing %s", to);
  auto_fd int target =
      fs_open_beneath (resolution->build_fd, to, O_WRONLY | O_CREAT | O_EXCL, 0644, err);
  if (target < 0)
    return -1;
  for (size_t i = 0; i < conflict->owner_count; i++)
    if (heartbeat_renew (resolution->heartbeat, err) != 0
        || append_file (resolution, conflict, conflict->owners[i], target, err) != 0)
      return error_wrap (err, "concatenating %s", to);
  return resolve_describe (resolution, conflict, conflict->path, conflict->owners,
                           conflict->owner_count, err);
}

/* ---- settling --------------------------------------------------------------------------- */

/* Why CONFLICT can't be settled, and by which two shards; NULL when it can. */
static const char *
objection (const struct resolution *resolution, const struct conflict *conflict, int64_t shards[2])
{
  shards[0] = conflict->owners[0];
  shards[1] = conflict->owners[conflict->owner_count - 1];
  if (conflict->collides)
    {
      shards[0] = conflict->file_owner;
      shards[1] = conflict->folder_owner;
      return "a file in one, a folder in the other";
    }
  if (resolution->policy == CONFLICT_FAIL)
    {
      shards[1] = conflict->owners[conflict->owner_count > 1 ? 1 : 0];
      return "resolve it with `shoal merge --on-conflict first|last|rename|concat`";
    }
  if (resolution->policy == CONFLICT_CONCAT && conflict->has_link)
    return "symbolic links can't be concatenated";
  if (resolution->store != NULL && conflict->has_link)
    return "one of them is a symbolic link, which the result's storage can't hold";
  return NULL;
}

/* The first objection that there is, as the job's reason; NULL: none. */
static char *
find_objection (const struct resolution *resolution, const struct conflicts *conflicts)
{
  const struct conflict *first = NULL;
  const char *why = NULL;
  int64_t shards[2] = { 0, 0 };
  size_t more = 0;
  for (size_t i = 0; conflicts_get (conflicts, i) != NULL; i++)
    {
      int64_t own[2];
      const char *text = objection (resolution, conflicts_get (conflicts, i), own);
      if (text == NULL)
        continue;
      if (first != NULL)
        {
          more++;
          continue;
        }
      first = conflicts_get (conflicts, i);
      why = text;
      memcpy (shards, own, sizeof shards);
    }
  if (first == NULL)
    return NULL;
  auto_free char *others = more > 0 ? xasprintf (" (and %zu more paths)", more) : xstrdup ("");
  auto_free char *path = text_shown (first->path);
  return xasprintf ("outputs/%s/%s was written by shard %lld and by shard %lld%s: %s",
                    first->output, path, (long long) shards[0], (long long) shards[1], others, why);
}

/* Brings the files that it is about here, where they are kept elsewhere. */
static int
resolve_receive (const struct resolution *resolution, const struct conflict *conflict,
                 struct error *err)
{
  auto_free char *path = xasprintf ("%s/%s", conflict->output, conflict->path);
  for (size_t i = 0; resolution->store != NULL && i < conflict->owner_count; i++)
    {
      auto_free char *folder = fold_folder_name (resolution->fold, conflict->owners[i]);
      if (heartbeat_renew (resolution->heartbeat, err) != 0
          || result_store_receive_output (resolution->store, resolution->folder_fd, folder, path,
                                          err)
                 != 0)
        return -1;
    }
  return 0;
}

static int
settle_one (const struct resolution *resolution, const struct conflict *conflict, struct error *err)
{
  const uint32_t *owners = conflict->owners;
  switch (resolution->policy)
    {
    case CONFLICT_FIRST:
      return resolve_put (resolution, conflict, owners[0], conflict->path, err);
    case CONFLICT_LAST:
      return resolve_put (resolution, conflict, owners[conflict->owner_count - 1], conflict->path,
                          err);
    case CONFLICT_RENAME:
      return rename_others (resolution, conflict, err);
    case CONFLICT_CONCAT:
      return concatenate (resolution, conflict, err);
    case CONFLICT_FAIL:
      break;
    }
  return 0;
}

int
settle (const struct resolution *resolution, const struct conflicts *conflicts, char **reason,
        struct error *err)
{
  *reason = find_objection (resolution, conflicts);
  if (*reason != NULL)
    return 0;
  const struct conflict *conflict = conflicts_get (conflicts, 0);
  for (size_t i = 0; conflict != NULL; conflict = conflicts_get (conflicts, ++i))
    if (heartbeat_renew (resolution->heartbeat, err) != 0
        || resolve_receive (resolution, conflict, err) != 0
        || settle_one (resolution, conflict, err) != 0)
      return -1;
  return 1;
}

#include "merger/conflict.h"

#include "common/memory.h"
#include "common/text.h"
#include "result/result.h"

#include <search.h>
#include <string.h>

enum
{
  LISTED_MAX = 1000, /* conflicts in the manifest */
};

struct conflicts
{
  void *tree; /* of struct conflict, by tsearch */
  size_t count;
  size_t collisions;
  struct conflict **sorted; /* filled by conflicts_find_owners, ended by NULL */
  size_t sorted_count;
};

/* ---- the set ---------------------------------------------------------------------------- */

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
  free (conflict->owners);
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
conflict_compare (const void *a, const void *b)
{
  const struct conflict *left = a;
  const struct conflict *right = b;
  int order = strcmp (left->output, right->output);
  return order != 0 ? order : strcmp (left->path, right->path);
}

static struct conflict *
conflict_find (const struct conflicts *conflicts, const char *output, const char *path)
{
  const struct conflict key = { .output = (char *) (uintptr_t) output,
                                .path = (char *) (uintptr_t) path };
  struct conflict *const *found = tfind (&key, (void *const *) &conflicts->tree, conflict_compare);
  return found == NULL ? NULL : *found;
}

void
conflicts_add (struct conflicts *conflicts, const char *output, const char *path, bool collides)
{
  struct conflict *conflict = conflict_find (conflicts, output, path);
  if (conflict == NULL)
    {
      conflict = xcalloc (1, sizeof *conflict);
      *conflict = (struct conflict){
        .output = xstrdup (output), .path = xstrdup (path), .file_owner = -1, .folder_owner = -1
      };
      if (tsearch (conflict, &conflicts->tree, conflict_compare) == NULL)
        abort (); /* no memory */
      conflicts->count++;
    }
  if (collides && !conflict->collides)
    conflicts->collisions++;
  conflict->collides = conflict->collides || collides;
}

size_t
conflicts_count (const struct conflicts *conflicts)
{
  return conflicts->count;
}

bool
conflicts_has (const struct conflicts *conflicts, const struct line *line)
{
  return !line->folder && conflict_find (conflicts, line->output, line->path.data) != NULL;
}

/* ---- owners ----------------------------------------------------------------------------- */

static void
add_owner (struct conflict *conflict, uint32_t index, bool folder)
{
  int64_t *lowest = folder ? &conflict->folder_owner : &conflict->file_owner;
  if (*lowest < 0)
    *lowest = index;
  if (conflict->owner_count > 0 && conflict->owners[conflict->owner_count - 1] == index)
    return;
  /* Doubles at each power of two. */
  if ((conflict->owner_count & (conflict->owner_count - 1)) == 0)
    conflict->owners =
        xrealloc (conflict->owners, conflict->owner_count == 0 ? 1 : 2 * conflict->owner_count,
                  sizeof *conflict->owners);
  conflict->owners[conflict->owner_count++] = index;
}

/* What lies in a folder makes its shard an owner of that folder. */
static void
add_owner_above (const struct conflicts *conflicts, struct line *line, uint32_t index)
{
  char *path = line->path.data;
  for (char *slash = strchr (path, '/'); slash != NULL; slash = strchr (slash + 1, '/'))
    {
      *slash = '\0';
      struct conflict *conflict = conflict_find (conflicts, line->output, path);
      *slash = '/';
      if (conflict != NULL && conflict->collides)
        add_owner (conflict, index, true);
    }
}

static int
conflict_read_shard (const struct conflicts *conflicts, int folder_fd, const char *folder,
                     uint32_t index, struct error *err)
{
  auto_free char *attempt = xasprintf (RESULT_ATTEMPTS "/%s", folder);
  auto_lines struct lines lines = { 0 };
  if (lines_open (&lines, folder_fd, attempt, err) != 0)
    return -1;
  for (;;)
    {
      int found = lines_next (&lines, err);
      if (found <= 0)
        return found;
      struct line *line = &lines.line;
      if (conflicts->collisions > 0)
        add_owner_above (conflicts, line, index);
      struct conflict *conflict = conflict_find (conflicts, line->output, line->path.data);
      if (conflict == NULL || (line->folder && !conflict->collides))
        continue;
      add_owner (conflict, index, line->folder);
      conflict->has_link = conflict->has_link || line->link;
    }
}

/* ---- in order --------------------------------------------------------------------------- */

static bool
is_below_collision (const struct conflicts *conflicts, const struct conflict *conflict)
{
  auto_free char *path = xstrdup (conflict->path);
  for (char *slash = strrchr (path, '/'); slash != NULL; slash = strrchr (path, '/'))
    {
      *slash = '\0';
      const struct conflict *above = conflict_find (conflicts, conflict->output, path);
      if (above != NULL && above->collides)
        return true;
    }
  return false;
}

static void
collect_node (const void *node, VISIT visit, void *context)
{
  struct conflicts *conflicts = context;
  struct conflict *conflict = *(struct conflict *const *) node;
  if ((visit != postorder && visit != leaf) || conflict->owner_count == 0)
    return;
  if (conflicts->collisions > 0
      && (!conflict->collides || is_below_collision (conflicts, conflict)))
    return;
  conflicts->sorted[conflicts->sorted_count++] = conflict;
}

int
conflicts_find_owners (struct conflicts *conflicts, int folder_fd, const struct fold *fold,
                       struct error *err)
{
  if (conflicts->count == 0)
    return 0;
  for (uint32_t i = 0; i < fold_known (fold); i++)
    {
      auto_free char *folder = fold_folder_name (fold, i);
      if (folder != NULL && fold_shard (fold, i)->state == SHARD_SUCCEEDED
          && conflict_read_shard (conflicts, folder_fd, folder, i, err) != 0)
        return -1;
    }
  free (conflicts->sorted);
  conflicts->sorted = xcalloc (conflicts->count + 1, sizeof (struct conflict *));
  conflicts->sorted_count = 0;
  twalk_r (conflicts->tree, collect_node, conflicts);
  return 0;
}

const struct conflict *
conflicts_get (const struct conflicts *conflicts, size_t number)
{
  return number < conflicts->sorted_count ? conflicts->sorted[number] : NULL;
}

json_t *
conflicts_json (const struct conflicts *conflicts)
{
  json_t *array = json_array ();
  for (size_t i = 0; i < conflicts->sorted_count && i < LISTED_MAX; i++)
    {
      const struct conflict *conflict = conflicts->sorted[i];
      json_t *object = json_object ();
      text_set_bytes (object, "output", conflict->output);
      text_set_bytes (object, "path", conflict->path);
      json_t *shards = json_array ();
      for (size_t k = 0; k < conflict->owner_count; k++)
        (void) json_array_append_new (shards, json_integer (conflict->owners[k]));
      (void) json_object_set_new (object, "shards", shards);
      if (conflict->collides)
        (void) json_object_set_new (object, "collision", json_true ());
      (void) json_array_append_new (array, object);
    }
  return array;
}

#include "common/result_rest.h"

#include "common/fs.h"
#include "common/memory.h"
#include "common/result.h"
#include "common/result_store.h"

#include <string.h>

static int
look_away (struct result_rest *rest, const char *place, struct error *err)
{
  auto_result_store struct result_store *store = result_store_open (place, err);
  int stands = store == NULL ? -1 : result_store_stands (store, err);
  if (stands < 0)
    return -1;
  rest->stands = stands == 1;
  auto_strlist struct strlist names = { 0 };
  if (rest->stands)
    return 0;
  if (result_store_attempts (store, &names, err) != 0)
    return -1;
  for (size_t i = 0; i < names.count; i++)
    {
      int whole = result_store_is_whole (store, names.items[i], err);
      if (whole < 0)
        return -1;
      if (whole > 0)
        strlist_add (&rest->attempts, names.items[i]);
    }
  return 0;
}

int
result_rest_look (struct result_rest *rest, const char *place, int folder_fd, bool has_outputs,
                  struct error *err)
{
  bool away = result_is_remote (place);
  *rest = (struct result_rest){ .folder_fd = away ? -1 : folder_fd };
  if (away)
    return look_away (rest, place, err);
  rest->stands =
      fs_exists (folder_fd, "manifest.json") && (!has_outputs || fs_exists (folder_fd, "outputs"));
  return 0;
}

void
result_rest_release (struct result_rest *rest)
{
  strlist_release (&rest->attempts);
}

static int
by_name (const void *name, const void *item)
{
  return strcmp (name, *(char *const *) item);
}

bool
result_rest_has (const struct result_rest *rest, const char *name)
{
  auto_free char *path = xasprintf (RESULT_ATTEMPTS "/%s/attempt.json", name);
  if (rest->folder_fd >= 0)
    return fs_exists (rest->folder_fd, path);
  return rest->attempts.count > 0
         && bsearch (name, rest->attempts.items, rest->attempts.count, sizeof *rest->attempts.items,
                     by_name)
                != NULL;
}

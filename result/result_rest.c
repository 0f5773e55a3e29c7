#include "result/result_rest.h"

#include "common/fs.h"
#include "common/memory.h"
#include "result/result.h"

int
result_rest_stands (const char *location, const char *credentials, int folder_fd, bool has_outputs,
                    struct error *err)
{
  if (!result_is_remote (location))
    return fs_exists (folder_fd, "manifest.json")
           && (!has_outputs || fs_exists (folder_fd, "outputs"));
  auto_result_store struct result_store *store = result_store_open (location, credentials, err);
  return store == NULL ? -1 : result_store_stands (store, err);
}

int
result_rest_open (struct result_rest *rest, const char *location, const char *credentials,
                  int folder_fd, struct error *err)
{
  *rest = (struct result_rest){ .folder_fd = folder_fd };
  if (!result_is_remote (location))
    return 0;
  rest->store = result_store_open (location, credentials, err);
  return rest->store == NULL ? -1 : 0;
}

void
result_rest_release (struct result_rest *rest)
{
  result_store_close (rest->store);
}

int
result_rest_has (const struct result_rest *rest, const char *name, struct error *err)
{
  if (rest->store != NULL)
    return result_store_is_whole (rest->store, name, err);
  auto_free char *path = xasprintf (RESULT_ATTEMPTS "/%s/attempt.json", name);
  return fs_exists (rest->folder_fd, path);
}

#include "merger/publish.h"

#include "common/fs.h"
#include "common/lock.h"
#include "common/memory.h"
#include "result/result.h"
#include "result/result_store.h"

#include <errno.h>
#include <sys/file.h>

#define PUBLISH_LOCK RESULT_STATE "/publish.lock"

/* Puts the tree to where the result is kept, when that isn't its folder. */
static int
publish_away (const struct publication *publication, struct error *err)
{
  const struct job *job = publication->job;
  if (!result_is_remote (job->results))
    return 0;
  auto_result_store struct result_store *store =
      result_store_open (job->results, job->credentials, err);
  auto_free char *folder = store == NULL ? NULL : result_folder (job->results, err);
  if (folder == NULL)
    return -1;
  const struct halt halt = heartbeat_halt (publication->heartbeat);
  result_store_set_halt (store, &halt);
  auto_free char *build = xasprintf ("%s/%s", folder, assembly_name (publication->assembly));
  int published = result_store_publish (store, assembly_fd (publication->assembly), build,
                                        publication->done, err);
  return published == 1 ? PUBLISH_OLDER_STANDS : published;
}

int
publish_tree (const struct publication *publication, struct error *err)
{
  /* Two mergers may come here at once (a service and `shoal merge`): one after the other then. */
  auto_fd int lock = lock_open (publication->folder_fd, PUBLISH_LOCK, err);
  if (lock < 0)
    return -1;
  if (flock (lock, LOCK_EX) != 0)
    return error_errno (err, errno, PUBLISH_LOCK);
  int away =
      heartbeat_confirm (publication->heartbeat, err) != 0 ? -1 : publish_away (publication, err);
  if (away < 0)
    return -1;
  const struct result_keeper keeper = { .keep = foreign_carry_late,
                                        .context = publication->foreign };
  if (result_publish (publication->job->results, assembly_name (publication->assembly),
                      publication->done, publication->foreign == NULL ? NULL : &keeper, err)
      != 0)
    return -1;
  return away;
}

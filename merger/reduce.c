#include "merger/reduce.h"

#include "common/fs.h"
#include "common/lock.h"
#include "common/memory.h"
#include "common/sys.h"
#include "merger/verdict.h"
#include "result/result.h"
#include "result/result_store.h"
#include "schemas/codec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define PLAN_LOCK RESULT_STATE "/plan.lock" /* not the plan itself: others may read that */

bool
reduce_is_wanted (const struct job *job, const struct fold *fold)
{
  if (job->reduce_image == NULL || !fold_planned (fold))
    return false;
  const struct shard_record *reduce = fold_reduce (fold);
  if (reduce != NULL && (reduce->state == SHARD_SUCCEEDED || reduce->state == SHARD_FAILED))
    return false;
  auto_verdict struct verdict verdict = verdict_of_shards (job, fold);
  return verdict_is_done (verdict.state);
}

bool
reduce_is_running (const struct fold *fold)
{
  const struct shard_record *reduce = fold_reduce (fold);
  return reduce != NULL && reduce->state == SHARD_RUNNING;
}

/* The folder atom /shards/NNNNN: the outputs of shard INDEX. */
static void
append_atom (struct buffer *atoms, const struct job *job, const char *folder, uint32_t index,
             const char *attempt)
{
  char name[16];
  int size = snprintf (name, sizeof name, "%05u", index);
  auto_free char *source = xasprintf ("%s/" RESULT_ATTEMPTS "/%s/outputs", folder, attempt);
  const struct atom atom = { .volume = (uint32_t) job->volume_count,
                             .folder = true,
                             .size = -1,
                             .path = name,
                             .path_size = (size_t) size,
                             .source = source };
  atom_append (atoms, &atom);
}

static int
reduce_put_plan (const struct job *job, int64_t offset, const struct buffer *atoms,
                 struct error *err)
{
  auto_result_store struct result_store *store =
      result_store_open (job->results, job->credentials, err);
  return store == NULL ? -1 : result_store_put_plan (store, offset, buffer_bytes (atoms), err);
}

/* Puts a list that is too large for a message behind what the plan file holds. A second merger that
 * does the same only wastes the space: the shard that was published first stays. */
static int
move_to_plan (struct shard *shard, const struct job *job, struct error *err)
{
  auto_fd int folder = result_open (job->results, err);
  auto_fd int lock = folder < 0 ? -1 : lock_open (folder, PLAN_LOCK, err);
  auto_fd int plan =
      lock < 0 ? -1 : fs_open_beneath (folder, RESULT_PLAN, O_WRONLY | O_CREAT, 0644, err);
  if (plan < 0)
    return -1;
  if (flock (lock, LOCK_EX) != 0)
    return error_errno (err, errno, PLAN_LOCK);
  off_t end = lseek (plan, 0, SEEK_END);
  if (end < 0)
    return error_errno (err, errno, RESULT_PLAN);
  if (fs_write_all (plan, shard->atoms.data, shard->atoms.size, RESULT_PLAN, err) != 0)
    return -1;
  if (sys_fsync (plan) != 0)
    return error_errno (err, errno, RESULT_PLAN);
  if (result_is_remote (job->results) && reduce_put_plan (job, end, &shard->atoms, err) != 0)
    return -1;
  shard->plan_offset = end;
  shard->plan_length = (int64_t) shard->atoms.size;
  buffer_release (&shard->atoms);
  return 0;
}

int
reduce_publish (struct bus *bus, const struct job *job, const struct fold *fold, struct error *err)
{
  auto_free char *folder = result_shown (job->results, err);
  if (folder == NULL)
    return -1;
  auto_shard struct shard shard = { .job_id = xstrdup (job->id),
                                    .kind = SHARD_REDUCE,
                                    .generation = fold_generation (fold),
                                    .index = (uint32_t) fold_shards (fold),
                                    .count = fold_shards (fold),
                                    .attempt = 1,
                                    .bytes = -1,
                                    .plan_offset = -1,
                                    .plan_length = -1 };
  strlist_extend (&shard.volume_pins, &fold_plan (fold)->volume_pins);
  for (uint32_t i = 0; i < fold_known (fold); i++)
    {
      auto_free char *attempt = fold_folder_name (fold, i);
      if (fold_shard (fold, i)->state != SHARD_SUCCEEDED || attempt == NULL)
        continue;
      append_atom (&shard.atoms, job, folder, i, attempt);
      shard.atom_count++;
    }
  auto_digest struct digest *digest = digest_new ();
  digest_add (digest, shard.atoms.data, shard.atoms.size);
  digest_finish (digest, shard.digest);
  if (shard.atoms.size > SHARD_INLINE_MAX && move_to_plan (&shard, job, err) != 0)
    return -1;
  if (bus_publish_shard (bus, &shard, err) != 0)
    return -1;
  return bus_flush (bus, err);
}

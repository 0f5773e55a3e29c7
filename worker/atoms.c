#include "worker/atoms.h"

#include "common/digest.h"
#include "common/fs.h"
#include "result/result.h"
#include "result/result_store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int
read_plan (const struct shard *shard, int result_fd, struct buffer *store, struct error *err)
{
  auto_fd int plan = fs_open_beneath (result_fd, RESULT_PLAN, O_RDONLY, 0, err);
  if (plan < 0)
    return error_wrap (err, "the plan");
  struct stat status;
  if (fstat (plan, &status) != 0)
    return error_errno (err, errno, "the plan");
  if (shard->plan_offset < 0 || shard->plan_length > status.st_size
      || shard->plan_offset > status.st_size - shard->plan_length)
    return error_set (err, ERROR_TRANSIENT, "the plan ends before this shard's atoms");
  size_t length = (size_t) shard->plan_length;
  (void) buffer_reserve (store, length + 1);
  if (fs_read_at (plan, store, length, shard->plan_offset, "reading the plan", err) != 0)
    return -1;
  store->data[store->size] = '\0';
  return 0;
}

static int
get_plan (const struct shard *shard, const struct job *job, const struct halt *halt,
          struct buffer *store, struct error *err)
{
  auto_result_store struct result_store *kept =
      result_store_open (job->results, job->credentials, err);
  if (kept == NULL)
    return -1;
  storage_set_halt (result_store_storage (kept), halt);
  return result_store_get_plan (kept, shard->plan_offset, shard->plan_length, store, err);
}

int
atoms_load (const struct shard *shard, const struct job *job, int result_fd,
            const struct halt *halt, struct buffer *store, struct bytes *list, struct error *err)
{
  *list = buffer_bytes (&shard->atoms);
  if (shard->plan_length >= 0)
    {
      bool remote = job->results != NULL && result_is_remote (job->results);
      if (remote ? get_plan (shard, job, halt, store, err) != 0
                 : read_plan (shard, result_fd, store, err) != 0)
        return -1;
      *list = buffer_bytes (store);
    }
  auto_digest struct digest *digest = digest_new ();
  uint8_t sum[DIGEST_SIZE];
  digest_add (digest, list->data, list->size);
  digest_finish (digest, sum);
  if (memcmp (sum, shard->digest, DIGEST_SIZE) != 0)
    return error_set (err, ERROR_USER, "the list of input files differs from the planned one");
  return 0;
}

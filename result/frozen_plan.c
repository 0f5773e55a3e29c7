#include "result/frozen_plan.h"

#include "common/fs.h"
#include "common/memory.h"
#include "common/varint.h"
#include "result/result.h"
#include "result/result_store.h"
#include "schemas/codec.h"

#include <fcntl.h>

#define FROZEN ".shoal/frozen"

enum
{
  GROUP = 1000,          /* shards */
  PART_BYTES = 4 << 20,  /* after which the next part begins */
  PART_LIMIT = 16 << 20, /* a part and the largest message */
};

struct frozen_plan
{
  const struct job *job;
  uint32_t starts;
  int folder;                 /* of the result, -1: not open, or not here */
  struct result_store *store; /* NULL: not open, or here */

  struct buffer part;
  int64_t group; /* which one PART is; -1: none */
  int64_t number;
  size_t at;    /* reading: the next record in PART */
  bool written; /* whether any part was */
};

struct frozen_plan *
frozen_plan_new (const struct job *job, uint32_t starts)
{
  struct frozen_plan *plan = xcalloc (1, sizeof *plan);
  plan->job = job;
  plan->starts = starts;
  plan->folder = -1;
  plan->group = -1;
  return plan;
}

void
frozen_plan_free (struct frozen_plan *plan)
{
  if (plan == NULL)
    return;
  auto_fd_ (&plan->folder);
  result_store_close (plan->store);
  buffer_release (&plan->part);
  free (plan);
}

static int
frozen_plan_open (struct frozen_plan *plan, struct error *err)
{
  const struct job *job = plan->job;
  if (plan->store != NULL || plan->folder >= 0)
    return 0;
  if (result_is_remote (job->results))
    {
      plan->store = result_store_open (job->results, job->credentials, err);
      return plan->store == NULL ? -1 : 0;
    }
  plan->folder = result_open (job->results, err);
  return plan->folder < 0 ? -1 : 0;
}

static char *
frozen_part_path (const struct frozen_plan *plan)
{
  return xasprintf (FROZEN "/%u/%lld.%lld", plan->starts, (long long) plan->group,
                    (long long) plan->number);
}

/* ---- writing ---------------------------------------------------------------------------- */

static int
frozen_plan_put (struct frozen_plan *plan, struct error *err)
{
  auto_free char *path = frozen_part_path (plan);
  if (frozen_plan_open (plan, err) != 0)
    return -1;
  if (plan->store != NULL)
    return storage_put (result_store_storage (plan->store), path, buffer_bytes (&plan->part), false,
                        err);
  auto_free char *folder = xasprintf (FROZEN "/%u", plan->starts);
  if (!plan->written && fs_make_folders (plan->folder, folder, 0755, err) != 0)
    return -1;
  return fs_write_file (plan->folder, path, buffer_bytes (&plan->part), err);
}

/* The part is full, or the last one. */
static int
frozen_plan_flush (struct frozen_plan *plan, struct error *err)
{
  if (plan->part.size == 0)
    return 0;
  if (frozen_plan_put (plan, err) != 0)
    return error_wrap (err, "the frozen plan");
  plan->written = true;
  plan->number++;
  buffer_clear (&plan->part);
  return 0;
}

static void
frozen_put_number (struct buffer *buffer, int64_t number)
{
  char *at = buffer_reserve (buffer, VARINT_MAX);
  buffer->size += (size_t) (varint_put (at, number) - at);
}

int
frozen_plan_add (struct frozen_plan *plan, const struct shard *shard, struct error *err)
{
  auto_buffer struct buffer message = { 0 };
  if (codec_encode_shard (shard, &message, err) != 0)
    return -1;
  if (shard->index / GROUP != plan->group || plan->part.size >= PART_BYTES)
    {
      if (frozen_plan_flush (plan, err) != 0)
        return -1;
      plan->number = shard->index / GROUP != plan->group ? 0 : plan->number;
      plan->group = shard->index / GROUP;
    }
  frozen_put_number (&plan->part, shard->index);
  frozen_put_number (&plan->part, (int64_t) message.size);
  buffer_append (&plan->part, message.data, message.size);
  return 0;
}

int
frozen_plan_finish (struct frozen_plan *plan, struct error *err)
{
  if (frozen_plan_flush (plan, err) != 0)
    return -1;
  plan->group = -1;
  if (plan->folder < 0)
    return 0;
  auto_free char *path = xasprintf (FROZEN "/%u", plan->starts);
  auto_fd int folder = fs_open_beneath (plan->folder, path, O_RDONLY | O_DIRECTORY, 0, err);
  return folder < 0 ? -1 : fs_sync_folder (folder, err);
}

/* ---- reading ---------------------------------------------------------------------------- */

/* Reads the part that NUMBER of GROUP is: 1, 0 when there is none, or -1. */
static int
frozen_plan_load (struct frozen_plan *plan, int64_t group, int64_t number, struct error *err)
{
  plan->group = group;
  plan->number = number;
  plan->at = 0;
  buffer_clear (&plan->part);
  auto_free char *path = frozen_part_path (plan);
  if (frozen_plan_open (plan, err) != 0)
    return -1;
  if (plan->store != NULL)
    return storage_get (result_store_storage (plan->store), path, 0, -1, PART_LIMIT, &plan->part,
                        err);
  if (!fs_exists (plan->folder, path))
    return 0;
  return fs_read_file (plan->folder, path, PART_LIMIT, &plan->part, err) != 0 ? -1 : 1;
}

/* The next record of the part: 1 with its INDEX and MESSAGE, 0 at the end, or -1. */
static int
frozen_plan_step (struct frozen_plan *plan, int64_t *index, struct bytes *message,
                  struct error *err)
{
  const char *end = plan->part.data + plan->part.size;
  int64_t size = 0;
  if (plan->at == plan->part.size)
    return 0;
  const char *at = varint_get (plan->part.data + plan->at, end, index);
  at = at == NULL ? NULL : varint_get (at, end, &size);
  if (at == NULL || size < 0 || size > end - at)
    {
      auto_free char *path = frozen_part_path (plan);
      return error_set (err, ERROR_USER, "%s is damaged", path);
    }
  *message = (struct bytes){ at, (size_t) size };
  plan->at = (size_t) (at + size - plan->part.data);
  return 1;
}

/* Reads on to the shard INDEX, from the next record of the part that is loaded: 1 with its MESSAGE,
 * 0 when it isn't from there on, or -1. */
static int
frozen_plan_seek (struct frozen_plan *plan, uint32_t index, struct bytes *message,
                  struct error *err)
{
  for (;;)
    {
      int64_t found = -1;
      int got = frozen_plan_step (plan, &found, message, err);
      if (got == 1 && found >= index)
        return found == index;
      if (got == 0)
        got = frozen_plan_load (plan, plan->group, plan->number + 1, err);
      if (got <= 0)
        return got;
    }
}

int
frozen_plan_get (struct frozen_plan *plan, uint32_t index, struct shard *shard, struct error *err)
{
  struct bytes message = { 0 };
  int got = plan->group == index / GROUP ? frozen_plan_seek (plan, index, &message, err) : 0;
  if (got == 0)
    {
      got = frozen_plan_load (plan, index / GROUP, 0, err);
      if (got == 1)
        got = frozen_plan_seek (plan, index, &message, err);
    }
  if (got == 1)
    return codec_decode_shard (message, shard, err) == 0 ? 1 : -1;
  plan->group = -1;
  return got;
}

/* ---- the end ---------------------------------------------------------------------------- */

int
frozen_plan_remove (const struct job *job, struct error *err)
{
  auto_frozen_plan struct frozen_plan *plan = frozen_plan_new (job, 0);
  if (frozen_plan_open (plan, err) != 0)
    return -1;
  return plan->store != NULL ? storage_remove (result_store_storage (plan->store), FROZEN, err)
                             : fs_remove_tree (plan->folder, FROZEN, err);
}

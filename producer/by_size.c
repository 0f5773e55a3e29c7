#include "producer/by_size.h"

#include "common/auto.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/unique.h"
#include "result/result.h"
#include "schemas/codec.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct kept_shard
{
  int64_t bytes; /* of its inputs */
  uint32_t index;
  uint32_t size; /* of its record, at OFFSET */
  off_t offset;
};

struct by_size
{
  int fd;
  off_t end;
  struct kept_shard *shards;
  size_t count;
  size_t room;
};

struct by_size *
by_size_new (const char *results, struct error *err)
{
  char salt[UNIQUE_SIZE];
  auto_fd int folder = result_open (results, err);
  if (folder < 0)
    return NULL;
  auto_free char *name = xasprintf (".shoal/order.%s", unique_text (salt));
  int fd = fs_open_beneath (folder, name, O_RDWR | O_CREAT | O_EXCL, 0600, err);
  if (fd < 0)
    {
      (void) error_wrap (err, "shards by size");
      return NULL;
    }
  (void) unlinkat (folder, name, 0);
  struct by_size *by_size = xcalloc (1, sizeof *by_size);
  by_size->fd = fd;
  return by_size;
}

int
by_size_add (struct by_size *by_size, const struct shard *shard, struct error *err)
{
  auto_buffer struct buffer record = { 0 };
  if (codec_encode_shard (shard, &record, err) != 0)
    return -1;
  if (fs_write_all (by_size->fd, record.data, record.size, "shards by size", err) != 0)
    return -1;
  if (by_size->count == by_size->room)
    {
      by_size->room = 2 * by_size->room + 64;
      by_size->shards = xrealloc (by_size->shards, by_size->room, sizeof *by_size->shards);
    }
  by_size->shards[by_size->count++] = (struct kept_shard){ .bytes = shard->bytes,
                                                           .index = shard->index,
                                                           .size = (uint32_t) record.size,
                                                           .offset = by_size->end };
  by_size->end += (off_t) record.size;
  return 0;
}

static int
compare_sizes (const void *a, const void *b)
{
  const struct kept_shard *one = a;
  const struct kept_shard *other = b;
  bool first = one->index == 0;
  if (first != (other->index == 0))
    return first ? -1 : 1;
  if (one->bytes != other->bytes)
    return one->bytes > other->bytes ? -1 : 1;
  return one->index < other->index ? -1 : one->index > other->index;
}

/* The shard that was kept as KEPT into zeroed SHARD. */
static int
by_size_read (const struct by_size *by_size, const struct kept_shard *kept, struct shard *shard,
              struct error *err)
{
  auto_buffer struct buffer record = { 0 };
  if (fs_read_at (by_size->fd, &record, kept->size, kept->offset, "shards by size", err) != 0)
    return -1;
  return codec_decode_shard (buffer_bytes (&record), shard, err);
}

int
by_size_each (struct by_size *by_size,
              int (*each) (void *context, const struct shard *shard, struct error *err),
              void *context, struct error *err)
{
  if (by_size->count > 0)
    qsort (by_size->shards, by_size->count, sizeof *by_size->shards, compare_sizes);
  for (size_t i = 0; i < by_size->count; i++)
    {
      auto_shard struct shard shard = { 0 };
      if (by_size_read (by_size, &by_size->shards[i], &shard, err) != 0)
        return -1;
      int result = each (context, &shard, err);
      if (result != 0)
        return result;
    }
  return 0;
}

void
by_size_free (struct by_size *by_size)
{
  if (by_size == NULL)
    return;
  (void) close (by_size->fd);
  free (by_size->shards);
  free (by_size);
}

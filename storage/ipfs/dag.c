#include "storage/ipfs/dag.h"

#include "common/memory.h"
#include "common/varint.h"

#include <string.h>

/* ---- protobuf ---------------------------------------------------------------------------- */

struct field
{
  uint64_t number;
  uint64_t value;     /* of a varint */
  struct bytes bytes; /* of what has a length */
};

static bool
get_varint (const uint8_t **at, const uint8_t *end, uint64_t *value)
{
  const char *behind = varint_get_unsigned ((const char *) *at, (const char *) end, value);
  *at = behind == NULL ? *at : (const uint8_t *) behind;
  return behind != NULL;
}

/* The next field: 1, 0 at the end, or -1. */
static int
next_field (const uint8_t **at, const uint8_t *end, struct field *field)
{
  uint64_t key = 0, size = 0;
  if (*at == end)
    return 0;
  if (!get_varint (at, end, &key))
    return -1;
  *field = (struct field){ .number = key >> 3 };
  switch (key & 7)
    {
    case 0:
      return get_varint (at, end, &field->value) ? 1 : -1;
    case 1:
      size = 8;
      break;
    case 2:
      if (!get_varint (at, end, &size))
        return -1;
      break;
    case 5:
      size = 4;
      break;
    default:
      return -1;
    }
  if (size > (uint64_t) (end - *at))
    return -1;
  field->bytes = (struct bytes){ *at, (size_t) size };
  *at += size;
  return 1;
}

/* ---- nodes ------------------------------------------------------------------------------- */

static bool
read_link (struct dag_link *link, struct bytes bytes)
{
  const uint8_t *at = bytes.data, *end = bytes.size == 0 ? at : at + bytes.size;
  struct field field;
  bool hash = false;
  int got = 0;
  *link = (struct dag_link){ .name = { "", 0 } };
  while ((got = next_field (&at, end, &field)) == 1)
    if (field.number == 1)
      hash = cid_read (&link->cid, field.bytes);
    else if (field.number == 2)
      link->name = field.bytes;
    else if (field.number == 3)
      link->size = field.value;
  return got == 0 && hash;
}

static bool
add_size (struct dag_node *node, uint64_t size)
{
  if (node->sized == node->count)
    return false;
  if (node->sizes == NULL)
    node->sizes = xcalloc (node->count, sizeof *node->sizes);
  node->sizes[node->sized++] = size;
  return true;
}

/* Sizes one behind the other, as some write what is repeated. */
static bool
add_sizes (struct dag_node *node, struct bytes packed)
{
  const uint8_t *at = packed.data, *end = at + packed.size;
  uint64_t size = 0;
  while (at < end)
    if (!get_varint (&at, end, &size) || !add_size (node, size))
      return false;
  return true;
}

static bool
read_unixfs (struct dag_node *node, struct bytes bytes)
{
  const uint8_t *at = bytes.data, *end = bytes.size == 0 ? at : at + bytes.size;
  struct field field;
  bool type = false, sizes = true;
  int got = 0;
  while ((got = next_field (&at, end, &field)) == 1)
    if (field.number == 1)
      {
        type = field.value <= DAG_HAMT;
        node->type = (enum dag_type) field.value;
      }
    else if (field.number == 2)
      node->data = field.bytes;
    else if (field.number == 3 && field.value <= INT64_MAX)
      node->file_size = (int64_t) field.value;
    else if (field.number == 4)
      sizes = sizes
              && (field.bytes.data != NULL ? add_sizes (node, field.bytes)
                                           : add_size (node, field.value));
    else if (field.number == 6)
      node->fanout = field.value;
  if (node->file_size < 0 && node->count == 0)
    node->file_size = (int64_t) node->data.size;
  return got == 0 && type && sizes;
}

static bool
read_node (struct dag_node *node, struct bytes block)
{
  const uint8_t *at = block.data, *end = at + block.size;
  struct field field;
  struct bytes data = { NULL, 0 };
  size_t capacity = 0;
  int got = 0;
  while ((got = next_field (&at, end, &field)) == 1)
    if (field.number == 1)
      data = field.bytes;
    else if (field.number == 2)
      {
        if (node->count == capacity)
          {
            capacity = capacity == 0 ? 64 : 2 * capacity;
            node->links = xrealloc (node->links, capacity, sizeof *node->links);
          }
        if (!read_link (&node->links[node->count], field.bytes))
          return false;
        node->count++;
      }
  return got == 0 && data.data != NULL && read_unixfs (node, data);
}

int
dag_read (struct dag_node *node, struct bytes block, struct error *err)
{
  node->file_size = -1;
  if (block.size > 0 && read_node (node, block))
    return 0;
  return error_set (err, ERROR_USER, "not a UnixFS file or folder");
}

int
dag_file_size (const struct dag_node *node, int64_t *size, struct error *err)
{
  uint64_t sum = node->data.size;
  bool good = (node->type == DAG_FILE || node->type == DAG_RAW) && node->sized == node->count;
  for (size_t i = 0; i < node->sized && good; i++)
    good = !__builtin_add_overflow (sum, node->sizes[i], &sum) && sum <= INT64_MAX;
  *size = (int64_t) sum;
  if (good && (node->file_size < 0 || node->file_size == *size))
    return 0;
  return error_set (err, ERROR_USER, "not a UnixFS file with consistent sizes");
}

void
dag_release (struct dag_node *node)
{
  free (node->sizes);
  free (node->links);
  *node = (struct dag_node){ 0 };
}

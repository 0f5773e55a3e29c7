/* libFuzzer: a block of UnixFS, and its start as a CID. A CID that is read is written and read
 * again as the same; what is a part of a file lies within the block, and the bytes behind its links
 * are those that it says. */
#include "storage/ipfs/dag.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
check_cid (const struct cid *cid)
{
  char text[CID_TEXT_SIZE];
  struct cid again;
  if (!cid_parse (&again, cid_format (cid, text), strlen (text)) || again.codec != cid->codec
      || again.hash != cid->hash || again.digest_size != cid->digest_size
      || memcmp (again.digest, cid->digest, cid->digest_size) != 0)
    abort ();
}

static void
check_file (const struct dag_node *node, const char *start, const char *end)
{
  struct error err = ERROR_INIT;
  int64_t size = 0;
  const char *inside = node->data.data;
  if (node->data.size > 0 && (inside < start || inside + node->data.size > end))
    abort ();
  if (node->sized > node->count)
    abort ();
  if (dag_file_size (node, &size, &err) != 0)
    {
      if (err.class != ERROR_USER)
        abort ();
      return;
    }
  for (size_t i = 0; i < node->count; i++)
    size -= (int64_t) node->sizes[i];
  if (size != (int64_t) node->data.size)
    abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct cid cid;
  struct error err = ERROR_INIT;
  const char *start = (const char *) data, *end = start + size;
  if (cid_parse (&cid, start, size) && cid.digest_size >= 4)
    check_cid (&cid);
  auto_dag_node struct dag_node node = { 0 };
  if (dag_read (&node, (struct bytes){ data, size }, &err) != 0)
    {
      if (err.class != ERROR_USER)
        abort ();
      return 0;
    }
  check_file (&node, start, end);
  for (size_t i = 0; i < node.count; i++)
    {
      const struct bytes *name = &node.links[i].name;
      const char *at = name->data;
      if (name->size > 0 && (at < start || at + name->size > end))
        abort ();
      if (node.links[i].cid.digest_size >= 4)
        check_cid (&node.links[i].cid);
    }
  return 0;
}

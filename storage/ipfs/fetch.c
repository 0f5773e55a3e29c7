/* Files of IPFS brought here: trees of blocks, each held against its CID before a byte of it is
 * written, so a node or a gateway can refuse, but not lie.
 *
 *     root ──► node ──► leaf, leaf, leaf …     where a leaf's bytes go is in the nodes above it
 *
 * Blocks are asked for side by side, of the newest node first, and of the next file when no node
 * has any left: so few nodes are in memory at a time.
 */
#include "storage/fetch_batch.h"
#include "storage/ipfs/block.h"
#include "storage/ipfs/dag.h"

#include "common/memory.h"

#include <string.h>
#include <sys/queue.h>

enum
{
  DEPTH_MAX = 32,
  LINKS_MAX = 16 << 10, /* of one node: kubo makes 174, or 1,024 */
};

/* A part of a file, as the node above it says. */
struct block_target
{
  struct fetched_file *file;
  struct cid cid;
  int64_t from;
  int64_t size; /* -1: not said, of a whole file */
  int depth;
};

/* Blocks of a file that aren't all asked for. */
struct node
{
  struct node *below; /* in the stack of all of them */
  struct block_target target;
  struct dag_node dag;
  size_t next; /* link */
  int64_t at;  /* where that one's bytes go */
};

/* A block that is asked for. */
struct ask
{
  struct http_call call;
  struct ipfs_fetch *fetch;
  LIST_ENTRY (ask) links;
  struct block_target target;
};

struct ipfs_fetch
{
  const struct ipfs *ipfs;
  struct fetch_batch batch;
  struct node *nodes;
  LIST_HEAD (, ask) asks;
};

static struct block_target
keep_target (struct block_target target)
{
  (void) fetched_file_ref (target.file);
  return target;
}

static void
free_node (struct node *node)
{
  fetched_file_unref (node->target.file);
  dag_release (&node->dag);
  free (node);
}

static void
free_ask (struct ask *ask)
{
  LIST_REMOVE (ask, links);
  fetched_file_unref (ask->target.file);
  http_call_release (&ask->call);
  free (ask);
}

/* A node or a block of FILE is done; with the last one it is whole. */
static int
end_one (struct ipfs_fetch *fetch, struct fetched_file *file, struct error *err)
{
  return --file->parts > 0 ? 0 : fetch_batch_finish (&fetch->batch, file, err);
}

/* ---- a block that came ------------------------------------------------------------------- */

static int
write_to (struct ipfs_fetch *fetch, const struct block_target *target, struct bytes data,
          struct error *err)
{
  fetch_batch_count_bytes (&fetch->batch, data.size);
  return fetched_file_write (target->file, data.data, data.size, target->from, err);
}

static int
check_size (const struct block_target *target, int64_t size, struct error *err)
{
  if (target->size >= 0 && target->size != size)
    return error_set (err, ERROR_USER, "has %lld bytes of the file, expected %lld",
                      (long long) size, (long long) target->size);
  if (target->depth == 0)
    target->file->item.size = size;
  return 0;
}

static int
take_node (struct ipfs_fetch *fetch, const struct block_target *target, struct bytes block,
           struct error *err)
{
  auto_dag_node struct dag_node dag = { 0 };
  int64_t size = 0;
  if (dag_read (&dag, block, err) != 0 || dag_file_size (&dag, &size, err) != 0
      || check_size (target, size, err) != 0)
    return -1;
  if (dag.count > LINKS_MAX || (dag.count > 0 && target->depth == DEPTH_MAX))
    return error_set (err, ERROR_USER, "the tree of blocks is too %s",
                      dag.count > LINKS_MAX ? "wide" : "deep");
  if (write_to (fetch, target, dag.data, err) != 0)
    return -1;
  if (dag.count == 0)
    return 0;
  struct node *node = xcalloc (1, sizeof *node);
  *node = (struct node){ .below = fetch->nodes,
                         .target = keep_target (*target),
                         .dag = dag,
                         .at = target->from + (int64_t) dag.data.size };
  dag = (struct dag_node){ 0 };
  target->file->parts++;
  fetch->nodes = node;
  return 0;
}

static int
take_block (struct ipfs_fetch *fetch, const struct block_target *target, struct bytes block,
            struct error *err)
{
  switch (target->cid.codec)
    {
    case CID_RAW:
      return check_size (target, (int64_t) block.size, err) == 0
                 ? write_to (fetch, target, block, err)
                 : -1;
    case CID_DAG_PB:
      return take_node (fetch, target, block, err);
    default:
      return error_set (err, ERROR_USER, "not a block of a UnixFS file");
    }
}

/* ERR, with the file and the block that it is of. */
static int
ipfs_block_error (const struct block_target *target, struct error *err)
{
  char text[CID_TEXT_SIZE];
  const struct storage_item *item = &target->file->item;
  return error_wrap (err, "%s (%s): block %s", item->path, item->version,
                     cid_format (&target->cid, text));
}

/* ---- asking ----------------------------------------------------------------------------- */

static int
end_ask (struct http_call *call, struct error *err)
{
  struct ask *ask = call->context;
  struct ipfs_fetch *fetch = ask->fetch;
  fetch_batch_count_call (&fetch->batch, call);
  if (error_is_set (err) && call->status >= 300)
    ipfs_explain ((void *) (uintptr_t) fetch->ipfs, call, err);
  int result = error_is_set (err) ? -1 : 0;
  if (result == 0)
    result = take_block (fetch, &ask->target, buffer_bytes (&call->answer), err);
  if (result != 0)
    (void) ipfs_block_error (&ask->target, err);
  else if (end_one (fetch, ask->target.file, err) != 0)
    result = error_wrap (err, "%s", ask->target.file->item.path);
  free_ask (ask);
  return result;
}

/* Asks for the block at PLACE, unless it stands in its CID. */
static int
ipfs_block_request (struct ipfs_fetch *fetch, struct block_target target, struct error *err)
{
  target.file->parts++;
  if (target.cid.hash == CID_IDENTITY)
    {
      const struct bytes block = { target.cid.digest, target.cid.digest_size };
      if (take_block (fetch, &target, block, err) != 0)
        return ipfs_block_error (&target, err);
      return end_one (fetch, target.file, err) == 0
                 ? 0
                 : error_wrap (err, "%s", target.file->item.path);
    }
  struct ask *ask = xcalloc (1, sizeof *ask);
  ask->fetch = fetch;
  ask->target = keep_target (target);
  LIST_INSERT_HEAD (&fetch->asks, ask, links);
  ipfs_block_init (fetch->ipfs, &ask->call, &ask->target.cid);
  ask->call.context = ask;
  ask->call.done = end_ask;
  http_start (fetch->batch.http, &ask->call);
  return 0;
}

/* The newest node's next link, or the node's end. */
static int
ipfs_node_request_next (struct ipfs_fetch *fetch, struct error *err)
{
  struct node *node = fetch->nodes;
  struct fetched_file *file = node->target.file;
  if (node->next < node->dag.count)
    {
      const struct block_target target = { .file = file,
                                           .cid = node->dag.links[node->next].cid,
                                           .from = node->at,
                                           .size = (int64_t) node->dag.sizes[node->next],
                                           .depth = node->target.depth + 1 };
      node->next++;
      node->at += target.size;
      return target.size == 0 ? 0 : ipfs_block_request (fetch, target, err);
    }
  fetch->nodes = node->below;
  int result = end_one (fetch, file, err);
  if (result != 0)
    (void) error_wrap (err, "%s", file->item.path);
  free_node (node);
  return result;
}

static int
ipfs_file_request_next (struct ipfs_fetch *fetch, struct error *err)
{
  auto_fetched_file struct fetched_file *file = NULL;
  if (fetch_batch_next (&fetch->batch, &file, err) != 0)
    return -1;
  if (file == NULL)
    return 0;
  const struct storage_item *item = &file->item;
  struct block_target root = { .file = file, .size = item->size };
  if (item->version == NULL || !cid_parse (&root.cid, item->version, strlen (item->version)))
    return error_set (err, ERROR_USER, "%s: the plan has no CID of it", item->path);
  return ipfs_block_request (fetch, root, err);
}

static int
ipfs_request_more (struct ipfs_fetch *fetch, struct error *err)
{
  int result = 0;
  while (result == 0 && http_pending (fetch->batch.http) < fetch->batch.at_once
         && (fetch->nodes != NULL || !fetch->batch.exhausted))
    result = fetch->nodes != NULL ? ipfs_node_request_next (fetch, err)
                                  : ipfs_file_request_next (fetch, err);
  return result;
}

/* A CID says all. */
static char *
ipfs_fetch_address (void *context, const struct storage_item *item)
{
  (void) context;
  (void) item;
  return xstrdup ("ipfs");
}

int
ipfs_fetch (struct storage *storage, const struct storage_batch *batch, struct error *err)
{
  struct error unwanted = ERROR_INIT;
  if (err == NULL)
    err = &unwanted;
  struct ipfs_fetch fetch = { .ipfs = (const struct ipfs *) storage };
  fetch_batch_open (&fetch.batch, ipfs_fetch_address, NULL, batch);
  int result = 0;
  do
    result = ipfs_request_more (&fetch, err) == 0 ? fetch_batch_turn (&fetch.batch, err) : -1;
  while (result == 0
         && (!fetch.batch.exhausted || fetch.nodes != NULL || !LIST_EMPTY (&fetch.asks)));
  fetch_batch_close (&fetch.batch); /* it may still have asks' calls */
  while (!LIST_EMPTY (&fetch.asks))
    free_ask (LIST_FIRST (&fetch.asks));
  for (struct node *node = fetch.nodes, *below = NULL; node != NULL; node = below)
    {
      below = node->below;
      free_node (node);
    }
  return result == 0 ? 0 : error_wrap (err, "%s", fetch.ipfs->shown);
}

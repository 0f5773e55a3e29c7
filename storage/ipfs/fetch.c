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
struct place
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
  struct place place;
  struct dag_node dag;
  size_t next; /* link */
  int64_t at;  /* where that one's bytes go */
};

/* A block that is asked for. */
struct ask
{
  struct http_call call;
  struct fetch *fetch;
  LIST_ENTRY (ask) links;
  struct place place;
};

struct fetch
{
  const struct ipfs *ipfs;
  struct fetch_batch batch;
  struct node *nodes;
  LIST_HEAD (, ask) asks;
};

static struct place
keep_place (struct place place)
{
  (void) fetched_file_ref (place.file);
  return place;
}

static void
free_node (struct node *node)
{
  fetched_file_unref (node->place.file);
  dag_release (&node->dag);
  free (node);
}

static void
free_ask (struct ask *ask)
{
  LIST_REMOVE (ask, links);
  fetched_file_unref (ask->place.file);
  http_call_release (&ask->call);
  free (ask);
}

/* A node or a block of FILE is done; with the last one it is whole. */
static int
end_one (struct fetch *fetch, struct fetched_file *file, struct error *err)
{
  return --file->parts > 0 ? 0 : fetch_batch_finish (&fetch->batch, file, err);
}

/* ---- a block that came ------------------------------------------------------------------- */

static int
write_to (struct fetch *fetch, const struct place *place, struct bytes data, struct error *err)
{
  fetch_batch_count_bytes (&fetch->batch, data.size);
  return fetched_file_write (place->file, data.data, data.size, place->from, err);
}

static int
check_size (const struct place *place, int64_t size, struct error *err)
{
  if (place->size >= 0 && place->size != size)
    return error_set (err, ERROR_USER, "it has %lld bytes of the file, and should have %lld",
                      (long long) size, (long long) place->size);
  if (place->depth == 0)
    place->file->item.size = size;
  return 0;
}

static int
take_node (struct fetch *fetch, const struct place *place, struct bytes block, struct error *err)
{
  auto_dag_node struct dag_node dag = { 0 };
  int64_t size = 0;
  if (dag_read (&dag, block, err) != 0 || dag_file_size (&dag, &size, err) != 0
      || check_size (place, size, err) != 0)
    return -1;
  if (dag.count > LINKS_MAX || (dag.count > 0 && place->depth == DEPTH_MAX))
    return error_set (err, ERROR_USER, "a tree of blocks that is too %s",
                      dag.count > LINKS_MAX ? "wide" : "deep");
  if (write_to (fetch, place, dag.data, err) != 0)
    return -1;
  if (dag.count == 0)
    return 0;
  struct node *node = xcalloc (1, sizeof *node);
  *node = (struct node){ .below = fetch->nodes,
                         .place = keep_place (*place),
                         .dag = dag,
                         .at = place->from + (int64_t) dag.data.size };
  dag = (struct dag_node){ 0 };
  place->file->parts++;
  fetch->nodes = node;
  return 0;
}

static int
take_block (struct fetch *fetch, const struct place *place, struct bytes block, struct error *err)
{
  switch (place->cid.codec)
    {
    case CID_RAW:
      return check_size (place, (int64_t) block.size, err) == 0
                 ? write_to (fetch, place, block, err)
                 : -1;
    case CID_DAG_PB:
      return take_node (fetch, place, block, err);
    default:
      return error_set (err, ERROR_USER, "this isn't a part of a file of UnixFS");
    }
}

/* ERR, with the file and the block that it is of. */
static int
say_block (const struct place *place, struct error *err)
{
  char text[CID_TEXT_SIZE];
  const struct storage_item *item = &place->file->item;
  return error_wrap (err, "%s (%s): block %s", item->path, item->version,
                     cid_format (&place->cid, text));
}

/* ---- asking ----------------------------------------------------------------------------- */

static int
end_ask (struct http_call *call, struct error *err)
{
  struct ask *ask = call->context;
  struct fetch *fetch = ask->fetch;
  fetch_batch_count_call (&fetch->batch, call);
  if (error_is_set (err) && call->status >= 300)
    ipfs_explain ((void *) (uintptr_t) fetch->ipfs, call, err);
  int result = error_is_set (err) ? -1 : 0;
  if (result == 0)
    result = take_block (fetch, &ask->place, buffer_bytes (&call->answer), err);
  if (result != 0)
    (void) say_block (&ask->place, err);
  else if (end_one (fetch, ask->place.file, err) != 0)
    result = error_wrap (err, "%s", ask->place.file->item.path);
  free_ask (ask);
  return result;
}

/* Asks for the block at PLACE, unless it stands in its CID. */
static int
ask_for (struct fetch *fetch, struct place place, struct error *err)
{
  place.file->parts++;
  if (place.cid.hash == CID_IDENTITY)
    {
      const struct bytes block = { place.cid.digest, place.cid.digest_size };
      if (take_block (fetch, &place, block, err) != 0)
        return say_block (&place, err);
      return end_one (fetch, place.file, err) == 0 ? 0
                                                   : error_wrap (err, "%s", place.file->item.path);
    }
  struct ask *ask = xcalloc (1, sizeof *ask);
  ask->fetch = fetch;
  ask->place = keep_place (place);
  LIST_INSERT_HEAD (&fetch->asks, ask, links);
  ipfs_block_init (fetch->ipfs, &ask->call, &ask->place.cid);
  ask->call.context = ask;
  ask->call.done = end_ask;
  http_start (fetch->batch.http, &ask->call);
  return 0;
}

/* The newest node's next link, or the node's end. */
static int
ask_of_node (struct fetch *fetch, struct error *err)
{
  struct node *node = fetch->nodes;
  struct fetched_file *file = node->place.file;
  if (node->next < node->dag.count)
    {
      const struct place place = { .file = file,
                                   .cid = node->dag.links[node->next].cid,
                                   .from = node->at,
                                   .size = (int64_t) node->dag.sizes[node->next],
                                   .depth = node->place.depth + 1 };
      node->next++;
      node->at += place.size;
      return place.size == 0 ? 0 : ask_for (fetch, place, err);
    }
  fetch->nodes = node->below;
  int result = end_one (fetch, file, err);
  if (result != 0)
    (void) error_wrap (err, "%s", file->item.path);
  free_node (node);
  return result;
}

static int
ask_of_next_file (struct fetch *fetch, struct error *err)
{
  auto_fetched_file struct fetched_file *file = NULL;
  if (fetch_batch_next (&fetch->batch, &file, err) != 0)
    return -1;
  if (file == NULL)
    return 0;
  const struct storage_item *item = &file->item;
  struct place root = { .file = file, .size = item->size };
  if (item->version == NULL || !cid_parse (&root.cid, item->version, strlen (item->version)))
    return error_set (err, ERROR_USER, "%s: the plan has no CID of it", item->path);
  return ask_for (fetch, root, err);
}

static int
ask_for_more (struct fetch *fetch, struct error *err)
{
  int result = 0;
  while (result == 0 && http_pending (fetch->batch.http) < fetch->batch.at_once
         && (fetch->nodes != NULL || !fetch->batch.exhausted))
    result = fetch->nodes != NULL ? ask_of_node (fetch, err) : ask_of_next_file (fetch, err);
  return result;
}

/* A CID says all. */
static char *
address (void *context, const struct storage_item *item)
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
  struct fetch fetch = { .ipfs = (const struct ipfs *) storage };
  fetch_batch_open (&fetch.batch, address, NULL, batch);
  int result = 0;
  do
    result = ask_for_more (&fetch, err) == 0 ? fetch_batch_turn (&fetch.batch, err) : -1;
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

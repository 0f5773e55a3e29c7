/* Folders of IPFS, read block by block; each block is held against its CID, so a listing is what
 * the source's CID says, whoever gave it.
 *
 * What an entry is stands in its own first block, unless that is raw: those are asked for side by
 * side. No file is.
 */
#include "storage/ipfs/block.h"
#include "storage/ipfs/dag.h"
#include "storage/item_path.h"

#include "common/memory.h"
#include "common/units.h"
#include "storage/listing.h"

#include <string.h>
#include <sys/queue.h>

enum
{
  CONNECTIONS = 32,
  AT_ONCE = 256,
  TRIES = 3, /* an offline node says 500 to what it hasn't got */
  DEPTH_MAX = 256,
  FOLDERS_MAX = 1000 * 1000, /* a few blocks that link to each other twice are more than any end */
  HAMT_DEPTH_MAX = 64,
  HAMT_BLOCKS_MAX = 200
                    /* of one folder: tens of millions of names; one that links to its parts again
                       and again has no end */
                    * 1000,
  TURN_MS = 1000,
};

/* One name in a folder. */
struct ipfs_entry
{
  char *name;
  struct cid cid;
  enum dag_type type;
  int64_t size;
};

struct entries
{
  struct ipfs_entry *items;
  size_t count, capacity;
};

struct ipfs_walk
{
  const struct ipfs *ipfs;
  const struct storage_visitor *visitor;
  struct http *http;
  struct buffer path; /* of the current entry */
  int64_t blocks;     /* of the current folder */
  int64_t folders;    /* that were entered */
  int64_t at_most;    /* of those */
};

static void
release_entries (struct entries *entries)
{
  for (size_t i = 0; i < entries->count; i++)
    free (entries->items[i].name);
  free (entries->items);
  *entries = (struct entries){ 0 };
}
#define auto_entries AUTO (release_entries)

/* ---- blocks ----------------------------------------------------------------------------- */

static int
ipfs_list_error (struct ipfs_walk *walk, const struct http_call *call, struct error *err)
{
  if (call->status >= 300)
    ipfs_explain ((void *) (uintptr_t) walk->ipfs, call, err);
  auto_free char *shown = http_url_shown (call->url);
  return error_wrap (err, "%s", shown);
}

static int
get_block (struct ipfs_walk *walk, const struct cid *cid, struct buffer *block, struct error *err)
{
  buffer_clear (block);
  if (cid->hash == CID_IDENTITY) /* it is in its name */
    {
      buffer_append (block, cid->digest, cid->digest_size);
      return 0;
    }
  auto_http_call struct http_call call;
  ipfs_block_init (walk->ipfs, &call, cid);
  if (http_perform (walk->http, &call, err) != 0)
    return ipfs_list_error (walk, &call, err);
  buffer_append (block, call.answer.data, call.answer.size);
  return 0;
}

/* ---- what entries are --------------------------------------------------------------------- */

struct ipfs_look
{
  struct http_call call;
  struct ipfs_walk *walk;
  struct ipfs_entry *entry;
  size_t *under_way;
  LIST_ENTRY (ipfs_look) links;
};

LIST_HEAD (looks, ipfs_look);

static void
free_look (struct ipfs_look *look)
{
  LIST_REMOVE (look, links);
  http_call_release (&look->call);
  free (look);
}

static int
read_entry (struct ipfs_entry *entry, struct bytes block, struct error *err)
{
  auto_dag_node struct dag_node node = { 0 };
  if (dag_read (&node, block, err) != 0)
    return -1;
  entry->type = node.type;
  entry->size = node.file_size;
  return 0;
}

static int
ipfs_list_end_request (struct http_call *call, struct error *err)
{
  struct ipfs_look *look = call->context;
  struct ipfs_entry *entry = look->entry;
  struct bytes block = buffer_bytes (&call->answer);
  int result = error_is_set (err) ? ipfs_list_error (look->walk, call, err) : 0;
  if (result == 0)
    result = read_entry (entry, block, err);
  if (result != 0)
    (void) error_wrap (err, "%s", entry->name);
  (*look->under_way)--;
  free_look (look);
  return result;
}

static void
ipfs_list_start_request (struct ipfs_walk *walk, struct ipfs_entry *entry, size_t *under_way,
                         struct looks *looks)
{
  struct ipfs_look *look = xcalloc (1, sizeof *look);
  ipfs_block_init (walk->ipfs, &look->call, &entry->cid);
  look->call.context = look;
  look->call.done = ipfs_list_end_request;
  look->walk = walk;
  look->entry = entry;
  look->under_way = under_way;
  LIST_INSERT_HEAD (looks, look, links);
  (*under_way)++;
  http_start (walk->http, &look->call);
}

static int
ipfs_probe_all (struct ipfs_walk *walk, struct entries *entries, struct error *err)
{
  size_t under_way = 0, next = 0;
  struct looks looks = LIST_HEAD_INITIALIZER (looks);
  int result = 0;
  while (result == 0 && (next < entries->count || under_way > 0))
    {
      while (result == 0 && next < entries->count && under_way < AT_ONCE)
        {
          struct ipfs_entry *entry = &entries->items[next++];
          struct bytes inside = { entry->cid.digest, entry->cid.digest_size };
          if (entry->cid.codec == CID_RAW)
            continue;
          if (entry->cid.codec != CID_DAG_PB)
            result = error_set (err, ERROR_USER, "%s: not a UnixFS file or folder", entry->name);
          else if (entry->cid.hash == CID_IDENTITY)
            result = read_entry (entry, inside, err);
          else
            ipfs_list_start_request (walk, entry, &under_way, &looks);
        }
      if (result == 0 && under_way > 0)
        result = http_turn (walk->http, TURN_MS, err);
    }
  if (result != 0) /* the others aren't wanted any more */
    {
      const struct http_options options = { .connections = CONNECTIONS, .tries = TRIES };
      http_free (walk->http);
      walk->http = http_new (&options);
      while (!LIST_EMPTY (&looks))
        free_look (LIST_FIRST (&looks));
    }
  return result;
}

/* ---- folders ---------------------------------------------------------------------------- */

static void
ipfs_list_add_entry (struct entries *entries, const struct dag_link *link, size_t skip)
{
  if (entries->count == entries->capacity)
    {
      entries->capacity = entries->capacity == 0 ? 64 : 2 * entries->capacity;
      entries->items = xrealloc (entries->items, entries->capacity, sizeof *entries->items);
    }
  entries->items[entries->count++] = (struct ipfs_entry){
    .name = xstrndup ((const char *) link->name.data + skip, link->name.size - skip),
    .cid = link->cid,
    .type = DAG_FILE,
    .size = link->size <= INT64_MAX ? (int64_t) link->size : -1,
  };
}

static size_t
digits_of (uint64_t fanout)
{
  size_t digits = 0;
  for (uint64_t rest = fanout - 1; rest > 0; rest >>= 4)
    digits++;
  return digits;
}

static int
ipfs_list_gather (struct ipfs_walk *walk, const struct cid *cid, struct entries *entries, int depth,
                  struct error *err)
{
  auto_buffer struct buffer block = { 0 };
  auto_dag_node struct dag_node node = { 0 };
  walk->blocks = depth == 0 ? 1 : walk->blocks + 1;
  if (depth > HAMT_DEPTH_MAX || walk->blocks > HAMT_BLOCKS_MAX)
    return error_set (err, ERROR_USER, "a folder that is sharded into too many parts");
  if (get_block (walk, cid, &block, err) != 0 || dag_read (&node, buffer_bytes (&block), err) != 0)
    return -1;
  if (node.type != DAG_FOLDER && node.type != DAG_HAMT)
    return error_set (err, ERROR_USER, "not a folder");
  size_t skip = node.type == DAG_HAMT && node.fanout > 1 ? digits_of (node.fanout) : 0;
  for (size_t i = 0; i < node.count; i++)
    {
      const struct dag_link *link = &node.links[i];
      if (memchr (link->name.data, '\0', link->name.size) != NULL || link->name.size < skip)
        return error_set (err, ERROR_USER, "a folder entry with an invalid name");
      if (skip > 0 && link->name.size == skip)
        {
          if (ipfs_list_gather (walk, &link->cid, entries, depth + 1, err) != 0)
            return -1;
        }
      else
        ipfs_list_add_entry (entries, link, skip);
    }
  return 0;
}

static bool
ipfs_list_is_folder (const struct ipfs_entry *entry)
{
  return entry->type == DAG_FOLDER || entry->type == DAG_HAMT;
}

/* Bytewise, a folder's name as if it ended in "/". */
static int
by_order (const void *left, const void *right)
{
  const struct ipfs_entry *a = left, *b = right;
  size_t i = 0;
  while (a->name[i] != '\0' && a->name[i] == b->name[i])
    i++;
  unsigned char x = (unsigned char) a->name[i], y = (unsigned char) b->name[i];
  if (x == '\0' && ipfs_list_is_folder (a))
    x = '/';
  if (y == '\0' && ipfs_list_is_folder (b))
    y = '/';
  return (x > y) - (x < y);
}

static int
ipfs_list_by_name (const void *left, const void *right)
{
  return strcmp (((const struct ipfs_entry *) left)->name,
                 ((const struct ipfs_entry *) right)->name);
}

/* Sorted as they are listed; a file and a folder of one name needn't stand side by side there. */
static int
sort_entries (struct entries *entries, struct error *err)
{
  if (entries->count == 0)
    return 0;
  qsort (entries->items, entries->count, sizeof *entries->items, ipfs_list_by_name);
  for (size_t i = 1; i < entries->count; i++)
    if (ipfs_list_by_name (&entries->items[i - 1], &entries->items[i]) == 0)
      return error_set (err, ERROR_USER, "%s: duplicate name", entries->items[i].name);
  qsort (entries->items, entries->count, sizeof *entries->items, by_order);
  return 0;
}

static bool
ipfs_list_is_wanted (const struct ipfs_walk *walk)
{
  const struct storage_visitor *visitor = walk->visitor;
  return visitor->wanted == NULL
         || visitor->wanted (visitor->context, walk->path.data, walk->path.size);
}

static int ipfs_list_visit_folder (struct ipfs_walk *walk, const struct cid *cid, int depth,
                                   struct error *err);

/* The entry whose path is in `path`. What the visitor returns comes back one higher, as -1 stays
 * -1. */
static int
ipfs_list_visit (struct ipfs_walk *walk, const struct ipfs_entry *entry, int depth,
                 struct error *err)
{
  const struct storage_visitor *visitor = walk->visitor;
  struct error why = ERROR_INIT;
  char text[CID_TEXT_SIZE];
  bool good = strchr (entry->name, '/') == NULL && item_path_check (entry->name, &why) == 0;
  if (good && entry->type == DAG_SYMLINK && visitor->symlinks != SYMLINKS_SKIP)
    {
      good = false;
      (void) error_set (&why, ERROR_USER,
                        "%s: a symbolic link, which isn't followed in IPFS (--symlinks skip leaves "
                        "it out)",
                        walk->path.data);
    }
  else if (entry->type == DAG_SYMLINK || entry->type == DAG_METADATA)
    return 0;
  if (!good)
    {
      if (!ipfs_list_is_wanted (walk))
        return 0;
      if (!error_is_set (&why))
        (void) error_set (&why, ERROR_USER, "%s: a name with a \"/\"", entry->name);
      *err = why;
      return -1;
    }
  const struct storage_entry said = { .path = walk->path.data,
                                      .path_size = walk->path.size,
                                      .folder = ipfs_list_is_folder (entry),
                                      .size = ipfs_list_is_folder (entry) ? -1 : entry->size,
                                      .version = ipfs_list_is_folder (entry)
                                                     ? NULL
                                                     : cid_format (&entry->cid, text) };
  int result = visitor->entry (visitor->context, &said, err);
  if (result != 0)
    return result < 0 ? -1 : result + 1;
  if (!ipfs_list_is_folder (entry)
      || !visitor->enter (visitor->context, walk->path.data, walk->path.size))
    return 0;
  return ipfs_list_visit_folder (walk, &entry->cid, depth + 1, err);
}

static int
ipfs_list_read_folder (struct ipfs_walk *walk, const struct cid *cid, struct entries *entries,
                       struct error *err)
{
  if (ipfs_list_gather (walk, cid, entries, 0, err) != 0
      || ipfs_probe_all (walk, entries, err) != 0)
    return -1;
  return sort_entries (entries, err);
}

static int
ipfs_list_visit_folder (struct ipfs_walk *walk, const struct cid *cid, int depth, struct error *err)
{
  auto_entries struct entries entries = { 0 };
  size_t base = walk->path.size;
  if (depth > DEPTH_MAX)
    return error_set (err, ERROR_USER, "%s: more than %d folders deep", walk->path.data,
                      (int) DEPTH_MAX);
  if (++walk->folders > walk->at_most)
    return error_set (err, ERROR_USER, "more than %lld folders (SHOAL_IPFS_FOLDERS is the limit)",
                      (long long) walk->at_most);
  if (ipfs_list_read_folder (walk, cid, &entries, err) != 0)
    return base == 0 ? -1 : error_wrap (err, "%s", walk->path.data);
  int result = 0;
  for (size_t i = 0; i < entries.count && result == 0; i++)
    {
      walk->path.size = base;
      if (base > 0)
        buffer_putc (&walk->path, '/');
      buffer_puts (&walk->path, entries.items[i].name);
      result = ipfs_list_visit (walk, &entries.items[i], depth, err);
    }
  walk->path.size = base;
  if (walk->path.data != NULL)
    walk->path.data[base] = '\0';
  return result;
}

/* ---- the root --------------------------------------------------------------------------- */

/* What the source's path leads to. */
static int
resolve (struct ipfs_walk *walk, struct ipfs_entry *entry, struct error *err)
{
  auto_free char *path = xstrdup (walk->ipfs->path);
  char *rest = path;
  entry->cid = walk->ipfs->root;
  for (char *name = strsep (&rest, "/"); name != NULL; name = strsep (&rest, "/"))
    {
      auto_entries struct entries entries = { 0 };
      if (name[0] == '\0')
        continue;
      if (ipfs_list_gather (walk, &entry->cid, &entries, 0, err) != 0)
        return -1;
      bool found = false;
      for (size_t i = 0; i < entries.count && !found; i++)
        {
          found = strcmp (entries.items[i].name, name) == 0;
          if (found)
            {
              entry->cid = entries.items[i].cid;
              entry->size = entries.items[i].size;
            }
        }
      if (!found)
        return error_set (err, ERROR_USER, "no such path: %s", name);
    }
  auto_buffer struct buffer block = { 0 };
  entry->type = DAG_FILE;
  if (entry->cid.codec == CID_RAW)
    {
      if (get_block (walk, &entry->cid, &block, err) != 0)
        return -1;
      entry->size = (int64_t) block.size;
      return 0;
    }
  if (get_block (walk, &entry->cid, &block, err) != 0)
    return -1;
  return read_entry (entry, buffer_bytes (&block), err);
}

/* A source that is one file is named by its path's last part, or by the CID. */
static int
visit_root (struct ipfs_walk *walk, struct error *err)
{
  struct ipfs_entry root = { .size = -1 };
  if (resolve (walk, &root, err) != 0)
    return -1;
  if (ipfs_list_is_folder (&root))
    return ipfs_list_visit_folder (walk, &root.cid, 0, err);
  char text[CID_TEXT_SIZE];
  const char *slash = strrchr (walk->ipfs->path, '/');
  const char *name = slash == NULL ? walk->ipfs->path : slash + 1;
  auto_free char *own = xstrdup (name[0] == '\0' ? cid_format (&root.cid, text) : name);
  root.name = own;
  buffer_puts (&walk->path, own);
  return ipfs_list_visit (walk, &root, 0, err);
}

int
ipfs_list (struct storage *storage, const struct storage_visitor *visitor, struct error *err)
{
  const struct ipfs *ipfs = (const struct ipfs *) storage;
  struct error own = ERROR_INIT;
  if (err == NULL)
    err = &own;
  if (!visitor->enter (visitor->context, "", 0))
    return 0;
  const struct http_options options = { .connections = CONNECTIONS,
                                        .tries = TRIES,
                                        .halt = ipfs->base.halt };
  struct ipfs_walk walk = { .ipfs = ipfs,
                            .visitor = visitor,
                            .http = http_new (&options),
                            .at_most = units_from_env ("SHOAL_IPFS_FOLDERS", FOLDERS_MAX) };
  int result = visit_root (&walk, err);
  http_free (walk.http);
  buffer_release (&walk.path);
  if (result < 0)
    return error_is_set (err) ? error_wrap (err, "%s", ipfs->shown) : -1;
  return result == 0 ? 0 : result - 1;
}

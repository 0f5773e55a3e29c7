/* dag.h — nodes of UnixFS: what a block of codec dag-pb says.
 *
 * Source: the DAG-PB and UnixFS specifications (ipld/specs, ipfs/specs). Blocks are anybody's
 * bytes: everything is bounded by the block.
 */
#ifndef SHOAL_STORAGE_IPFS_DAG_H
#define SHOAL_STORAGE_IPFS_DAG_H

#include "storage/ipfs/cid.h"

enum dag_type
{
  DAG_RAW = 0,
  DAG_FOLDER = 1,
  DAG_FILE = 2,
  DAG_METADATA = 3,
  DAG_SYMLINK = 4,
  DAG_HAMT = 5, /* a part of a large folder, sharded by the hashes of names */
};

struct dag_link
{
  struct cid cid;
  struct bytes name; /* within the block */
  uint64_t size;     /* of all blocks below; of a raw block, its own */
};

struct dag_node
{
  enum dag_type type;
  int64_t file_size; /* of a file; -1: not said */
  struct bytes data; /* a file's bytes before those of its links, within the block */
  uint64_t fanout;   /* of a HAMT */
  struct dag_link *links;
  size_t count;
  uint64_t *sizes; /* bytes of the file that are behind each link, as far as they are said */
  size_t sized;
};

/* Reads BLOCK, which must live as long as NODE, into zeroed NODE. ERROR_USER when it is none. The
 * caller releases. */
int dag_read (struct dag_node *node, struct bytes block, struct error *err);

/* The bytes of the file, or part of one, that NODE is the root of: what all it says of sizes agrees
 * on. ERROR_USER when it doesn't, or isn't one. */
int dag_file_size (const struct dag_node *node, int64_t *size, struct error *err);

void dag_release (struct dag_node *node);
#define auto_dag_node AUTO (dag_release)

#endif

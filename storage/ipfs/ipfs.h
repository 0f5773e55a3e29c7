/* ipfs.h — a file or folder of IPFS, through a node's RPC or a gateway: what the parts of this
 * storage share. */
#ifndef SHOAL_STORAGE_IPFS_IPFS_H
#define SHOAL_STORAGE_IPFS_IPFS_H

#include "common/http/http.h"
#include "storage/ipfs/cid.h"
#include "storage/listing.h"
#include "storage/storage_ops.h"

struct ipfs
{
  struct storage base;
  struct cid root;
  char *path;  /* below the root, "" */
  char *shown; /* "ipfs://CID/path" */
  char *api;   /* URL of a node's RPC, or NULL */
  char *gateway;
};

/* ---- list.c, fetch.c: as their namesakes in storage.h */
int ipfs_list (struct storage *storage, const struct storage_visitor *visitor, struct error *err);
int ipfs_fetch (struct storage *storage, const struct storage_batch *batch, struct error *err);

#endif

/* block.h — a block of IPFS, asked of a node or a gateway and held against its CID. */
#ifndef SHOAL_STORAGE_IPFS_BLOCK_H
#define SHOAL_STORAGE_IPFS_BLOCK_H

#include "storage/ipfs/ipfs.h"

enum
{
  IPFS_BLOCK_MAX = 4 << 20, /* bytes: twice what nodes pass on */
};

/* Makes CALL the request of the block CID, which outlives it: what it brings is held against
 * that. */
void ipfs_block_init (const struct ipfs *ipfs, struct http_call *call, const struct cid *cid);

/* ERR of a refusal, with what the node says. */
void ipfs_explain (void *context, const struct http_call *call, struct error *err);

#endif

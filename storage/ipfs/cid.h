/* cid.h — content identifiers: what a block of IPFS is called, and what it must hash to.
 *
 * Source: the CID specification (multiformats/cid). Version 0 ("Qm…", base58) and version 1 in
 * base32 ("b…"), base36 ("k…"), base58 ("z…"), base64url ("u…") or base16 ("f…").
 */
#ifndef SHOAL_STORAGE_IPFS_CID_H
#define SHOAL_STORAGE_IPFS_CID_H

#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

enum
{
  CID_RAW = 0x55,    /* codec: the block is a file's bytes */
  CID_DAG_PB = 0x70, /* codec: a node of UnixFS */
  CID_IDENTITY = 0,  /* hash: the digest is the block itself */
  CID_SHA256 = 0x12,
  CID_DIGEST_MAX = 128,
  CID_TEXT_SIZE = 256,
};

/* A plain value. */
struct cid
{
  uint64_t codec;
  uint64_t hash;
  size_t digest_size;
  uint8_t digest[CID_DIGEST_MAX];
};

/* Reads all of TEXT of SIZE bytes. False when it is none. */
bool cid_parse (struct cid *cid, const char *text, size_t size);

/* Reads all of BYTES: the binary form, as it stands in links. */
bool cid_read (struct cid *cid, struct bytes bytes);

/* Version 1 in base32 into TEXT; returns TEXT. */
const char *cid_format (const struct cid *cid, char text[static CID_TEXT_SIZE]);

/* Whether BLOCK is what CID says. ERROR_USER: its hash isn't known here; ERROR_TRANSIENT: it
 * isn't. */
int cid_check (const struct cid *cid, struct bytes block, struct error *err);

#endif

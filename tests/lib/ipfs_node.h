/* ipfs_node.h — the tests' IPFS node: SHOAL_TEST_IPFS_API and SHOAL_TEST_IPFS_GATEWAY. Failures
 * fail the test. */
#ifndef SHOAL_TESTS_LIB_IPFS_NODE_H
#define SHOAL_TESTS_LIB_IPFS_NODE_H

#include <stdbool.h>

/* Adds what is in FOLDER, with OPTIONS of the node's `add`, as separate by spaces ("cid-version=1
 * inline=true"): "ipfs://CID" of it. The caller frees. */
char *ipfs_node_add (const char *folder, const char *options);

/* Storages that are opened from now on ask the node, by its RPC or as a gateway. */
void ipfs_node_choose (bool gateway);

#endif

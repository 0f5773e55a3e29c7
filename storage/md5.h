/* md5.h — MD5 (RFC 1321) of many messages side by side, one in each lane of a vector.
 *
 * Each step of an MD5 needs the one before it, so one message can't go quicker than some 0.7 GB/s.
 * Messages don't need each other: one's blocks are summed beside the others'.
 *
 * It finds the mistakes of networks and disks, not forgeries.
 */
#ifndef SHOAL_STORAGE_MD5_H
#define SHOAL_STORAGE_MD5_H

#include <stddef.h>
#include <stdint.h>

enum
{
  MD5_SIZE = 16,
  MD5_BLOCK = 64,
  MD5_LANES_MAX = 16,
};

/* One message so far. */
struct md5
{
  uint32_t state[4];
  uint64_t size;           /* bytes */
  uint8_t rest[MD5_BLOCK]; /* what is no block yet */
};

/* SIZE bytes at DATA that are next in SUM's message. */
struct md5_input
{
  struct md5 *sum;
  const uint8_t *data;
  size_t size;
};

/* How blocks are summed, by which instructions. */
struct md5_kernel
{
  const char *name;
  size_t lanes;
  /* Adds COUNT blocks to each of LANES states. */
  void (*add) (uint32_t *const states[], const uint8_t *const data[], size_t count);
};

/* Those that this processor has, the quickest first; NULL: there are no more. The last one has one
 * lane. Takes no more time than a look into a table. */
const struct md5_kernel *md5_kernel (size_t number);

void md5_init (struct md5 *sum);

/* Takes COUNT inputs of different messages, as many as you like and of any sizes, by the kernel
 * NUMBER (0 but for tests) or one with fewer lanes where those are enough. INPUTS are used up. */
void md5_add (size_t number, struct md5_input *inputs, size_t count);

void md5_finish (struct md5 *sum, uint8_t digest[static MD5_SIZE]);

#endif

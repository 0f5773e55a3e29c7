/* by_size.h — a job's shards, kept in a file without a name until all are there, and given back by
 * size: the largest first, by index where they are equal. What a server doesn't tell the size of
 * counts as empty. The first shard comes before all: by it another producer sees that some were
 * published.
 */
#ifndef SHOAL_PRODUCER_BY_SIZE_H
#define SHOAL_PRODUCER_BY_SIZE_H

#include "schemas/messages.h"

struct by_size;

/* RESULTS: of the job; the file is made in what this machine has of it. NULL with ERR. */
struct by_size *by_size_new (const char *results, struct error *err);
int by_size_add (struct by_size *by_size, const struct shard *shard, struct error *err);

/* What EACH gave that wasn't 0, or 0; -1 with ERR. */
int by_size_each (struct by_size *by_size,
                  int (*each) (void *context, const struct shard *shard, struct error *err),
                  void *context, struct error *err);
void by_size_free (struct by_size *by_size);

#endif

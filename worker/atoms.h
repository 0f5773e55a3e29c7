/* atoms.h — a shard's atom list, wherever it is, checked against the shard's digest. */
#ifndef SHOAL_WORKER_ATOMS_H
#define SHOAL_WORKER_ATOMS_H

#include "common/buffer.h"
#include "common/error.h"
#include "schemas/messages.h"

/* Reads the list of SHARD into LIST (a view, or the bytes in STORE where it came from the plan file
 * below RESULT_FD, or from where the result at RESULTS is kept). ERROR_USER when it isn't what was
 * planned. */
int atoms_load (const struct shard *shard, const struct job *job, int result_fd,
                const struct halt *halt, struct buffer *store, struct bytes *list,
                struct error *err);

#endif

/* attempt_pack.h — the records of all attempts of a job that has ended, in one file: a tar.
 *
 *     .shoal/attempts.tar      ATTEMPT/attempt.json, ATTEMPT/outputs.jsonl, ATTEMPT/stdout, …
 *
 * Without the outputs, which the result has, and without empty files. It appears whole or not at
 * all. A handle belongs to one thread.
 */
#ifndef SHOAL_RESULT_ATTEMPT_PACK_H
#define SHOAL_RESULT_ATTEMPT_PACK_H

#include "common/auto.h"
#include "common/error.h"
#include "common/strlist.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define ATTEMPT_PACK_FILE ".shoal/attempts.tar"

/* Whether the result in the folder ROOT_FD has its attempts in a pack. */
bool attempt_pack_is_there (int root_fd);

/* Writes the pack of the result in ROOT_FD from the folders of ATTEMPTS, and flushes it. */
int attempt_pack_write (int root_fd, const struct strlist *attempts, struct error *err);

/* Removes it; one that isn't there is fine. */
int attempt_pack_remove (int root_fd, struct error *err);

struct attempt_pack;

/* NULL with ERR; when there is no pack, without. */
struct attempt_pack *attempt_pack_open (int root_fd, struct error *err);
void attempt_pack_close (struct attempt_pack *pack);

static inline void
auto_attempt_pack_ (struct attempt_pack **pack)
{
  attempt_pack_close (*pack);
}
#define auto_attempt_pack AUTO (auto_attempt_pack_)

/* Whether ATTEMPT is in it. */
bool attempt_pack_has (const struct attempt_pack *pack, const char *attempt);

/* Opens the pack where FILE ("stdout") of ATTEMPT begins, *SIZE bytes of it: the descriptor, which
 * is the caller's; -1 when it isn't there (an empty file isn't). */
int attempt_pack_open_file (const struct attempt_pack *pack, const char *attempt, const char *file,
                            int64_t *size);

#endif

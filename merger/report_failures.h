/* report_failures.h — the failed shards of a report, those of one reason together, with what the
 * first of them said last. Bounded however many there are.
 */
#ifndef SHOAL_MERGER_REPORT_FAILURES_H
#define SHOAL_MERGER_REPORT_FAILURES_H

#include "common/auto.h"
#include "common/buffer.h"

#include <jansson.h>

struct report_failures;

/* FOLDER_FD: the result's, which has the attempts; it outlives the list. */
struct report_failures *report_failures_new (int folder_fd);
void report_failures_free (struct report_failures *failures);

/* Takes in a failed SHARD (the reduce container, where NAME is "reduce") as it stands in the
 * manifest; of one kind in the order of their numbers. */
void report_failures_add (struct report_failures *failures, const char *name, const json_t *shard);

/* Appends the section to OUT; nothing where nothing failed. */
void report_failures_put (const struct report_failures *failures, struct buffer *out);

#endif

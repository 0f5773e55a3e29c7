/* report.h — report.html: the manifest as people read it, one file that needs no network.
 *
 * The job, counts, what it used, the failures by reason, a histogram of the shards' durations, a
 * timeline and the slowest shards; bounded however many shards there are.
 */
#ifndef SHOAL_MERGER_REPORT_H
#define SHOAL_MERGER_REPORT_H

#include "common/auto.h"
#include "common/error.h"

#include <jansson.h>
#include <stdint.h>

struct manifest;
struct report;

/* FOLDER_FD: the result's, which has the attempts. Both outlive it. */
struct report *report_new (const struct manifest *manifest, int folder_fd);

/* Takes in shard INDEX as it stands in the manifest. */
void report_add (struct report *report, uint32_t index, const json_t *shard);

/* Takes in the reduce container likewise: its failure, and what it used. */
void report_add_reduce (struct report *report, const json_t *reduce);

/* Writes report.html into FOLDER_FD. */
int report_write (struct report *report, int folder_fd, struct error *err);
void report_free (struct report *report);

static inline void
auto_report_ (struct report **report)
{
  report_free (*report);
}
#define auto_report AUTO (auto_report_)

#endif

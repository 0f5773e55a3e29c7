/* report.h — report.html: the manifest as people read it, one file that needs no network.
 *
 * Counts, a histogram of the shards' durations, a timeline, the slowest shards and the failures;
 * bounded however many shards there are.
 */
#ifndef SHOAL_MERGER_REPORT_H
#define SHOAL_MERGER_REPORT_H

#include "common/auto.h"
#include "common/error.h"

#include <jansson.h>
#include <stdint.h>

struct manifest;
struct report;

struct report *report_new (const struct manifest *manifest);

/* Takes in shard INDEX as it stands in the manifest. */
void report_add (struct report *report, uint32_t index, const json_t *shard);

/* Takes in the reduce container likewise: only its failure is told. */
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

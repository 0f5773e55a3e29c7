/* assemble.h — the tree in the making: built beside the place where it will stand, while shards
 * finish.
 *
 *     .shoal/build.PID.N/     belongs to one assembly of one merger; a lock on the folder says that
 *                             it lives
 *       outputs/NAME/…        hard links to the winners' files
 *       stdout stderr         of succeeded shards, appended in shard order as far as they are
 *                             settled without a gap
 *       outputs.part          the manifest's lines, likewise
 *
 * Nothing is moved and no attempt's file is written to, so two assemblies at once (a merger that
 * was stopped and came back, and the one that took over) don't disturb each other.
 */
#ifndef SHOAL_MERGER_ASSEMBLE_H
#define SHOAL_MERGER_ASSEMBLE_H

#include "common/auto.h"
#include "merger/conflict.h"
#include "merger/fold.h"
#include "merger/heartbeat.h"

struct assembly;

/* Starts a tree for JOB in the result's folder FOLDER_FD (not owned). Trees of dead mergers are
 * removed. HEARTBEAT (may be NULL) is renewed while it works: what it fails with ends the work.
 * NULL with ERR. */
struct assembly *assembly_open (int folder_fd, const struct job *job,
                                const struct heartbeat *heartbeat, struct error *err);

/* Links what shard INDEX, which succeeded, wrote. */
int assembly_add (struct assembly *assembly, const struct fold *fold, uint32_t index,
                  struct error *err);

/* Looks whether the succeeded attempts' files are still what was collected, before a reduce
 * container reads them: assembly_is_damaged says so then. Nothing to do where attempts are kept
 * behind a URL. */
int assembly_check (struct assembly *assembly, const struct fold *fold, struct error *err);

/* Appends logs and lines of the shards that are settled without a gap. */
int assembly_advance (struct assembly *assembly, const struct fold *fold, struct error *err);

/* Whether what was appended doesn't hold any more (shards were reopened, or won late): start over
 * then. */
bool assembly_is_stale (const struct assembly *assembly, const struct fold *fold);

/* Completes everything but manifest and report: all logs, links to the shards' folders, the reduce
 * container's outputs, conflicts by POLICY. 1; 0 when there can't be an outputs tree, with REASON
 * (the caller frees): a conflict, or what assembly_is_damaged says; or -1. */
int assembly_finish (struct assembly *assembly, const struct fold *fold, enum on_conflict policy,
                     char **reason, struct error *err);

/* Whether an attempt's file was changed since it was collected, or another image made a shard. */
bool assembly_is_damaged (const struct assembly *assembly);

/* For the manifest. */
int assembly_fd (const struct assembly *assembly);
const char *assembly_name (const struct assembly *assembly); /* ".shoal/build.…" */
int assembly_write_lines (struct assembly *assembly, const struct fold *fold, int fd,
                          struct error *err); /* the outputs array's inside */
const struct conflicts *assembly_conflicts (const struct assembly *assembly);

/* Takes the working files out: what is left is what will be seen. */
int assembly_clean (struct assembly *assembly, struct error *err);

/* Removes what is left of the folder. */
void assembly_close (struct assembly *assembly);

static inline void
auto_assembly_ (struct assembly **assembly)
{
  assembly_close (*assembly);
}
#define auto_assembly AUTO (auto_assembly_)

#endif

/* supervise.h — runs the services of one job until it has ended or somebody interrupts it.
 *
 * First Ctrl-C: no shard is taken any more, the running ones end. Second, or SIGTERM: their
 * containers are stopped. Third: everything is killed. State is kept in any case.
 */
#ifndef SHOAL_CLI_SUPERVISE_H
#define SHOAL_CLI_SUPERVISE_H

#include "cli/counters.h"
#include "cli/run_options.h"
#include "cli/session.h"

enum supervise_end
{
  SUPERVISE_ENDED = 0,
  SUPERVISE_INTERRUPTED = 1,
};

/* Runs SESSION's job, whose lock is ours; MERGE_ONLY: only assembles. COUNTERS (zeroed) and STATUS
 * (zeroed) are filled, the caller releases them. An enum supervise_end, or -1 with ERR when a
 * service can't be kept alive. */
int supervise_job (struct session *session, const struct run_options *options, bool merge_only,
                   struct counters *counters, struct job_status *status, struct error *err);

/* What comes after it, for every command that runs something: says how it went and what can be done
 * next, and gives the exit code; or -1 with ERR. */
int supervise_and_report (struct session *session, const struct run_options *options,
                          bool merge_only, struct error *err);

#endif

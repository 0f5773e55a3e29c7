/* result.h — the layout of a result folder, and where it is just now.
 *
 *     LOCATION.partial/            while the job runs, or when it ended and doesn't count as done
 *     LOCATION/                    the result, from one rename on
 *       manifest.json  stdout  stderr  outputs/NAME/…  report.html  [quarantined.txt]
 *       shards/00042 → ../.shoal/attempts/00042.g1.a1.s1/outputs, exit_code, stdout, stderr
 *       .shoal/
 *         bus.db               the SQLite bus with the job, its plan and all that happened
 *         job                  the id of the job whose result this is
 *         lock                 held by the `shoal run` (resume, retry, merge) that works on it
 *         plan                 atom lists of shards too large for a message
 *         frozen/              all shards of a job that is published in a window (frozen_plan.h)
 *         tmp/                 attempts in the making, removed at the next start
 *         attempts/NNNNN.gG.aA.sS/    one whole attempt each:
 *             exit_code stdout stderr attempt.json outputs/NAME/… outputs.jsonl
 *         build.*              trees that mergers are assembling
 *
 * Everything is reached relative to one descriptor of the folder, so that the rename of the folder
 * under a running process doesn't matter.
 *
 * A LOCATION may also be a URL (result_store.h): then the folders are this machine's own, made when
 * they are first opened.
 */
#ifndef SHOAL_RESULT_RESULT_H
#define SHOAL_RESULT_RESULT_H

#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

#define RESULT_STATE ".shoal"
#define RESULT_BUS ".shoal/bus.db"
#define RESULT_LOCK ".shoal/lock"
#define RESULT_JOB ".shoal/job"
#define RESULT_PLAN ".shoal/plan"
#define RESULT_QUARANTINED "quarantined.txt" /* inputs that were left out because they failed */
#define RESULT_NEWER ".shoal/newer"          /* LOCATION.partial is to take the place of LOCATION */
#define RESULT_TMP ".shoal/tmp"
#define RESULT_ATTEMPTS ".shoal/attempts"
#define RESULT_LISTED                                                                              \
  "manifest." /* in .shoal: … and a name: what a publish under way replaces and brings */

enum result_state
{
  RESULT_ABSENT,   /* neither folder is there */
  RESULT_PARTIAL,  /* LOCATION.partial holds the state */
  RESULT_COMPLETE, /* LOCATION holds the state */
  RESULT_FOREIGN,  /* LOCATION or LOCATION.partial exists and isn't ours */
};

/* Absolute form of LOCATION (the folder above it must exist), without a trailing slash or
 * ".partial"; a URL stays one. The caller frees; NULL with ERR. */
char *result_location (const char *location, struct error *err);

/* Where LOCATION (from result_location) stands. Finishes an exchange (result_publish) that was cut
 * off. */
enum result_state result_state (const char *location);

/* Makes LOCATION.partial with its .shoal, which says from its first moment that it is JOB_ID's
 * (NULL: its bus will say so); LOCATION must be RESULT_ABSENT. */
int result_create (const char *location, const char *job_id, struct error *err);

/* Makes LOCATION.partial for a job that begins anew: a result that stands at LOCATION stays until
 * that one is complete, and is at LOCATION.before then. A LOCATION.partial that is there is at
 * LOCATION.before.partial from now on. LOCATION is a folder. ERROR_USER: what is to be kept has no
 * place.
 */
int result_begin_again (const char *location, struct error *err);

/* Makes the result's folder where it is absent, and notes that it is JOB_ID's. ERROR_USER when it
 * is another job's, or not a result. Twice is once, by several processes too. */
int result_claim (const char *location, const char *job_id, const char *credentials,
                  struct error *err);

/* The id of the job whose result FOLDER_FD is, where it isn't known by a bus in it; NULL when
 * nothing was noted. The caller frees. */
char *result_job (int folder_fd);

/* Descriptor of the folder that holds .shoal, in either state. */
int result_open (const char *location, struct error *err);

/* The same as a path; the caller frees. */
char *result_folder (const char *location, struct error *err);

/* Where people find the result: its folder, or its URL. The caller frees. */
char *result_shown (const char *location, struct error *err);

/* Takes .shoal/lock for this process; the caller keeps the descriptor open as long as it works. If
 * another process holds it: ERROR_USER with that process's id. */
int result_lock (int folder_fd, struct error *err);

/* "00042.g1.a2.s1": the name of one attempt's folder; the caller frees. */
char *result_attempt_name (uint32_t index, uint32_t generation, uint32_t attempt, uint32_t starts);

/* Puts the assembled tree BUILD (a folder in .shoal, e.g. ".shoal/build.7") in LOCATION's visible
 * part in one step. COMPLETE: the result counts as done and stands at LOCATION afterwards; else at
 * LOCATION.partial.
 *
 *   LOCATION.partial → LOCATION      entries of BUILD move up into LOCATION.partial first, then one
 * rename LOCATION → LOCATION              BUILD moves beside LOCATION, RENAME_EXCHANGE, .shoal
 * moves over
 *
 * Every step can be cut off and is finished or undone by result_state. A result that is COMPLETE
 * already isn't replaced by one that isn't (returns 0, BUILD is left for the caller). Beside what
 * is assembled nothing in LOCATION.partial is touched; of a LOCATION that is exchanged, and of
 * outputs/ and shards/, BUILD has to bring what is to stay. KEEPER (NULL: nobody) is asked once
 * more before the old tree goes. */
struct result_keeper
{
  int (*keep) (void *context, int old_fd, int new_fd, struct error *err);
  void *context;
};

int result_publish (const char *location, const char *build, bool complete,
                    const struct result_keeper *keeper, struct error *err);

#endif

/* result_store.h — a result that is kept where a URL says, not in a folder: what goes there and
 * what comes back.
 *
 *     URL/stdout  stderr  report.html  manifest.json     the manifest comes last
 *     URL/.shoal/job                                     the id of the job whose result this is
 *                plan/OFFSET                             the atom list that begins there in the
 *                                                        producer's plan file
 *                frozen/…                                all shards of a job that is published in a
 *                                                        window (frozen_plan.h)
 *                attempts/00042.g1.a1.s1/…               one whole attempt each; attempt.json comes
 *                                                        last
 *                merged/SHA256                           files that merging made (conflicts), by
 *                                                        their content
 *                uploads/NAME                            what somebody sends in parts
 *                                                        (upload_note.h): NAME is an attempt, or
 *                                                        "merger.…"
 *
 * Each machine that works on the job has a result folder of its own for it (mirror), with the
 * layout of result.h, in which attempts are made, and where the merger assembles. There outputs of
 * attempts that were sent away are gone, and the merged tree has symbolic links to them that lead
 * nowhere. Outputs never travel to the merger: the manifest says which attempt each is in.
 *
 * A store belongs to one thread.
 */
#ifndef SHOAL_RESULT_RESULT_STORE_H
#define SHOAL_RESULT_RESULT_STORE_H

#include "common/auto.h"
#include "storage/storage.h"

/* Whether LOCATION is a URL. */
bool result_is_remote (const char *location);

/* URL in the form that all of us use: no "/" at its end. ERROR_USER where results can't be kept
 * there. The caller frees. */
char *result_store_place (const char *url, struct error *err);

/* The place of this machine's own folder for the result at the URL LOCATION of the server that the
 * environment names; the folder above it is made. The caller frees. It is in SHOAL_STATE_DIR, else
 * $XDG_STATE_HOME/shoal, else ~/.local/state/shoal. */
char *result_store_mirror (const char *location, struct error *err);

struct result_store;

/* CREDENTIALS: the job's (storage_open_as), or NULL. */
struct result_store *result_store_open (const char *location, const char *credentials,
                                        struct error *err);
void result_store_close (struct result_store *store);

/* HALT (outlives STORE; NULL: none) is asked at least once a second while the server is waited for
 * that lists what is there, or tells a small file. */
void result_store_set_halt (struct result_store *store, const struct halt *halt);

static inline void
auto_result_store_ (struct result_store **store)
{
  result_store_close (*store);
}
#define auto_result_store AUTO (auto_result_store_)

struct storage *result_store_storage (struct result_store *store);

/* Notes that the result is JOB_ID's. ERROR_USER when it is another job's. */
int result_store_claim (struct result_store *store, const char *job_id, struct error *err);

/* Whether it is noted whose result it is: 1, 0 or -1. */
int result_store_is_claimed (struct result_store *store, struct error *err);

/* ---- plans */

int result_store_put_plan (struct result_store *store, int64_t offset, struct bytes list,
                           struct error *err);
int result_store_get_plan (struct result_store *store, int64_t offset, int64_t length,
                           struct buffer *list, struct error *err);

/* ---- attempts */

/* Takes the attempt NAME, made in the folder FOLDER (open as FOLDER_FD), there: when this returns
 * 0, all of it is acknowledged. Else nothing of it is there but the note of its uploads, as far as
 * the store let us. STOPPED as in a storage_batch, or NULL. */
int result_store_send (struct result_store *store, int folder_fd, const char *folder,
                       const char *name, bool (*stopped) (void *context), void *context,
                       struct error *err);

/* Brings the files of the attempt NAME but its outputs into the mirror RESULT_FD, unless they are
 * there. */
int result_store_receive (struct result_store *store, int result_fd, const char *name,
                          struct error *err);

/* Brings its output PATH ("NAME/a.jpg"), likewise. */
int result_store_receive_output (struct result_store *store, int result_fd, const char *name,
                                 const char *path, struct error *err);

/* Removes the attempt NAME: it will never count. */
int result_store_forget (struct result_store *store, const char *name, struct error *err);

/* Ends the uploads that whoever is gone has left, all mergers' among them, so it is called after
 * publishing. Those of attempts for which COUNTS is true and that aren't whole may still go on. */
int result_store_end_uploads (struct result_store *store,
                              bool (*counts) (void *context, const char *name), void *context,
                              struct error *err);

/* Removes the attempts for which COUNTS is false. */
int result_store_sweep (struct result_store *store,
                        bool (*counts) (void *context, const char *name), void *context,
                        struct error *err);

/* Whether all of the attempt NAME was put there: 1, 0 or -1. */
int result_store_is_whole (struct result_store *store, const char *name, struct error *err);

/* ---- the result */

#define RESULT_STORE_MERGED ".shoal/merged"

/* Puts what the tree BUILD (open as BUILD_FD) has at its top there, and the regular files of its
 * outputs/ by their content; the manifest last. A result that isn't COMPLETE has
 * manifest.partial.json, and doesn't replace one that is: 1 then, and nothing was done. */
int result_store_publish (struct result_store *store, int build_fd, const char *build,
                          bool complete, struct error *err);

/* Whether a result that is complete is there: 1, 0 or -1. */
int result_store_stands (struct result_store *store, struct error *err);

#endif

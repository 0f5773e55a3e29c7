/* selector.h — which files and folders of one volume are atoms.
 *
 *     /in/d           a folder that matches: pending, until it is known whether a match is in it
 *     /in/d/e         … also pending
 *     /in/d/e/x.jpg   matches: an atom, so d and e aren't any more ("the inside wins")
 *     /in/f           d and e are behind us: forgotten
 *
 * A folder becomes an atom when the walk leaves it and nothing in it has matched. A match that is
 * excluded counts as well: the folder would bring it back. Memory: one record for each pending
 * folder above the current place.
 */
#ifndef SHOAL_PRODUCER_SELECTOR_H
#define SHOAL_PRODUCER_SELECTOR_H

#include "producer/glob.h"
#include "schemas/messages.h"
#include "storage/left_out.h"
#include "storage/storage.h"

struct selection /* the same for all volumes of a job */
{
  struct glob *glob;
  struct glob **excludes;
  size_t exclude_count;
};

/* Compiles JOB's patterns into zeroed SELECTION, which the caller releases whatever is returned. */
int selection_compile (const struct job *job, struct selection *selection, struct error *err);
void selection_release (struct selection *selection);
#define auto_selection AUTO (selection_release)

struct selector_sink
{
  void *context;

  /* The next atom, in order; BYTES: of the file or of all files in the folder, -1 when sizes aren't
   * read. Non-zero ends the selecting and is returned. */
  int (*atom) (void *context, const struct atom *atom, int64_t bytes, struct error *err);

  /* Now and then, with the paths looked at since the last time; non-zero as above. */
  int (*tick) (void *context, int64_t listed, struct error *err);

  struct left_out *left_out; /* grows by what links to folders lead to and isn't seen; NULL */
};

/* Selects from JOB's volume INDEX, which STORAGE lists. 0, what SINK returned, or -1. */
int selector_run (const struct job *job, size_t index, const struct selection *selection,
                  struct storage *storage, const struct selector_sink *sink, struct error *err);

#endif

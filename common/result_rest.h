/* result_rest.h — what is left of a result whose job has ended: somebody may have removed it since, or a part of it.
 *
 * Outputs that are missing in an attempt that is there aren't looked for: who fetches them is told.
 */
#ifndef SHOAL_COMMON_RESULT_REST_H
#define SHOAL_COMMON_RESULT_REST_H

#include "common/error.h"
#include "common/strlist.h"

struct result_rest
{
  bool stands;   /* the manifest of a result that counts as done, and the folder of its outputs */
  int folder_fd; /* not ours; -1: attempts are behind a URL */
  struct strlist attempts; /* these are there then, whole; sorted; not asked for when it stands */
};

/* Looks at PLACE, whose folder on this machine is FOLDER_FD; HAS_OUTPUTS: the job has some. */
int result_rest_look (struct result_rest *rest, const char *place, int folder_fd, bool has_outputs,
                      struct error *err);
void result_rest_release (struct result_rest *rest);
#define auto_result_rest AUTO (result_rest_release)

/* Whether the attempt NAME of a result that doesn't stand is there, with its attempt.json. */
bool result_rest_has (const struct result_rest *rest, const char *name);

#endif

/* result_rest.h — what is left of a result whose job has ended: somebody may have removed it since,
 * or a part of it.
 *
 * Outputs that are missing in an attempt that is there aren't looked for: who fetches them is told.
 */
#ifndef SHOAL_RESULT_RESULT_REST_H
#define SHOAL_RESULT_RESULT_REST_H

#include "result/result_store.h"

/* CREDENTIALS as for result_store_open. Whether at LOCATION, whose folder on this machine is
 * FOLDER_FD, a result that counts as done is there: its manifest, and of a folder that HAS_OUTPUTS
 * those. 1, 0 or -1. */
int result_rest_stands (const char *location, const char *credentials, int folder_fd,
                        bool has_outputs, struct error *err);

/* Where attempts are. */
struct result_rest
{
  int folder_fd;              /* not ours */
  struct result_store *store; /* NULL: in the folder */
};

int result_rest_open (struct result_rest *rest, const char *location, const char *credentials,
                      int folder_fd, struct error *err);
void result_rest_release (struct result_rest *rest);
#define auto_result_rest AUTO (result_rest_release)

/* Whether the attempt NAME is there, with its attempt.json: 1, 0 or -1. */
int result_rest_has (const struct result_rest *rest, const char *name, struct error *err);

#endif

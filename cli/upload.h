/* upload.h — inputs of this machine for workers elsewhere: copied once to the store that the result
 * is kept in.
 *
 *     results   s3://out/run1
 *     inputs    s3://out/.shoal/inputs/KEY/…          KEY: SHA-256 over all paths and contents of a
 *                                                     volume
 *               s3://out/.shoal/inputs/KEY.complete   written when all of it is there
 *
 * A volume that was copied for another job is there already and isn't copied again. Nobody removes
 * them but the store's owner.
 */
#ifndef SHOAL_CLI_UPLOAD_H
#define SHOAL_CLI_UPLOAD_H

#include "cli/job_options.h"

/* Makes the volumes of ARGS, which are finished, ones that all workers of a fleet see: copies those
 * of this machine with --upload. Without it ERROR_USER where the result is kept in a store and a
 * volume isn't, unless it was named as file:// by somebody who knows. SAY: tells on stderr what is
 * copied. */
int upload_inputs (struct job_args *args, bool say, struct error *err);

#endif

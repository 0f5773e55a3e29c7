/* oci_version.h — which version of an OCI runtime is installed. */
#ifndef SHOAL_WORKER_OCI_VERSION_H
#define SHOAL_WORKER_OCI_VERSION_H

#include "common/error.h"

#include <stdbool.h>

/* Puts what PROGRAM says of its version, one line, into VERSION, which the caller frees. 1; 0 when
 * it isn't installed; or -1 with ERR: it is, and gave no answer (it was killed, or can't start). */
int oci_version_of (const char *program, char **version, struct error *err);

/* Whether VERSION, "crun version 1.8.1", is 1.MINOR at least. One without a number is a build of
 * today. */
bool oci_version_is (const char *version, int minor);

#endif

/* oci_log.h — what the OCI runtime logged: did it fail before the command ran, and who is to
 * blame? */
#ifndef SHOAL_WORKER_OCI_LOG_H
#define SHOAL_WORKER_OCI_LOG_H

#include "common/error.h"

/* 0 when the JSON log, the file FD, holds no error; else -1: ERROR_USER for what the image or the
 * command is to blame for (no such program …), ERROR_TRANSIENT for the rest. */
int oci_log_check (int fd, struct error *err);

#endif

/* record.h — what an attempt's folder says about it: exit_code and attempt.json. */
#ifndef SHOAL_WORKER_RECORD_H
#define SHOAL_WORKER_RECORD_H

#include "common/error.h"
#include "worker/attempt.h"

/* Writes both into FOLDER_FD. */
int record_write (int folder_fd, const struct attempt *attempt, const struct attempt_report *report,
                  struct error *err);

#endif

/* gpus_option.h — docker's --gpus: CDI devices of the kind nvidia.com/gpu, as its engine makes of
 * it where it uses CDI. */
#ifndef SHOAL_CLI_GPUS_OPTION_H
#define SHOAL_CLI_GPUS_OPTION_H

#include "common/error.h"
#include "schemas/messages.h"

/* Adds to JOB what TEXT says: "all", a number N for those called 0 to N-1, or "device=ID[,ID…]",
 * which docker wants in quotation marks. ERROR_USER. */
int gpus_option_read (const char *text, struct job *job, struct error *err);

#endif

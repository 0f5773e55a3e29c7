/* mount_option.h — docker's --mount: an input, or memory. */
#ifndef SHOAL_CLI_MOUNT_OPTION_H
#define SHOAL_CLI_MOUNT_OPTION_H

#include "common/error.h"
#include "schemas/messages.h"

/* Adds to JOB what TEXT says: "type=bind,source=SRC,target=PATH[,readonly]" is a volume,
 * "type=tmpfs,target=PATH[,tmpfs-size=SIZE][,tmpfs-mode=MODE]" a tmpfs. ERROR_USER. */
int mount_option_read (const char *text, struct job *job, struct error *err);

#endif

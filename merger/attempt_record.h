/* attempt_record.h — what a worker wrote about an attempt: attempt.json in its folder. */
#ifndef SHOAL_MERGER_ATTEMPT_RECORD_H
#define SHOAL_MERGER_ATTEMPT_RECORD_H

#include <jansson.h>

/* The object in the result's folder FOLDER_FD for the attempt FOLDER (fold_folder_name); NULL when
 * it isn't there or can't be read. The caller releases it by json_decref. */
json_t *attempt_record_read (int folder_fd, const char *folder);

#endif

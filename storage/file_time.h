/* file_time.h — a file's time of change beside its bytes in a storage: "1354040105.123456789", the
 * form of rclone and others for x-amz-meta-mtime. */
#ifndef SHOAL_STORAGE_FILE_TIME_H
#define SHOAL_STORAGE_FILE_TIME_H

#include <stdbool.h>
#include <time.h>

enum
{
  FILE_TIME_SIZE = 32,
};

/* TIME, not before 1970, into TEXT; "" for one that is. Returns TEXT. */
const char *file_time_format (const struct timespec *time, char text[static FILE_TIME_SIZE]);

/* Seconds and as many digits of a fraction as there are, up to nine; false for anything else. */
bool file_time_parse (const char *text, struct timespec *time);

#endif

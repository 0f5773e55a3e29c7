#include "storage/local_pin.h"

#include "common/fs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *
local_pin_format (const struct stat *status, char text[static LOCAL_PIN_SIZE])
{
  (void) snprintf (text, LOCAL_PIN_SIZE, "%lld-%lld-%llu", (long long) status->st_size,
                   (long long) fs_mtime_ns (status), (unsigned long long) status->st_ino);
  return text;
}

int
local_pin_take (const char *path, char text[static LOCAL_PIN_SIZE], struct error *err)
{
  struct stat status;
  if (stat (path, &status) != 0)
    return error_errno (err, errno, "%s", path);
  (void) local_pin_format (&status, text);
  return 0;
}

int64_t
local_pin_time_ns (const char *pin)
{
  long long size = 0;
  long long time = 0;
  return sscanf (pin, "%lld-%lld-", &size, &time) == 2 ? time : 0;
}

bool
local_pin_same (const char *one, const char *other)
{
  const char *inode = strrchr (one, '-');
  return inode == NULL ? strcmp (one, other) == 0
                       : strncmp (one, other, (size_t) (inode - one) + 1) == 0;
}

int
local_pin_check (const char *pin, const struct stat *status, const char *path, struct error *err)
{
  char now[LOCAL_PIN_SIZE];
  if (pin == NULL || local_pin_same (local_pin_format (status, now), pin))
    return 0;
  return error_set (err, ERROR_USER, "%s: changed since it was listed", path);
}

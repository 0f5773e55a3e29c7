#include "common/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int
error_set (struct error *err, enum error_class class, const char *format, ...)
{
  if (err == NULL)
    return -1;
  va_list args;
  va_start (args, format);
  (void) vsnprintf (err->message, sizeof err->message, format, args);
  va_end (args);
  err->class = class;
  err->code = 0;
  return -1;
}

static enum error_class
class_of_errno (int code)
{
  switch (code)
    {
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case EACCES:
    case EPERM:
    case ELOOP:
    case EXDEV:
    case EEXIST:
    case EINVAL:
    case ENAMETOOLONG:
    case ENOEXEC:
      return ERROR_USER;
    default:
      return ERROR_TRANSIENT;
    }
}

int
error_errno (struct error *err, int code, const char *format, ...)
{
  if (err == NULL)
    return -1;
  va_list args;
  va_start (args, format);
  int length = vsnprintf (err->message, sizeof err->message, format, args);
  va_end (args);
  if (length < 0)
    length = 0;
  if ((size_t) length < sizeof err->message)
    (void) snprintf (err->message + length, sizeof err->message - (size_t) length, ": %s",
                     strerror (code));
  err->class = class_of_errno (code);
  err->code = code;
  return -1;
}

int
error_blame_machine (struct error *err)
{
  if (err != NULL && err->class == ERROR_USER)
    err->class = ERROR_TRANSIENT;
  return -1;
}

int
error_wrap (struct error *err, const char *format, ...)
{
  if (err == NULL)
    return -1;
  char outer[sizeof err->message];
  va_list args;
  va_start (args, format);
  int length = vsnprintf (outer, sizeof outer, format, args);
  va_end (args);
  if (length < 0)
    return -1;
  size_t used = (size_t) length < sizeof outer ? (size_t) length : sizeof outer - 1;
  size_t room = sizeof outer - 1 - used;
  size_t inner = strlen (err->message);
  if (room > 2)
    {
      memcpy (outer + used, ": ", 2);
      used += 2;
      inner = inner < room - 2 ? inner : room - 2;
      memcpy (outer + used, err->message, inner);
      used += inner;
    }
  outer[used] = '\0';
  memcpy (err->message, outer, used + 1);
  return -1;
}

void
error_clear (struct error *err)
{
  if (err == NULL)
    return;
  err->class = ERROR_NONE;
  err->code = 0;
  err->message[0] = '\0';
}

bool
error_is_set (const struct error *err)
{
  return err != NULL && err->class != ERROR_NONE;
}

const char *error_class_name (enum error_class class)
{
  switch (class)
    {
    case ERROR_USER:
      return "user";
    case ERROR_TRANSIENT:
      return "transient";
    case ERROR_CONFLICT:
      return "conflict";
    case ERROR_FATAL:
      return "fatal";
    case ERROR_NONE:
      break;
    }
  return "none";
}

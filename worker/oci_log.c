#include "worker/oci_log.h"

#include "common/auto.h"
#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum
{
  LOG_MAX = 1 << 20,
};

/* What the kernel says when something runs out or breaks, whatever the runtime was doing. */
static bool
blames_the_machine (const char *message)
{
  static const int codes[] = { ENOSPC, EMFILE, ENFILE, ENOMEM, EIO,    EAGAIN,
                               EDQUOT, ESTALE, EROFS,  EBUSY,  ENODEV, ENOSYS };
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
    if (strstr (message, strerrordesc_np (codes[i])) != NULL)
      return true;
  return false;
}

static bool
blames_the_command (const char *message)
{
  static const char *const signs[] = {
    "executable file", "not found in $PATH", "No such file or directory: OCI", "exec",
    "chdir",           "executable"
  };
  for (size_t i = 0; i < sizeof signs / sizeof signs[0] && !blames_the_machine (message); i++)
    if (strstr (message, signs[i]) != NULL)
      return true;
  return false;
}

int
oci_log_check (int fd, struct error *err)
{
  auto_buffer struct buffer text = { 0 };
  char path[64];
  (void) snprintf (path, sizeof path, "/proc/self/fd/%d", fd);
  if (fs_read_file (AT_FDCWD, path, LOG_MAX, &text, NULL) != 0 || text.size == 0)
    return 0;
  char *rest = text.data;
  for (char *line = strsep (&rest, "\n"); line != NULL; line = strsep (&rest, "\n"))
    {
      json_t *object = json_loads (line, 0, NULL);
      const char *level = json_string_value (json_object_get (object, "level"));
      const char *message = json_string_value (json_object_get (object, "msg"));
      bool failed = level != NULL && message != NULL
                    && (strcmp (level, "error") == 0 || strcmp (level, "fatal") == 0);
      if (failed)
        (void) error_set (err, blames_the_command (message) ? ERROR_USER : ERROR_TRANSIENT, "%s",
                          message);
      json_decref (object);
      if (failed)
        return -1;
    }
  return 0;
}

/* Credentials that jobs name: the operator puts them into a folder, as files of AWS's form, or as a
 * Kubernetes secret is mounted. */
#include "common/buffer.h"
#include "common/memory.h"
#include "common/secret.h"
#include "schemas/job_names.h"
#include "storage/s3/credentials_internal.h"
#include "storage/s3/ini.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum
{
  FILE_MAX = 64 << 10,
};

static int
s3_named_open_folder (int dirfd, const char *path, struct error *err)
{
  int fd = openat (dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return fd < 0 ? error_errno (err, errno, "%s", path) : fd;
}

/* The value in FOLDER's file NAME, into *VALUE; one that isn't there is NULL when it isn't
 * NEEDED. */
static int
read_value (int folder, const char *name, bool needed, char **value, struct error *err)
{
  auto_secret struct buffer text = { 0 };
  if (!needed && faccessat (folder, name, F_OK, 0) != 0)
    return 0;
  if (secret_read (folder, name, FILE_MAX, &text, err) != 0)
    return -1;
  text.data[strcspn (text.data, " \t\r\n")] = '\0';
  *value = xstrdup (text.data);
  return 0;
}

static int
read_values (int folder, struct credentials_now *keys, struct error *err)
{
  if (read_value (folder, "aws_access_key_id", true, &keys->id, err) != 0
      || read_value (folder, "aws_secret_access_key", true, &keys->secret, err) != 0)
    return -1;
  return read_value (folder, "aws_session_token", false, &keys->token, err);
}

/* As AWS's own file of credentials: of its sections the one called as the file is, else the default
 * one. */
static int
s3_named_read_file (int folder, const char *name, struct credentials_now *keys, struct error *err)
{
  auto_secret struct buffer text = { 0 };
  if (secret_read (folder, name, FILE_MAX, &text, err) != 0)
    return -1;
  const char *const sections[] = { name, "default" };
  for (size_t i = 0; i < 2 && keys->id == NULL; i++)
    {
      keys->id = ini_value (text.data, sections[i], "aws_access_key_id");
      keys->secret = ini_value (text.data, sections[i], "aws_secret_access_key");
      keys->token = ini_value (text.data, sections[i], "aws_session_token");
    }
  return 0;
}

static int
read_named (const char *name, struct credentials_now *keys, struct error *err)
{
  struct stat stat;
  const char *path = getenv ("SHOAL_CREDENTIALS_DIR");
  if (job_check_credentials (name, err) != 0)
    return -1;
  if (path == NULL || path[0] == '\0')
    return error_set (err, ERROR_TRANSIENT,
                      "no credentials directory on this machine (--credentials-dir)");
  auto_fd int folder = s3_named_open_folder (AT_FDCWD, path, err);
  if (folder < 0)
    return -1;
  if (fstatat (folder, name, &stat, 0) != 0)
    return error_errno (err, errno, "%s/%s", path, name);
  auto_fd int inner = S_ISDIR (stat.st_mode) ? s3_named_open_folder (folder, name, err) : -1;
  if (S_ISDIR (stat.st_mode) && inner < 0)
    return -1;
  if ((inner < 0 ? s3_named_read_file (folder, name, keys, err) : read_values (inner, keys, err))
      != 0)
    return error_wrap (err, "%s", path);
  bool whole =
      keys->id != NULL && keys->id[0] != '\0' && keys->secret != NULL && keys->secret[0] != '\0';
  return whole ? 0
               : error_set (err, ERROR_TRANSIENT,
                            "%s/%s: expected aws_access_key_id and aws_secret_access_key, in a "
                            "section [default] or as files",
                            path, name);
}

/* Whatever is wrong with them is wrong here: another machine may have them. */
int
credentials_from_name (const char *name, struct found_credentials *found, struct error *err)
{
  if (read_named (name, &found->keys, err) == 0)
    return 0;
  if (err != NULL)
    err->class = ERROR_TRANSIENT;
  return error_wrap (err, "credentials %.64s", name);
}

#include "schemas/tmpfs.h"

#include "common/buffer.h"
#include "common/memory.h"
#include "common/path.h"
#include "common/units.h"
#include "schemas/job_bounds.h"

#include <string.h>

enum
{
  MODE_DEFAULT = 01777,
  MODE_TEXT_MAX = 5,
};

/* Octal digits, no bits above the sticky one. */
static int
set_mode (struct tmpfs *tmpfs, const char *value, struct error *err)
{
  size_t length = strlen (value);
  int32_t mode = 0;
  if (length > 0 && length <= MODE_TEXT_MAX && strspn (value, "01234567") == length)
    for (const char *at = value; *at != '\0'; at++)
      mode = mode * 8 + (*at - '0');
  else
    mode = -1;
  if (mode < 0 || mode > MODE_DEFAULT)
    return error_set (err, ERROR_USER, "mode=%s: expected octal digits up to 1777", value);
  tmpfs->mode = mode;
  return 0;
}

static int
set_size (struct tmpfs *tmpfs, const char *value, struct error *err)
{
  if (units_parse_size (value, &tmpfs->size, err) != 0)
    return -1;
  return tmpfs->size <= JOB_BYTES_MAX
             ? 0
             : error_set (err, ERROR_USER, "size=%s is out of range: expected at most %lld bytes",
                          value, (long long) JOB_BYTES_MAX);
}

/* NAME=VALUE, or -1 with ERR. */
static int
tmpfs_set_value (struct tmpfs *tmpfs, const char *name, const char *value, struct error *err)
{
  if (strcmp (name, "size") == 0)
    return set_size (tmpfs, value, err);
  if (strcmp (name, "mode") == 0)
    return set_mode (tmpfs, value, err);
  if (strcmp (name, "uid") == 0)
    return units_parse_number (value, 0, JOB_USER_ID_MAX, &tmpfs->uid, err);
  if (strcmp (name, "gid") == 0)
    return units_parse_number (value, 0, JOB_USER_ID_MAX, &tmpfs->gid, err);
  if (strcmp (name, "nr_inodes") == 0)
    return units_parse_number (value, 1, JOB_COUNT_MAX, &tmpfs->inodes, err);
  return error_set (
      err, ERROR_USER,
      "%s: unknown tmpfs option (valid: size, mode, uid, gid, nr_inodes, ro, rw, exec, noexec)",
      name);
}

static int
tmpfs_set_option (struct tmpfs *tmpfs, char *option, struct error *err)
{
  char *value = strchr (option, '=');
  if (value != NULL)
    {
      *value = '\0';
      return tmpfs_set_value (tmpfs, option, value + 1, err);
    }
  if (strcmp (option, "ro") == 0 || strcmp (option, "rw") == 0)
    tmpfs->read_only = option[1] == 'o';
  else if (strcmp (option, "exec") == 0 || strcmp (option, "noexec") == 0)
    tmpfs->exec = option[0] == 'e';
  else if (strcmp (option, "nosuid") != 0 && strcmp (option, "nodev") != 0)
    return tmpfs_set_value (tmpfs, option, "", err);
  return 0;
}

int
tmpfs_parse (const char *text, struct tmpfs *tmpfs, struct error *err)
{
  *tmpfs = (struct tmpfs){ .size = -1, .inodes = -1, .uid = -1, .gid = -1, .mode = MODE_DEFAULT };
  size_t length = strcspn (text, ":");
  auto_free char *path = xstrndup (text, length);
  if (path[0] != '/')
    return error_set (err, ERROR_USER, "\"%.300s\": expected PATH or PATH:size=SIZE", text);
  tmpfs->path = path_normal (path, err);
  if (tmpfs->path == NULL)
    return -1;
  if (strcmp (tmpfs->path, "/") == 0)
    return error_set (err, ERROR_USER, "a tmpfs can't be the container's root");
  auto_free char *options = xstrdup (text[length] == ':' ? text + length + 1 : "");
  char *at = options;
  for (char *option = strsep (&at, ","); option != NULL; option = strsep (&at, ","))
    if (option[0] != '\0' && tmpfs_set_option (tmpfs, option, err) != 0)
      return error_wrap (err, "%.300s", tmpfs->path);
  return 0;
}

void
tmpfs_options (const struct tmpfs *tmpfs, struct strlist *options)
{
  strlist_add (options, "nosuid");
  strlist_add (options, "nodev");
  strlist_add (options, tmpfs->exec ? "exec" : "noexec");
  if (tmpfs->read_only)
    strlist_add (options, "ro");
  strlist_addf (options, "mode=%o", (unsigned int) tmpfs->mode);
  const struct
  {
    const char *name;
    int64_t value;
  } numbers[] = { { "size", tmpfs->size },
                  { "nr_inodes", tmpfs->inodes },
                  { "uid", tmpfs->uid },
                  { "gid", tmpfs->gid } };
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    if (numbers[i].value >= 0)
      strlist_addf (options, "%s=%lld", numbers[i].name, (long long) numbers[i].value);
}

char *
tmpfs_format (const struct tmpfs *tmpfs)
{
  auto_strlist struct strlist options = { 0 };
  auto_buffer struct buffer text = { 0 };
  tmpfs_options (tmpfs, &options);
  buffer_puts (&text, tmpfs->path);
  for (size_t i = 2; i < options.count; i++) /* nosuid and nodev go without saying */
    {
      bool usual = strcmp (options.items[i], "noexec") == 0
                   || (tmpfs->mode == MODE_DEFAULT && strncmp (options.items[i], "mode=", 5) == 0);
      if (!usual)
        buffer_printf (&text, "%s%s", strchr (text.data, ':') == NULL ? ":" : ",",
                       options.items[i]);
    }
  return buffer_take (&text);
}

int
tmpfs_check (const struct strlist *texts, struct error *err)
{
  for (size_t i = 0; i < texts->count; i++)
    {
      auto_tmpfs struct tmpfs tmpfs = { 0 };
      if (tmpfs_parse (texts->items[i], &tmpfs, err) != 0)
        return error_wrap (err, "--tmpfs");
    }
  return 0;
}

void
tmpfs_release (struct tmpfs *tmpfs)
{
  free (tmpfs->path);
  *tmpfs = (struct tmpfs){ 0 };
}

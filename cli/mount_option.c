#include "cli/mount_option.h"

#include "common/memory.h"

#include <string.h>

enum mount_key
{
  MOUNT_TYPE,
  MOUNT_SOURCE,
  MOUNT_TARGET,
  MOUNT_READONLY,
  MOUNT_SIZE,
  MOUNT_MODE,
  MOUNT_KEYS,
};

static const struct
{
  const char *name;
  enum mount_key key;
} mount_names[] = {
  { "type", MOUNT_TYPE },         { "source", MOUNT_SOURCE },      { "src", MOUNT_SOURCE },
  { "target", MOUNT_TARGET },     { "destination", MOUNT_TARGET }, { "dst", MOUNT_TARGET },
  { "readonly", MOUNT_READONLY }, { "ro", MOUNT_READONLY },        { "tmpfs-size", MOUNT_SIZE },
  { "tmpfs-mode", MOUNT_MODE },
};

/* Finds PART, "NAME=VALUE" or "NAME", which is cut. */
static int
mount_option_find (char *part, enum mount_key *key, const char **value, struct error *err)
{
  char *equals = strchr (part, '=');
  if (equals != NULL)
    *equals = '\0';
  *value = equals == NULL ? NULL : equals + 1;
  for (size_t i = 0; i < sizeof mount_names / sizeof mount_names[0]; i++)
    if (strcmp (part, mount_names[i].name) == 0)
      {
        *key = mount_names[i].key;
        return 0;
      }
  return error_set (err, ERROR_USER,
                    "\"%s\" isn't known: expected type, source, target, readonly, tmpfs-size or "
                    "tmpfs-mode",
                    part);
}

static int
mount_option_bind (const char *const values[static MOUNT_KEYS], struct job *job, struct error *err)
{
  const char *readonly = values[MOUNT_READONLY];
  if (readonly != NULL && strcmp (readonly, "true") != 0 && strcmp (readonly, "1") != 0)
    return error_set (err, ERROR_USER, "inputs are read-only; an output is -o NAME:PATH");
  if (values[MOUNT_SOURCE] == NULL || values[MOUNT_SOURCE][0] == '\0')
    return error_set (err, ERROR_USER, "a bind needs source=SRC");
  if (values[MOUNT_SIZE] != NULL || values[MOUNT_MODE] != NULL)
    return error_set (err, ERROR_USER, "tmpfs-size and tmpfs-mode need type=tmpfs");
  job->volumes = xrealloc (job->volumes, job->volume_count + 1, sizeof *job->volumes);
  job->volumes[job->volume_count++] = (struct volume){ .source = xstrdup (values[MOUNT_SOURCE]),
                                                       .path = xstrdup (values[MOUNT_TARGET]) };
  return 0;
}

static int
mount_option_tmpfs (const char *const values[static MOUNT_KEYS], struct job *job, struct error *err)
{
  if (values[MOUNT_SOURCE] != NULL || values[MOUNT_READONLY] != NULL)
    return error_set (err, ERROR_USER, "a tmpfs has no source and is no input");
  const char *size = values[MOUNT_SIZE];
  const char *mode = values[MOUNT_MODE];
  strlist_addf (&job->tmpfs, "%s:rw%s%s%s%s", values[MOUNT_TARGET],
                size == NULL ? "" : ",size=", size == NULL ? "" : size,
                mode == NULL ? "" : ",mode=", mode == NULL ? "" : mode);
  return 0;
}

int
mount_option_read (const char *text, struct job *job, struct error *err)
{
  const char *values[MOUNT_KEYS] = { 0 };
  auto_free char *copy = xstrdup (text);
  char *rest = copy;
  for (char *part = strsep (&rest, ","); part != NULL; part = strsep (&rest, ","))
    {
      enum mount_key key = MOUNT_TYPE;
      const char *value = NULL;
      if (mount_option_find (part, &key, &value, err) != 0)
        return -1;
      if (value == NULL && key != MOUNT_READONLY)
        return error_set (err, ERROR_USER, "%s needs a value", part);
      if (values[key] != NULL)
        return error_set (err, ERROR_USER, "%s is said twice", part);
      values[key] = value == NULL ? "true" : value;
    }
  const char *type = values[MOUNT_TYPE] == NULL ? "volume" : values[MOUNT_TYPE];
  if (values[MOUNT_TARGET] == NULL || values[MOUNT_TARGET][0] != '/')
    return error_set (err, ERROR_USER, "expected target=PATH, PATH beginning with a slash");
  if (strcmp (type, "bind") == 0)
    return mount_option_bind (values, job, err);
  if (strcmp (type, "tmpfs") == 0)
    return mount_option_tmpfs (values, job, err);
  return error_set (err, ERROR_USER, "type=%s: expected type=bind or type=tmpfs", type);
}

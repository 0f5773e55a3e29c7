#include "schemas/device.h"

#include "common/memory.h"
#include "common/path.h"
#include "schemas/job_bounds.h"
#include "schemas/job_names.h"

#include <string.h>

static const char device_letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
static const char device_digits[] = "0123456789";

void
device_release (struct device *device)
{
  free (device->kind);
  free (device->name);
  free (device->source);
  free (device->path);
  *device = (struct device){ 0 };
}

bool
device_path_is_good (const char *path)
{
  const char *rest = path_below (path, "/dev");
  return rest != NULL && rest[0] != '\0' && strlen (path) <= JOB_PATH_MAX
         && job_text_is_plain (path);
}

bool
device_access_parse (const char *text, bool *read, bool *written)
{
  *read = strchr (text, 'r') != NULL;
  *written = strchr (text, 'w') != NULL;
  return strlen (text) <= strlen ("rwm") && strspn (text, "rwm") == strlen (text)
         && (*read || *written);
}

/* Whether the SIZE bytes of TEXT are of letters, digits and OTHERS, the last one a letter or digit,
 * the first one too: a letter unless FIRST_DIGIT. */
static bool
device_is_word (const char *text, size_t size, bool first_digit, const char *others)
{
  if (size == 0 || size > JOB_NAME_MAX)
    return false;
  for (size_t i = 0; i < size; i++)
    {
      bool letter = strchr (device_letters, text[i]) != NULL;
      bool digit = strchr (device_digits, text[i]) != NULL;
      bool end = i == 0 || i == size - 1;
      if (!letter && (!digit || (i == 0 && !first_digit))
          && (end || strchr (others, text[i]) == NULL))
        return false;
    }
  return true;
}

static int
device_parse_name (const char *text, struct device *device, struct error *err)
{
  const char *slash = strchr (text, '/');
  const char *equals = slash == NULL ? NULL : strchr (slash, '=');
  if (equals == NULL || !device_is_word (text, (size_t) (slash - text), false, "_-.")
      || !device_is_word (slash + 1, (size_t) (equals - slash) - 1, false, "_-")
      || !device_is_word (equals + 1, strlen (equals + 1), true, "_-.:"))
    return error_set (err, ERROR_USER,
                      "\"%.300s\": expected a node, /dev/x[:/dev/y][:rwm], or a CDI device, "
                      "vendor.com/class=name",
                      text);
  device->kind = xstrndup (text, (size_t) (equals - text));
  device->name = xstrdup (equals + 1);
  device->read = true;
  device->written = true;
  return 0;
}

static int
device_parse_node (const char *text, struct device *device, struct error *err)
{
  auto_free char *copy = xstrdup (text);
  char *rest = copy;
  const char *source = strsep (&rest, ":");
  const char *path = rest != NULL && rest[0] == '/' ? strsep (&rest, ":") : source;
  const char *access = rest == NULL ? "rwm" : rest;
  device->source = path_normal (source, err);
  device->path = device->source == NULL ? NULL : path_normal (path, err);
  if (device->path == NULL)
    return -1;
  if (strlen (device->source) > JOB_PATH_MAX || !job_text_is_plain (device->source)
      || !device_path_is_good (device->path))
    return error_set (err, ERROR_USER,
                      "\"%.300s\": a container has its devices below /dev: expected "
                      "/dev/x[:/dev/y][:rwm]",
                      text);
  if (!device_access_parse (access, &device->read, &device->written))
    return error_set (err, ERROR_USER, "\"%.300s\": expected r, w or both behind the last colon",
                      text);
  return 0;
}

int
device_parse (const char *text, struct device *device, struct error *err)
{
  *device = (struct device){ 0 };
  return text[0] == '/' ? device_parse_node (text, device, err)
                        : device_parse_name (text, device, err);
}

#include "merger/lines.h"

#include "common/fs.h"
#include "common/memory.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>

int
lines_open (struct lines *lines, int folder_fd, const char *name, struct error *err)
{
  auto_free char *path = xasprintf ("%s/outputs.jsonl", name);
  *lines = (struct lines){ .name = xstrdup (path) };
  auto_fd int fd = openat (folder_fd, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return errno == ENOENT ? 0 : error_errno (err, errno, "%s", path);
  lines->file = fdopen (fd, "r");
  if (lines->file == NULL)
    return error_errno (err, errno, "%s", path);
  (void) take_fd (&fd);
  return 0;
}

void
lines_close (struct lines *lines)
{
  auto_file_ (&lines->file);
  free (lines->raw);
  free (lines->name);
  buffer_release (&lines->line.path);
  *lines = (struct lines){ 0 };
}

static int
hex_digit (char digit)
{
  return isdigit ((unsigned char) digit) ? digit - '0' : tolower ((unsigned char) digit) - 'a' + 10;
}

/* Undoes percent-encoding. */
static void
append_percent (struct buffer *path, const char *text)
{
  for (const char *at = text; *at != '\0'; at++)
    if (*at == '%' && isxdigit ((unsigned char) at[1]) && isxdigit ((unsigned char) at[2]))
      {
        buffer_putc (path, (char) (hex_digit (at[1]) * 16 + hex_digit (at[2])));
        at += 2;
      }
    else
      buffer_putc (path, *at);
}

static bool
read_line (struct line *line, const json_t *object)
{
  const char *output = json_string_value (json_object_get (object, "output"));
  const char *path = json_string_value (json_object_get (object, "path"));
  const char *percent = json_string_value (json_object_get (object, "path_percent"));
  if (output == NULL || strlen (output) >= sizeof line->output || (path == NULL && percent == NULL))
    return false;
  (void) strcpy (line->output, output);
  buffer_clear (&line->path);
  if (path != NULL)
    buffer_puts (&line->path, path);
  else
    append_percent (&line->path, percent);
  line->folder = json_is_true (json_object_get (object, "folder"));
  line->link =
      json_object_get (object, "link") != NULL || json_object_get (object, "link_percent") != NULL;
  return line->path.size > 0 && strlen (line->path.data) == line->path.size;
}

int
lines_next_raw (struct lines *lines, struct error *err)
{
  if (lines->file == NULL)
    return 0;
  ssize_t size = getline (&lines->raw, &lines->raw_capacity, lines->file);
  if (size < 0)
    return ferror (lines->file) ? error_errno (err, errno, "reading %s", lines->name) : 0;
  while (size > 0 && lines->raw[size - 1] == '\n')
    lines->raw[--size] = '\0';
  lines->line.text = lines->raw;
  lines->line.text_size = (size_t) size;
  return 1;
}

int
lines_next (struct lines *lines, struct error *err)
{
  int found = lines_next_raw (lines, err);
  if (found != 1)
    return found;
  json_t *object = json_loadb (lines->line.text, lines->line.text_size, 0, NULL);
  bool good = object != NULL && read_line (&lines->line, object);
  json_decref (object);
  return good ? 1 : error_set (err, ERROR_TRANSIENT, "%s: a damaged line", lines->name);
}

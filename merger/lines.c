#include "merger/lines.h"

#include "common/fs.h"
#include "common/memory.h"
#include "common/percent.h"

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
  struct error problem = ERROR_INIT;
  auto_fd int fd = fs_open_beneath (folder_fd, path, O_RDONLY, 0, &problem);
  if (fd < 0)
    return problem.code == ENOENT ? 0 : error_set (err, problem.class, "%s", problem.message);
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
  line_release (&lines->line);
  *lines = (struct lines){ 0 };
}

/* The member KEY of OBJECT, or KEY_percent, into TEXT; false when there is none, or it has a
 * NUL. */
static bool
read_bytes (const json_t *object, const char *key, struct buffer *text)
{
  auto_free char *percent_key = xasprintf ("%s_percent", key);
  const char *plain = json_string_value (json_object_get (object, key));
  const char *percent = json_string_value (json_object_get (object, percent_key));
  buffer_clear (text);
  if (plain != NULL)
    buffer_puts (text, plain);
  else if (percent != NULL)
    percent_decode (text, percent, strlen (percent));
  return text->size > 0 && strlen (text->data) == text->size;
}

static bool
lines_read_object (struct line *line, const json_t *object)
{
  const char *output = json_string_value (json_object_get (object, "output"));
  const char *sha256 = json_string_value (json_object_get (object, "sha256"));
  if (output == NULL || strlen (output) >= sizeof line->output
      || !read_bytes (object, "path", &line->path)
      || (sha256 != NULL && strlen (sha256) >= sizeof line->sha256))
    return false;
  (void) strcpy (line->output, output);
  (void) strcpy (line->sha256, sha256 == NULL ? "" : sha256);
  line->size = json_integer_value (json_object_get (object, "size"));
  const json_t *shard = json_object_get (object, "shard");
  line->shard = json_is_integer (shard) ? json_integer_value (shard) : -1;
  (void) read_bytes (object, "object", &line->object);
  line->folder = json_is_true (json_object_get (object, "folder"));
  line->link = read_bytes (object, "link", &line->target);
  return true;
}

bool
line_read (struct line *line, const char *text, size_t size)
{
  json_t *object = json_loadb (text, size, 0, NULL);
  bool good = object != NULL && lines_read_object (line, object);
  json_decref (object);
  line->text = text;
  line->text_size = size;
  return good;
}

void
line_release (struct line *line)
{
  buffer_release (&line->path);
  buffer_release (&line->target);
  buffer_release (&line->object);
}

/* Cuts the last member off the line, if it is a file's time, which it returns; else -1. */
static int64_t
cut_time (char *raw, size_t *size)
{
  static const char member[] = ",\"mtime_ns\":";
  size_t digits = *size;
  if (digits == 0 || raw[--digits] != '}')
    return -1;
  size_t end = digits;
  while (digits > 0 && isdigit ((unsigned char) raw[digits - 1]))
    digits--;
  size_t sign = digits > 0 && raw[digits - 1] == '-' ? 1 : 0; /* before 1970 */
  size_t start = sizeof member - 1 + sign;
  if (digits == end || digits < start
      || memcmp (raw + digits - start, member, sizeof member - 1) != 0)
    return -1;
  int64_t time = strtoll (raw + digits - sign, NULL, 10);
  *size = digits - start + 1;
  raw[*size - 1] = '}';
  raw[*size] = '\0';
  return time;
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
  size_t left = (size_t) size;
  lines->line.mtime_ns = cut_time (lines->raw, &left);
  lines->line.text = lines->raw;
  lines->line.text_size = left;
  return 1;
}

int
lines_next (struct lines *lines, struct error *err)
{
  int found = lines_next_raw (lines, err);
  if (found != 1)
    return found;
  bool good = line_read (&lines->line, lines->raw, lines->line.text_size);
  return good ? 1 : error_set (err, ERROR_TRANSIENT, "%s: a damaged line", lines->name);
}

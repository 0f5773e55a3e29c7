#include "cli/env_file.h"

#include "common/fs.h"
#include "common/memory.h"
#include "common/utf8.h"

#include <fcntl.h>
#include <string.h>

enum
{
  ENV_FILE_MAX = 4 << 20, /* bytes */
};

int
env_add (struct job *job, const char *text, struct error *err)
{
  if (text[0] == '\0')
    return error_set (err, ERROR_USER, "\"%s\": expected NAME=VALUE or NAME", text);
  if (strchr (text, '=') != NULL)
    strlist_add (&job->env, text);
  else if (strcmp (text, "SHOAL_SHARD_COUNT") == 0)
    job->needs_count = true;
  else if (getenv (text) != NULL)
    strlist_addf (&job->env, "%s=%s", text, getenv (text));
  return 0;
}

/* Adds LINE, up to END. */
static int
env_file_add (struct job *job, const char *line, const char *end, struct error *err)
{
  static const char blanks[] = " \t\v\f\r";
  size_t size = (size_t) (end - line);
  auto_free char *text = xstrndup (line, size);
  size_t length = strlen (text);
  if (!utf8_is_valid (text, text + length))
    return error_set (err, ERROR_USER, "not UTF-8");
  if (length < size)
    return error_set (err, ERROR_USER, "a NUL byte");
  char *begin = text + strspn (text, blanks);
  if (begin[0] == '\0' || begin[0] == '#')
    return 0;
  size_t name = strcspn (begin, "=");
  if (name == 0)
    return error_set (err, ERROR_USER, "no name before \"=\"");
  if (strcspn (begin, " \t") < name)
    return error_set (err, ERROR_USER, "a name can't contain blanks: \"%.*s\"",
                      (int) (name < 100 ? name : 100), begin);
  return env_add (job, begin, err);
}

int
env_file_read (const char *path, struct job *job, struct error *err)
{
  static const char mark[] = "\xef\xbb\xbf";
  auto_buffer struct buffer text = { 0 };
  if (fs_read_file (AT_FDCWD, path, ENV_FILE_MAX, &text, err) != 0)
    return -1;
  const char *at = text.data == NULL ? "" : text.data;
  const char *end = at + text.size;
  if (text.size >= strlen (mark) && memcmp (at, mark, strlen (mark)) == 0)
    at += strlen (mark);
  for (int number = 1; at < end; number++)
    {
      const char *line_end = memchr (at, '\n', (size_t) (end - at));
      const char *next = line_end == NULL ? end : line_end + 1;
      line_end = line_end == NULL ? end : line_end;
      if (line_end > at && line_end[-1] == '\r')
        line_end--;
      if (env_file_add (job, at, line_end, err) != 0)
        return error_wrap (err, "%s: line %d", path, number);
      at = next;
    }
  return 0;
}

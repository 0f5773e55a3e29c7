#include "merger/report_failures.h"

#include "common/fs.h"
#include "common/memory.h"
#include "common/text.h"
#include "result/result.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum
{
  GROUPS_MAX = 50,   /* reasons */
  NUMBERS_MAX = 100, /* shards that are named of one */
  TAIL_BYTES = 4096, /* of stderr that are read … */
  TAIL_LINES = 10,   /* … and the lines that are shown of it */
};

struct failure_group
{
  bool reduce;
  char *outcome;
  char *reason;
  int64_t exit_code; /* -1: it never ran */
  size_t count;
  struct buffer names; /* "3, 7, 12" */
  char *first;         /* the first of them … */
  char *tail;          /* … and its stderr's end; NULL: there is none */
};

struct report_failures
{
  int folder_fd;
  struct failure_group groups[GROUPS_MAX];
  size_t group_count;
  size_t count;
  size_t others; /* that failed for further reasons */
};

struct report_failures *
report_failures_new (int folder_fd)
{
  struct report_failures *failures = xcalloc (1, sizeof *failures);
  failures->folder_fd = folder_fd;
  return failures;
}

void
report_failures_free (struct report_failures *failures)
{
  if (failures == NULL)
    return;
  for (size_t i = 0; i < failures->group_count; i++)
    {
      struct failure_group *group = &failures->groups[i];
      free (group->outcome);
      free (group->reason);
      free (group->first);
      free (group->tail);
      buffer_release (&group->names);
    }
  free (failures);
}

/* The last lines in the SIZE bytes at TEXT, without blank ones behind them. */
static const char *
last_lines (char *text, size_t size)
{
  while (size > 0 && strchr (" \t\r\n", text[size - 1]) != NULL)
    size--;
  text[size] = '\0';
  size_t begin = size;
  for (int lines = 0; begin > 0; begin--)
    if (text[begin - 1] == '\n' && ++lines == TAIL_LINES)
      break;
  return text + begin;
}

/* The end of the stderr of the attempt FOLDER; NULL: it has none. The caller frees. */
static char *
read_tail (int folder_fd, const char *folder)
{
  if (folder == NULL || folder_fd < 0)
    return NULL;
  auto_free char *path = xasprintf (RESULT_ATTEMPTS "/%s/stderr", folder);
  auto_fd int fd = fs_open_beneath (folder_fd, path, O_RDONLY, 0, NULL);
  struct stat status;
  char text[TAIL_BYTES + 1];
  if (fd < 0 || fstat (fd, &status) != 0)
    return NULL;
  off_t from = status.st_size > TAIL_BYTES ? status.st_size - TAIL_BYTES : 0;
  ssize_t got = pread (fd, text, TAIL_BYTES, from);
  if (got <= 0)
    return NULL;
  for (ssize_t i = 0; i < got; i++)
    if (text[i] == '\0')
      text[i] = ' ';
  const char *tail = last_lines (text, (size_t) got);
  return tail[0] == '\0' ? NULL : xstrdup (tail);
}

static const char *
failure_text (const json_t *shard, const char *key)
{
  const char *text = json_string_value (json_object_get (shard, key));
  return text == NULL ? "" : text;
}

/* NULL: there are too many. */
static struct failure_group *
failure_group_of (struct report_failures *failures, const char *name, const json_t *shard)
{
  bool reduce = strcmp (name, "reduce") == 0;
  const char *outcome = failure_text (shard, "outcome");
  const char *reason = failure_text (shard, "reason");
  const json_t *code = json_object_get (shard, "exit_code");
  int64_t exit_code = json_is_integer (code) ? json_integer_value (code) : -1;
  for (size_t i = 0; i < failures->group_count; i++)
    {
      struct failure_group *group = &failures->groups[i];
      if (group->reduce == reduce && group->exit_code == exit_code
          && strcmp (group->outcome, outcome) == 0 && strcmp (group->reason, reason) == 0)
        return group;
    }
  if (failures->group_count == GROUPS_MAX)
    return NULL;
  struct failure_group *group = &failures->groups[failures->group_count++];
  group->reduce = reduce;
  group->outcome = xstrdup (outcome);
  group->reason = xstrdup (reason);
  group->exit_code = exit_code;
  group->first = xstrdup (name);
  group->tail =
      read_tail (failures->folder_fd, json_string_value (json_object_get (shard, "folder")));
  return group;
}

void
report_failures_add (struct report_failures *failures, const char *name, const json_t *shard)
{
  failures->count++;
  struct failure_group *group = failure_group_of (failures, name, shard);
  if (group == NULL)
    {
      failures->others++;
      return;
    }
  if (group->count++ < NUMBERS_MAX)
    buffer_printf (&group->names, "%s%s", group->count > 1 ? ", " : "", name);
}

/* ---- the section ------------------------------------------------------------------------ */

static void
put_tail (const struct failure_group *group, struct buffer *out)
{
  const char *at = group->tail;
  buffer_printf (out, "<tr><td></td><td colspan=\"3\">stderr of %s%s ends in<pre>",
                 group->reduce ? "" : "shard ", group->first);
  while (at[0] != '\0')
    {
      size_t length = strcspn (at, "\n");
      auto_free char *line =
          xstrndup (at, length > 0 && at[length - 1] == '\r' ? length - 1 : length);
      text_put_html (out, line);
      buffer_putc (out, '\n');
      at += length + (at[length] == '\n');
    }
  buffer_puts (out, "</pre></td></tr>\n");
}

void
report_failures_put (const struct report_failures *failures, struct buffer *out)
{
  if (failures->count == 0)
    return;
  buffer_printf (out,
                 "<h2>Failed shards (%zu)</h2>\n<table><tr><th>shards</th><th>outcome</th>"
                 "<th>exit code</th><th>reason</th></tr>\n",
                 failures->count);
  for (size_t i = 0; i < failures->group_count; i++)
    {
      const struct failure_group *group = &failures->groups[i];
      buffer_puts (out, "<tr><td>");
      buffer_append (out, group->names.data, group->names.size);
      if (group->count > NUMBERS_MAX)
        buffer_printf (out, " and %zu more", group->count - NUMBERS_MAX);
      buffer_puts (out, "</td><td>");
      text_put_html (out, group->outcome);
      if (group->exit_code >= 0)
        buffer_printf (out, "</td><td>%lld</td><td>", (long long) group->exit_code);
      else
        buffer_puts (out, "</td><td>–</td><td>");
      text_put_html (out, group->reason);
      buffer_puts (out, "</td></tr>\n");
      if (group->tail != NULL)
        put_tail (group, out);
    }
  buffer_puts (out, "</table>\n");
  if (failures->others > 0)
    buffer_printf (out, "<p>%zu more failed for other reasons; manifest.json has all.</p>\n",
                   failures->others);
}

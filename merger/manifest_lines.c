#include "merger/manifest_lines.h"

#include "common/fs.h"
#include "common/memory.h"
#include "result/result.h"
#include "schemas/messages.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>

enum
{
  SHARDS_MAX = 100 * 1000 * 1000,
};

static int
damaged (struct error *err)
{
  return error_set (err, ERROR_TRANSIENT, "manifest.json: truncated, or not a manifest of shoal");
}

/* TEXT without what is behind its object. */
static size_t
object_size (const char *text)
{
  size_t size = strcspn (text, "\n");
  return size > 0 && text[size - 1] == ',' ? size - 1 : size;
}

/* A line of the shards. */
static int
lines_read_shard (struct manifest_lines *lines, struct error *err)
{
  json_t *object = json_loadb (lines->text, object_size (lines->text), 0, NULL);
  json_int_t index = json_integer_value (json_object_get (object, "index"));
  const char *folder = json_string_value (json_object_get (object, "folder"));
  int result = 0;
  if (object == NULL || index < 0 || index > SHARDS_MAX)
    result = damaged (err);
  else
    {
      size_t wanted = (size_t) index + 1;
      if (wanted > lines->folder_count)
        {
          lines->folders = xrealloc (lines->folders, wanted, sizeof *lines->folders);
          while (lines->folder_count < wanted)
            lines->folders[lines->folder_count++] = NULL;
        }
      free (lines->folders[index]);
      lines->folders[index] = xstrdup (folder);
    }
  json_decref (object);
  return result;
}

static void
manifest_lines_reduce (struct manifest_lines *lines)
{
  const char *at = lines->text + strlen ("\"reduce\": ");
  json_t *object = json_loadb (at, object_size (at), 0, NULL);
  free (lines->reduce);
  lines->reduce = xstrdup (json_string_value (json_object_get (object, "folder")));
  json_decref (object);
}

enum
{
  MISSING_NAMED = 8,
};

static void
lines_read_state (struct manifest_lines *lines)
{
  char state[16] = "";
  if (sscanf (lines->text, "\"state\": \"%15[a-z]\"", state) == 1)
    lines->state = job_state_from_name (state);
}

static void
manifest_lines_missing (struct manifest_lines *lines)
{
  const char *at = lines->text + strlen ("\"missing\": [");
  while (*at >= '0' && *at <= '9')
    {
      size_t digits = strspn (at, "0123456789");
      if (lines->missing_count++ < MISSING_NAMED)
        strlist_addf (&lines->missing, "%.*s", (int) digits, at);
      at += digits;
      at += strspn (at, ", ");
    }
}

static bool
begins (const struct manifest_lines *lines, const char *text)
{
  return strncmp (lines->text, text, strlen (text)) == 0;
}

static int
read_head (struct manifest_lines *lines, struct error *err)
{
  bool shards = false;
  while (getline (&lines->text, &lines->capacity, lines->file) > 0)
    {
      if (begins (lines, "\"outputs\": ["))
        return 0;
      if (begins (lines, "\"shards\": ["))
        shards = true;
      else if (lines->text[0] != '{')
        shards = false;
      else if (shards && lines_read_shard (lines, err) != 0)
        return -1;
      if (begins (lines, "\"reduce\": "))
        manifest_lines_reduce (lines);
      else if (begins (lines, "\"state\": "))
        lines_read_state (lines);
      else if (begins (lines, "\"missing\": ["))
        manifest_lines_missing (lines);
    }
  return damaged (err);
}

int
manifest_lines_open (struct manifest_lines *lines, int folder_fd, const char *name,
                     struct error *err)
{
  int fd = fs_open_beneath (folder_fd, name, O_RDONLY, 0, err);
  if (fd >= 0)
    return manifest_lines_take (lines, fd, err);
  *lines = (struct manifest_lines){ .state = -1 };
  return -1;
}

int
manifest_lines_take (struct manifest_lines *lines, int fd, struct error *err)
{
  *lines = (struct manifest_lines){ .state = -1, .file = fdopen (fd, "r") };
  if (lines->file != NULL)
    return read_head (lines, err);
  (void) close (fd);
  return error_errno (err, errno, "manifest.json");
}

int
manifest_lines_next (struct manifest_lines *lines, struct error *err)
{
  if (getline (&lines->text, &lines->capacity, lines->file) <= 0)
    return damaged (err);
  if (lines->text[0] != '{')
    return 0;
  return line_read (&lines->line, lines->text, object_size (lines->text))
             ? 1
             : error_set (err, ERROR_TRANSIENT, "manifest.json: a damaged line");
}

char *
manifest_lines_object (const struct manifest_lines *lines)
{
  const struct line *line = &lines->line;
  if (line->object.size > 0)
    return xstrdup (line->object.data);
  /* Without a shard it is the reduce container's, or that of a job that isn't sharded. */
  size_t shard = line->shard < 0 ? 0 : (size_t) line->shard;
  const char *folder = line->shard < 0 ? lines->reduce : NULL;
  if (folder == NULL && shard < lines->folder_count)
    folder = lines->folders[shard];
  return folder == NULL ? NULL
                        : xasprintf (RESULT_ATTEMPTS "/%s/outputs/%s/%s", folder, line->output,
                                     line->path.data);
}

void
manifest_lines_close (struct manifest_lines *lines)
{
  auto_file_ (&lines->file);
  for (size_t i = 0; i < lines->folder_count; i++)
    free (lines->folders[i]);
  free (lines->folders);
  strlist_release (&lines->missing);
  free (lines->reduce);
  free (lines->text);
  line_release (&lines->line);
  *lines = (struct manifest_lines){ 0 };
}

#include "httpd/head.h"

#include "common/percent.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

enum
{
  LINES_MAX = 100,
  LENGTH_DIGITS_MAX = 18,
};

struct head_line
{
  const char *text; /* without its CRLF */
  size_t size;
};

/* What the head says that it may say once. */
struct seen
{
  bool old; /* HTTP/1.0 */
  bool host;
  bool length;
  bool coding;
  bool authorization;
};

static enum head_state
head_refuse (struct head *head, unsigned int status, const char *wrong)
{
  head->status = status;
  head->wrong = wrong;
  return HEAD_WRONG;
}

#define BAD(wrong) head_refuse (head, 400, wrong)

/* ---- characters ------------------------------------------------------------------------- */

static bool
head_is_token (char c)
{
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
         || (c != '\0' && strchr ("!#$%&'*+-.^_`|~", c) != NULL);
}

static size_t
token_length (struct head_line line)
{
  size_t length = 0;
  while (length < line.size && head_is_token (line.text[length]))
    length++;
  return length;
}

static bool
is_control (char c)
{
  return ((unsigned char) c < ' ' && c != '\t') || c == 0x7f;
}

static bool
head_is_blank (char c)
{
  return c == ' ' || c == '\t';
}

/* ---- the first line --------------------------------------------------------------------- */

/* A target that is a path, with a query or not, and what its escapes stand for. */
static enum head_state
head_check_target (struct head_line target, struct head *head)
{
  if (target.size == 0 || target.text[0] != '/')
    return BAD ("the request target is not a path: this is not a proxy");
  for (size_t i = 0; i < target.size; i++)
    {
      char c = target.text[i];
      if (c <= ' ' || c >= 0x7f || c == '#')
        return BAD ("the path has a character that must be escaped");
      if (c != '%')
        continue;
      int byte = percent_byte (target.text + i, target.size - i);
      if (byte < 0)
        return BAD ("the path has an escape that isn't %XX");
      if (byte < ' ' || byte == 0x7f)
        return BAD ("the path has an escaped control character");
    }
  const char *query = memchr (target.text, '?', target.size);
  size_t length = query == NULL ? target.size : (size_t) (query - target.text);
  if (length < sizeof head->path)
    memcpy (head->path, target.text, length);
  return HEAD_WHOLE;
}

static enum head_state
check_first (struct head_line line, struct head *head, struct seen *seen)
{
  static const char versions[][9] = { "HTTP/1.1", "HTTP/1.0" };
  static const char wrong[] = "the first line isn't METHOD PATH HTTP/1.1";
  size_t method = token_length (line);
  if (method == 0 || method > HEAD_METHOD_MAX || method == line.size || line.text[method] != ' ')
    return BAD (wrong);
  memcpy (head->method, line.text, method);
  struct head_line rest = { line.text + method + 1, line.size - method - 1 };
  const char *space = memchr (rest.text, ' ', rest.size);
  if (space == NULL)
    return BAD (wrong);
  size_t target = (size_t) (space - rest.text);
  if (rest.size - target - 1 != strlen (versions[0])
      || (memcmp (space + 1, versions[0], strlen (versions[0])) != 0
          && memcmp (space + 1, versions[1], strlen (versions[1])) != 0))
    return BAD (wrong);
  seen->old = rest.text[rest.size - 1] == '0';
  return head_check_target ((struct head_line){ rest.text, target }, head);
}

/* ---- the other lines -------------------------------------------------------------------- */

static bool
head_is_name (struct head_line line, size_t length, const char *name)
{
  return length == strlen (name) && strncasecmp (line.text, name, length) == 0;
}

/* What is behind the colon and blanks. Blanks at the end stay: the library doesn't read a length or
 * a coding with them. */
static struct head_line
head_value_of (struct head_line line, size_t name)
{
  struct head_line value = { line.text + name + 1, line.size - name - 1 };
  while (value.size > 0 && head_is_blank (value.text[0]))
    {
      value.text++;
      value.size--;
    }
  return value;
}

static bool
is_length (struct head_line value)
{
  for (size_t i = 0; i < value.size; i++)
    if (value.text[i] < '0' || value.text[i] > '9')
      return false;
  return value.size > 0 && value.size <= LENGTH_DIGITS_MAX;
}

/* HOST, HOST:PORT or nothing. */
static bool
is_host (struct head_line value)
{
  for (size_t i = 0; i < value.size; i++)
    if (value.text[i] <= ' ' || value.text[i] >= 0x7f || strchr (",/@?#\\\"<>", value.text[i]))
      return false;
  return true;
}

/* Notes in *SEEN that it is there; false when it was before. */
static bool
once (bool *seen)
{
  bool first = !*seen;
  *seen = true;
  return first;
}

static enum head_state
check_line (struct head_line line, struct head *head, struct seen *seen)
{
  if (head_is_blank (line.text[0]))
    return BAD ("a header goes on in the next line");
  size_t name = token_length (line);
  if (name == 0 || name == line.size || line.text[name] != ':')
    return BAD ("a header isn't NAME: VALUE");
  struct head_line value = head_value_of (line, name);
  if (head_is_name (line, name, "host"))
    {
      if (!once (&seen->host) || !is_host (value))
        return BAD ("duplicate or invalid Host");
    }
  else if (head_is_name (line, name, "content-length"))
    {
      if (!once (&seen->length) || !is_length (value))
        return BAD ("duplicate or invalid Content-Length");
    }
  else if (head_is_name (line, name, "transfer-encoding"))
    {
      if (!once (&seen->coding) || value.size != strlen ("chunked")
          || strncasecmp (value.text, "chunked", value.size) != 0)
        return BAD ("Transfer-Encoding is not a single \"chunked\"");
    }
  else if (head_is_name (line, name, "authorization") && !once (&seen->authorization))
    return BAD ("duplicate Authorization");
  return HEAD_MORE;
}

static enum head_state
check_whole (struct head *head, const struct seen *seen)
{
  if (!seen->host && !seen->old)
    return BAD ("Host is missing");
  if (seen->coding && seen->length)
    return BAD ("both Content-Length and Transfer-Encoding");
  if (seen->coding && seen->old)
    return BAD ("Transfer-Encoding in HTTP/1.0");
  return HEAD_WHOLE;
}

/* ---- the whole -------------------------------------------------------------------------- */

/* Cuts the line at *AT off: 1, 0 when its end isn't there, -1 when it holds what no line may. */
static int
next_line (const char **at, const char *end, struct head_line *line)
{
  const char *text = *at;
  for (const char *c = text; c < end; c++)
    {
      if (*c == '\r')
        {
          if (c + 1 < end && c[1] != '\n')
            return -1;
          if (c + 1 == end)
            return 0;
          *line = (struct head_line){ text, (size_t) (c - text) };
          *at = c + 2;
          return 1;
        }
      if (is_control (*c))
        return -1;
    }
  return 0;
}

enum head_state
head_read (struct bytes bytes, struct head *head)
{
  *head = (struct head){ 0 };
  struct seen seen = { 0 };
  struct head_line line = { 0 };
  const char *at = bytes.data;
  const char *end = at + (bytes.size < HEAD_MAX ? bytes.size : HEAD_MAX);
  int lines = 0;
  int cut = 0;
  while ((cut = next_line (&at, end, &line)) == 1)
    {
      enum head_state state = HEAD_MORE;
      if (lines == 0)
        state = check_first (line, head, &seen) == HEAD_WRONG ? HEAD_WRONG : HEAD_MORE;
      else if (line.size == 0)
        state = check_whole (head, &seen);
      else
        state = check_line (line, head, &seen);
      if (state == HEAD_WHOLE)
        head->size = (size_t) (at - (const char *) bytes.data);
      if (state != HEAD_MORE)
        return state;
      if (++lines > LINES_MAX)
        return head_refuse (head, 431, "too many headers");
    }
  if (cut < 0)
    return BAD ("control character, or line not ending in CRLF");
  if (bytes.size >= HEAD_MAX)
    return head_refuse (head, 431, "the headers are too long");
  return HEAD_MORE;
}

#include "producer/braces.h"

#include "common/buffer.h"
#include "common/utf8.h"

#include <stdbool.h>
#include <string.h>

enum
{
  PATTERN_MAX = 1 << 20,
  WORK_MAX = 8 << 20, /* bytes moved while expanding: alternatives multiply, all are compiled */
};

static int
fail (const char *pattern, const char *at, const char *reason, struct error *err)
{
  return error_set (err, ERROR_USER, "pattern '%.200s': position %zu: %s", pattern,
                    (size_t) (at - pattern) + 1, reason);
}

/* One member of a class, maybe escaped, at *AT; false at the pattern's end. */
static bool
class_member (const char **at, const char *end, uint32_t *code)
{
  if (**at == '\\')
    (*at)++;
  if (*at >= end)
    return false;
  *code = utf8_next (at, end);
  return true;
}

/* Checks the class that starts at *AT and moves behind it. */
static int
check_class (const char *pattern, const char **at, const char *end, struct error *err)
{
  const char *start = *at;
  const char *in = start + 1;
  if (*in == '^' || *in == '!')
    in++;
  if (*in == ']')
    return fail (pattern, start, "the class [] is empty (\\] is a literal bracket)", err);
  while (in < end && *in != ']')
    {
      const char *member = in;
      uint32_t low = 0;
      uint32_t high = 0;
      if (!class_member (&in, end, &low))
        break;
      if (in[0] != '-' || in[1] == ']' || in[1] == '\0')
        continue;
      in++;
      if (!class_member (&in, end, &high))
        break;
      if (high < low)
        return fail (pattern, member, "the range is reversed", err);
    }
  if (in >= end)
    return fail (pattern, start, "'[' without its ']'", err);
  *at = in + 1;
  return 0;
}

/* Checks the whole syntax; says whether there are braces. */
static int
braces_check_pattern (const char *pattern, bool *braces, struct error *err)
{
  const char *open[BRACES_DEPTH_MAX];
  size_t depth = 0;
  const char *end = pattern + strlen (pattern);
  if (end - pattern > PATTERN_MAX)
    return error_set (err, ERROR_USER, "pattern '%.60s…': longer than %d bytes", pattern,
                      PATTERN_MAX);
  for (const char *at = pattern; at < end;)
    {
      if (*at == '[')
        {
          if (check_class (pattern, &at, end, err) != 0)
            return -1;
          continue;
        }
      if (*at == '\\' && at + 1 == end)
        return fail (pattern, at, "'\\' at the end", err);
      if (*at == '{')
        {
          *braces = true;
          if (depth == BRACES_DEPTH_MAX)
            return fail (pattern, at, "alternatives are nested too deeply", err);
          open[depth++] = at;
        }
      if (*at == '}')
        {
          if (depth == 0)
            return fail (pattern, at, "'}' without its '{'", err);
          depth--;
        }
      at += *at == '\\' ? 2 : 1;
    }
  return depth == 0 ? 0 : fail (pattern, open[depth - 1], "'{' without its '}'", err);
}

const char *
braces_skip (const char *at)
{
  if (*at == '\\')
    return at + 2;
  if (*at != '[')
    return at + 1;
  at++;
  if (*at == '^' || *at == '!')
    at++;
  while (*at != ']')
    at += *at == '\\' ? 2 : 1;
  return at + 1;
}

/* Pushes TEXT with its first alternatives replaced by each of theirs, the last one first. False
 * when it has none. */
static bool
expand_one (const char *text, struct strlist *stack, size_t *work)
{
  const char *open = text;
  while (*open != '\0' && *open != '{')
    open = braces_skip (open);
  if (*open == '\0')
    return false;

  const char **cuts = NULL; /* '{', each ',' of this level, '}' */
  auto_buffer struct buffer memory = { 0 };
  buffer_append (&memory, &open, sizeof open);
  const char *at = open + 1;
  for (size_t depth = 1; depth > 0; at = braces_skip (at))
    {
      if (*at == '{')
        depth++;
      if (*at == '}')
        depth--;
      if (depth == 0 || (depth == 1 && *at == ','))
        buffer_append (&memory, &at, sizeof at);
    }
  cuts = (const char **) (void *) memory.data;
  for (size_t i = memory.size / sizeof *cuts - 1; i > 0; i--)
    {
      auto_buffer struct buffer one = { 0 };
      buffer_append (&one, text, (size_t) (open - text));
      buffer_append (&one, cuts[i - 1] + 1, (size_t) (cuts[i] - cuts[i - 1]) - 1);
      buffer_puts (&one, at);
      *work += one.size + sizeof (void *);
      strlist_take (stack, buffer_take (&one));
      if (*work > WORK_MAX)
        break;
    }
  return true;
}

int
braces_expand (const char *pattern, struct strlist *expanded, struct error *err)
{
  bool braces = false;
  if (braces_check_pattern (pattern, &braces, err) != 0)
    return -1;
  if (!braces)
    {
      strlist_add (expanded, pattern);
      return 0;
    }
  auto_strlist struct strlist stack = { 0 };
  strlist_add (&stack, pattern);
  size_t work = 0;
  while (stack.count > 0)
    {
      stack.count--;
      auto_free char *text = take (&stack.items[stack.count]);
      if (!expand_one (text, &stack, &work))
        strlist_take (expanded, take (&text));
      if (work > WORK_MAX || expanded->count + stack.count > BRACES_ALTERNATIVES_MAX)
        return fail (pattern, strchr (pattern, '{'),
                     "the alternatives expand to more than 10000 patterns, or 8 MiB", err);
    }
  return 0;
}

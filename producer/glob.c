#include "producer/glob.h"

#include "common/memory.h"
#include "common/strlist.h"
#include "common/utf8.h"
#include "producer/braces.h"

#include <ctype.h>
#include <locale.h>
#include <stdint.h>
#include <string.h>
#include <wctype.h>

/*     pattern        src / ** / image[0-9]*.{jpg,png}
 *
 *     alternatives   src / ** / image[0-9]*.jpg    and with .png
 *     components     src   **   image[0-9]*.jpg
 *     tokens                    image  [0-9]  *  .jpg
 */
enum token_kind
{
  TOKEN_TEXT,  /* valid UTF-8, so that a place where its bytes match is a border of code points */
  TOKEN_STRAY, /* one byte that isn't */
  TOKEN_ANY,
  TOKEN_STAR,
  TOKEN_CLASS,
};

struct code_range
{
  uint32_t low;
  uint32_t high;
};

struct token
{
  enum token_kind kind;
  bool negated;
  char *text; /* TEXT, STRAY */
  size_t size;
  locale_t folding;          /* CLASS: of code points in lower case, see struct glob */
  struct code_range *ranges; /* CLASS */
  size_t range_count;
};

enum component_shape
{
  SHAPE_DEEP, /* ** */
  SHAPE_TEXT, /* one token of text */
  SHAPE_ENDS, /* text * text, either may be missing */
  SHAPE_OTHER,
};

struct component
{
  enum component_shape shape;
  struct token *tokens;
  size_t count;
  const struct token *head; /* text it starts with, or NULL */
  const struct token *tail; /* text it ends with (another than head), or NULL */
  size_t least;             /* bytes a name has at least */
};

struct alternative
{
  struct component *components;
  size_t count;
};

struct glob
{
  locale_t folding; /* paths and patterns are compared in lower case; 0: as they are */
  struct alternative *alternatives;
  size_t count;
};

/* ---- compiling ------------------------------------------------------------------------- */

static struct token *
add_token (struct component *component, enum token_kind kind)
{
  component->tokens = xrealloc (component->tokens, component->count + 1, sizeof *component->tokens);
  struct token *token = &component->tokens[component->count++];
  *token = (struct token){ .kind = kind };
  return token;
}

/* Appends TEXT in lower case. */
static void
fold_text (locale_t folding, const char *text, size_t size, struct buffer *out)
{
  for (const char *at = text, *end = text + size; at < end;)
    {
      const char *from = at;
      uint32_t code = utf8_next (&at, end);
      if (code >= UTF8_STRAY)
        buffer_append (out, from, (size_t) (at - from));
      else
        utf8_put (out, (uint32_t) towlower_l ((wint_t) code, folding));
    }
}

/* Adds the code point at *AT as itself. */
static void
add_text (struct component *component, const char **at, const char *end)
{
  const char *from = *at;
  bool stray = utf8_next (at, end) >= UTF8_STRAY;
  struct token *token = component->count > 0 ? &component->tokens[component->count - 1] : NULL;
  if (stray || token == NULL || token->kind != TOKEN_TEXT)
    token = add_token (component, stray ? TOKEN_STRAY : TOKEN_TEXT);
  size_t more = (size_t) (*at - from);
  token->text = xrealloc (token->text, token->size + more, 1);
  memcpy (token->text + token->size, from, more);
  token->size += more;
}

static void
add_class (struct component *component, const char **at, const char *end)
{
  struct token *token = add_token (component, TOKEN_CLASS);
  const char *in = *at + 1;
  token->negated = *in == '^' || *in == '!';
  in += token->negated;
  while (*in != ']')
    {
      in += *in == '\\';
      struct code_range range = { .low = utf8_next (&in, end) };
      range.high = range.low;
      if (in[0] == '-' && in[1] != ']')
        {
          in += in[1] == '\\' ? 2 : 1;
          range.high = utf8_next (&in, end);
        }
      token->ranges = xrealloc (token->ranges, token->range_count + 1, sizeof range);
      token->ranges[token->range_count++] = range;
    }
  *at = in + 1;
}

static void
find_shape (struct component *component)
{
  size_t n = component->count;
  const struct token *tokens = component->tokens;
  for (size_t i = 0; i < n; i++)
    component->least += tokens[i].kind == TOKEN_STAR ? 0 : tokens[i].size > 0 ? tokens[i].size : 1;
  component->head = tokens[0].kind == TOKEN_TEXT ? &tokens[0] : NULL;
  component->tail = n > 1 && tokens[n - 1].kind == TOKEN_TEXT ? &tokens[n - 1] : NULL;
  size_t inner = n - (component->head != NULL) - (component->tail != NULL);
  const struct token *first_inner = &tokens[component->head != NULL];
  if (inner == 0)
    component->shape = SHAPE_TEXT;
  else if (inner == 1 && first_inner->kind == TOKEN_STAR)
    component->shape = SHAPE_ENDS;
  else
    component->shape = SHAPE_OTHER;
}

/* Reads the component at *AT up to its "/" or the end. */
static struct component
read_component (const char **at, const char *end)
{
  struct component component = { 0 };
  const char *start = *at;
  while (*at < end && **at != '/')
    {
      if (**at == '[')
        add_class (&component, at, end);
      else if (**at == '*' || **at == '?')
        {
          enum token_kind kind = **at == '*' ? TOKEN_STAR : TOKEN_ANY;
          bool again = kind == TOKEN_STAR && component.count > 0
                       && component.tokens[component.count - 1].kind == TOKEN_STAR;
          if (!again)
            (void) add_token (&component, kind);
          (*at)++;
        }
      else if (**at == '\\' && (*at)[1] == '/')
        (*at)++; /* "\/" is a border as well */
      else
        {
          *at += **at == '\\';
          add_text (&component, at, end);
        }
    }
  bool deep = *at - start == 2 && memcmp (start, "**", 2) == 0;
  if (deep)
    component.shape = SHAPE_DEEP;
  else if (component.count > 0)
    find_shape (&component);
  return component;
}

static struct alternative
read_alternative (const char *pattern)
{
  struct alternative alternative = { 0 };
  const char *end = pattern + strlen (pattern);
  for (const char *at = pattern; at < end; at++)
    {
      struct component component = read_component (&at, end);
      if (component.count == 0)
        continue; /* slashes in excess */
      bool deep_again = component.shape == SHAPE_DEEP && alternative.count > 0
                        && alternative.components[alternative.count - 1].shape == SHAPE_DEEP;
      if (deep_again)
        {
          free (component.tokens);
          continue;
        }
      alternative.components =
          xrealloc (alternative.components, alternative.count + 1, sizeof component);
      alternative.components[alternative.count++] = component;
    }
  return alternative;
}

/* Texts in lower case; what a class has is compared in both. */
static void
glob_fold (struct component *component, locale_t folding)
{
  component->least = 0;
  for (size_t i = 0; i < component->count; i++)
    {
      struct token *token = &component->tokens[i];
      struct buffer folded = { 0 };
      token->folding = folding;
      if (token->kind != TOKEN_TEXT)
        continue;
      fold_text (folding, token->text, token->size, &folded);
      free (token->text);
      token->size = folded.size;
      token->text = buffer_take (&folded);
    }
  if (component->shape != SHAPE_DEEP)
    find_shape (component);
}

static int
glob_ignore_case (struct glob *glob, struct error *err)
{
  glob->folding = newlocale (LC_CTYPE_MASK, "C.UTF-8", (locale_t) 0);
  if (glob->folding == (locale_t) 0)
    return error_set (
        err, ERROR_FATAL,
        "--glob-ignore-case needs the locale C.UTF-8, which this system doesn't have");
  for (size_t a = 0; a < glob->count; a++)
    for (size_t c = 0; c < glob->alternatives[a].count; c++)
      glob_fold (&glob->alternatives[a].components[c], glob->folding);
  return 0;
}

struct glob *
glob_compile (const char *pattern, struct error *err)
{
  return glob_compile_as (pattern, false, err);
}

struct glob *
glob_compile_as (const char *pattern, bool ignore_case, struct error *err)
{
  auto_strlist struct strlist expanded = { 0 };
  if (braces_expand (pattern, &expanded, err) != 0)
    return NULL;
  auto_glob struct glob *glob = xcalloc (1, sizeof *glob);
  glob->alternatives = xcalloc (expanded.count, sizeof *glob->alternatives);
  glob->count = expanded.count;
  for (size_t i = 0; i < expanded.count; i++)
    glob->alternatives[i] = read_alternative (expanded.items[i]);
  if (ignore_case && glob_ignore_case (glob, err) != 0)
    return NULL;
  return take (&glob);
}

void
glob_free (struct glob *glob)
{
  if (glob == NULL)
    return;
  for (size_t a = 0; a < glob->count; a++)
    {
      struct alternative *alternative = &glob->alternatives[a];
      for (size_t c = 0; c < alternative->count; c++)
        {
          struct component *component = &alternative->components[c];
          for (size_t t = 0; t < component->count; t++)
            {
              free (component->tokens[t].text);
              free (component->tokens[t].ranges);
            }
          free (component->tokens);
        }
      free (alternative->components);
    }
  if (glob->folding != (locale_t) 0)
    freelocale (glob->folding);
  free (glob->alternatives);
  free (glob);
}

/* ---- matching -------------------------------------------------------------------------- */

static bool
class_has (const struct token *token, uint32_t code)
{
  uint32_t other = token->folding != (locale_t) 0 && code < UTF8_STRAY
                       ? (uint32_t) towupper_l ((wint_t) code, token->folding)
                       : code;
  for (size_t i = 0; i < token->range_count; i++)
    if ((code >= token->ranges[i].low && code <= token->ranges[i].high)
        || (other >= token->ranges[i].low && other <= token->ranges[i].high))
      return !token->negated;
  return token->negated;
}

/* What is behind TOKEN (not a star) at AT, or NULL when it doesn't match there. */
static const char *
token_match (const struct token *token, const char *at, const char *end)
{
  if (at == end)
    return NULL;
  if (token->kind == TOKEN_TEXT)
    {
      bool same = (size_t) (end - at) >= token->size && memcmp (at, token->text, token->size) == 0;
      return same ? at + token->size : NULL;
    }
  uint32_t code = utf8_next (&at, end);
  if (token->kind == TOKEN_STRAY)
    return code == UTF8_STRAY + (unsigned char) token->text[0] ? at : NULL;
  return token->kind == TOKEN_ANY || class_has (token, code) ? at : NULL;
}

/* Tokens with stars against a name. When something behind a star fails, only the last star takes
 * one code point more: an earlier one could give the later ones nothing that they can't take
 * themselves. At most tokens × bytes steps. */
static bool
tokens_match (const struct token *tokens, size_t count, const char *at, const char *end)
{
  size_t i = 0;
  size_t star = SIZE_MAX;
  const char *star_at = NULL;
  for (;;)
    {
      if (i == count && at == end)
        return true;
      const char *next = NULL;
      if (i < count && tokens[i].kind == TOKEN_STAR)
        {
          star = i;
          star_at = next = at;
        }
      else if (i < count)
        next = token_match (&tokens[i], at, end);
      if (next != NULL)
        {
          at = next;
          i++;
          continue;
        }
      if (star == SIZE_MAX || star_at == end)
        return false;
      if (star + 1 == count)
        return true;
      (void) utf8_next (&star_at, end);
      at = star_at;
      i = star + 1;
    }
}

static bool
component_match (const struct component *component, const char *name, size_t size)
{
  if (size < component->least)
    return false;
  const struct token *head = component->head;
  const struct token *tail = component->tail;
  if (head != NULL && memcmp (name, head->text, head->size) != 0)
    return false;
  if (tail != NULL && memcmp (name + size - tail->size, tail->text, tail->size) != 0)
    return false;
  if (component->shape == SHAPE_TEXT)
    return size == component->least;
  if (component->shape == SHAPE_ENDS)
    return true;
  size_t skip = head != NULL;
  return tokens_match (component->tokens + skip, component->count - skip,
                       name + (head != NULL ? head->size : 0), name + size);
}

/* One component of PATH from AT: its end. */
static size_t
name_end (const char *path, size_t at, size_t size)
{
  const char *slash = memchr (path + at, '/', size - at);
  return slash == NULL ? size : (size_t) (slash - path);
}

/* The same idea one level up: a ** is a star over components. */
static bool
alternative_match (const struct alternative *alternative, const char *path, size_t size)
{
  const struct component *components = alternative->components;
  size_t i = 0;
  size_t at = size == 0 ? 1 : 0; /* beyond SIZE: no component is left */
  size_t deep = SIZE_MAX;
  size_t deep_at = 0;
  while (at <= size)
    {
      if (i < alternative->count && components[i].shape == SHAPE_DEEP)
        {
          deep = i++;
          deep_at = at;
          if (i == alternative->count)
            return true;
          continue;
        }
      size_t end = name_end (path, at, size);
      if (i < alternative->count && component_match (&components[i], path + at, end - at))
        {
          at = end + 1;
          i++;
          continue;
        }
      if (deep == SIZE_MAX)
        return false;
      at = deep_at = name_end (path, deep_at, size) + 1;
      i = deep + 1;
    }
  if (i < alternative->count && components[i].shape == SHAPE_DEEP)
    i++;
  return i == alternative->count;
}

/* PATH as it is compared; FOLDED holds it, where it has to be another. */
static const char *
fold_path (const struct glob *glob, const char *path, size_t *size, struct buffer *folded)
{
  if (glob->folding == (locale_t) 0)
    return path;
  fold_text (glob->folding, path, *size, folded);
  *size = folded->size;
  return folded->size == 0 ? "" : folded->data;
}

bool
glob_match (const struct glob *glob, const char *path, size_t size)
{
  auto_buffer struct buffer folded = { 0 };
  path = fold_path (glob, path, &size, &folded);
  for (size_t i = 0; i < glob->count; i++)
    if (alternative_match (&glob->alternatives[i], path, size))
      return true;
  return false;
}

bool
glob_match_folder (const struct glob *glob, const char *path, size_t size)
{
  auto_buffer struct buffer folded = { 0 };
  path = fold_path (glob, path, &size, &folded);
  for (size_t i = 0; i < glob->count; i++)
    {
      const struct alternative *alternative = &glob->alternatives[i];
      bool for_files = alternative->count > 0
                       && alternative->components[alternative->count - 1].shape == SHAPE_DEEP;
      if (!for_files && alternative_match (alternative, path, size))
        return true;
    }
  return false;
}

static bool
alternative_below (const struct alternative *alternative, const char *path, size_t size)
{
  size_t i = 0;
  for (size_t at = size == 0 ? 1 : 0; at <= size; i++)
    {
      if (i == alternative->count)
        return false;
      if (alternative->components[i].shape == SHAPE_DEEP)
        return true;
      size_t end = name_end (path, at, size);
      if (!component_match (&alternative->components[i], path + at, end - at))
        return false;
      at = end + 1;
    }
  return i < alternative->count;
}

bool
glob_may_match_below (const struct glob *glob, const char *path, size_t size)
{
  auto_buffer struct buffer folded = { 0 };
  path = fold_path (glob, path, &size, &folded);
  for (size_t i = 0; i < glob->count; i++)
    if (alternative_below (&glob->alternatives[i], path, size))
      return true;
  return false;
}

/* ---- the prefix ------------------------------------------------------------------------- */

static void
add_prefix (const struct alternative *alternative, struct buffer *prefix)
{
  for (size_t i = 0; i < alternative->count; i++)
    {
      const struct component *component = &alternative->components[i];
      if (component->shape == SHAPE_DEEP)
        return; /* no "/" before it: it may stand for nothing */
      if (i > 0)
        buffer_putc (prefix, '/');
      if (component->shape == SHAPE_TEXT)
        buffer_append (prefix, component->tokens[0].text, component->tokens[0].size);
      else
        {
          if (component->head != NULL)
            buffer_append (prefix, component->head->text, component->head->size);
          return;
        }
    }
}

void
glob_prefix (const struct glob *glob, struct buffer *prefix)
{
  size_t start = prefix->size;
  for (size_t i = 0; i < glob->count; i++)
    {
      auto_buffer struct buffer other = { 0 };
      if (i == 0)
        {
          add_prefix (&glob->alternatives[0], prefix);
          continue;
        }
      add_prefix (&glob->alternatives[i], &other);
      size_t same = 0;
      while (same < other.size && start + same < prefix->size
             && other.data[same] == prefix->data[start + same])
        same++;
      prefix->size = start + same;
    }
  if (glob->folding != (locale_t) 0)
    for (size_t i = start; i < prefix->size; i++)
      if (isalpha ((unsigned char) prefix->data[i]) || (unsigned char) prefix->data[i] >= 0x80)
        prefix->size = i; /* a letter can begin either way */
  buffer_append (prefix, "", 0);
}

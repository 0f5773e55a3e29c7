#include "storage/s3/ini.h"

#include "common/buffer.h"
#include "common/memory.h"
#include "common/secret.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

static char *
s3_ini_trim (char *text)
{
  while (isspace ((unsigned char) *text))
    text++;
  size_t length = strlen (text);
  while (length > 0 && isspace ((unsigned char) text[length - 1]))
    text[--length] = '\0';
  return text;
}

/* Whether "[…]" is SECTION, also as "profile SECTION". */
static bool
is_section (char *line, const char *section)
{
  size_t length = strlen (line);
  if (length < 2 || line[length - 1] != ']')
    return false;
  line[length - 1] = '\0';
  char *name = s3_ini_trim (line + 1);
  if (strncmp (name, "profile", 7) == 0 && isspace ((unsigned char) name[7]))
    name = s3_ini_trim (name + 7);
  return strcmp (name, section) == 0;
}

char *
ini_value (const char *text, const char *section, const char *name)
{
  auto_secret struct buffer copy = { 0 };
  buffer_puts (&copy, text);
  bool inside = false;
  char *rest = copy.data;
  for (char *line = strsep (&rest, "\n"); line != NULL; line = strsep (&rest, "\n"))
    {
      bool nested = isspace ((unsigned char) line[0]) != 0;
      line = s3_ini_trim (line);
      if (line[0] == '[')
        inside = is_section (line, section);
      char *equals = strchr (line, '=');
      if (!inside || nested || line[0] == '#' || line[0] == ';' || equals == NULL)
        continue;
      *equals = '\0';
      if (strcmp (s3_ini_trim (line), name) == 0)
        return xstrdup (s3_ini_trim (equals + 1));
    }
  return NULL;
}

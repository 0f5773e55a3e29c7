#include "worker/image_ref.h"

#include "common/auto.h"
#include "common/buffer.h"
#include "common/digest.h"
#include "common/hex.h"
#include "common/memory.h"
#include "common/percent.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

#define DIGEST_PREFIX "sha256:"
#define HEX "0123456789abcdef"

char *
image_ref_normal (const char *name, struct error *err)
{
  const char *slash = strrchr (name, '/');
  const char *last = slash == NULL ? name : slash + 1;
  const char *end = last + strcspn (last, ":@");
  if (end == last || (*end != '\0' && end[1] == '\0'))
    {
      (void) error_set (err, ERROR_USER, "\"%s\" is not an image name (expected NAME or NAME:TAG)",
                        name);
      return NULL;
    }
  const char *at = strchr (end, '@');
  auto_free char *ref = at != NULL ? xasprintf ("%.*s%s", (int) (end - name), name, at)
                                   : xasprintf ("%s%s", name, *end == '\0' ? ":latest" : "");
  auto_free char *file = image_ref_encode (ref);
  if (strlen (file) <= NAME_MAX)
    return take (&ref);
  (void) error_set (err, ERROR_USER, "\"%s\" is too long for an image name", name);
  return NULL;
}

/* What is behind PREFIX in NAME, or NULL. */
static const char *
image_ref_behind (const char *name, const char *prefix)
{
  size_t length = strlen (prefix);
  return strncmp (name, prefix, length) == 0 ? name + length : NULL;
}

void
image_ref_aliases (const char *ref, struct strlist *aliases)
{
  static const char *const hosts[] = { "", "docker.io/", "index.docker.io/" };
  strlist_add (aliases, ref);
  const char *name = ref;
  for (size_t i = 1; i < sizeof hosts / sizeof *hosts && name == ref; i++)
    if (image_ref_behind (ref, hosts[i]) != NULL)
      name = image_ref_behind (ref, hosts[i]);
  const char *official = image_ref_behind (name, "library/");
  if (official != NULL && strchr (official, '/') == NULL)
    name = official;
  const char *slash = strchr (name, '/');
  size_t host = slash == NULL ? 0 : (size_t) (slash - name);
  /* With a dot or a colon in it, what is before the slash is another registry. */
  if (host > 0 && (strcspn (name, ".:") < host || strncmp (name, "localhost/", 10) == 0))
    return;
  for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
    for (int library = 0; library < (slash == NULL ? 2 : 1); library++)
      {
        auto_free char *alias = xasprintf ("%s%s%s", hosts[i], library ? "library/" : "", name);
        if (!strlist_has (aliases, alias))
          strlist_add (aliases, alias);
      }
}

static bool
stays (const char *ref, size_t i)
{
  unsigned char byte = (unsigned char) ref[i];
  if (byte >= 0x80 || (byte == '.' && i == 0))
    return false;
  return isalnum (byte) || strchr (":@._-", byte) != NULL;
}

char *
image_ref_encode (const char *ref)
{
  struct buffer file = { 0 };
  for (size_t i = 0; ref[i] != '\0'; i++)
    if (stays (ref, i))
      buffer_putc (&file, ref[i]);
    else
      buffer_printf (&file, "%%%02x", (unsigned int) (unsigned char) ref[i]);
  return buffer_take (&file);
}

char *
image_ref_decode (const char *file)
{
  struct buffer buffer = { 0 };
  percent_decode (&buffer, file, strlen (file));
  auto_free char *ref = buffer_take (&buffer);
  auto_free char *again = image_ref_encode (ref);
  return strcmp (again, file) == 0 ? take (&ref) : NULL;
}

bool
image_digest_is_valid (const char *text)
{
  size_t prefix = strlen (DIGEST_PREFIX);
  return strncmp (text, DIGEST_PREFIX, prefix) == 0 && hex_is_text (text + prefix, 2 * DIGEST_SIZE);
}

const char *
image_digest_hex (const char *digest)
{
  return digest + strlen (DIGEST_PREFIX);
}

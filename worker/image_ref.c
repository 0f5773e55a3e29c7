#include "worker/image_ref.h"

#include "common/auto.h"
#include "common/buffer.h"
#include "common/digest.h"
#include "common/memory.h"

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
  auto_free char *ref = xasprintf ("%s%s", name, *end == '\0' ? ":latest" : "");
  auto_free char *file = image_ref_encode (ref);
  if (strlen (file) <= NAME_MAX)
    return take (&ref);
  (void) error_set (err, ERROR_USER, "\"%s\" is too long for an image name", name);
  return NULL;
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

static int
hex_value (char digit)
{
  const char *at = digit == '\0' ? NULL : strchr (HEX, digit);
  return at == NULL ? -1 : (int) (at - HEX);
}

char *
image_ref_decode (const char *file)
{
  struct buffer buffer = { 0 };
  for (const char *at = file; *at != '\0'; at++)
    {
      int high = *at == '%' ? hex_value (at[1]) : -1;
      int low = high >= 0 ? hex_value (at[2]) : -1;
      buffer_putc (&buffer, low >= 0 ? (char) (high * 16 + low) : *at);
      at += low >= 0 ? 2 : 0;
    }
  auto_free char *ref = buffer_take (&buffer);
  auto_free char *again = image_ref_encode (ref);
  return strcmp (again, file) == 0 ? take (&ref) : NULL;
}

bool
image_digest_is_valid (const char *text)
{
  size_t prefix = strlen (DIGEST_PREFIX);
  return strncmp (text, DIGEST_PREFIX, prefix) == 0 && strlen (text) == prefix + DIGEST_SIZE * 2
         && strspn (text + prefix, HEX) == DIGEST_SIZE * 2;
}

const char *
image_digest_hex (const char *digest)
{
  return digest + strlen (DIGEST_PREFIX);
}

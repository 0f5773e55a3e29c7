#include "common/base64.h"

#include "common/memory.h"

#include <openssl/evp.h>

char *
base64_encode (const void *bytes, size_t size)
{
  char *text = xcalloc (1, (size + 2) / 3 * 4 + 1);
  (void) EVP_EncodeBlock ((unsigned char *) text, bytes, (int) size);
  return text;
}

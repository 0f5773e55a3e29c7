#include "common/digest.h"

#include "common/memory.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>

enum
{
  READ_CHUNK = 256 << 10,
};

struct digest
{
  EVP_MD_CTX *context;
  EVP_MD *algorithm; /* fetched once: a fetch per file would cost more than a small file */
  unsigned char chunk[READ_CHUNK];
};

static void
must (int succeeded)
{
  if (succeeded == 1)
    return;
  (void) fputs ("shoal: OpenSSL can't compute SHA-256\n", stderr);
  abort ();
}

struct digest *
digest_new (void)
{
  struct digest *digest = xcalloc (1, sizeof *digest);
  digest->algorithm = EVP_MD_fetch (NULL, "SHA256", NULL);
  digest->context = EVP_MD_CTX_new ();
  must (digest->algorithm != NULL && digest->context != NULL);
  must (EVP_DigestInit_ex2 (digest->context, digest->algorithm, NULL));
  return digest;
}

void
digest_add (struct digest *digest, const void *bytes, size_t n)
{
  must (EVP_DigestUpdate (digest->context, bytes, n));
}

void
digest_finish (struct digest *digest, uint8_t sum[static DIGEST_SIZE])
{
  unsigned int size = DIGEST_SIZE;
  must (EVP_DigestFinal_ex (digest->context, sum, &size));
  must (EVP_DigestInit_ex2 (digest->context, digest->algorithm, NULL));
}

void
digest_free (struct digest *digest)
{
  if (digest == NULL)
    return;
  EVP_MD_CTX_free (digest->context);
  EVP_MD_free (digest->algorithm);
  free (digest);
}

int64_t
digest_fd (struct digest *digest, int fd, uint8_t sum[static DIGEST_SIZE], struct error *err)
{
  int64_t total = 0;
  for (;;)
    {
      ssize_t got = read (fd, digest->chunk, sizeof digest->chunk);
      if (got < 0 && errno == EINTR)
        continue;
      if (got <= 0)
        {
          int code = errno;
          digest_finish (digest, sum);
          return got == 0 ? total : error_errno (err, code, "reading for the checksum");
        }
      digest_add (digest, digest->chunk, (size_t) got);
      total += got;
    }
}

const char *
digest_format (const uint8_t sum[static DIGEST_SIZE], char text[static DIGEST_TEXT_SIZE])
{
  static const char hex[] = "0123456789abcdef";
  for (size_t i = 0; i < DIGEST_SIZE; i++)
    {
      text[2 * i] = hex[sum[i] >> 4];
      text[2 * i + 1] = hex[sum[i] & 15];
    }
  text[2 * DIGEST_SIZE] = '\0';
  return text;
}

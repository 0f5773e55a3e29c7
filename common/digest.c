#include "common/digest.h"

#include "common/hex.h"
#include "common/memory.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum
{
  READ_CHUNK = 256 << 10,
};

struct digest
{
  EVP_MD_CTX *context;
  unsigned char *chunk; /* READ_CHUNK bytes once a file is read, NULL before */
};

static pthread_once_t algorithm_once = PTHREAD_ONCE_INIT;
static EVP_MD *algorithm; /* for the life of the process: a fetch costs more than a small file */

static void
digest_must (int succeeded)
{
  if (succeeded == 1)
    return;
  (void) fputs ("shoal: OpenSSL can't compute SHA-256\n", stderr);
  abort ();
}

static void
algorithm_fetch (void)
{
  algorithm = EVP_MD_fetch (NULL, "SHA256", NULL);
  digest_must (algorithm != NULL);
}

struct digest *
digest_new (void)
{
  digest_must (pthread_once (&algorithm_once, algorithm_fetch) == 0);
  struct digest *digest = xcalloc (1, sizeof *digest);
  digest->context = EVP_MD_CTX_new ();
  digest_must (digest->context != NULL);
  digest_must (EVP_DigestInit_ex2 (digest->context, algorithm, NULL));
  return digest;
}

void
digest_add (struct digest *digest, const void *bytes, size_t n)
{
  digest_must (EVP_DigestUpdate (digest->context, bytes, n));
}

void
digest_finish (struct digest *digest, uint8_t sum[static DIGEST_SIZE])
{
  unsigned int size = DIGEST_SIZE;
  digest_must (EVP_DigestFinal_ex (digest->context, sum, &size));
  digest_must (EVP_DigestInit_ex2 (digest->context, algorithm, NULL));
}

void
digest_free (struct digest *digest)
{
  if (digest == NULL)
    return;
  EVP_MD_CTX_free (digest->context);
  free (digest->chunk);
  free (digest);
}

/* What a file is read by: digests of words alone never need it. */
static unsigned char *
digest_file_buffer (struct digest *digest)
{
  if (digest->chunk == NULL)
    digest->chunk = xrealloc (NULL, 1, READ_CHUNK);
  return digest->chunk;
}

/* Takes what FD has from where it stands, at most LIMIT bytes: how many, or -1. */
static int64_t
digest_add_bytes (struct digest *digest, int fd, int64_t limit, const struct halt *halt,
                  struct error *err)
{
  unsigned char *chunk = digest_file_buffer (digest);
  int64_t total = 0;
  while (total < limit)
    {
      int64_t left = limit - total;
      if (halt_check (halt, err) != 0)
        return -1;
      ssize_t got = read (fd, chunk, left < READ_CHUNK ? (size_t) left : READ_CHUNK);
      if (got < 0 && errno == EINTR)
        continue;
      if (got < 0)
        return error_errno (err, errno, "reading for the checksum");
      if (got == 0)
        break;
      digest_add (digest, chunk, (size_t) got);
      total += got;
    }
  return total;
}

static int
add_zeros (struct digest *digest, int64_t size, const struct halt *halt, struct error *err)
{
  unsigned char *chunk = digest_file_buffer (digest);
  memset (chunk, 0, READ_CHUNK);
  while (size > 0)
    {
      size_t part = size < READ_CHUNK ? (size_t) size : READ_CHUNK;
      if (halt_check (halt, err) != 0)
        return -1;
      digest_add (digest, chunk, part);
      size -= (int64_t) part;
    }
  return 0;
}

/* Data and holes of FD in turn, up to SIZE. */
static int64_t
add_sparse (struct digest *digest, int fd, int64_t size, const struct halt *halt, struct error *err)
{
  for (int64_t at = 0; at < size;)
    {
      int64_t data = lseek (fd, at, SEEK_DATA);
      if (data < 0 && errno != ENXIO)
        return error_errno (err, errno, "looking for data");
      if (data < 0 || data > size)
        data = size; /* nothing but a hole is left */
      if (add_zeros (digest, data - at, halt, err) != 0)
        return -1;
      int64_t hole = data < size ? lseek (fd, data, SEEK_HOLE) : size;
      if (hole < 0 || lseek (fd, data, SEEK_SET) != data)
        return error_errno (err, errno, "looking for holes");
      if (hole > size)
        hole = size;
      if (data < hole && digest_add_bytes (digest, fd, hole - data, halt, err) != hole - data)
        return error_is_set (err) ? -1
                                  : error_set (err, ERROR_TRANSIENT, "changed while it was read");
      at = hole;
    }
  return size;
}

int64_t
digest_fd (struct digest *digest, int fd, uint8_t sum[static DIGEST_SIZE], struct error *err)
{
  int64_t total = digest_add_bytes (digest, fd, INT64_MAX, NULL, err);
  digest_finish (digest, sum); /* also when it failed: it is ready for the next one */
  return total;
}

int64_t
digest_file (struct digest *digest, int fd, const struct stat *status, const struct halt *halt,
             uint8_t sum[static DIGEST_SIZE], struct error *err)
{
  struct error unwanted = ERROR_INIT;
  err = err == NULL ? &unwanted : err;
  /* A file system may keep less than all and not tell holes: compression, or an old network. */
  bool sparse = status->st_blocks * 512 < status->st_size && lseek (fd, 0, SEEK_HOLE) >= 0
                && lseek (fd, 0, SEEK_SET) == 0;
  int64_t total = sparse ? add_sparse (digest, fd, status->st_size, halt, err)
                         : digest_add_bytes (digest, fd, INT64_MAX, halt, err);
  digest_finish (digest, sum);
  return total;
}

const char *
digest_format (const uint8_t sum[static DIGEST_SIZE], char text[static DIGEST_TEXT_SIZE])
{
  return hex_format (sum, DIGEST_SIZE, text);
}

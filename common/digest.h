/* digest.h — SHA-256, by OpenSSL.
 *
 * A digest in the making belongs to one thread.
 */
#ifndef SHOAL_COMMON_DIGEST_H
#define SHOAL_COMMON_DIGEST_H

#include "common/auto.h"
#include "common/error.h"
#include "common/halt.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define DIGEST_SIZE 32
#define DIGEST_TEXT_SIZE 65 /* 64 hex digits and the NUL */

struct digest; /* one that is being computed */

struct digest *digest_new (void); /* the caller frees */
void digest_add (struct digest *digest, const void *bytes, size_t n);

/* Writes the sum and makes DIGEST ready for the next one. */
void digest_finish (struct digest *digest, uint8_t sum[static DIGEST_SIZE]);
void digest_free (struct digest *digest);

static inline void
auto_digest_ (struct digest **digest)
{
  digest_free (*digest);
}
#define auto_digest AUTO (auto_digest_)

/* Reads FD from where it stands to its end; bytes read, or -1. */
int64_t digest_fd (struct digest *digest, int fd, uint8_t sum[static DIGEST_SIZE],
                   struct error *err);

/* The same of the whole regular file FD, of which STATUS tells: holes count as zeros and aren't
 * read. HALT (may be NULL) ends it. */
int64_t digest_file (struct digest *digest, int fd, const struct stat *status,
                     const struct halt *halt, uint8_t sum[static DIGEST_SIZE], struct error *err);

/* 64 lower-case hex digits into TEXT; returns TEXT. */
const char *digest_format (const uint8_t sum[static DIGEST_SIZE],
                           char text[static DIGEST_TEXT_SIZE]);

#endif

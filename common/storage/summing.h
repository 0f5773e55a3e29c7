/* summing.h — the checksum of a file that is still coming in, on a thread of its own: it follows as far as the file is there from its beginning. */
#ifndef SHOAL_COMMON_STORAGE_SUMMING_H
#define SHOAL_COMMON_STORAGE_SUMMING_H

#include "common/error.h"

#include <stdint.h>

struct summing;

/* Begins with the file FD, which stays open until summing_finish or summing_cancel. ALGORITHM as in OpenSSL ("MD5"). NULL: there can't be another thread. */
struct summing *summing_start (int fd, const char *algorithm);

/* All bytes before OFFSET are there and won't change. */
void summing_reach (struct summing *summing, int64_t offset);

/* All SIZE bytes are there: waits for their sum, and gives it in hex. Ends SUMMING, whatever it returns: 0, or -1. */
int summing_finish (struct summing *summing, int64_t size, char hex[static 129], struct error *err);

/* Ends it without a sum. NULL is fine. */
void summing_cancel (struct summing *summing);

/* The sum of a file that is there, SIZE bytes of it, on this thread. */
int summing_of (int fd, const char *algorithm, int64_t size, char hex[static 129],
                struct error *err);

#endif

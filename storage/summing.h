/* summing.h — the checksum of a file that is still coming in, on threads of its own: they follow as
 * far as the file is there from its beginning. */
#ifndef SHOAL_STORAGE_SUMMING_H
#define SHOAL_STORAGE_SUMMING_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct summing;

/* What is summed: all bytes, or with COUNT > 0 the sums of so many pieces of the file, one behind
 * the other, as S3 has it of objects that were uploaded in parts. ENDS are the pieces', the last
 * one is the file's; it must live as long as the sum is in the making. */
struct summing_what
{
  const char *algorithm; /* as in OpenSSL, "MD5" */
  size_t count;
  const int64_t *ends;
};

/* Begins with the file FD, which stays open until summing_finish or summing_cancel; pieces are
 * summed side by side. NULL: there can't be another thread. */
struct summing *summing_start (int fd, const struct summing_what *what);

/* All bytes before OFFSET are there and won't change. */
void summing_reach (struct summing *summing, int64_t offset);

/* SIZE bytes are all there will be. */
void summing_end (struct summing *summing, int64_t size);

/* After summing_end: whether summing_finish needn't wait. */
bool summing_has_ended (struct summing *summing);

/* After summing_end: waits for the sum, and gives it in hex. Ends SUMMING, whatever it returns: 0,
 * or -1. */
int summing_finish (struct summing *summing, char hex[static 129], struct error *err);

/* Ends it without a sum. NULL is fine. */
void summing_cancel (struct summing *summing);

/* The sum of a file that is there, SIZE bytes of it, on this thread. */
int summing_of (int fd, const struct summing_what *what, int64_t size, char hex[static 129],
                struct error *err);

#endif

/* summing.h — the checksum of a file that is still coming in, on threads of its own.
 *
 * They sum what is there of each piece from its beginning on: MD5s of several pieces side by side
 * (md5.h). Bytes are taken from memory as long as few of them wait (SUMMING_KEPT), and read back
 * else.
 */
#ifndef SHOAL_STORAGE_SUMMING_H
#define SHOAL_STORAGE_SUMMING_H

#include "common/error.h"
#include "storage/extents.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum
{
  SUMMING_STEP = (64 << 10) - 64,   /* bytes of a piece that are summed at a time, whole blocks */
  SUMMING_CHUNK = 4 * SUMMING_STEP, /* bytes of a buffer: no pages, as copying from a page's place
                                       to the same place of another one may be slow (rep movsb) */
  SUMMING_KEPT = 128,               /* buffers that a file has, at most: 32 MiB */
};

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

/* Begins with the file FD, which stays open until summing_finish or summing_cancel. NULL: there
 * can't be another thread. */
struct summing *summing_start (int fd, const struct summing_what *what);

/* The bytes of CAME are there now, with which all of WHOLE is; they won't change any more. BYTES
 * are CAME's in a buffer of SUMMING_CHUNK bytes that was made by malloc: returns it, or another one
 * in its place, which is the caller's. NULL: there is none. */
char *summing_came (struct summing *summing, struct extent came, struct extent whole, char *bytes);

/* SIZE bytes are all there will be, and all of them are there. */
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

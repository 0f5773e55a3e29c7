/* Sums of files that are still coming in: whatever the pieces are and however the bytes come, they
 * are those of the whole. */
#include "storage/summing.h"

#include "common/auto.h"
#include "common/memory.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum
{
  BYTES_MAX = 3 << 20,
  PIECES_MAX = 40,
};

static char bytes[BYTES_MAX];

/* A file of the first SIZE bytes. */
static int
make_file (size_t size)
{
  int fd = memfd_create ("bytes", MFD_CLOEXEC);
  assert_true (fd >= 0);
  assert_int_equal (pwrite (fd, bytes, size, 0), size);
  return fd;
}

static void
to_hex (const unsigned char *sum, unsigned int length, char hex[static 129])
{
  hex[0] = '\0';
  for (unsigned int i = 0; i < length; i++)
    (void) snprintf (hex + 2 * (size_t) i, 3, "%02x", sum[i]);
}

/* What the sum of SIZE bytes must be, by the definition. */
static void
expected (const struct summing_what *what, size_t size, char hex[static 129])
{
  unsigned char sums[(PIECES_MAX + 1) * EVP_MAX_MD_SIZE];
  size_t all = 0, from = 0;
  unsigned int length = 0;
  const EVP_MD *type = EVP_get_digestbyname (what->algorithm);
  for (size_t i = 0; i < what->count; i++)
    {
      assert_int_equal (
          EVP_Digest (bytes + from, (size_t) what->ends[i] - from, sums + all, &length, type, NULL),
          1);
      from = (size_t) what->ends[i];
      all += length;
    }
  if (what->count == 0)
    assert_int_equal (EVP_Digest (bytes, size, sums, &length, type, NULL), 1);
  else
    assert_int_equal (EVP_Digest (sums, all, sums, &length, type, NULL), 1);
  to_hex (sums, length, hex);
}

/* COUNT pieces of SIZE bytes, some of them empty. */
static void
cut (int64_t *ends, size_t count, size_t size)
{
  for (size_t i = 0; i < count; i++)
    ends[i] = i == count - 1 ? (int64_t) size : (int64_t) ((size_t) rand () % (size + 1));
  for (size_t i = 1; i < count; i++) /* by insertion */
    for (size_t k = i; k > 0 && ends[k - 1] > ends[k]; k--)
      {
        int64_t end = ends[k];
        ends[k] = ends[k - 1];
        ends[k - 1] = end;
      }
}

/* All or some of SIZE bytes come in any order, with buffers or without. */
static void
come (struct summing *summing, size_t size)
{
  struct extents left = { 0 }, there = { 0 };
  size_t largest = rand () % 2 == 0 ? SUMMING_CHUNK : 1 + (size_t) rand () % 5000;
  int steps = rand () % 400;
  char *buffer = xcalloc (1, SUMMING_CHUNK);
  if (size > 0)
    (void) extents_add (&left, (struct extent){ 0, (int64_t) size });
  while (left.count > 0 && steps-- > 0)
    {
      struct extent some = left.items[(size_t) rand () % left.count];
      if (rand () % 4 == 0 && some.end - some.from > 1)
        some.from += rand () % (some.end - some.from);
      if (some.end - some.from > (int64_t) largest)
        some.end = some.from + (int64_t) largest;
      extents_remove (&left, some);
      memcpy (buffer, bytes + some.from, (size_t) (some.end - some.from));
      struct extent whole = extents_add (&there, some);
      if (rand () % 5 == 0)
        (void) summing_came (summing, some, whole, NULL);
      else
        buffer = summing_came (summing, some, whole, buffer);
      memset (buffer, 0, SUMMING_CHUNK); /* it is ours now, whichever it is */
    }
  extents_release (&left);
  extents_release (&there);
  free (buffer);
}

static void
all_schedules_give_the_sum (void **state)
{
  (void) state;
  static const char *const algorithms[] = { "MD5", "SHA256" };
  for (int round = 0; round < 150; round++)
    {
      int64_t ends[PIECES_MAX];
      char wanted[129], got[129];
      size_t size = (size_t) rand () % (round % 3 == 0 ? 1000 : BYTES_MAX);
      const struct summing_what what = { .algorithm = algorithms[rand () % 2],
                                         .count = (size_t) rand () % PIECES_MAX,
                                         .ends = ends };
      auto_fd int fd = make_file (size);
      cut (ends, what.count, size);
      expected (&what, size, wanted);
      struct error err = ERROR_INIT;
      assert_int_equal (summing_of (fd, &what, (int64_t) size, got, &err), 0);
      assert_string_equal (got, wanted);
      struct summing *summing = summing_start (fd, &what);
      assert_non_null (summing);
      come (summing, size);
      if (rand () % 4 == 0)
        {
          summing_cancel (summing);
          continue;
        }
      summing_end (summing, (int64_t) size);
      while (rand () % 2 == 0 && !summing_has_ended (summing))
        (void) usleep (100);
      assert_int_equal (summing_finish (summing, got, &err), 0);
      assert_string_equal (got, wanted);
    }
}

/* Pieces that come side by side are summed from memory: of this file nothing can be read. */
static void
what_is_in_memory_isnt_read_back (void **state)
{
  (void) state;
  enum
  {
    PIECES = 12,
    PIECE = BYTES_MAX / PIECES,
  };
  static const char *const algorithms[] = { "MD5", "SHA256" };
  for (size_t i = 0; i < 2; i++)
    {
      int64_t ends[PIECES];
      char wanted[129], got[129];
      const struct summing_what what = { .algorithm = algorithms[i],
                                         .count = PIECES,
                                         .ends = ends };
      for (size_t piece = 0; piece < PIECES; piece++)
        ends[piece] = (int64_t) (piece + 1) * PIECE;
      expected (&what, BYTES_MAX, wanted);
      auto_fd int fd = make_file (0);
      auto_free char *buffer = xcalloc (1, SUMMING_CHUNK);
      struct summing *summing = summing_start (fd, &what);
      assert_non_null (summing);
      for (int64_t at = 0; at < PIECE; at += SUMMING_CHUNK / 4)
        for (int64_t from = at; from < BYTES_MAX; from += PIECE)
          {
            int64_t begin = from - at, size = PIECE - at;
            size = size < SUMMING_CHUNK / 4 ? size : SUMMING_CHUNK / 4;
            memcpy (buffer, bytes + from, (size_t) size);
            buffer = summing_came (summing, (struct extent){ from, from + size },
                                   (struct extent){ begin, from + size }, buffer);
          }
      summing_end (summing, BYTES_MAX);
      struct error err = ERROR_INIT;
      if (summing_finish (summing, got, &err) != 0)
        fail_msg ("%s", err.message);
      assert_string_equal (got, wanted);
    }
}

/* One bit of any piece makes another sum. */
static void
a_bit_of_each_piece_counts (void **state)
{
  (void) state;
  enum
  {
    PIECES = 20,
  };
  int64_t ends[PIECES];
  char right[129], got[129];
  struct error err = ERROR_INIT;
  const struct summing_what what = { .algorithm = "MD5", .count = PIECES, .ends = ends };
  for (int64_t piece = 0; piece < PIECES; piece++)
    ends[piece] = (piece + 1) * BYTES_MAX / PIECES;
  auto_fd int fd = make_file (BYTES_MAX);
  assert_int_equal (summing_of (fd, &what, BYTES_MAX, right, &err), 0);
  for (int piece = 0; piece < PIECES; piece++)
    {
      int64_t at = ends[piece] - 1 - rand () % (BYTES_MAX / PIECES);
      const char other = (char) (bytes[at] ^ 1 << rand () % 8);
      assert_int_equal (pwrite (fd, &other, 1, at), 1);
      assert_int_equal (summing_of (fd, &what, BYTES_MAX, got, &err), 0);
      assert_string_not_equal (got, right);
      assert_int_equal (pwrite (fd, &bytes[at], 1, at), 1);
    }
  assert_int_equal (summing_of (fd, &what, BYTES_MAX, got, &err), 0);
  assert_string_equal (got, right);
}

static void
what_cant_be_read_is_said (void **state)
{
  (void) state;
  const int64_t ends[] = { 1000, 2000, 3000 };
  const struct summing_what what = { .algorithm = "MD5", .count = 3, .ends = ends };
  auto_fd int fd = make_file (2500); /* shorter than was said */
  char hex[129];
  struct error err = ERROR_INIT;
  struct summing *summing = summing_start (fd, &what);
  assert_non_null (summing);
  summing_end (summing, 3000);
  assert_int_equal (summing_finish (summing, hex, &err), -1);
  assert_non_null (strstr (err.message, "reading for its checksum"));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (all_schedules_give_the_sum),
    cmocka_unit_test (what_is_in_memory_isnt_read_back),
    cmocka_unit_test (a_bit_of_each_piece_counts),
    cmocka_unit_test (what_cant_be_read_is_said),
  };
  srand (seed_of_test ());
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (char) rand ();
  return cmocka_run_group_tests (tests, NULL, NULL);
}

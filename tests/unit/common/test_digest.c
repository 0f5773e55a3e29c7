/* Sums: of files with holes as of those without, and what ends one. */
#include "common/digest.h"

#include "common/auto.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int
make_file (void)
{
  char path[] = "/tmp/shoal-digest-XXXXXX";
  int fd = mkstemp (path);
  assert_true (fd >= 0);
  assert_int_equal (unlink (path), 0);
  return fd;
}

/* What this process has read so far, in bytes. */
static long long
bytes_read (void)
{
  long long bytes = -1;
  auto_file FILE *file = fopen ("/proc/self/io", "r");
  assert_non_null (file);
  assert_int_equal (fscanf (file, "rchar: %lld", &bytes), 1);
  return bytes;
}

/* Data here and there, and maybe a hole at the end: the sum is that of all bytes. */
static void
test_holes_are_zeros (void **state)
{
  (void) state;
  unsigned int seed = seed_of_test ();
  auto_digest struct digest *digest = digest_new ();
  for (int round = 0; round < 100; round++)
    {
      auto_fd int fd = make_file ();
      int pieces = rand_r (&seed) % 4;
      for (int i = 0; i < pieces; i++)
        {
          char piece[9000];
          memset (piece, 'a' + i, sizeof piece);
          size_t size = 1 + (size_t) rand_r (&seed) % sizeof piece;
          off_t at = rand_r (&seed) % (4 << 20);
          assert_int_equal (pwrite (fd, piece, size, at), (ssize_t) size);
        }
      struct stat status;
      assert_int_equal (fstat (fd, &status), 0);
      if (rand_r (&seed) % 2 == 0)
        assert_int_equal (ftruncate (fd, status.st_size + rand_r (&seed) % (1 << 20)), 0);
      assert_int_equal (fstat (fd, &status), 0);
      uint8_t whole[DIGEST_SIZE], sum[DIGEST_SIZE];
      assert_int_equal (digest_fd (digest, fd, whole, NULL), status.st_size);
      assert_int_equal (digest_file (digest, fd, &status, NULL, sum, NULL), status.st_size);
      assert_memory_equal (whole, sum, sizeof sum);
    }
}

static void
test_holes_are_not_read (void **state)
{
  (void) state;
  auto_digest struct digest *digest = digest_new ();
  auto_fd int fd = make_file ();
  struct stat status;
  uint8_t sum[DIGEST_SIZE];
  assert_int_equal (pwrite (fd, "x", 1, 32 << 20), 1);
  assert_int_equal (fstat (fd, &status), 0);
  long long before = bytes_read ();
  assert_int_equal (digest_file (digest, fd, &status, NULL, sum, NULL), (32 << 20) + 1);
  assert_true (bytes_read () - before < 1 << 20);
}

static int
ask_thrice (void *context, struct error *err)
{
  int *left = context;
  return --*left > 0 ? 0 : error_set (err, ERROR_TRANSIENT, "enough");
}

static void
test_a_halt_ends_it (void **state)
{
  (void) state;
  auto_digest struct digest *digest = digest_new ();
  auto_fd int fd = make_file ();
  struct stat status;
  uint8_t sum[DIGEST_SIZE], again[DIGEST_SIZE];
  int left = 3;
  const struct halt halt = { .ask = ask_thrice, .context = &left };
  struct error err = ERROR_INIT;
  assert_int_equal (ftruncate (fd, (off_t) 4 << 40), 0);
  assert_int_equal (fstat (fd, &status), 0);
  assert_int_equal (digest_file (digest, fd, &status, &halt, sum, &err), -1);
  assert_string_equal (err.message, "enough");
  /* it is as new for the next one */
  assert_int_equal (ftruncate (fd, 1), 0);
  assert_int_equal (fstat (fd, &status), 0);
  assert_int_equal (digest_file (digest, fd, &status, NULL, sum, NULL), 1);
  digest_add (digest, "", 1);
  digest_finish (digest, again);
  assert_memory_equal (sum, again, sizeof sum);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_holes_are_zeros),
    cmocka_unit_test (test_holes_are_not_read),
    cmocka_unit_test (test_a_halt_ends_it),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}

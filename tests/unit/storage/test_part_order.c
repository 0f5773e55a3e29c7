/* The parts of a file: together they are the file, and while they come pieces come side by side. */
#include "storage/part_order.h"

#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#define MIB ((int64_t) 1 << 20)

static int64_t
any_size (int64_t most)
{
  return 1 + (int64_t) (((uint64_t) rand () << 20 ^ (uint64_t) rand ()) % (uint64_t) most);
}

/* Whatever the pieces are, and whenever they become known: each byte is asked for once, by few
 * requests that aren't small. */
static void
each_byte_is_asked_for_once (void **state)
{
  (void) state;
  for (int round = 0; round < 2000; round++)
    {
      struct part_order order = { 0 };
      struct extents asked = { 0 };
      struct extent part = { 0 };
      int64_t size = 2 * PART_SIZE + any_size (3000 * MIB);
      int64_t piece = rand () % 2 == 0 ? any_size (200 * MIB) : 5 * MIB * (1 + rand () % 20);
      piece = piece < 5 * MIB ? 5 * MIB : piece;
      int64_t at_once = 1 + rand () % 64, known = rand () % 2 == 0 ? piece : 0, bytes = 0,
              parts = 0;
      while (part_order_next (&order, size, known, at_once, &part))
        {
          assert_true (part.from >= 0 && part.from < part.end && part.end <= size);
          if (parts == 0)
            assert_true (part.from == 0 && part.end == PART_SIZE);
          bytes += part.end - part.from;
          parts++;
          (void) extents_add (&asked, part);
          known = parts == 1 ? piece : any_size (100 * MIB); /* later it doesn't count */
        }
      assert_int_equal (bytes, size);
      assert_int_equal (asked.count, 1);
      assert_true (asked.items[0].from == 0 && asked.items[0].end == size);
      /* A group of pieces and a piece's end may each have one short part. */
      if (parts > size / (PART_SIZE / 2) + 2)
        fail_msg ("%lld parts of %lld bytes, pieces of %lld", (long long) parts, (long long) size,
                  (long long) piece);
      extents_release (&asked);
    }
}

/* But for the first two parts, one of which comes before the pieces are known: what has a border
 * between pieces within it begins at one, and ends at one or at the file's end. */
static void
pieces_begin_where_parts_do (void **state)
{
  (void) state;
  static const int64_t pieces[] = { 5, 6, 8, 10, 15, 16, 17, 20, 31, 32, 50, 100, 300 };
  for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
    {
      struct part_order order = { 0 };
      struct extent part = { 0 };
      int64_t piece = pieces[i] * MIB, size = 2000 * MIB + 12345;
      for (int64_t parts = 0; part_order_next (&order, size, parts == 0 ? 0 : piece, 32, &part);
           parts++)
        {
          int64_t border = (part.from / piece + 1) * piece; /* the first one behind its beginning */
          if (parts < 2 || border >= part.end)
            continue;
          assert_int_equal (part.from % piece, 0);
          assert_true (part.end % piece == 0 || part.end == size);
        }
    }
}

static void
pieces_come_side_by_side (void **state)
{
  (void) state;
  struct part_order order = { 0 };
  struct extent part = { 0 };
  static const int64_t begins[] = { 0,   50,  100, 16,  66,  116, 32,  82,  132, 150,
                                    200, 250, 166, 216, 266, 182, 232, 282, 300, 316 };
  for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
    {
      assert_true (part_order_next (&order, 340 * MIB, i == 0 ? 0 : 50 * MIB, 3, &part));
      if (part.from != begins[i] * MIB)
        fail_msg ("part %zu begins at %lld", i, (long long) part.from);
    }
  assert_int_equal (part.end, 340 * MIB);
  assert_false (part_order_next (&order, 340 * MIB, 50 * MIB, 3, &part));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (each_byte_is_asked_for_once),
    cmocka_unit_test (pieces_begin_where_parts_do),
    cmocka_unit_test (pieces_come_side_by_side),
  };
  srand (seed_of_test ());
  return cmocka_run_group_tests (tests, NULL, NULL);
}

/* Text for people: words, ranges, counts. */
#include "cli/words.h"

#include "common/buffer.h"
#include "common/memory.h"
#include "common/text.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static void
expect_words (const char *text, const char *expected)
{
  auto_strlist struct strlist words = { 0 };
  struct error err = ERROR_INIT;
  if (words_split (text, &words, &err) != 0)
    fail_msg ("%s", err.message);
  auto_buffer struct buffer joined = { 0 };
  for (size_t i = 0; i < words.count; i++)
    buffer_printf (&joined, "<%s>", words.items[i]);
  assert_string_equal (joined.data == NULL ? "" : joined.data, expected);
}

static void
words_split_as_a_shell_does (void **state)
{
  (void) state;
  expect_words ("", "");
  expect_words ("  \t\n ", "");
  expect_words ("a  b\tc", "<a><b><c>");
  expect_words ("sh -c 'echo \"$x\"; ls'", "<sh><-c><echo \"$x\"; ls>");
  expect_words ("a\\ b \"c \\\" d\\e\"", "<a b><c \" d\\e>");
  expect_words ("'' x\"\"y", "<><xy>");
  expect_words ("$'a\\033\\n\\'\\\\'b $x", "<a\033\n'\\b><$x>");
  auto_strlist struct strlist words = { 0 };
  struct error err = ERROR_INIT;
  assert_int_equal (words_split ("a 'b", &words, &err), -1);
  assert_int_equal (words_split ("a $'b", &words, NULL), -1);
  assert_int_equal (words_split ("a $'b\\0c'", &words, NULL), -1);
  assert_int_equal (err.class, ERROR_USER);
}

/* What is joined is split into the same words again: random words of awkward characters. */
static void
joining_and_splitting_give_the_same_words (void **state)
{
  (void) state;
  static const char letters[] = "ab1 '\"\\\n\t\r$*-/=\033\x7f\x9b\xff\xe2\x80\xae\xc3\xbc";
  unsigned int seed = seed_of_test ();
  for (int round = 0; round < 2000; round++)
    {
      auto_strlist struct strlist words = { 0 };
      size_t count = (size_t) rand_r (&seed) % 4;
      for (size_t i = 0; i < count; i++)
        {
          char word[8] = "";
          size_t length = (size_t) rand_r (&seed) % 7;
          for (size_t at = 0; at < length; at++)
            word[at] = letters[(size_t) rand_r (&seed) % (sizeof letters - 1)];
          strlist_add (&words, word);
        }
      auto_free char *line = text_words ("image", &words);
      auto_strlist struct strlist again = { 0 };
      assert_int_equal (words_split (line, &again, NULL), 0);
      assert_int_equal (again.count, count + 1);
      for (size_t i = 0; i < count; i++)
        assert_string_equal (again.items[i + 1], words.items[i]);
    }
}

static void
expect_count (int64_t number, const char *expected)
{
  char text[WORDS_COUNT_SIZE];
  assert_string_equal (words_count (number, text), expected);
}

static void
counts_have_commas (void **state)
{
  (void) state;
  expect_count (0, "0");
  expect_count (999, "999");
  expect_count (1000, "1,000");
  expect_count (123456, "123,456");
  expect_count (-1234, "-1,234");
  expect_count (INT64_MAX, "9,223,372,036,854,775,807");
  auto_free char *one = words_plural (1, "shard");
  auto_free char *many = words_plural (2000, "shard");
  assert_string_equal (one, "1 shard");
  assert_string_equal (many, "2,000 shards");
}

static void
ranges_are_read (void **state)
{
  (void) state;
  uint32_t *numbers = NULL;
  size_t count = 0;
  assert_int_equal (words_ranges ("3,5-7", &numbers, &count, NULL), 0);
  assert_int_equal (words_ranges ("0", &numbers, &count, NULL), 0);
  static const uint32_t expected[] = { 3, 5, 6, 7, 0 };
  assert_int_equal (count, 5);
  assert_memory_equal (numbers, expected, sizeof expected);
  static const char *const bad[] = { "",    ",",  "1,",  "a",          "-1",
                                     "5-3", "1-", "1 2", "4294967296", "0-99999999" };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    {
      struct error err = ERROR_INIT;
      if (words_ranges (bad[i], &numbers, &count, &err) != -1 || err.class != ERROR_USER)
        fail_msg ("\"%s\" was taken for a list of numbers", bad[i]);
    }
  free (numbers);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (words_split_as_a_shell_does),
    cmocka_unit_test (joining_and_splitting_give_the_same_words),
    cmocka_unit_test (counts_have_commas),
    cmocka_unit_test (ranges_are_read),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}

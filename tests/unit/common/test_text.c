/* Text of others: what people, shells, logs, JSON and HTML get of it. */
#include "common/log.h"
#include "common/log_json.h"
#include "common/memory.h"
#include "common/text.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/mman.h>
#include <unistd.h>

enum
{
  ROUNDS = 20000,
};

/* What may never be shown, written down independently of the code: as UTF-8, and as bytes. */
static const char *const steering[] = {
  "\x01",         "\x07",         "\x08",         "\x0b",         "\x0c",
  "\x0e",         "\x1b",         "\x7f", /* C0, DEL */
  "\xc2\x80",     "\xc2\x84",     "\xc2\x85",     "\xc2\x8d",     "\xc2\x90",
  "\xc2\x9b",     "\xc2\x9d",     "\xc2\x9f",     "\xd8\x9c",                     /* U+061C */
  "\xe2\x80\x8e", "\xe2\x80\x8f",                                                 /* U+200E, F */
  "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaa", "\xe2\x80\xad", "\xe2\x80\xae", /* U+2028–E */
  "\xe2\x81\xa6", "\xe2\x81\xa7", "\xe2\x81\xa8", "\xe2\x81\xa9",                 /* U+2066–9 */
};

static bool
is_utf8 (const char *text)
{
  json_t *string = json_string (text);
  bool good = string != NULL;
  json_decref (string);
  return good;
}

/* Whether TEXT may go to a terminal; LINES: newlines and tabs may be in it. */
static bool
is_safe (const char *text, bool lines)
{
  for (const char *at = text; *at != '\0'; at++)
    if ((unsigned char) *at < ' ' && !(lines && (*at == '\n' || *at == '\t')))
      return false;
  for (size_t i = 0; i < sizeof steering / sizeof steering[0]; i++)
    if (strstr (text, steering[i]) != NULL)
      return false;
  return is_utf8 (text);
}

/* SIZE - 1 random characters at most: what is dangerous, what is cut off, and what is harmless. */
static void
fill (char *text, size_t size, unsigned int *seed)
{
  static const char *const others[] = { "a",
                                        "7",
                                        " ",
                                        "'",
                                        "\"",
                                        "\\",
                                        "$",
                                        "`",
                                        "\n",
                                        "\t",
                                        "\r",
                                        "ü",
                                        "…",
                                        "漢",
                                        "\xf0\x9f\x90\x9f",
                                        "\xff",
                                        "\x9b",
                                        "\xe2\x80",
                                        "\xc2",
                                        "\xed\xa0\x80",
                                        "\xc0\xaf",
                                        "\xf4\x90\x80\x80" };
  size_t length = 0;
  for (size_t count = (size_t) rand_r (seed) % 12; count > 0; count--)
    {
      size_t steerings = sizeof steering / sizeof steering[0];
      size_t pick = (size_t) rand_r (seed) % (steerings + sizeof others / sizeof others[0]);
      const char *add = pick < steerings ? steering[pick] : others[pick - steerings];
      if (length + strlen (add) < size)
        length += (size_t) (stpcpy (text + length, add) - (text + length));
    }
  text[length] = '\0';
}

static void
expect_shown (const char *text, const char *expected)
{
  auto_free char *shown = text_shown (text);
  assert_string_equal (shown, expected);
}

static void
people_see_what_is_there (void **state)
{
  (void) state;
  expect_shown (NULL, "");
  expect_shown ("", "");
  expect_shown ("a\nb\033[1mc\x7f ü", "a\\nb\\x1b[1mc\\x7f ü");
  expect_shown ("漢字 \xf0\x9f\x90\x9f naïve", "漢字 \xf0\x9f\x90\x9f naïve");
  expect_shown ("tab\there\r", "tab\\there\\r");
  expect_shown ("\xc2\x9b"
                "31m",
                "\\u009b31m");
  expect_shown ("\x9b"
                "31m",
                "\\x9b31m");
  expect_shown ("gpj.\xe2\x80\xae"
                "exe",
                "gpj.\\u202eexe");
  expect_shown ("\xe2\x81\xa6x\xe2\x81\xa9\xd8\x9c\xe2\x80\xa8", "\\u2066x\\u2069\\u061c\\u2028");
  expect_shown ("\xed\xa0\x80", "\\xed\\xa0\\x80"); /* half of a pair of UTF-16 */
  expect_shown ("\xc0\xaf\xe2\x80", "\\xc0\\xaf\\xe2\\x80");
}

static void
nothing_shown_steers_a_terminal (void **state)
{
  (void) state;
  unsigned int seed = seed_of_test ();
  for (int round = 0; round < ROUNDS; round++)
    {
      char text[64];
      fill (text, sizeof text, &seed);
      auto_free char *shown = text_shown (text);
      auto_free char *again = text_shown (shown);
      auto_free char *log = text_log (text);
      auto_free char *word = text_word (text);
      auto_buffer struct buffer html = { 0 };
      text_put_html (&html, text);
      assert_true (is_safe (shown, false));
      assert_string_equal (again, shown);
      assert_true (is_safe (log, false));
      assert_true (is_safe (word, false));
      assert_true (html.data == NULL || is_safe (html.data, false));
    }
}

/* A limit cuts between characters, and between what was written out. */
static void
a_limit_cuts_between_characters (void **state)
{
  (void) state;
  auto_buffer struct buffer line = { 0 };
  text_put_shown (&line, "ab\033…c", 3);
  assert_string_equal (line.data, "ab\\x1b");
  buffer_clear (&line);
  text_put_shown (&line, "ab…c", 3);
  assert_string_equal (line.data, "ab…");
}

/* Cut anywhere, a stream's parts give what the whole gives. */
static void
parts_of_a_stream_are_shown_as_the_whole (void **state)
{
  (void) state;
  unsigned int seed = seed_of_test ();
  for (int round = 0; round < ROUNDS; round++)
    {
      char text[64];
      fill (text, sizeof text, &seed);
      size_t size = strlen (text);
      auto_buffer struct buffer whole = { 0 };
      auto_buffer struct buffer parts = { 0 };
      assert_int_equal (text_put_lines (&whole, text, size, true), size);
      assert_true (whole.data == NULL || is_safe (whole.data, true));
      size_t taken = 0;
      for (size_t end = 0; end <= size; end += 1 + (size_t) rand_r (&seed) % 5)
        {
          taken += text_put_lines (&parts, text + taken, end - taken, false);
          assert_true (end - taken <= 3); /* no more is held back than a character's beginning */
        }
      taken += text_put_lines (&parts, text + taken, size - taken, true);
      assert_int_equal (taken, size);
      assert_string_equal (parts.data == NULL ? "" : parts.data,
                           whole.data == NULL ? "" : whole.data);
    }
}

static void
lines_keep_their_ends (void **state)
{
  (void) state;
  static const char text[] = "a\tb\r\nc\rd\0e\n";
  auto_buffer struct buffer out = { 0 };
  assert_int_equal (text_put_lines (&out, text, sizeof text - 1, true), sizeof text - 1);
  assert_string_equal (out.data, "a\tb\nc\\rd\\x00e\n");
}

static void
expect_word (const char *text, const char *expected)
{
  auto_free char *word = text_word (text);
  assert_string_equal (word, expected);
}

static void
words_are_quoted_where_needed (void **state)
{
  (void) state;
  expect_word ("resized/2019-11.jpg", "resized/2019-11.jpg");
  expect_word ("", "''");
  expect_word ("my result; rm -rf ~", "'my result; rm -rf ~'");
  expect_word ("it's", "'it'\\''s'");
  expect_word ("ü", "'ü'");
  expect_word ("a\0331\n'\\", "$'a\\0331\\012\\'\\\\'");
  expect_word ("\xe2\x80\xae", "$'\\342\\200\\256'");
}

static void
logs_quote (void **state)
{
  (void) state;
  auto_free char *value = text_log ("a \"b\" \\c\nlevel=error \033[2J");
  assert_string_equal (value, "\"a \\\"b\\\" \\\\c\\nlevel=error \\x1b[2J\"");
  auto_free char *none = text_log (NULL);
  assert_string_equal (none, "\"\"");
}

/* Also of what nobody quoted. */
static void
log_lines_are_one_line (void **state)
{
  (void) state;
  char text[1024] = "";
  int saved = dup (STDERR_FILENO);
  int file = memfd_create ("stderr", MFD_CLOEXEC);
  assert_true (saved >= 0 && file >= 0 && dup2 (file, STDERR_FILENO) >= 0);
  log_set_level (LOG_WARN);
  log_warn ("event", "job=%s", "a\nlevel=error event=forged \033]0;x\007\x9b");
  struct error why = ERROR_INIT;
  (void) error_set (&why, ERROR_USER, "b\n\"c\"");
  log_failure (LOG_ERROR, "other", &why, "at=%d", 7);
  log_failure (LOG_ERROR, "bare", &why, NULL);
  assert_true (dup2 (saved, STDERR_FILENO) >= 0);
  assert_true (pread (file, text, sizeof text - 1, 0) > 0);
  (void) close (saved);
  (void) close (file);
  assert_non_null (
      strstr (text, " event=event job=a\\nlevel=error event=forged \\x1b]0;x\\x07\\x9b\n"));
  assert_non_null (strstr (text, " event=other at=7 reason=\"b\\n\\\"c\\\"\"\n"));
  assert_non_null (strstr (text, " event=bare reason=\"b\\n\\\"c\\\"\"\n"));
  assert_true (is_safe (text, true));
}

static void
assert_json (const char *line, const char *expected)
{
  auto_buffer struct buffer out = { 0 };
  log_json_put (&out, line);
  assert_string_equal (out.data, expected);
}

static void
log_lines_are_json_objects (void **state)
{
  (void) state;
  assert_json ("time=2026-11-23T15:06:07.123Z level=info event=shard_done shard=42 seconds=3.25 "
               "final=true exit=-1",
               "{\"time\":\"2026-11-23T15:06:07.123Z\",\"level\":\"info\",\"event\":\"shard_done\","
               "\"shard\":42,\"seconds\":3.25,\"final\":true,\"exit\":-1}");
  auto_free char *said = text_log ("a \"b\" c=d \\ \n\033 \xff");
  auto_free char *line = xasprintf ("reason=%s last=007 none=null list=[1] empty=", said);
  assert_json (line, "{\"reason\":\"a \\\"b\\\" c=d \\\\ \\\\n\\\\x1b \\\\xff\",\"last\":\"007\","
                     "\"none\":\"null\",\"list\":\"[1]\",\"empty\":\"\"}");
  assert_json ("level=info job=x level=error words without pairs cut=\"short",
               "{\"level\":\"info\",\"job\":\"x\",\"cut\":\"short\"}");
  assert_json ("", "{}");
  assert_json ("= =x", "{\"\":\"\"}");
}

static void
html_is_inert (void **state)
{
  (void) state;
  auto_buffer struct buffer out = { 0 };
  text_put_html (&out, "<a href=\"x\">&'\xff\xe2\x80\xae");
  assert_string_equal (out.data, "&lt;a href=&quot;x&quot;&gt;&amp;&#39;\\xff\\u202e");
}

static void
json_keeps_bytes (void **state)
{
  (void) state;
  json_t *object = json_object ();
  text_set_bytes (object, "good", "a\033ü");
  text_set_bytes (object, "bad", "a/b \xff%");
  assert_string_equal (json_string_value (json_object_get (object, "good")), "a\033ü");
  assert_string_equal (json_string_value (json_object_get (object, "bad_percent")), "a/b%20%FF%25");
  assert_null (json_object_get (object, "bad"));
  json_decref (object);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (people_see_what_is_there),
    cmocka_unit_test (nothing_shown_steers_a_terminal),
    cmocka_unit_test (a_limit_cuts_between_characters),
    cmocka_unit_test (parts_of_a_stream_are_shown_as_the_whole),
    cmocka_unit_test (lines_keep_their_ends),
    cmocka_unit_test (log_lines_are_one_line),
    cmocka_unit_test (log_lines_are_json_objects),
    cmocka_unit_test (words_are_quoted_where_needed),
    cmocka_unit_test (logs_quote),
    cmocka_unit_test (html_is_inert),
    cmocka_unit_test (json_keeps_bytes),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}

/* Hexadecimal digits, base64, percent-encoding, UTF-8 and numbers in 7 bits a byte, against the
 * tables of their specifications and, for all values, against themselves. */
#include "common/auto.h"
#include "common/base64.h"
#include "common/hex.h"
#include "common/memory.h"
#include "common/percent.h"
#include "common/utf8.h"
#include "common/varint.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
hex_digits_are_those_of_c (void **state)
{
  (void) state;
  for (int c = -128; c < 128; c++)
    {
      char text[] = { (char) c, '\0' };
      int expected = isxdigit ((unsigned char) c) ? (int) strtol (text, NULL, 16) : -1;
      assert_int_equal (hex_digit ((char) c), expected);
    }
}

static void
hex_comes_back (void **state)
{
  (void) state;
  unsigned char bytes[256], back[256];
  char text[513];
  for (int i = 0; i < 256; i++)
    bytes[i] = (unsigned char) i;
  assert_ptr_equal (hex_format (bytes, sizeof bytes, text), text);
  assert_int_equal (strlen (text), 512);
  assert_memory_equal (text, "000102030405060708090a0b", 24);
  assert_true (hex_is_text (text, 512));
  assert_true (hex_read (text, back, sizeof back));
  assert_memory_equal (back, bytes, sizeof bytes);
  assert_true (hex_read ("fFaA", back, 2));
  assert_int_equal (back[0] << 8 | back[1], 0xffaa);
  static const char *const wrong[] = { "", "0", "0g", "g0", "0x", " 0", "-1", "0" };
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    assert_false (hex_read (wrong[i], back, 1));
  assert_false (hex_is_text ("abc", 2));
  assert_false (hex_is_text ("a", 2));
  assert_false (hex_is_text ("aB", 2));
  assert_true (hex_is_text ("", 0));
}

/* RFC 4648, section 10. */
static void
base64_vectors (void **state)
{
  (void) state;
  static const char *const vectors[][2] = {
    { "", "" },
    { "f", "Zg==" },
    { "fo", "Zm8=" },
    { "foo", "Zm9v" },
    { "foob", "Zm9vYg==" },
    { "fooba", "Zm9vYmE=" },
    { "foobar", "Zm9vYmFy" },
    { "\xfb\xff", "+/8=" },
  };
  for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
    {
      auto_free char *text = base64_encode (vectors[i][0], strlen (vectors[i][0]));
      assert_string_equal (text, vectors[i][1]);
    }
}

/* RFC 3986, section 2.3: what is unreserved stays. */
static void
percent_keeps_what_is_unreserved (void **state)
{
  (void) state;
  for (int c = 1; c < 256; c++)
    {
      char text[] = { (char) c, '\0' }, expected[4];
      auto_buffer struct buffer out = { 0 };
      bool stays =
          (c < 128 && isalnum (c)) || c == '-' || c == '.' || c == '_' || c == '~' || c == '/';
      (void) snprintf (expected, sizeof expected, stays ? "%c" : "%%%02X", c);
      percent_encode (&out, text, "/");
      assert_string_equal (out.data, expected);
      auto_buffer struct buffer back = { 0 };
      percent_decode (&back, out.data, out.size);
      assert_string_equal (back.data, text);
    }
  auto_buffer struct buffer out = { 0 };
  percent_encode (&out, "a/b", "");
  assert_string_equal (out.data, "a%2Fb");
}

static void
percent_leaves_what_is_none (void **state)
{
  (void) state;
  static const char *const vectors[][2] = {
    { "%", "%" },     { "%4", "%4" },           { "%4g", "%4g" },
    { "%%41", "%A" }, { "%c3%A9", "\xc3\xa9" }, { "%2541", "%41" },
  };
  for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
    {
      auto_buffer struct buffer out = { 0 };
      percent_decode (&out, vectors[i][0], strlen (vectors[i][0]));
      assert_string_equal (out.data, vectors[i][1]);
    }
  auto_buffer struct buffer nul = { 0 };
  percent_decode (&nul, "a%00b", 5);
  assert_int_equal (nul.size, 3);
  assert_memory_equal (nul.data, "a\0b", 3);
  assert_int_equal (percent_byte ("%41", 3), 'A');
  assert_int_equal (percent_byte ("%41", 2), -1);
  assert_int_equal (percent_byte ("x41", 3), -1);
}

/* Whether the SIZE bytes at AT are well-formed, by table 3-7 of the Unicode standard. */
static bool
is_well_formed (const unsigned char *at, size_t size)
{
  static const unsigned char table[][9] = {
    /* bytes, then the range of each */
    { 1, 0x00, 0x7f },
    { 2, 0xc2, 0xdf, 0x80, 0xbf },
    { 3, 0xe0, 0xe0, 0xa0, 0xbf, 0x80, 0xbf },
    { 3, 0xe1, 0xec, 0x80, 0xbf, 0x80, 0xbf },
    { 3, 0xed, 0xed, 0x80, 0x9f, 0x80, 0xbf },
    { 3, 0xee, 0xef, 0x80, 0xbf, 0x80, 0xbf },
    { 4, 0xf0, 0xf0, 0x90, 0xbf, 0x80, 0xbf, 0x80, 0xbf },
    { 4, 0xf1, 0xf3, 0x80, 0xbf, 0x80, 0xbf, 0x80, 0xbf },
    { 4, 0xf4, 0xf4, 0x80, 0x8f, 0x80, 0xbf, 0x80, 0xbf },
  };
  for (size_t row = 0; row < sizeof table / sizeof table[0]; row++)
    {
      bool fits = table[row][0] == size;
      for (size_t i = 0; fits && i < size; i++)
        fits = at[i] >= table[row][1 + 2 * i] && at[i] <= table[row][2 + 2 * i];
      if (fits)
        return true;
    }
  return false;
}

/* All sequences of three bytes, and a fourth where the first two may need one. */
static void
utf8_is_what_unicode_says (void **state)
{
  (void) state;
  static const unsigned char fourths[] = { 0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xff };
  for (unsigned int bits = 0; bits < 1u << 24; bits += bits >> 16 < 0xc2 ? 0x101 : 1)
    for (size_t k = 0; k < (bits >> 16 >= 0xf0 ? sizeof fourths : 1); k++)
      {
        const unsigned char bytes[] = { (unsigned char) (bits >> 16), (unsigned char) (bits >> 8),
                                        (unsigned char) bits, fourths[k] };
        size_t expected = 0;
        for (size_t size = 1; size <= 4 && expected == 0; size++)
          expected = is_well_formed (bytes, size) ? size : 0;
        const char *at = (const char *) bytes;
        if (utf8_length (at, at + 4) != expected)
          fail_msg ("%02x %02x %02x %02x: %zu instead of %zu", bytes[0], bytes[1], bytes[2],
                    bytes[3], utf8_length (at, at + 4), expected);
        if (expected > 1 && utf8_length (at, at + expected - 1) != 0)
          fail_msg ("%02x %02x %02x %02x: cut off", bytes[0], bytes[1], bytes[2], bytes[3]);
      }
}

static void
code_points_come_back (void **state)
{
  (void) state;
  for (uint32_t code = 1; code <= 0x10ffff; code += code < 0x3000 ? 1 : 37)
    {
      if (code >= 0xd800 && code <= 0xdfff)
        continue;
      auto_buffer struct buffer out = { 0 };
      utf8_put (&out, code);
      const char *at = out.data;
      assert_int_equal (utf8_expected ((unsigned char) out.data[0]), out.size);
      for (size_t i = 1; i < out.size; i++)
        assert_true (utf8_continues (out.data[i]));
      assert_int_equal (utf8_next (&at, out.data + out.size), code);
      assert_ptr_equal (at, out.data + out.size);
    }
  const char *stray = "\xff";
  assert_int_equal (utf8_next (&stray, stray + 1), UTF8_STRAY + 0xff);
}

/* From the documentation of protobuf (150) and Avro's specification (the table of zig-zag). */
static void
varint_vectors (void **state)
{
  (void) state;
  uint64_t number = 0;
  static const char hundred_fifty[] = "\x96\x01";
  assert_ptr_equal (varint_get_unsigned (hundred_fifty, hundred_fifty + 2, &number),
                    hundred_fifty + 2);
  assert_int_equal (number, 150);
  static const struct
  {
    int64_t value;
    const char *bytes;
  } signed_ones[] = { { 0, "\x00" }, { -1, "\x01" },  { 1, "\x02" },     { -2, "\x03" },
                      { 2, "\x04" }, { -64, "\x7f" }, { 64, "\x80\x01" } };
  for (size_t i = 0; i < sizeof signed_ones / sizeof signed_ones[0]; i++)
    {
      char bytes[VARINT_MAX];
      int64_t value = 99;
      size_t size = (size_t) (varint_put (bytes, signed_ones[i].value) - bytes);
      assert_memory_equal (bytes, signed_ones[i].bytes, size);
      assert_ptr_equal (varint_get (bytes, bytes + size, &value), bytes + size);
      assert_int_equal (value, signed_ones[i].value);
    }
}

static void
varints_end_where_they_must (void **state)
{
  (void) state;
  uint64_t number = 0;
  int64_t value = 0;
  static const char most[] = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
  assert_ptr_equal (varint_get_unsigned (most, most + 10, &number), most + 10);
  assert_true (number == UINT64_MAX);
  static const char more[] = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"; /* 65 bits */
  assert_null (varint_get_unsigned (more, more + 10, &number));
  static const char endless[] = "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01";
  assert_null (varint_get_unsigned (endless, endless + 11, &number));
  for (size_t size = 0; size < 10; size++)
    assert_null (varint_get (most, most + size, &value));
}

static void
random_numbers_come_back (void **state)
{
  (void) state;
  unsigned int seed = seed_of_test ();
  for (int i = 0; i < 100000; i++)
    {
      uint64_t bits = (uint64_t) (unsigned int) rand_r (&seed) << 62
                      ^ (uint64_t) (unsigned int) rand_r (&seed) << 31
                      ^ (uint64_t) (unsigned int) rand_r (&seed);
      int64_t value = (int64_t) (bits >> (unsigned int) rand_r (&seed) % 64), back = 0;
      value = rand_r (&seed) % 2 == 0 ? value : ~value;
      char bytes[VARINT_MAX];
      const char *end = varint_put (bytes, value);
      assert_ptr_equal (varint_get (bytes, end, &back), end);
      assert_true (back == value);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (hex_digits_are_those_of_c),
    cmocka_unit_test (hex_comes_back),
    cmocka_unit_test (base64_vectors),
    cmocka_unit_test (percent_keeps_what_is_unreserved),
    cmocka_unit_test (percent_leaves_what_is_none),
    cmocka_unit_test (utf8_is_what_unicode_says),
    cmocka_unit_test (code_points_come_back),
    cmocka_unit_test (varint_vectors),
    cmocka_unit_test (varints_end_where_they_must),
    cmocka_unit_test (random_numbers_come_back),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}

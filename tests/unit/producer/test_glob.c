/* The pattern language: doublestar's own vectors, then random patterns against a matcher that is
 * slow and obviously right. */
#include "producer/glob.h"

#include "common/buffer.h"
#include "common/clock.h"
#include "common/memory.h"
#include "common/utf8.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static bool
matches (const char *pattern, const char *path)
{
  struct error err = ERROR_INIT;
  auto_glob struct glob *glob = glob_compile (pattern, &err);
  if (glob == NULL)
    fail_msg ("%s", err.message);
  return glob_match (glob, path, strlen (path));
}

struct vector
{
  const char *pattern;
  const char *path;
  bool match;
};

static void
check_vectors (const struct vector *vectors, size_t count)
{
  for (size_t i = 0; i < count; i++)
    if (matches (vectors[i].pattern, vectors[i].path) != vectors[i].match)
      fail_msg ("pattern '%s' %s match '%s'", vectors[i].pattern,
                vectors[i].match ? "should" : "shouldn't", vectors[i].path);
}

static void
test_doublestar_vectors (void **state)
{
  (void) state;
  static const struct vector vectors[] = {
    { "*", "abc", true },
    { "a*", "a", true },
    { "a*", "abc", true },
    { "a*", "ab/c", false },
    { "a*/b", "abc/b", true },
    { "a*/b", "a/c/b", false },
    { "a*b*c*d*e*/f", "axbxcxdxe/f", true },
    { "a*b*c*d*e*/f", "axbxcxdxexxx/f", true },
    { "a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false },
    { "a*b*c*d*e*/f", "axbxcxdxexxx/fff", false },
    { "a*b?c*x", "abxbbxdbxebxczzx", true },
    { "a*b?c*x", "abxbbxdbxebxczzy", false },
    { "ab[b-d]", "abc", true },
    { "ab[^b-d]", "abc", false },
    { "ab[!b-d]", "abc", false },
    { "ab[^e-g]", "abc", true },
    { "a?b", "a☺b", true },
    { "a[^a]b", "a☺b", true },
    { "a[!a]b", "a☺b", true },
    { "a???b", "a☺b", false },
    { "a?b", "a/b", false },
    { "a*b", "a/b", false },
    { "a[^x]b", "a/b", false },
    { "[\\]a]", "]", true },
    { "[\\-]", "-", true },
    { "[x\\-]", "x", true },
    { "[x\\-]", "-", true },
    { "[-]", "-", true },
    { "[x-]", "x", true },
    { "[x-]", "-", true },
    { "[-x]", "-", true },
    { "[-x]", "x", true },
    { "[a-b-d]", "a", true },
    { "[a-b-d]", "b", true },
    { "[a-b-d]", "-", true },
    { "[a-b-d]", "c", false },
    { "**", "", true },
    { "**", "a", true },
    { "**", "a/b/c", true },
    { "a/**", "a", true },
    { "a/**", "a/b", true },
    { "a/**", "a/b/c", true },
    { "a/**", "b/a", false },
    { "**/c", "c", true },
    { "**/c", "b/c", true },
    { "**/c", "a/b/c", true },
    { "**/c", "a/b", false },
    { "**/c", "abcd", false },
    { "**/c", "a/abc", false },
    { "a/**/b", "a/b", true },
    { "a/**/c", "a/b/c", true },
    { "a/**/d", "a/b/c/d", true },
    { "a/\\**", "a/b/c", false },
    { "a/\\**", "a/*b", true },
    { "ab{c,d,*}", "abcde", true },
    { "a{,bc}", "a", true },
    { "a{,bc}", "abc", true },
    { "{a/{b,c},abc}", "a/b", true },
    { "{a/{b,c},abc}", "a/c", true },
    { "{a/{b,c},abc}", "abc", true },
    { "{a/{b,c},abc}", "a/b/c", false },
    { "abc**", "abcd", true },
    { "abc**", "abc/b", false },
    { "**/*.txt", "abc/【test】.txt", true },
    { "**.jpg", "a.jpg", true },
    { "**.jpg", "b/a.jpg", false },
    { "*", ".hidden", true },
    { "*.jpg", "A.JPG", false },
    { "-*", "--help", true },
    { "a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", false },
  };
  check_vectors (vectors, sizeof vectors / sizeof *vectors);
}

/* Where we differ from doublestar: our paths have no slash before or behind them and no empty
 * components, so slashes in excess in a pattern are meant to change nothing (doublestar matches
 * them literally, which made the trailing slash of its users' patterns match nothing). The path ""
 * is the base itself, which has no component for a * to match. */
static void
test_slashes_do_not_matter (void **state)
{
  (void) state;
  static const struct vector vectors[] = {
    { "/image*.jpg", "image1.jpg", true },
    { "folder*/", "folder1", true },
    { "/folder*/", "folder1", true },
    { "//a//b//", "a/b", true },
    { "a/{b,}/c", "a/c", true },
    { "a\\/b", "a/b", true },
    { "**/", "a/b", true },
    { "/", "", true },
    { "", "", true },
    { "/", "a", false },
    { "*", "", false },
    { "/*", "", false },
  };
  check_vectors (vectors, sizeof vectors / sizeof *vectors);
}

static void
test_bytes_that_are_not_utf8 (void **state)
{
  (void) state;
  static const struct vector vectors[] = {
    { "?", "\xff", true },
    { "??", "\xe2\x98", true },
    { "?", "\xe2\x98\xba", true },
    { "*\x98*", "\xe2\x98\xba", false }, /* no half of a code point */
    { "\xff*",
      "\xff"
      "a",
      true },
    { "[\xfe-\xff]", "\xff", true },
    { "[!a]", "\xff", true },
    { "?", "\xc0\x80", false }, /* not the shortest form: two stray bytes */
    { "??", "\xc0\x80", true },
    { "???", "\xed\xa0\x80", true }, /* a surrogate */
  };
  check_vectors (vectors, sizeof vectors / sizeof *vectors);
}

static void
test_errors_name_pattern_and_position (void **state)
{
  (void) state;
  static const struct
  {
    const char *pattern;
    int position;
  } wrong[] = {
    { "[]a]", 1 }, { "\\", 1 },        { "[", 1 },     { "[^", 1 },  { "[^bc", 1 }, { "a[", 2 },
    { "ad[", 3 },  { "ab{c,d}[", 8 },  { "e/[", 3 },   { "{a", 1 },  { "a}", 2 },   { "a\\", 2 },
    { "[]", 1 },   { "x{a,{b,c}", 2 }, { "[z-a]", 2 }, { "[a-", 1 }, { "[\\", 1 },  { "{[}", 2 },
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    {
      struct error err = ERROR_INIT;
      assert_null (glob_compile (wrong[i].pattern, &err));
      assert_int_equal (err.class, ERROR_USER);
      auto_free char *expected =
          xasprintf ("pattern '%s': position %d:", wrong[i].pattern, wrong[i].position);
      if (strncmp (err.message, expected, strlen (expected)) != 0)
        fail_msg ("expected '%s…', got '%s'", expected, err.message);
    }
}

static void
test_alternatives_are_bounded (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  auto_glob struct glob *fine =
      glob_compile ("{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}", &err);
  assert_non_null (fine);
  assert_null (glob_compile ("{a,b,c,d,e,f,g,h,i,j}{a,b,c,d,e,f,g,h,i,j}{a,b,c,d,e,f,g,h,i,j}"
                             "{a,b,c,d,e,f,g,h,i,j}{a,b}",
                             &err));
  assert_non_null (strstr (err.message, "expand to more than"));
  auto_buffer struct buffer long_ones = { 0 }; /* few, but all of them would take seconds */
  for (int i = 0; i < 12; i++)
    buffer_puts (&long_ones, "{a,b}");
  for (int i = 0; i < 4000; i++)
    buffer_putc (&long_ones, 'x');
  assert_null (glob_compile (long_ones.data, &err));
  assert_non_null (strstr (err.message, "expand to more than"));
  char deep[203] = { 0 };
  memset (deep, '{', 101);
  memset (deep + 101, '}', 101);
  assert_null (glob_compile (deep, &err));
  assert_non_null (strstr (err.message, "too deep"));
}

static void
test_stars_do_not_blow_up (void **state)
{
  (void) state;
  char path[4001];
  memset (path, 'a', sizeof path - 1);
  path[sizeof path - 1] = '\0';
  for (size_t i = 20; i < sizeof path - 1; i += 20)
    path[i] = '/';
  int64_t start = clock_boot_ms ();
  for (int i = 0; i < 100; i++)
    {
      assert_false (matches ("**/a*a*a*a*a*a*b/**/a*a*a*b/**/a*b", path));
      assert_false (matches ("*a*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
    }
  assert_true (clock_boot_ms () - start < 5000); /* exponential time would be years */
}

static void
test_folders (void **state)
{
  (void) state;
  static const struct
  {
    const char *pattern;
    const char *path;
    bool itself;
    bool below;
  } vectors[] = {
    { "*", "", false, true },        { "*", "d", true, false },
    { "*/*", "d", false, true },     { "a*/x", "b", false, false },
    { "a*/x", "ab", false, true },   { "**", "", false, true },
    { "**", "d", false, true },      { "**/d", "a/d", true, true },
    { "a/**", "a", false, true },    { "a/**/b", "c", false, false },
    { "{a,b/c}", "a", true, false }, { "{a,b/c}", "b", false, true },
    { "/", "", true, false },        { "a/b/c", "a/b/c/d", false, false },
    { "{d,d/*}", "d", true, true },  { "{**,d}", "d", true, true },
  };
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
    {
      auto_glob struct glob *glob = glob_compile (vectors[i].pattern, NULL);
      size_t size = strlen (vectors[i].path);
      if (glob_match_folder (glob, vectors[i].path, size) != vectors[i].itself)
        fail_msg ("'%s' meaning the folder '%s' itself", vectors[i].pattern, vectors[i].path);
      if (glob_may_match_below (glob, vectors[i].path, size) != vectors[i].below)
        fail_msg ("'%s' below '%s'", vectors[i].pattern, vectors[i].path);
    }
}

/* ---- the reference --------------------------------------------------------------------- */

/* Names as arrays of code points, patterns as arrays of elements: every rule of glob.h is one line
 * of `slow`. */
enum
{
  SLASH = '/',
  ANY = 0x200000,
  STAR,
  DEEP,
  CLASS,
  END
};

struct element
{
  uint32_t code;
  uint32_t low, high; /* CLASS */
  bool negated;
};

static bool
slow (const struct element *p, const uint32_t *s)
{
  switch (p->code)
    {
    case END:
      return *s == END;
    case DEEP: /* a whole component: `**` then "/" or the end */
      if (p[1].code == END)
        return true;
      for (const uint32_t *at = s; *at != END; at++)
        if ((at == s || at[-1] == SLASH) && slow (p + 2, at))
          return true;
      return false;
    case STAR:
      return slow (p + 1, s) || (*s != END && *s != SLASH && slow (p, s + 1));
    case ANY:
      return *s != END && *s != SLASH && slow (p + 1, s + 1);
    case CLASS:
      return *s != END && *s != SLASH && ((*s >= p->low && *s <= p->high) != p->negated)
             && slow (p + 1, s + 1);
    case SLASH: /* `a/` + `**` at the end matches `a` */
      if (*s == END && p[1].code == DEEP && p[2].code == END)
        return true;
      return *s == SLASH && slow (p + 1, s + 1);
    default:
      return *s == p->code && slow (p + 1, s + 1);
    }
}

static const char *const letters[] = { "a", "b", "a", "b", "é", "☺", "\xff", "\xe2", "\x98", "." };

static const char *
letter (uint64_t *seed)
{
  return letters[random_next (seed) % (sizeof letters / sizeof *letters)];
}

/* Appends a literal: what its bytes are as code points depends on what stands before, so elements
 * are read back from the text of each run. */
static size_t
random_component (uint64_t *seed, struct buffer *pattern, struct element *elements)
{
  size_t count = 0;
  size_t run = SIZE_MAX; /* start of the literal run in PATTERN */
  size_t length = 1 + random_next (seed) % 4;
  for (size_t i = 0; i < length; i++)
    {
      uint64_t kind = random_next (seed) % 10;
      if (kind < 6)
        {
          if (run == SIZE_MAX)
            run = pattern->size;
          buffer_puts (pattern, letter (seed));
          if (i + 1 < length)
            continue;
        }
      if (run != SIZE_MAX)
        {
          const char *at = pattern->data + run;
          const char *end = pattern->data + pattern->size;
          while (at < end)
            elements[count++] = (struct element){ .code = utf8_next (&at, end) };
          run = SIZE_MAX;
        }
      if (kind < 6)
        continue;
      if (kind == 6)
        {
          buffer_putc (pattern, '?');
          elements[count++] = (struct element){ .code = ANY };
        }
      else if (kind < 9)
        {
          bool again = count > 0 && elements[count - 1].code == STAR;
          if (again)
            continue; /* `**` alone would be another thing */
          buffer_putc (pattern, '*');
          elements[count++] = (struct element){ .code = STAR };
        }
      else
        {
          bool negated = random_next (seed) % 2 == 0;
          buffer_puts (pattern, negated ? "[!a-é]" : "[a-é]");
          elements[count++] = (struct element){ CLASS, 'a', 0xe9, negated };
        }
    }
  return count;
}

static void
random_pattern (uint64_t *seed, struct buffer *pattern, struct element *elements)
{
  size_t count = 0;
  size_t components = 1 + random_next (seed) % 4;
  for (size_t i = 0; i < components; i++)
    {
      if (i > 0)
        {
          buffer_putc (pattern, '/');
          elements[count++] = (struct element){ .code = SLASH };
        }
      bool after_deep = count >= 2 && elements[count - 2].code == DEEP;
      if (!after_deep && random_next (seed) % 4 == 0)
        {
          buffer_puts (pattern, "**");
          elements[count++] = (struct element){ .code = DEEP };
        }
      else
        count += random_component (seed, pattern, elements + count);
    }
  elements[count] = (struct element){ .code = END };
}

static void
random_path (uint64_t *seed, struct buffer *path)
{
  size_t components = 1 + random_next (seed) % 4;
  for (size_t i = 0; i < components; i++)
    {
      if (i > 0)
        buffer_putc (path, '/');
      size_t length = 1 + random_next (seed) % 4;
      for (size_t j = 0; j < length; j++)
        buffer_puts (path, letter (seed));
    }
}

static bool
slow_match (const struct element *elements, const struct buffer *path)
{
  uint32_t codes[128];
  size_t count = 0;
  const char *at = path->data;
  while (at < path->data + path->size)
    codes[count++] = utf8_next (&at, path->data + path->size);
  codes[count] = END;
  return slow (elements, codes);
}

static void
test_same_as_the_slow_matcher (void **state)
{
  (void) state;
  uint64_t seed = random_state (seed_of_test ());
  size_t hits = 0;
  for (int round = 0; round < 40000; round++)
    {
      auto_buffer struct buffer pattern = { 0 };
      struct element elements[128];
      random_pattern (&seed, &pattern, elements);
      struct error err = ERROR_INIT;
      auto_glob struct glob *glob = glob_compile (pattern.data, &err);
      if (glob == NULL)
        fail_msg ("%s", err.message);
      for (int i = 0; i < 10; i++)
        {
          auto_buffer struct buffer path = { 0 };
          random_path (&seed, &path);
          bool expected = slow_match (elements, &path);
          if (glob_match (glob, path.data, path.size) != expected)
            fail_msg ("pattern '%s' path '%s': expected %d", pattern.data, path.data, expected);
          hits += expected;
          if (!expected)
            continue;
          assert_true (glob_may_match_below (glob, "", 0));
          for (size_t cut = 0; cut < path.size; cut++)
            if (path.data[cut] == '/' && !glob_may_match_below (glob, path.data, cut))
              fail_msg ("pattern '%s' would not enter the folder of '%s'", pattern.data, path.data);
        }
    }
  assert_true (hits > 1000); /* else the test would show nothing */
}

/* {x,y} is the same as asking for x and for y. */
static void
test_braces_are_alternatives (void **state)
{
  (void) state;
  uint64_t seed = random_state (seed_of_test ());
  for (int round = 0; round < 5000; round++)
    {
      struct buffer text[4] = { 0 };
      struct element elements[128];
      for (int i = 0; i < 4; i++)
        if (i % 2 == 0)
          random_pattern (&seed, &text[i], elements);
        else
          random_path (&seed, &text[i]);
      auto_free char *both =
          xasprintf ("b{%s,x{%s,%s}}/%s", text[0].data, text[1].data, text[2].data, text[3].data);
      auto_free char *one = xasprintf ("b%s/%s", text[0].data, text[3].data);
      auto_free char *two = xasprintf ("bx%s/%s", text[1].data, text[3].data);
      auto_free char *three = xasprintf ("bx%s/%s", text[2].data, text[3].data);
      for (int i = 0; i < 5; i++)
        {
          auto_buffer struct buffer path = { 0 };
          buffer_puts (&path, i % 2 == 0 ? "b" : "bx");
          random_path (&seed, &path);
          buffer_printf (&path, "/%s", text[3].data);
          bool any =
              matches (one, path.data) || matches (two, path.data) || matches (three, path.data);
          assert_int_equal (matches (both, path.data), any);
        }
      for (int i = 0; i < 4; i++)
        buffer_release (&text[i]);
    }
}

static void
test_case_is_ignored (void **state)
{
  (void) state;
  static const struct vector vectors[] = {
    { "*.JPG", "a.jpg", true },     { "*.jpg", "A.Jpg", true },     { "*.jpg", "a.png", false },
    { "É*.TIF", "é1.tif", true },   { "[a-c].txt", "B.TXT", true }, { "[A-C].txt", "b.txt", true },
    { "[^a].txt", "A.txt", false }, { "[^a].txt", "b.txt", true },  { "{A,b}/**/x", "a/B/X", true },
    { "\xc9", "\xe9", false },      { "\xc9", "\xc9", true },       { "ab/*", "AB/c", true },
  };
  for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
    {
      auto_glob struct glob *glob = glob_compile_as (vectors[i].pattern, true, NULL);
      assert_non_null (glob);
      if (glob_match (glob, vectors[i].path, strlen (vectors[i].path)) != vectors[i].match)
        fail_msg ("pattern '%s' %s match '%s'", vectors[i].pattern,
                  vectors[i].match ? "should" : "shouldn't", vectors[i].path);
    }
  auto_glob struct glob *glob = glob_compile_as ("2019/Spain/*.jpg", true, NULL);
  auto_buffer struct buffer prefix = { 0 };
  glob_prefix (glob, &prefix);
  assert_string_equal (prefix.data, "2019/");
  assert_true (glob_may_match_below (glob, "2019/SPAIN", 10));
  assert_false (glob_may_match_below (glob, "2019/Italy", 10));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_doublestar_vectors),
    cmocka_unit_test (test_slashes_do_not_matter),
    cmocka_unit_test (test_bytes_that_are_not_utf8),
    cmocka_unit_test (test_errors_name_pattern_and_position),
    cmocka_unit_test (test_alternatives_are_bounded),
    cmocka_unit_test (test_stars_do_not_blow_up),
    cmocka_unit_test (test_folders),
    cmocka_unit_test (test_case_is_ignored),
    cmocka_unit_test (test_same_as_the_slow_matcher),
    cmocka_unit_test (test_braces_are_alternatives),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}

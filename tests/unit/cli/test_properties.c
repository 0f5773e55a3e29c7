/* Files of properties, as java.util.Properties reads them. */
#include "cli/properties.h"

#include "common/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

/* The pairs of TEXT as "name|value|…", or "line N …". The caller frees. */
static char *
read_text (const char *text, size_t size)
{
  struct error err = ERROR_INIT;
  auto_strlist struct strlist pairs = { 0 };
  auto_buffer struct buffer out = { 0 };
  auto_free char *exact = xmemdup (text, size); /* what is read beyond it is found */
  if (properties_read ((struct bytes){ exact, size }, &pairs, &err) != 0)
    return xstrdup (err.message);
  for (size_t i = 0; i < pairs.count; i++)
    buffer_printf (&out, "%s|", pairs.items[i]);
  return buffer_take (&out);
}

static void
lines_are_javas (void **state)
{
  (void) state;
  static const char *const cases[][2] = {
    { "", "" },
    { "\n\r\n \t\f\n# a=b\n  ! c=d", "" },
    { "a=b", "a|b|" },
    { "a=b\nc=d\r\ne=f\rg=h", "a|b|c|d|e|f|g|h|" },
    { " a = b ", "a|b|" },
    { "a:b", "a|b|" },
    { "a : b", "a|b|" },
    { "a b c", "a|b c|" },
    { "a\tb", "a|b|" },
    { "a==b", "a|=b|" },
    { "a:=b", "a|=b|" },
    { "a = : b", "a|: b|" },
    { "a=b=c:d e", "a|b=c:d e|" },
    { "a=", "a||" },
    { "a=b\\\nc", "a|bc|" },
    { "a=b\\\r\n   c", "a|bc|" },
    { "a=b\\\n#c", "a|b#c|" },
    { "a=b\\\n\nc=d", "a|b|c|d|" },
    { "a=b\\\\\nc=d", "a|b\\|c|d|" },
    { "a=b\\", "a|b|" },
    { "# a \\\nb=c", "b|c|" },
    { "a\\=b=c", "a=b|c|" },
    { "a\\ b\\:c d", "a b:c|d|" },
    { "a=\\t\\n\\x", "a|x|" },
    { "a=x\\ty\\rz", "a|x\ty\rz|" },
    { "a=\\u0041\\u00e4\\u20AC\\ud83d\\ude00", "a|A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80|" },
    { "a=\xc3\xa4", "a|\xc3\xa4|" },
    { "word", "line 1 is not NAME=VALUE" },
    { "a=b\\\nc\nword", "line 3 is not NAME=VALUE" },
    { "\n=b", "line 2 is not NAME=VALUE" },
    { "a=\\u12", "line 1 is not NAME=VALUE" },
    { "a=\\u0000", "line 1 is not NAME=VALUE" },
    { "a=\\udc00", "line 1 is not NAME=VALUE" },
    { "a=\\ud83dx", "line 1 is not NAME=VALUE" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    {
      auto_free char *got = read_text (cases[i][0], strlen (cases[i][0]));
      if (strcmp (got, cases[i][1]) != 0)
        fail_msg ("\"%s\": \"%s\" instead of \"%s\"", cases[i][0], got, cases[i][1]);
    }
  auto_free char *nul = read_text ("a=b\0c", 5);
  assert_string_equal (nul, "line 1 is not NAME=VALUE");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (lines_are_javas),
  };
  return cmocka_run_group_tests_name ("properties", tests, NULL, NULL);
}

/* Schemas that somebody else wrote: what is read by them, and which ones nothing is read by. */
#include "common/memory.h"
#include "schemas/avsc.h"
#include "schemas/codec.h"
#include "schemas/fingerprint.h"
#include "schemas/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

/* Schemas here have ' where JSON has ". The caller releases. */
static struct buffer
json_of (const char *text)
{
  struct buffer json = { 0 };
  buffer_puts (&json, text);
  for (char *at = json.data; at != NULL && *at != '\0'; at++)
    if (*at == '\'')
      *at = '"';
  return json;
}

static struct writer_schema *
parse (const char *text)
{
  auto_buffer struct buffer json = json_of (text);
  struct error err = ERROR_INIT;
  struct writer_schema *schema = writer_schema_parse (buffer_bytes (&json), &err);
  if (schema == NULL)
    fail_msg ("%s\n%s", err.message, text);
  return schema;
}

/* Types that shoal's own schemas don't have are stepped over. */
static void
fields_of_every_type_are_stepped_over (void **state)
{
  (void) state;
  auto_writer_schema struct writer_schema *schema =
      parse ("{'type':'record','name':'JobStatus','namespace':'shoal','fields':["
             "{'name':'job_id','type':'string'},"
             "{'name':'state','type':{'type':'enum','name':'S','symbols':['FAILED','QUEUED']}},"
             "{'name':'updated','type':'int'},"
             "{'name':'f','type':'float'},"
             "{'name':'d','type':{'type':'double'}},"
             "{'name':'x','type':{'type':'fixed','name':'X','size':3}},"
             "{'name':'m','type':{'type':'map','values':['null','X']}},"
             "{'name':'b','type':'boolean'},"
             "{'name':'succeeded','type':'long'}]}");
  static const char body[] = "\2j\0\16" /* job_id, FAILED, 7 */
                             "abcdabcdefghxyz"
                             "\4\2k\0\2l\2uvw\0" /* two keys */
                             "\1\22";            /* true, 9 */
  auto_buffer struct buffer message = { 0 };
  auto_job_status struct job_status status = { 0 };
  struct error err = ERROR_INIT;
  if (wire_translate (schema, (struct bytes){ body, sizeof body - 1 }, &message, &err) != 0
      || codec_decode_status (buffer_bytes (&message), &status, &err) != 0)
    fail_msg ("%s", err.message);
  assert_string_equal (status.job_id, "j");
  assert_int_equal (status.state, JOB_FAILED);
  assert_int_equal (status.updated, 7);
  assert_int_equal (status.succeeded, 9);
  assert_int_equal (status.shards, -1);
  assert_int_equal (status.generation, 1);
}

static void
our_own_schema_in_other_words_is_ours (void **state)
{
  (void) state;
  auto_buffer struct buffer compact = { 0 };
  auto_buffer struct buffer written = { 0 };
  auto_buffer struct buffer message = { 0 };
  struct control control = { .kind = CONTROL_CANCEL, .job_id = (char[]){ "j" }, .time = 5 };
  assert_int_equal (fingerprint_canonical (avsc_Control, &compact, NULL), 0);
  assert_int_equal (codec_encode_control (&control, &written, NULL), 0);
  auto_writer_schema struct writer_schema *schema = parse (compact.data);
  struct bytes body = { written.data + 10, written.size - 10 };
  assert_int_equal (wire_translate (schema, body, &message, NULL), 0);
  assert_int_equal (message.size, written.size);
  assert_memory_equal (message.data, written.data, written.size);
}

static void
what_cannot_be_a_message_is_refused (void **state)
{
  (void) state;
  static const struct
  {
    const char *schema; /* name and fields */
    struct bytes body;
    const char *says;
  } cases[] = {
    { "'Order','fields':[{'name':'job_id','type':'string'}]", { "\2j", 2 }, "Order" },
    { "'JobStatus','fields':[{'name':'job_id','type':'string'}]", { "\2", 1 }, "damaged" },
    { "'JobStatus','fields':[{'name':'job_id','type':'string'}]", { "\2jk", 3 }, "damaged" },
    { "'JobStatus','fields':[{'name':'id','type':'string'}]", { "\2j", 2 }, "no default" },
    { "'JobStatus','fields':[{'name':'job_id','type':'int'}]", { "\2", 1 }, "no default" },
    { "'JobStatus','fields':[{'name':'state','type':{'type':'enum','name':'S','symbols':['A']}}]",
      { "\2", 1 },
      "damaged" },
    { "'JobStatus','fields':[{'name':'n','type':{'type':'array','items':'null'}}]",
      { "\xfe\xff\xff\xff\x0f\0", 6 },
      "damaged" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    {
      auto_free char *text = xasprintf ("{'type':'record','name':%s}", cases[i].schema);
      auto_writer_schema struct writer_schema *schema = parse (text);
      auto_buffer struct buffer message = { 0 };
      struct error err = ERROR_INIT;
      assert_int_equal (wire_translate (schema, cases[i].body, &message, &err), -1);
      assert_int_equal (err.class, ERROR_USER);
      assert_int_equal (message.size, 0);
      if (strstr (err.message, cases[i].says) == NULL)
        fail_msg ("case %zu: \"%s\" in \"%s\"?", i, cases[i].says, err.message);
    }
}

/* A byte a list item, thousands of bytes of memory each. */
static void
a_message_that_grows_too_much_is_refused (void **state)
{
  (void) state;
  auto_buffer struct buffer text = { 0 };
  auto_buffer struct buffer message = { 0 };
  buffer_puts (&text, "{'type':'record','name':'JobStatus','fields':[{'name':'l','type':{'type':"
                      "'array','items':['null',{'type':'record','name':'B','fields':[");
  for (int i = 0; i < 900; i++)
    buffer_printf (&text, "%s{'name':'f%d','type':'string'}", i == 0 ? "" : ",", i);
  buffer_puts (&text, "]}]}}]}");
  auto_writer_schema struct writer_schema *schema = parse (text.data);
  size_t size = (size_t) 4 << 20;
  auto_free char *body = xcalloc (1, size);
  struct error err = ERROR_INIT;
  assert_int_equal (wire_translate (schema, (struct bytes){ body, size }, &message, &err), -1);
  assert_int_equal (err.class, ERROR_USER);
  assert_non_null (strstr (err.message, "too large"));
}

static void
refused (const char *text, const char *says)
{
  auto_buffer struct buffer json = json_of (text);
  struct error err = ERROR_INIT;
  if (writer_schema_parse (buffer_bytes (&json), &err) != NULL)
    fail_msg ("taken: %s", text);
  assert_int_equal (err.class, ERROR_USER);
  if (strstr (err.message, says) == NULL)
    fail_msg ("\"%s\" in \"%s\"?", says, err.message);
}

static void
what_is_no_record_is_refused (void **state)
{
  (void) state;
  refused ("", "JSON");
  refused ("{", "JSON");
  refused ("[]", "not a record");
  refused ("{'type':'string'}", "not a record");
  refused ("{'type':'record'}", "no name");
  refused ("{'type':'record','name':'a\\'b','fields':[]}", "no name");
  refused ("{'type':'record','name':'int','fields':[]}", "no name");
  refused ("{'type':'record','name':'A','namespace':1,'fields':[]}", "no name");
  refused ("{'type':'record','name':'A','fields':{}}", "no list");
  refused ("{'type':'record','name':'A','fields':[1]}", "no name");
  refused ("{'type':'record','name':'A','fields':[{'name':'a','type':'int'},"
           "{'name':'a','type':'int'}]}",
           "two fields");
}

static void
bad_types_are_refused (void **state)
{
  (void) state;
  static const char *const cases[][2] = {
    { "null", "not a type" },
    { "'uuid'", "no such type" },
    { "{'type':'thing'}", "no such type" },
    { "'A'", "within itself" },
    { "['null','shoal.A']", "within itself" },
    { "{'type':'array','items':'A'}", "within itself" },
    { "{'type':'array'}", "not a type" },
    { "[]", "union" },
    { "['int','int']", "told apart" },
    { "[['int'],'null']", "told apart" },
    { "{'type':'enum','name':'E','symbols':[]}", "symbols" },
    { "{'type':'enum','name':'E','symbols':['X','X']}", "symbol" },
    { "{'type':'enum','name':'A','symbols':['X']}", "twice" },
    { "{'type':'fixed','name':'F','size':-1}", "fixed" },
    { "{'type':'fixed','name':'F','size':1099511627776}", "fixed" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    {
      auto_free char *text = xasprintf ("{'type':'record','name':'A','namespace':'shoal','fields':["
                                        "{'name':'a','type':%s}]}",
                                        cases[i][0]);
      refused (text, cases[i][1]);
    }
}

/* Each record has ten of the one before: twelve of them are 10^12 strings. */
static void
a_schema_that_explodes_is_refused (void **state)
{
  (void) state;
  auto_buffer struct buffer text = { 0 };
  buffer_puts (&text, "{'type':'record','name':'Job','fields':[");
  for (int i = 0; i < 12; i++)
    {
      buffer_printf (&text, "%s{'name':'r%d','type':{'type':'record','name':'R%d','fields':[",
                     i == 0 ? "" : ",", i, i);
      auto_free char *type = i == 0 ? xstrdup ("string") : xasprintf ("R%d", i - 1);
      for (int j = 0; j < 10; j++)
        buffer_printf (&text, "%s{'name':'f%d','type':'%s'}", j == 0 ? "" : ",", j, type);
      buffer_puts (&text, "]}}");
    }
  buffer_puts (&text, "]}");
  refused (text.data, "too large");
}

static void
a_schema_that_is_too_deep_is_refused (void **state)
{
  (void) state;
  auto_buffer struct buffer text = { 0 };
  buffer_puts (&text, "{'type':'record','name':'Job','fields':[{'name':'a','type':");
  for (int i = 0; i < 500; i++)
    buffer_puts (&text, "{'type':'array','items':");
  buffer_puts (&text, "'int'");
  for (int i = 0; i < 500; i++)
    buffer_puts (&text, "}");
  buffer_puts (&text, "}]}");
  refused (text.data, "deep");
}

static void
without_a_registry_nothing_is_packed_and_ids_are_errors (void **state)
{
  (void) state;
  struct control control = { .kind = CONTROL_CANCEL, .job_id = (char[]){ "j" }, .time = 5 };
  auto_buffer struct buffer message = { 0 };
  auto_buffer struct buffer own = { 0 };
  struct error err = ERROR_INIT;
  assert_int_equal (codec_encode_control (&control, &message, NULL), 0);
  size_t size = message.size;
  assert_int_equal (wire_pack (NULL, "control-value", &message, &err), 0);
  assert_int_equal (message.size, size);
  struct bytes plain = buffer_bytes (&message);
  assert_int_equal (wire_unpack (NULL, &plain, &own, &err), 0);
  assert_ptr_equal (plain.data, message.data);
  struct bytes framed = { "\x00\x00\x00\x01\x02xyz", 8 };
  assert_int_equal (wire_unpack (NULL, &framed, &own, &err), -1);
  assert_int_equal (err.class, ERROR_USER);
  assert_non_null (strstr (err.message, "schema 258 "));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (fields_of_every_type_are_stepped_over),
    cmocka_unit_test (our_own_schema_in_other_words_is_ours),
    cmocka_unit_test (what_cannot_be_a_message_is_refused),
    cmocka_unit_test (a_message_that_grows_too_much_is_refused),
    cmocka_unit_test (what_is_no_record_is_refused),
    cmocka_unit_test (bad_types_are_refused),
    cmocka_unit_test (a_schema_that_explodes_is_refused),
    cmocka_unit_test (a_schema_that_is_too_deep_is_refused),
    cmocka_unit_test (without_a_registry_nothing_is_packed_and_ids_are_errors),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}

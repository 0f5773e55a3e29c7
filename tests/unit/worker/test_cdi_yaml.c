/* CDI specifications in YAML: the JSON that they stand for, and what is refused, by its line. */
#include "common/memory.h"
#include "worker/cdi_yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static json_t *
parse (const char *text, struct error *err)
{
  return cdi_yaml_parse ((struct bytes){ text, strlen (text) }, err);
}

static void
expect_json (const char *text, const char *json)
{
  struct error err = ERROR_INIT;
  json_t *value = parse (text, &err);
  json_t *expected = json_loads (json, JSON_DECODE_ANY, NULL);
  assert_non_null (expected);
  if (value == NULL || !json_equal (value, expected))
    {
      char *got = value == NULL ? NULL : json_dumps (value, JSON_ENCODE_ANY);
      fail_msg ("%s\nis %s %s, not %s", text, got == NULL ? "" : got, err.message, json);
    }
  json_decref (value);
  json_decref (expected);
}

static void
expect_error (const char *text, const char *message)
{
  struct error err = ERROR_INIT;
  json_t *value = parse (text, &err);
  if (value != NULL || err.class != ERROR_USER || strstr (err.message, message) != err.message)
    fail_msg ("%s\nsays \"%s\", not \"%s\"", text, value != NULL ? "nothing" : err.message,
              message);
}

/* As nvidia-ctk 1.17 writes it, shortened. */
static void
what_a_vendor_writes_is_read (void **state)
{
  (void) state;
  expect_json ("---\n"
               "cdiVersion: 0.5.0\n"
               "containerEdits:\n"
               "  deviceNodes:\n"
               "  - path: /dev/nvidiactl\n"
               "  env:\n"
               "  - NVIDIA_VISIBLE_DEVICES=void\n"
               "  mounts:\n"
               "  - containerPath: /run/nvidia-persistenced/socket\n"
               "    hostPath: /run/nvidia-persistenced/socket\n"
               "    options:\n"
               "    - ro\n"
               "    - nosuid\n"
               "devices:\n"
               "- containerEdits:\n"
               "    deviceNodes:\n"
               "    - path: /dev/nvidia0\n"
               "      major: 195\n"
               "  name: \"0\"\n"
               "- containerEdits: {}\n"
               "  name: all\n"
               "kind: nvidia.com/gpu\n",
               "{\"cdiVersion\": \"0.5.0\", \"kind\": \"nvidia.com/gpu\", \"containerEdits\": {"
               "\"deviceNodes\": [{\"path\": \"/dev/nvidiactl\"}],"
               "\"env\": [\"NVIDIA_VISIBLE_DEVICES=void\"],"
               "\"mounts\": [{\"containerPath\": \"/run/nvidia-persistenced/socket\","
               "\"hostPath\": \"/run/nvidia-persistenced/socket\","
               "\"options\": [\"ro\", \"nosuid\"]}]}, \"devices\": [{\"name\": \"0\","
               "\"containerEdits\": {\"deviceNodes\": [{\"path\": \"/dev/nvidia0\","
               "\"major\": 195}]}}, {\"name\": \"all\", \"containerEdits\": {}}]}");
}

static void
values_are_what_a_specification_has_there (void **state)
{
  (void) state;
  expect_json ("name: 0\nkind: on\nx: 1.5\ny: true", "{\"name\": \"0\", \"kind\": \"on\","
                                                     "\"x\": \"1.5\", \"y\": \"true\"}");
  expect_json ("fileMode: 0660", "{\"fileMode\": 432}");
  expect_json ("fileMode: 0o660", "{\"fileMode\": 432}");
  expect_json ("major: 0xff", "{\"major\": 255}");
  expect_json ("minor: -1", "{\"minor\": -1}");
  expect_json ("minor: \"1\"", "{\"minor\": \"1\"}");
  expect_json ("minor: 99999999999999999999", "{\"minor\": \"99999999999999999999\"}");
  expect_json ("additionalGids: [44, 45]", "{\"additionalGids\": [44, 45]}");
  expect_json ("type:\npath: ~\nname: \"null\"",
               "{\"type\": null, \"path\": null, \"name\": \"null\"}");
  expect_json ("name: !!str 0", "{\"name\": \"0\"}");
  expect_json ("env: ['A=it''s', \"B=\\u00e4\", C=d # e\n]",
               "{\"env\": [\"A=it's\", \"B=\\u00e4\", \"C=d\"]}");
  expect_json ("text: |\n  a\n  b\n", "{\"text\": \"a\\nb\\n\"}");
  expect_json ("{\"kind\": \"a.b/c\", \"devices\": []}", "{\"kind\": \"a.b/c\", \"devices\": []}");
}

static void
what_may_be_read_in_two_ways_is_refused_by_its_line (void **state)
{
  (void) state;
  expect_error ("", "line 1: the file is empty");
  expect_error ("# nothing\n", "line 2: the file is empty");
  expect_error ("a: 1\nb: 2\na: 3\n", "line 3: a is there twice");
  expect_error ("devices:\n- name: x\n  name: y\n", "line 3: name is there twice");
  expect_error ("a: [1\nb: 2", "line 2: invalid YAML: ");
  expect_error ("a:\n\t- b", "line 2: invalid YAML: ");
  expect_error ("a: b\n---\nc: d\n", "line 2: a second document");
  expect_error ("a: !!int 5", "line 1: tags aren't read");
  expect_error ("a: !!python/object:os.system []", "line 1: tags aren't read");
  expect_error ("? [a]\n: b", "line 1: a key that isn't plain text");
  expect_error ("a: &x {b: c}\nd:\n  <<: *x\n", "line 3: merge keys (<<) aren't read");
  expect_error ("a: \"x\\0y\"", "line 1: a NUL byte");
  expect_error ("a: \xff", "line 1: invalid YAML: ");
  expect_error ("a: *x", "line 1: an alias of nothing that ended before");
  expect_error ("a: &x [*x]", "line 1: an alias of nothing that ended before");
}

static void
depth_has_an_end (void **state)
{
  (void) state;
  char text[200] = "";
  memset (text, '[', 33);
  expect_error (text, "line 1: nested too deeply");
  char much[20001];
  memset (much, '[', sizeof much - 1);
  much[sizeof much - 1] = '\0';
  expect_error (much, "line 1: ");
}

/* Each line is ten times the one before: a thousand million texts, if they were copied. */
static void
aliases_are_not_copied (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  auto_buffer struct buffer text = { 0 };
  buffer_puts (&text, "a0: &a0 x\n");
  for (int i = 1; i <= 9; i++)
    {
      auto_free char *line =
          xasprintf ("a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1,
                     i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
      buffer_puts (&text, line);
    }
  json_t *value = parse (text.data, &err);
  if (value == NULL)
    fail_msg ("%s", err.message);
  const json_t *last = json_object_get (value, "a9");
  assert_int_equal (json_array_size (last), 10);
  assert_ptr_equal (json_array_get (last, 0), json_array_get (last, 9));
  json_decref (value);
  expect_json ("a: &x [b]\nc: *x\n", "{\"a\": [\"b\"], \"c\": [\"b\"]}");

  buffer_clear (&text);
  buffer_puts (&text, "a0: &a0 x\n");
  for (int i = 1; i <= 100; i++)
    {
      auto_free char *line = xasprintf ("a%d: &a%d [*a%d]\n", i, i, i - 1);
      buffer_puts (&text, line);
    }
  expect_error (text.data, "line 101: too many anchors");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (what_a_vendor_writes_is_read),
    cmocka_unit_test (values_are_what_a_specification_has_there),
    cmocka_unit_test (what_may_be_read_in_two_ways_is_refused_by_its_line),
    cmocka_unit_test (depth_has_an_end),
    cmocka_unit_test (aliases_are_not_copied),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}

/* What a real registry can't be made to do: lib/registry_stub.py does it. */
#include "common/clock.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/spawn.h"
#include "schemas/codec.h"
#include "schemas/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum
{
  START_MS = 20000,
};

static struct scene
{
  char folder[64];
  char *url;
  pid_t stub;
} scene;

static struct registry *
open_stub (const char *user, const char *password)
{
  struct error err = ERROR_INIT;
  struct registry_options options = {
    .url = scene.url, .user = user, .password = password, .patience_ms = 5000
  };
  struct registry *registry = registry_open (&options, &err);
  if (registry == NULL)
    fail_msg ("%s", err.message);
  return registry;
}

/* Unpacks a control record framed with ID; what wire_unpack returns. */
static int
unpack (struct registry *registry, int id, struct error *err)
{
  auto_buffer struct buffer own = { 0 };
  char message[] = { 0, 0, 0, 0, (char) id, 2, 2, 'j', 10, 0 };
  struct bytes bytes = { message, sizeof message };
  error_clear (err);
  return wire_unpack (registry, &bytes, &own, err);
}

/* How often "GET /schemas/ids/ID" was asked. */
static int
times_asked (int id)
{
  auto_buffer struct buffer log = { 0 };
  auto_free char *path = xasprintf ("%s/requests", scene.folder);
  auto_free char *line = xasprintf ("GET /api/schemas/ids/%d\n", id);
  int count = 0;
  assert_int_equal (fs_read_file (AT_FDCWD, path, 1 << 20, &log, NULL), 0);
  for (const char *at = strstr (log.data, line); at != NULL; at = strstr (at + 1, line))
    count++;
  return count;
}

static void
assert_no_secret (const struct error *err)
{
  if (strstr (err->message, "s3cret") != NULL || strstr (err->message, "guess") != NULL
      || strstr (err->message, "Basic ") != NULL)
    fail_msg ("a secret in: %s", err->message);
}

static void
a_wrong_password_is_one_clear_error (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  auto_registry struct registry *right = open_stub ("shoal", "s3cret");
  auto_registry struct registry *wrong = open_stub ("shoal", "guess");
  auto_registry struct registry *none = open_stub (NULL, NULL);
  assert_int_equal (unpack (right, 1, &err), 0);
  assert_int_equal (unpack (wrong, 1, &err), -1);
  assert_int_equal (err.class, ERROR_FATAL);
  assert_non_null (strstr (err.message, "user or password rejected"));
  assert_no_secret (&err);
  assert_int_equal (unpack (none, 1, &err), -1);
  assert_int_equal (err.class, ERROR_FATAL);
  assert_non_null (strstr (err.message, "a user and a password are required"));
  assert_no_secret (&err);
}

static void
the_password_may_be_in_a_file (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  auto_free char *path = xasprintf ("%s/password", scene.folder);
  assert_int_equal (fs_write_file (AT_FDCWD, path, (struct bytes){ "s3cret\n", 7 }, NULL), 0);
  assert_int_equal (setenv ("SHOAL_SCHEMA_REGISTRY", scene.url, 1), 0);
  assert_int_equal (setenv ("SHOAL_SCHEMA_REGISTRY_USER", "shoal", 1), 0);
  assert_int_equal (setenv ("SHOAL_SCHEMA_REGISTRY_PASSWORD_FILE", path, 1), 0);
  assert_int_equal (setenv ("SHOAL_SCHEMA_CACHE", scene.folder, 1), 0);
  auto_buffer struct buffer folder = { 0 };
  struct registry_options options = registry_options_from_environment (&folder);
  assert_string_equal (options.cache_folder, scene.folder);
  auto_registry struct registry *registry = registry_open (&options, &err);
  if (registry == NULL || unpack (registry, 1, &err) != 0)
    fail_msg ("%s", err.message);
  assert_int_equal (unlink (path), 0);
  assert_null (registry_open (&options, &err));
  assert_int_equal (err.class, ERROR_USER);
  assert_non_null (strstr (err.message, path));
}

static void
a_registry_that_stumbles_is_asked_again (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  auto_registry struct registry *registry = open_stub ("shoal", "s3cret");
  if (unpack (registry, 2, &err) != 0)
    fail_msg ("%s", err.message);
  assert_int_equal (times_asked (2), 3);
  assert_int_equal (unpack (registry, 2, &err), 0);
  assert_int_equal (times_asked (2), 3);
}

static void
what_is_not_there_is_asked_for_once (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  auto_registry struct registry *registry = open_stub ("shoal", "s3cret");
  for (int i = 0; i < 3; i++)
    {
      assert_int_equal (unpack (registry, 99, &err), -1);
      assert_int_equal (err.class, ERROR_USER);
      assert_non_null (strstr (err.message, "schema 99"));
      assert_non_null (strstr (err.message, "Schema not found"));
    }
  assert_int_equal (times_asked (99), 1);
}

/* What comes back instead of a schema: whose fault it is, and what is said. */
static void
odd_answers_are_errors (void **state)
{
  (void) state;
  static const struct
  {
    int id;
    enum error_class class;
    const char *says;
  } cases[] = {
    { 3, ERROR_FATAL, "more than" },
    { 4, ERROR_FATAL, "HTTP 302" },
    { 5, ERROR_USER, "within itself" },
    { 6, ERROR_USER, "Avro" },
    { 7, ERROR_FATAL, "unexpected response: is this the URL of the registry's API?" },
    { 8, ERROR_FATAL, "HTTP 422" },
    { 9, ERROR_FATAL, "HTTP 422" },
    { 10, ERROR_FATAL, "two lines [31m" },
    { 11, ERROR_FATAL, "URL" },
    { 12, ERROR_USER, "self-contained" },
    { 13, ERROR_FATAL, "unexpected response: is this the URL of the registry's API?" },
  };
  auto_registry struct registry *registry = open_stub ("shoal", "s3cret");
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    {
      struct error err = ERROR_INIT;
      assert_int_equal (unpack (registry, cases[i].id, &err), -1);
      if (err.class != cases[i].class || strstr (err.message, cases[i].says) == NULL)
        fail_msg ("schema %d: %s: %s", cases[i].id, error_class_name (err.class), err.message);
      assert_no_secret (&err);
      assert_int_equal (times_asked (cases[i].id), 1);
    }
}

/* Levels may not be set here, and what is registered gets an id that can't be. */
static void
an_id_below_nothing_is_refused (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  auto_registry struct registry *registry = open_stub ("shoal", "s3cret");
  auto_buffer struct buffer message = { 0 };
  struct control control = { .kind = CONTROL_CANCEL, .job_id = (char[]){ "j" } };
  assert_int_equal (codec_encode_control (&control, &message, NULL), 0);
  assert_int_equal (wire_pack (registry, "control-value", &message, &err), -1);
  assert_int_equal (err.class, ERROR_FATAL);
  assert_non_null (
      strstr (err.message, "unexpected response: is this the URL of the registry's API?"));
}

static void
options_that_cannot_be_are_refused (void **state)
{
  (void) state;
  static const struct
  {
    struct registry_options options;
    const char *says;
  } cases[] = {
    { { .url = NULL }, "http://" },
    { { .url = "registry:8081" }, "http://" },
    { { .url = "ftp://registry" }, "http://" },
    { { .url = "http://" }, "http://" },
    { { .url = "http://shoal:s3cret@registry:8081" }, "SHOAL_SCHEMA_REGISTRY_PASSWORD" },
    { { .url = "http://registry/?password=s3cret" }, "end with its path" },
    { { .url = "http://registry", .ca_file = "/nowhere/ca.pem" }, "/nowhere/ca.pem" },
    { { .url = "http://registry", .cache_folder = "/proc/nowhere" }, "cache" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    {
      struct error err = ERROR_INIT;
      assert_null (registry_open (&cases[i].options, &err));
      if (strstr (err.message, cases[i].says) == NULL)
        fail_msg ("case %zu: %s", i, err.message);
      assert_no_secret (&err);
    }
}

/* ---- the group -------------------------------------------------------------------------- */

static int
set_up (void **state)
{
  (void) state;
  struct spawn_options options = SPAWN_DEFAULT;
  (void) snprintf (scene.folder, sizeof scene.folder, "/tmp/shoal-stub-XXXXXX");
  if (mkdtemp (scene.folder) == NULL)
    return -1;
  char *argv[] = { (char[]){ "/usr/bin/python3" }, (char[]){ "-B" },
                   (char[]){ "lib/registry_stub.py" }, scene.folder, NULL };
  scene.stub = spawn (argv, &options, NULL);
  auto_free char *path = xasprintf ("%s/port", scene.folder);
  auto_buffer struct buffer port = { 0 };
  int64_t end = clock_boot_ms () + START_MS;
  while (fs_read_file (AT_FDCWD, path, 16, &port, NULL) != 0 && clock_boot_ms () < end)
    (void) usleep (10000);
  scene.url = xasprintf ("http://127.0.0.1:%s/api/", port.size == 0 ? "0" : port.data);
  return scene.stub > 0 && port.size > 0 ? 0 : -1;
}

static int
tear_down (void **state)
{
  (void) state;
  (void) kill (scene.stub, SIGKILL);
  (void) waitpid (scene.stub, NULL, 0);
  free (scene.url);
  return fs_remove_tree (AT_FDCWD, scene.folder, NULL);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (a_wrong_password_is_one_clear_error),
    cmocka_unit_test (the_password_may_be_in_a_file),
    cmocka_unit_test (a_registry_that_stumbles_is_asked_again),
    cmocka_unit_test (what_is_not_there_is_asked_for_once),
    cmocka_unit_test (odd_answers_are_errors),
    cmocka_unit_test (an_id_below_nothing_is_refused),
    cmocka_unit_test (options_that_cannot_be_are_refused),
  };
  return cmocka_run_group_tests (tests, set_up, tear_down);
}

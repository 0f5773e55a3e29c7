/* Jobs as JSON: the options of submit, their checks, and which member is wrong. */
#include "cli/job_json.h"

#include "common/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static int
read_text (const char *text, struct job_args *args, char **field, struct error *err)
{
  job_args_init (args);
  return job_json_read ((struct bytes){ text, strlen (text) }, args, field, err);
}

static void
members_are_options (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  auto_job_args struct job_args args;
  auto_free char *field = NULL;
  if (read_text (
          "{\"id\": \"resize-1\", \"image\": \"imagemagick\", \"command\": [\"-resize\", "
          "\"100x100\"],"
          " \"volume\": [\"/photos:/in\", \"/more:/in2\"], \"volume-shared\": [\"/font:/font\"],"
          " \"glob\": \"*.jpg\", \"batch_size\": 1000, \"cpus\": 1.5, \"memory\": \"1g\","
          " \"env\": [\"A=b=c\", \"SHOAL_SHARD_COUNT\"], \"read-only\": true, \"timeout\": null,"
          " \"group_add\": [\"7\", 8], \"ulimit\": \"core=0\","
          " \"device\": [\"/dev/x:r\", \"v.com/c=0\"], \"gpus\": 2,"
          " \"init\": false, \"stop_signal\": 2, \"stop-timeout\": 0, \"output-links\": \"keep\","
          " \"min-success\": \"95%\", \"reduce\": \"zip\", \"reduce-command\": [\"a b\", \"c\"]}",
          &args, &field, &err)
      != 0)
    fail_msg ("%s: %s", field, err.message);
  const struct job *job = &args.job;
  assert_string_equal (job->id, "resize-1");
  assert_string_equal (job->image, "imagemagick");
  assert_int_equal (job->command.count, 2);
  assert_string_equal (job->command.items[1], "100x100");
  assert_int_equal (job->volume_count, 3);
  assert_string_equal (job->volumes[1].source, "/more");
  assert_true (job->volumes[2].shared);
  assert_int_equal (job->batch_size, 1000);
  assert_int_equal (job->cpus, 1500);
  assert_int_equal (job->memory, 1 << 30);
  assert_string_equal (job->env.items[0], "A=b=c");
  assert_true (job->needs_count);
  assert_true (job->read_only);
  assert_false (job->init);
  assert_string_equal (job->groups.items[1], "8");
  assert_int_equal (job->ulimits.count, 1);
  assert_int_equal (job->devices.count, 4);
  assert_string_equal (job->devices.items[1], "v.com/c=0");
  assert_string_equal (job->devices.items[3], "nvidia.com/gpu=1");
  assert_string_equal (job->stop_signal, "2");
  assert_int_equal (job->stop_timeout_ms, 0);
  assert_int_equal (job->output_links, OUTPUT_LINKS_KEEP);
  assert_int_equal (job->min_success, 9500);
  assert_int_equal (job->reduce_command.count, 2);
  assert_string_equal (job->reduce_command.items[0], "a b");
}

static void
what_is_wrong_is_named (void **state)
{
  (void) state;
  static const struct
  {
    const char *text;
    const char *field; /* NULL: none */
  } cases[] = {
    { "", NULL },
    { "[]", NULL },
    { "{\"image\": \"a\"", NULL },
    { "{\"image\": \"a\", \"image\": \"b\"}", NULL },
    { "{}", "image" },
    { "{\"image\": \"\"}", "image" },
    { "{\"image\": 5}", "image" },
    { "{\"image\": \"a\", \"command\": \"ls\"}", "command" },
    { "{\"image\": \"a\", \"command\": [[]]}", "command" },
    { "{\"image\": \"a\", \"batch-size\": -1}", "batch-size" },
    { "{\"image\": \"a\", \"batch_size\": \"ten\"}", "batch_size" },
    { "{\"image\": \"a\", \"batch-size\": [1]}", "batch-size" },
    { "{\"image\": \"a\", \"glob\": {}}", "glob" },
    { "{\"image\": \"a\", \"glob\": \"a\\u0000b\"}", NULL },
    { "{\"image\": \"a\", \"read-only\": \"yes\"}", "read-only" },
    { "{\"image\": \"a\", \"init\": 1}", "init" },
    { "{\"image\": \"a\", \"output_links\": \"yes\"}", "output_links" },
    { "{\"image\": \"a\", \"colour\": \"red\"}", "colour" },
    { "{\"image\": \"a\", \"volume\": [\"/a\"]}", "volume" },
    { "{\"image\": \"a\", \"id\": [\"b\"]}", "id" },
    { "{\"image\": \"a\", \"env-file\": \"/etc/passwd\"}", "env-file" },
    { "{\"image\": \"a\", \"env\": [\"HOME\"]}", "env" },
    { "{\"image\": \"a\", \"pilot\": 3}", "pilot" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    {
      struct error err = ERROR_INIT;
      auto_job_args struct job_args args;
      auto_free char *field = NULL;
      if (read_text (cases[i].text, &args, &field, &err) == 0)
        fail_msg ("taken: %s", cases[i].text);
      assert_int_equal (err.class, ERROR_USER);
      if (cases[i].field == NULL)
        assert_null (field);
      else if (field == NULL || strcmp (field, cases[i].field) != 0)
        fail_msg ("%s: %s is blamed", cases[i].text, field == NULL ? "nothing" : field);
    }
}

/* A switch that is off and what is null are as if they weren't there. */
static void
nothing_is_nothing (void **state)
{
  (void) state;
  auto_job_args struct job_args args;
  auto_free char *field = NULL;
  assert_int_equal (
      read_text ("{\"image\": \"a\", \"read_only\": false, \"glob\": null}", &args, &field, NULL),
      0);
  assert_false (args.job.read_only);
  assert_null (args.job.glob);
  assert_int_equal (args.job.batch_size, 1);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (members_are_options),
    cmocka_unit_test (what_is_wrong_is_named),
    cmocka_unit_test (nothing_is_nothing),
  };
  return cmocka_run_group_tests_name ("job_json", tests, NULL, NULL);
}

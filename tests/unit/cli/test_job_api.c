/* What POST /v1/jobs makes of a body: each refusal names the member that is wrong. */
#include "cli/job_api.h"

#include "bus/bus_ops.h"
#include "cli/submit.h"
#include "common/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static int
read_text (const char *text, const char *trace, struct job_args *args, char **field,
           struct error *err)
{
  job_args_init (args);
  return job_api_read_job ((struct bytes){ text, strlen (text) }, trace, "/tmp", NULL, args, field,
                           err);
}

static void
each_refusal_names_a_member (void **state)
{
  (void) state;
  static const struct
  {
    const char *members; /* beside the image */
    const char *field;
  } cases[] = {
    { "\"batch-size\": 5", "batch-size" },
    { "\"batch_bytes\": \"1m\"", "batch-bytes" },
    { "\"shards\": 5", "shards" },
    { "\"exclude\": \"*.txt\"", "exclude" },
    { "\"base-path\": \"/in\"", "base-path" },
    { "\"reduce-command\": [\"ls\"]", "reduce-command" },
    { "\"results\": \"/no/such/folder/r\"", "results" },
    { "\"results\": \"\"", "results" },
    { "\"results\": \"/proc/r\", \"volume\": \"/proc:/in\"", "results" },
    { "\"results\": \"s3://\"", "results" },
    { "\"glob\": \"[\", \"volume\": \"/proc:/in\"", "glob" },
    { "\"glob\": \"*\", \"exclude\": \"[\", \"volume\": \"/proc:/in\"", "exclude" },
    { "\"glob\": \"*\"", "volume" },
    { "\"glob\": \"*\", \"volume\": \"/proc:/in\", \"base-path\": \"/other\"", "base-path" },
    { "\"glob\": \"*\", \"volume\": \"/proc:/in\", \"base-path\": \"/../x\"", "base-path" },
    { "\"glob\": \"*\", \"volume\": \"/proc:/in\", \"shards\": 2, \"batch-size\": 5", "shards" },
    { "\"volume\": \"/no/such/folder:/in\"", "volume" },
    { "\"volume\": \"gopher://host/:/in\"", "volume" },
    { "\"volume\": [\"/proc:/in\", \"/sys:/in\"]", "volume" },
    { "\"volume\": \"/proc:/in\", \"output\": \"a:/in/x\"", "output" },
    { "\"volume\": \"/proc:/in/x\", \"output\": \"a:/in\"", "output" },
    { "\"output\": \"a:/\"", "output" },
    { "\"output\": [\"a:/x\", \"a:/y\"]", "output" },
    { "\"memory\": 0", "memory" },
    { "\"batch-bytes\": 0, \"glob\": \"*\", \"volume\": \"/proc:/in\"", "batch-bytes" },
    { "\"timeout\": 0", "timeout" },
    { "\"job_timeout\": \"0s\"", "job_timeout" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    {
      struct error err = ERROR_INIT;
      auto_job_args struct job_args args;
      auto_free char *field = NULL;
      auto_free char *text = xasprintf ("{\"image\": \"a\", %s}", cases[i].members);
      if (read_text (text, NULL, &args, &field, &err) == 0)
        fail_msg ("taken: %s", text);
      if (field == NULL || strcmp (field, cases[i].field) != 0)
        fail_msg ("%s: %s is blamed: %s", text, field == NULL ? "nothing" : field, err.message);
    }
}

/* More than can be read back from the bus. */
static void
lists_have_an_end (void **state)
{
  (void) state;
  static const char *const items[][2] = { { "volume", "/proc:/p%d" },
                                          { "volume-shared", "/proc:/p%d" },
                                          { "output", "o%d:/p%d" } };
  for (size_t i = 0; i < sizeof items / sizeof items[0]; i++)
    {
      struct error err = ERROR_INIT;
      auto_job_args struct job_args args;
      auto_free char *field = NULL;
      auto_buffer struct buffer text = { 0 };
      buffer_printf (&text, "{\"image\": \"a\", \"%s\": [", items[i][0]);
      for (int j = 0; j <= JOB_LIST_MAX; j++)
        buffer_printf (&text, i == 2 ? "%s\"o%d:/p%d\"" : "%s\"/proc:/p%d\"", j == 0 ? "" : ",", j,
                       j);
      buffer_puts (&text, "]}");
      assert_int_equal (read_text (text.data, NULL, &args, &field, &err), -1);
      assert_string_equal (field, items[i][0]);
    }
}

static void
results_stand_below_the_producers (void **state)
{
  (void) state;
  static const char *const cases[][2] = {
    { "\"id\": \"one\"", "/tmp/one" },
    { "\"results\": \"two\"", "/tmp/two" },
    { "\"id\": \"one\", \"results\": \"/proc/three\"", "/proc/three" },
    { "\"results\": \"s3://bucket/four\"", "s3://bucket/four" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    {
      struct error err = ERROR_INIT;
      auto_job_args struct job_args args;
      auto_free char *field = NULL;
      auto_free char *text = xasprintf ("{\"image\": \"a\", %s}", cases[i][0]);
      if (read_text (text, NULL, &args, &field, &err) != 0)
        fail_msg ("%s: %s", text, err.message);
      assert_string_equal (args.job.results, cases[i][1]);
    }
  auto_job_args struct job_args args;
  auto_free char *field = NULL;
  assert_int_equal (read_text ("{\"image\": \"a\"}", NULL, &args, &field, NULL), 0);
  auto_free char *place = xasprintf ("/tmp/%s", args.job.id);
  assert_string_equal (args.job.results, place);
}

static void
a_header_is_the_trace (void **state)
{
  (void) state;
  static const char *const cases[][2] = {
    { "{\"image\": \"a\"}", "TRACEPARENT=header" },
    { "{\"image\": \"a\", \"env\": \"TRACEPARENT=env\"}", "TRACEPARENT=env" },
  };
  for (size_t i = 0; i < 2; i++)
    {
      auto_job_args struct job_args args;
      auto_free char *field = NULL;
      assert_int_equal (read_text (cases[i][0], "header", &args, &field, NULL), 0);
      assert_int_equal (args.job.env.count, 1);
      assert_string_equal (args.job.env.items[0], cases[i][1]);
    }
  auto_job_args struct job_args args;
  auto_free char *field = NULL;
  assert_int_equal (read_text ("{\"image\": \"a\"}", "caf\xe9", &args, &field, NULL), 0);
  assert_int_equal (args.job.env.count, 0); /* what is no text can't be in a message */
}

/* ---- ids of our own making --------------------------------------------------------------- */

/* A bus on which the first jobs' ids are taken. */
struct crowded
{
  struct bus bus;
  int taken;
  struct strlist seen;
};

static int
submit_to_crowded (struct bus *bus, const struct job *job, struct error *err)
{
  struct crowded *crowded = (struct crowded *) bus;
  (void) err;
  strlist_addf (&crowded->seen, "%s %s", job->id, job->results);
  return (int) crowded->seen.count > crowded->taken;
}

static const struct bus_ops crowded_ops = { .submit = submit_to_crowded };

static void
a_taken_id_of_our_own_means_another (void **state)
{
  (void) state;
  struct crowded crowded = { .bus.ops = &crowded_ops, .taken = 2 };
  auto_job_args struct job_args args;
  auto_free char *field = NULL;
  struct error err = ERROR_INIT;
  if (read_text ("{\"image\": \"i\", \"runtime\": \"process\", \"command\": [\"true\"]}", NULL,
                 &args, &field, &err)
      != 0)
    fail_msg ("%s", err.message);
  assert_int_equal (job_args_submit (&args, &crowded.bus, &err), 1);
  assert_int_equal (crowded.seen.count, 3);
  for (size_t i = 0; i < 3; i++)
    for (size_t j = 0; j < i; j++)
      assert_string_not_equal (crowded.seen.items[i], crowded.seen.items[j]);
  auto_free char *last = xasprintf ("%s /tmp/%s", args.job.id, args.job.id);
  assert_string_equal (crowded.seen.items[2], last); /* its result goes by its id */
  strlist_release (&crowded.seen);
}

static void
a_taken_id_of_the_users_stays (void **state)
{
  (void) state;
  struct crowded crowded = { .bus.ops = &crowded_ops, .taken = 2 };
  auto_job_args struct job_args args;
  auto_free char *field = NULL;
  struct error err = ERROR_INIT;
  if (read_text (
          "{\"image\": \"i\", \"id\": \"mine\", \"runtime\": \"process\", \"command\": [\"true\"]}",
          NULL, &args, &field, &err)
      != 0)
    fail_msg ("%s", err.message);
  assert_int_equal (job_args_submit (&args, &crowded.bus, &err), 0);
  assert_int_equal (crowded.seen.count, 1);
  assert_string_equal (args.job.id, "mine");
  strlist_release (&crowded.seen);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (each_refusal_names_a_member),
    cmocka_unit_test (lists_have_an_end),
    cmocka_unit_test (results_stand_below_the_producers),
    cmocka_unit_test (a_header_is_the_trace),
    cmocka_unit_test (a_taken_id_of_our_own_means_another),
    cmocka_unit_test (a_taken_id_of_the_users_stays),
  };
  return cmocka_run_group_tests_name ("api", tests, NULL, NULL);
}

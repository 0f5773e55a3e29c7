/* The parser of options, the job's table, and whether two jobs are the same. */
#include "cli/commands.h"
#include "cli/job_options.h"
#include "cli/run_options.h"
#include "cli/storage_options.h"
#include "common/memory.h"
#include "schemas/job_bounds.h"
#include "schemas/job_difference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

enum
{
  WORDS_MAX = 32,
};

/* A command line that was parsed. */
struct parsed
{
  struct job_args args;
  struct run_options run;
  char *words[WORDS_MAX];
  int count;
  int result;
  struct error err;
};

static struct parsed
parse (const char *const *words)
{
  struct parsed parsed = { .err = ERROR_INIT };
  job_args_init (&parsed.args);
  parsed.words[parsed.count++] = xstrdup ("run");
  for (; *words != NULL; words++)
    parsed.words[parsed.count++] = xstrdup (*words);
  const struct option_set sets[] = { { job_options, &parsed.args },
                                     { run_options, &parsed.run },
                                     { supervise_options, &parsed.run },
                                     { storage_options, NULL } };
  parsed.result = options_parse (sets, 4, parsed.count, parsed.words, &parsed.err);
  if (parsed.result >= 0
      && job_args_operands (&parsed.args, parsed.count - parsed.result,
                            parsed.words + parsed.result, "run", &parsed.err)
             != 0)
    parsed.result = -1;
  return parsed;
}

#define PARSE(...) parse ((const char *const[]){ __VA_ARGS__, NULL })

static void
forget (struct parsed *parsed)
{
  for (int i = 0; i < parsed->count; i++)
    free (parsed->words[i]);
  job_args_release (&parsed->args);
}

static void
must (const struct parsed *parsed)
{
  if (parsed->result < 0)
    fail_msg ("%s", parsed->err.message);
}

/* ---- parsing ---------------------------------------------------------------------------- */

static void
options_end_at_the_image (void **state)
{
  (void) state;
  struct parsed parsed = PARSE ("-v", "a:/in", "--glob=*", "image", "-v", "--glob", "--", "x");
  must (&parsed);
  assert_string_equal (parsed.args.job.image, "image");
  assert_int_equal (parsed.args.job.command.count, 4);
  assert_string_equal (parsed.args.job.command.items[0], "-v");
  assert_string_equal (parsed.args.job.command.items[2], "--");
  assert_int_equal (parsed.args.job.volume_count, 1);
  forget (&parsed);
}

static void
two_dashes_before_the_arguments_are_dropped (void **state)
{
  (void) state;
  struct parsed parsed = PARSE ("image", "--", "--", "x");
  must (&parsed);
  assert_int_equal (parsed.args.job.command.count, 2);
  assert_string_equal (parsed.args.job.command.items[0], "--");
  forget (&parsed);
}

static void
bacalhaus_names_are_known (void **state)
{
  (void) state;
  struct parsed parsed = PARSE ("--sharding-glob-pattern", "*.jpg", "--sharding-base-path=/in/",
                                "--sharding-batch-size", "1000", "--input-volumes", "s:/in",
                                "--output-volumes", "o:/out", "image");
  must (&parsed);
  const struct job *job = &parsed.args.job;
  assert_string_equal (job->glob, "*.jpg");
  assert_string_equal (job->base_path, "/in/");
  assert_int_equal (job->batch_size, 1000);
  assert_int_equal (job->volume_count, 1);
  assert_string_equal (job->outputs[0].name, "o");
  forget (&parsed);
}

/* A bound of bytes alone is no bound of one file. */
static void
bytes_alone_bound_a_shard (void **state)
{
  (void) state;
  struct parsed alone = PARSE ("--batch-bytes=2k", "image");
  struct parsed both = PARSE ("--batch-bytes=2k", "--batch-size=1", "image");
  struct parsed none = PARSE ("image");
  must (&alone);
  must (&both);
  must (&none);
  assert_int_equal (alone.args.job.batch_size, JOB_COUNT_MAX);
  assert_int_equal (both.args.job.batch_size, 1);
  assert_int_equal (none.args.job.batch_size, 1);
  forget (&alone);
  forget (&both);
  forget (&none);
}

static void
every_option_reaches_its_field (void **state)
{
  (void) state;
  struct parsed parsed =
      PARSE ("--batch-bytes=2k", "--exclude=x", "--exclude=y", "--symlinks=skip", "--stage=copy",
             "-ea=b", "--memory=1m", "--cpus=1.5", "--pids-limit=9", "--timeout=2s",
             "--job-timeout=1m", "--log-limit=3k", "--retries=0", "--fail-on=2-3",
             "--success-codes=4", "--min-success=95%", "--max-failures=5%", "--on-conflict=last",
             "--reduce=r", "--reduce-command=a 'b c'", "-j3", "-q", "image");
  must (&parsed);
  const struct job *job = &parsed.args.job;
  assert_int_equal (job->batch_bytes, 2048);
  assert_int_equal (job->exclude.count, 2);
  assert_int_equal (job->symlinks, SYMLINKS_SKIP);
  assert_int_equal (job->stage, STAGE_COPY);
  assert_string_equal (job->env.items[0], "a=b");
  assert_int_equal (job->memory, 1 << 20);
  assert_int_equal (job->cpus, 1500);
  assert_int_equal (job->pids, 9);
  assert_int_equal (job->timeout_ms, 2000);
  assert_int_equal (job->job_timeout_ms, 60000);
  assert_int_equal (job->log_limit, 3072);
  assert_int_equal (job->retries, 0);
  assert_true (job->fail_on.has[2] && job->fail_on.has[3] && !job->fail_on.has[4]);
  assert_true (job->success_codes.has[4] && job->success_codes.has[0]);
  assert_int_equal (job->min_success, 9500);
  assert_int_equal (job->max_failures_bp, 500);
  assert_int_equal (job->max_failures, -1);
  assert_int_equal (job->on_conflict, CONFLICT_LAST);
  assert_string_equal (job->reduce_image, "r");
  assert_string_equal (job->reduce_command.items[1], "b c");
  assert_int_equal (parsed.run.slots, 3);
  assert_true (parsed.run.quiet);
  forget (&parsed);
}

static void
expect_volume (const char *value, const char *source, const char *path)
{
  struct parsed parsed = PARSE ("-v", value, "image");
  must (&parsed);
  assert_string_equal (parsed.args.job.volumes[0].source, source);
  assert_string_equal (parsed.args.job.volumes[0].path, path);
  forget (&parsed);
}

static void
sources_may_hold_colons (void **state)
{
  (void) state;
  expect_volume ("photos:/in", "photos", "/in");
  expect_volume ("./a:b:/in/", "./a:b", "/in/");
  expect_volume ("/abs:/in", "/abs", "/in");
  expect_volume ("s3://bucket/key:/in/x", "s3://bucket/key", "/in/x");
  expect_volume ("a:/in:ro", "a", "/in");
  expect_volume ("s3://photos/2019/:/input_images", "s3://photos/2019/", "/input_images");
  expect_volume ("s3://photos:/in:ro", "s3://photos", "/in");
  expect_volume ("https://host:8080/data/index.json:/in", "https://host:8080/data/index.json",
                 "/in");
  expect_volume ("http://[::1]:80/a:/b:/in", "http://[::1]:80/a:/b", "/in");
  expect_volume ("ipfs://bafybeig/2019:/in", "ipfs://bafybeig/2019", "/in");
  expect_volume ("QmPZ9gcCEpqKTo6aq61g2nXGUhM4iCL3ewB6LDXZCtioEB:/in",
                 "QmPZ9gcCEpqKTo6aq61g2nXGUhM4iCL3ewB6LDXZCtioEB", "/in");
  struct parsed parsed = PARSE ("-v", "s3://photos", "image"); /* not "s3" at "//photos" */
  assert_int_equal (parsed.result, -1);
  forget (&parsed);
}

static void
storage_options_are_the_environment (void **state)
{
  (void) state;
  struct parsed parsed = PARSE ("--s3-endpoint", "http://127.0.0.1:9000", "--ipfs-api",
                                "http://127.0.0.1:5001", "--ipfs-gateway", "https://gateway",
                                "--cache-dir", "/var/cache", "--cache-size", "3g", "image");
  must (&parsed);
  assert_string_equal (getenv ("AWS_ENDPOINT_URL_S3"), "http://127.0.0.1:9000");
  assert_string_equal (getenv ("SHOAL_IPFS_API"), "http://127.0.0.1:5001");
  assert_string_equal (getenv ("SHOAL_IPFS_GATEWAY"), "https://gateway");
  assert_string_equal (getenv ("SHOAL_CACHE_DIR"), "/var/cache");
  assert_string_equal (getenv ("SHOAL_CACHE_SIZE"), "3g");
  forget (&parsed);
  parsed = PARSE ("--cache-dir", "here", "image");
  must (&parsed);
  assert_int_equal (getenv ("SHOAL_CACHE_DIR")[0], '/');
  forget (&parsed);
  parsed = PARSE ("--s3-endpoint", "me:hush-hush@127.0.0.1", "image");
  assert_int_equal (parsed.result, -1);
  assert_null (strstr (parsed.err.message, "hush"));
  forget (&parsed);
  parsed = PARSE ("--cache-size", "much", "image");
  assert_int_equal (parsed.result, -1);
  forget (&parsed);
}

static void
environment_by_name_is_ours (void **state)
{
  (void) state;
  (void) setenv ("SHOAL_TEST_A", "from here", 1);
  (void) unsetenv ("SHOAL_TEST_B");
  struct parsed parsed = PARSE ("-e", "SHOAL_TEST_A", "-e", "SHOAL_TEST_B", "-e", "C=", "-e",
                                "SHOAL_SHARD_COUNT", "image");
  must (&parsed);
  assert_int_equal (parsed.args.job.env.count, 2);
  assert_string_equal (parsed.args.job.env.items[0], "SHOAL_TEST_A=from here");
  assert_string_equal (parsed.args.job.env.items[1], "C=");
  assert_true (parsed.args.job.needs_count);
  forget (&parsed);
}

static void
entrypoint_may_be_cleared (void **state)
{
  (void) state;
  struct parsed parsed = PARSE ("--entrypoint", "", "image");
  must (&parsed);
  assert_true (parsed.args.job.has_entrypoint);
  assert_int_equal (parsed.args.job.entrypoint.count, 0);
  forget (&parsed);
}

static void
help_is_seen_before_the_image_only (void **state)
{
  (void) state;
  struct parsed asked = PARSE ("-v", "a:/in", "--help");
  assert_int_equal (asked.result, OPTIONS_HELP);
  struct parsed passed = PARSE ("image", "--help");
  must (&passed);
  assert_string_equal (passed.args.job.command.items[0], "--help");
  forget (&asked);
  forget (&passed);
}

/* ---- complaints ------------------------------------------------------------------------- */

static void
expect_complaint (const char *part, const char *const *words)
{
  struct parsed parsed = parse (words);
  assert_int_equal (parsed.result, -1);
  assert_int_equal (parsed.err.class, ERROR_USER);
  if (strstr (parsed.err.message, part) == NULL)
    fail_msg ("\"%s\" doesn't say \"%s\"", parsed.err.message, part);
  forget (&parsed);
}

#define COMPLAINT(part, ...) expect_complaint (part, (const char *const[]){ __VA_ARGS__, NULL })

static void
complaints_name_what_is_wrong (void **state)
{
  (void) state;
  COMPLAINT ("--batchsize: did you mean --batch-size?", "--batchsize", "2", "image");
  COMPLAINT ("--sharding-globpattern: did you mean --sharding-glob-pattern?",
             "--sharding-globpattern=x", "image");
  COMPLAINT ("unknown option --zzzzzz (", "--zzzzzz", "image");
  COMPLAINT ("unknown option -Y", "-Y", "image");
  COMPLAINT ("--batch could be --batch-size, --batch-bytes", "--batch", "2", "image");
  COMPLAINT ("--glob needs an argument: --glob PATTERN", "--glob");
  COMPLAINT ("--output needs an argument", "-o");
  COMPLAINT ("--quiet takes no argument", "--quiet=yes", "image");
  COMPLAINT ("--batch-size: -1 is out of range", "--batch-size=-1", "image");
  COMPLAINT ("missing image", "--glob", "x");
  COMPLAINT ("expected SRC:PATH", "-v", "s3://bucket", "image");
  COMPLAINT ("expected SRC:PATH", "-v", ":/in", "image");
  COMPLAINT ("expected NAME:PATH", "-o", "out", "image");
}

static void
options_of_a_command_may_follow_its_operand (void **state)
{
  (void) state;
  struct run_options run = { 0 };
  const struct option_set sets[] = { { run_options, &run }, { supervise_options, &run } };
  char words[4][12] = { "resume", "DIR", "--quiet", "-j4" };
  char *argv[] = { words[0], words[1], words[2], words[3], NULL };
  struct error err = ERROR_INIT;
  int first = options_operands (sets, 2, 4, argv, 1, 1, "resume RESULT", &err);
  assert_int_equal (first, 3);
  assert_string_equal (argv[3], "DIR");
  assert_true (run.quiet && run.slots == 4);
}

static void
distance_counts_edits (void **state)
{
  (void) state;
  assert_int_equal (options_distance ("", ""), 0);
  assert_int_equal (options_distance ("glob", "glob"), 0);
  assert_int_equal (options_distance ("glob", "glop"), 1);
  assert_int_equal (options_distance ("", "abc"), 3);
  assert_int_equal (options_distance ("kitten", "sitting"), 3);
}

/* ---- tables ----------------------------------------------------------------------------- */

/* In what a command takes together no name and no letter stands twice. */
static void
names_are_unique (void **state)
{
  (void) state;
  for (size_t i = 0; commands[i] != NULL; i++)
    {
      auto_strlist struct strlist seen = { 0 };
      for (size_t table = 0; table < COMMAND_TABLES; table++)
        for (const struct option_spec *spec = commands[i]->options[table];
             spec != NULL && spec->name != NULL; spec++)
          {
            char letter[] = { spec->letter, '\0' };
            const char *const names[] = { spec->name, spec->alias, letter };
            for (size_t n = 0; n < 3; n++)
              {
                if (names[n] == NULL || names[n][0] == '\0')
                  continue;
                if (strlist_has (&seen, names[n]) || strcmp (names[n], "h") == 0)
                  fail_msg ("%s: \"%s\" twice", commands[i]->name, names[n]);
                strlist_add (&seen, names[n]);
              }
            assert_non_null (spec->set);
            bool internal = strcmp (spec->name, "meter") == 0 || strcmp (spec->name, "parent") == 0;
            assert_int_equal (spec->help == NULL, internal);
          }
    }
}

/* Each option of a job that is given makes it another job, and `run` says which. */
static void
each_option_makes_another_job (void **state)
{
  (void) state;
  static const struct
  {
    const char *option;
    const char *value;
  } changes[] = {
    { "--volume", "b:/b" },
    { "--volume-shared", "b:/b" },
    { "--mount", "type=bind,src=b,dst=/b" },
    { "--glob", "x" },
    { "--base-path", "/x" },
    { "--batch-size", "7" },
    { "--batch-bytes", "7k" },
    { "--shards", "7" },
    { "--exclude", "x" },
    { "--symlinks", "skip" },
    { "--stage", "copy" },
    { "--output", "b:/b" },
    { "--on-conflict", "last" },
    { "--reduce", "x" },
    { "--reduce-command", "x" },
    { "--env", "X=1" },
    { "--image-id", "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" },
    { "--workdir", "/x" },
    { "--user", "7" },
    { "--entrypoint", "x" },
    { "--network", "host" },
    { "--read-only", NULL },
    { "--tmpfs", "/x" },
    { "--hostname", "x" },
    { "--group-add", "7" },
    { "--cap-drop", "ALL" },
    { "--ulimit", "core=0" },
    { "--device", "/dev/x" },
    { "--gpus", "1" },
    { "--shm-size", "7m" },
    { "--platform", "linux/arm64" },
    { "--init=false", NULL },
    { "--stop-signal", "INT" },
    { "--stop-timeout", "7" },
    { "--output-links", "keep" },
    { "--glob-ignore-case", NULL },
    { "--retry-memory", "2x" },
    { "--retry-memory-max", "7m" },
    { "--runtime", "process" },
    { "--memory", "7m" },
    { "--cpus", "7" },
    { "--pids-limit", "7" },
    { "--timeout", "7" },
    { "--job-timeout", "7" },
    { "--log-limit", "7k" },
    { "--stage-timeout", "7" },
    { "--collect-timeout", "7" },
    { "--max-output-bytes", "7k" },
    { "--max-output-files", "7" },
    { "--retries", "7" },
    { "--fail-on", "7" },
    { "--success-codes", "7" },
    { "--min-success", "7%" },
    { "--max-failures", "7" },
    { "--max-parallel", "7" },
    { "--priority", "-7" },
    { "--order", "size" },
    { "--queue", "x" },
    { "--credentials", "x" },
    { "--webhook", "http://x/" },
  };
  struct parsed plain = PARSE ("image", "x");
  must (&plain);
  for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++)
    {
      struct parsed changed = changes[i].value == NULL
                                  ? PARSE (changes[i].option, "image", "x")
                                  : PARSE (changes[i].option, changes[i].value, "image", "x");
      must (&changed);
      const char *named = job_difference (&plain.args.job, &changed.args.job);
      bool volume = strcmp (changes[i].option, "--volume-shared") == 0
                    || strcmp (changes[i].option, "--mount") == 0;
      bool device = strcmp (changes[i].option, "--gpus") == 0;
      const char *option = volume ? "--volume" : device ? "--device" : changes[i].option;
      auto_free char *expected = xstrndup (option, strcspn (option, "="));
      if (named == NULL)
        fail_msg ("%s makes no difference", changes[i].option);
      assert_string_equal (named, expected);
      forget (&changed);
    }
  /* What doesn't say what the job is: */
  static const char *const others[] = { "env-file", "results", "id", "pilot" };
  size_t told = sizeof changes / sizeof changes[0] + sizeof others / sizeof others[0];
  size_t options = 0;
  while (job_options[options].name != NULL)
    options++;
  assert_int_equal (options, told);

  struct parsed same = PARSE ("--id", "other", "image", "--", "x");
  must (&same);
  assert_null (job_difference (&plain.args.job, &same.args.job));
  forget (&same);
  forget (&plain);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (options_end_at_the_image),
    cmocka_unit_test (two_dashes_before_the_arguments_are_dropped),
    cmocka_unit_test (bacalhaus_names_are_known),
    cmocka_unit_test (bytes_alone_bound_a_shard),
    cmocka_unit_test (every_option_reaches_its_field),
    cmocka_unit_test (sources_may_hold_colons),
    cmocka_unit_test (storage_options_are_the_environment),
    cmocka_unit_test (environment_by_name_is_ours),
    cmocka_unit_test (entrypoint_may_be_cleared),
    cmocka_unit_test (help_is_seen_before_the_image_only),
    cmocka_unit_test (complaints_name_what_is_wrong),
    cmocka_unit_test (options_of_a_command_may_follow_its_operand),
    cmocka_unit_test (distance_counts_edits),
    cmocka_unit_test (names_are_unique),
    cmocka_unit_test (each_option_makes_another_job),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}

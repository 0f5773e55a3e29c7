/* shoal policy: what a policy file lets jobs do. */
#include "cli/commands.h"
#include "cli/job_json.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/path.h"
#include "common/text.h"
#include "common/units.h"
#include "policy/policy_check.h"
#include "schemas/job_check.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum
{
  JOB_SIZE_MAX = 1 << 20, /* bytes, as the job API takes */
};

/* ---- what is allowed -------------------------------------------------------------------- */

static void
put_items (struct buffer *out, const struct strlist *items)
{
  for (size_t i = 0; i < items->count; i++)
    {
      auto_free char *shown = text_shown (items->items[i]);
      buffer_printf (out, "%s%s", out->size == 0 ? "" : ", ", shown);
    }
}

static void
policy_print_line (const char *name, const struct buffer *value)
{
  (void) printf ("%-24s%s\n", name, value->size == 0 ? "nothing" : value->data);
}

static void
policy_print_list (const char *name, const struct policy_list *list)
{
  auto_buffer struct buffer out = { 0 };
  if (list->anything)
    buffer_puts (&out, "any");
  else
    put_items (&out, &list->items);
  policy_print_line (name, &out);
}

static void
policy_print_places (const char *name, const struct policy_places *places)
{
  auto_buffer struct buffer out = { 0 };
  put_items (&out, &places->folders);
  if (places->any_url)
    buffer_printf (&out, "%sany URL", out.size == 0 ? "" : ", ");
  else
    put_items (&out, &places->urls);
  policy_print_line (name, &out);
}

static void
policy_print_users (const struct policy *policy)
{
  auto_buffer struct buffer out = { 0 };
  if (policy->any_user)
    buffer_puts (&out, "any");
  for (size_t i = 0; !policy->any_user && i < policy->user_count; i++)
    buffer_printf (&out, "%s%lld to %lld", i == 0 ? "" : ", ", (long long) policy->users[i].first,
                   (long long) policy->users[i].last);
  policy_print_line ("users", &out);
}

static void
put_amount (struct buffer *out, enum policy_limit limit, int64_t value)
{
  char text[UNITS_TEXT_SIZE];
  buffer_puts (out, policy_limit_show (limit, value, text));
}

static void
policy_print_limits (const struct policy *policy)
{
  for (int i = 0; i < POLICY_LIMITS; i++)
    {
      const struct policy_bound *bound = &policy->limits[i];
      auto_free char *name = xasprintf ("limits.%s", policy_limit_kinds[i].name);
      auto_buffer struct buffer out = { 0 };
      if (bound->most >= 0)
        {
          buffer_puts (&out, "at most ");
          put_amount (&out, (enum policy_limit) i, bound->most);
        }
      if (bound->otherwise >= 0)
        {
          buffer_printf (&out, "%sdefault ", out.size == 0 ? "" : ", ");
          put_amount (&out, (enum policy_limit) i, bound->otherwise);
        }
      if (out.size > 0)
        policy_print_line (name, &out);
    }
}

static void
policy_print_tokens (const struct policy *policy)
{
  for (size_t i = 0; i < policy->token_count; i++)
    {
      auto_free char *name = xasprintf ("token %s", policy->tokens[i].name);
      policy_print_list (name, &policy->tokens[i].queues);
    }
}

static void
policy_print (const struct policy *policy)
{
  char digest[POLICY_DIGEST_SIZE];
  if (policy->anything)
    {
      (void) puts ("no restrictions");
      return;
    }
  policy_print_list ("runtimes", &policy->runtimes);
  policy_print_list ("networks", &policy->networks);
  policy_print_list ("symlinks", &policy->symlinks);
  policy_print_list ("devices", &policy->devices);
  policy_print_users (policy);
  policy_print_list ("images", &policy->images);
  policy_print_places ("inputs", &policy->inputs);
  policy_print_places ("results", &policy->results);
  policy_print_places ("webhooks", &policy->webhooks);
  policy_print_list ("queues", &policy->queues);
  policy_print_list ("credentials", &policy->credentials);
  policy_print_limits (policy);
  policy_print_tokens (policy);
  (void) printf ("%-24s%s\n", "digest", policy_digest (policy, digest));
}

/* ---- a job ------------------------------------------------------------------------------ */

/* A place that the job doesn't name is below the producer's --results, which is one that is
 * allowed. */
static char *
policy_results_of (const struct policy *policy, const struct job_args *args)
{
  const struct strlist *folders = &policy->results.folders;
  const char *wanted = args->results == NULL ? args->job.id : args->results;
  if (wanted[0] == '/' || strstr (wanted, "://") != NULL)
    return xstrdup (wanted);
  return path_join (folders->count > 0 ? folders->items[0] : "/", wanted);
}

static int
policy_read_submission (const struct policy *policy, struct bytes text, struct job_args *args,
                        char **field, struct error *err)
{
  const char *wrong = NULL;
  if (job_json_read (text, args, field, err) != 0)
    return -1;
  if (!args->has_id)
    args->job.id = xstrdup ("job");
  args->job.results = policy_results_of (policy, args);
  if (job_check (&args->job, &wrong, err) == 0
      && policy_check_job (policy, &args->job, &wrong, err) == 0)
    return 0;
  *field = xstrdup (wrong);
  return -1;
}

/* Says whether the job in the file PATH would pass: EXIT_DONE, EXIT_JOB_FAILED, or -1 when there is
 * none. */
static int
check_job (const struct policy *policy, const char *path, struct error *err)
{
  auto_buffer struct buffer text = { 0 };
  auto_job_args struct job_args args;
  auto_free char *field = NULL;
  struct error why = ERROR_INIT;
  if (fs_read_file (AT_FDCWD, path, JOB_SIZE_MAX, &text, err) != 0)
    return -1;
  job_args_init (&args);
  if (policy_read_submission (policy, buffer_bytes (&text), &args, &field, &why) == 0)
    {
      (void) puts ("the job is allowed");
      return EXIT_DONE;
    }
  auto_free char *reason = text_shown (why.message);
  (void) printf ("the job is refused: %s%s%s\n", field == NULL ? "" : field,
                 field == NULL ? "" : ": ", reason);
  return EXIT_JOB_FAILED;
}

static int
policy_run (int argc, char **argv, struct error *err)
{
  int first = options_operands (NULL, 0, argc, argv, 2, 3, command_policy.synopsis, err);
  if (first < 0)
    return first;
  if (strcmp (argv[first], "check") != 0)
    return error_set (err, ERROR_USER, "\"%s\": usage: shoal %s", argv[first],
                      command_policy.synopsis);
  auto_policy struct policy policy = { 0 };
  if (policy_load (argv[first + 1], &policy, err) != 0)
    return -1;
  if (argc - first == 3)
    return check_job (&policy, argv[first + 2], err);
  policy_print (&policy);
  return EXIT_DONE;
}

const struct command command_policy = {
  .name = "policy",
  .synopsis = "policy check FILE [JOB.json]",
  .summary = "check a policy file, or a job against it",
  .help =
      "Without a job, prints what the policy allows. JOB.json is a job in the form of the HTTP\n"
      "API; the exit code is 1 if the policy refuses it. Folders are resolved on this machine.\n"
      "\n"
      "  shoal policy check policy.json\n"
      "  shoal policy check policy.json job.json\n",
  .run = policy_run,
};

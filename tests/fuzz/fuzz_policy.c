/* libFuzzer: a policy file, and behind a NUL a job as HTTP has it. What isn't taken has a line and
 * a reason; what is taken is written as text that reads back to the same, and what it says of a job
 * is the same by both. */
#include "cli/job_json.h"
#include "common/memory.h"
#include "policy/policy_check.h"
#include "schemas/job_check.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* What POLICY says of JOB, which is as it was before. */
static char *
said_of (const struct policy *policy, const struct job *job)
{
  struct error err = ERROR_INIT;
  const char *field = NULL;
  auto_job struct job copy;
  job_copy (&copy, job);
  int result = policy_check_terms (policy, &copy, &field, &err);
  if (result != 0 && (field == NULL || strncmp (err.message, "policy: ", 8) != 0))
    abort ();
  policy_apply (policy, &copy);
  /* What was applied is within what is allowed. */
  if (result == 0 && policy_check_terms (policy, &copy, NULL, NULL) != 0)
    abort ();
  return result == 0 ? xstrdup ("passes") : xasprintf ("%s: %s", field, err.message);
}

static void
check_job (const struct policy *policy, const struct policy *back, struct bytes text)
{
  auto_job_args struct job_args args;
  auto_free char *wrong = NULL;
  job_args_init (&args);
  if (job_json_read (text, &args, &wrong, NULL) != 0)
    return;
  if (!args.has_id)
    args.job.id = xstrdup ("j");
  args.job.results = xstrdup (args.results == NULL ? "s3://results/r" : args.results);
  if (job_check (&args.job, NULL, NULL) != 0)
    return;
  auto_free char *one = said_of (policy, &args.job);
  auto_free char *two = said_of (back, &args.job);
  if (strcmp (one, two) != 0)
    abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct error err = ERROR_INIT;
  auto_policy struct policy policy = { 0 };
  auto_policy struct policy back = { 0 };
  const uint8_t *end = size == 0 ? NULL : memchr (data, '\0', size);
  size_t length = end == NULL ? size : (size_t) (end - data);
  if (policy_parse ((struct bytes){ data, length }, &policy, &err) != 0)
    {
      if (err.class != ERROR_USER || strncmp (err.message, "line ", 5) != 0)
        abort ();
      return 0;
    }
  auto_free char *text = policy_format (&policy);
  if (policy_parse ((struct bytes){ text, strlen (text) }, &back, NULL) != 0)
    abort ();
  auto_free char *again = policy_format (&back);
  if (strcmp (text, again) != 0)
    abort ();
  if (end != NULL)
    check_job (&policy, &back, (struct bytes){ end + 1, size - length - 1 });
  return 0;
}

/* libFuzzer: a job as Avro, of anybody's making, a result's path and a tmpfs's text. What is taken
 * is the same when it is asked again; its paths are normal, and its numbers can be added to each
 * other and to a clock. */
#include "common/memory.h"
#include "common/path.h"
#include "schemas/codec.h"
#include "schemas/job_bounds.h"
#include "schemas/job_check.h"
#include "schemas/job_difference.h"
#include "schemas/job_names.h"
#include "schemas/job_paths.h"
#include "schemas/tmpfs.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
check_normal (const char *path)
{
  auto_free char *normal = path_normal (path, NULL);
  if (path[0] != '/' || normal == NULL || strcmp (normal, path) != 0 || !job_text_is_plain (path))
    abort ();
}

static void
check_paths (const struct job *job)
{
  if (strstr (job->results, "://") == NULL)
    check_normal (job->results);
  if (job->workdir != NULL)
    check_normal (job->workdir);
  if (job->base_path != NULL)
    check_normal (job->base_path);
  for (size_t i = 0; i < job->volume_count; i++)
    check_normal (job->volumes[i].path);
  for (size_t i = 0; i < job->output_count; i++)
    check_normal (job->outputs[i].path);
}

static void
check_numbers (const struct job *job)
{
  const int64_t numbers[] = { job->timeout_ms,       job->job_timeout_ms,     job->stage_timeout_ms,
                              job->max_output_bytes, job->collect_timeout_ms, job->memory,
                              job->submitted,        job->log_limit,          job->max_failures,
                              job->stop_timeout_ms };
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    if (numbers[i] < -1 || numbers[i] > JOB_TIME_MAX_MS + JOB_BYTES_MAX)
      abort ();
}

static void
fuzz_job (struct bytes message)
{
  auto_job struct job job = { 0 };
  auto_job struct job again = { 0 };
  if (codec_decode_job (message, &job, NULL) != 0)
    return;
  struct error err = ERROR_INIT;
  const char *field = NULL;
  if (job_check (&job, &field, &err) != 0)
    {
      if (err.class != ERROR_USER || field == NULL || err.message[0] == '\0')
        abort ();
      return;
    }
  check_paths (&job);
  check_numbers (&job);
  job_copy (&again, &job);
  if (job_check (&again, NULL, NULL) != 0 || job_difference (&again, &job) != NULL)
    abort ();
}

static void
fuzz_place (const char *text)
{
  auto_free char *place = xstrdup (text);
  if (job_results_normal (&place, NULL) != 0)
    return;
  if (strstr (place, "://") == NULL)
    check_normal (place);
  else if (strstr (place, "/../") != NULL || !job_text_is_plain (place))
    abort ();
}

static void
fuzz_tmpfs (const char *text)
{
  auto_tmpfs struct tmpfs tmpfs = { 0 };
  auto_tmpfs struct tmpfs back = { 0 };
  if (tmpfs_parse (text, &tmpfs, NULL) != 0)
    return;
  auto_free char *one = tmpfs_format (&tmpfs);
  if (tmpfs_parse (one, &back, NULL) != 0)
    abort ();
  auto_free char *two = tmpfs_format (&back);
  if (strcmp (one, two) != 0)
    abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  auto_free char *text = size == 0 ? NULL : xstrndup ((const char *) data + 1, size - 1);
  if (size == 0)
    return 0;
  switch (data[0] % 3)
    {
    case 0:
      fuzz_place (text);
      break;
    case 1:
      fuzz_tmpfs (text);
      break;
    default:
      fuzz_job ((struct bytes){ data + 1, size - 1 });
      break;
    }
  return 0;
}

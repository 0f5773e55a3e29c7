/* libFuzzer: a job as HTTP brings it, up to the record on the bus: an optional header and a NUL
 * before the body. Whatever isn't taken has a reason and says which member it is; whatever is taken
 * comes back as it was, and the planner has nothing against it. */
#include "cli/job_api.h"
#include "common/memory.h"
#include "producer/slicer.h"
#include "schemas/codec.h"
#include "schemas/job_check.h"
#include "schemas/job_difference.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerInitialize (int *argc, char ***argv);
int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* Inputs on IPFS are taken where a gateway is known; nobody asks it. */
int
LLVMFuzzerInitialize (int *argc, char ***argv)
{
  (void) argc;
  (void) argv;
  return setenv ("SHOAL_IPFS_GATEWAY", "http://127.0.0.1:9", 1);
}

static void
check_refusal (const struct job_args *args, const char *field, const struct error *err)
{
  if (err->message[0] == '\0' || (field == NULL && args->job.image != NULL))
    abort ();
}

static void
check_job (const struct job *job)
{
  auto_buffer struct buffer message = { 0 };
  auto_job struct job back = { 0 };
  if (codec_encode_job (job, &message, NULL) != 0
      || codec_decode_job (buffer_bytes (&message), &back, NULL) != 0)
    abort ();
  if (strcmp (back.id, job->id) != 0 || strcmp (back.results, job->results) != 0
      || job_difference (job, &back) != NULL)
    abort ();
  if (job_check (&back, NULL, NULL) != 0 || slicer_check (&back, NULL, NULL) != 0)
    abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct error err = ERROR_INIT;
  auto_job_args struct job_args args;
  auto_free char *field = NULL;
  auto_free char *trace = NULL;
  const uint8_t *end = size == 0 ? NULL : memchr (data, '\0', size);
  if (end != NULL)
    {
      trace = xstrdup ((const char *) data);
      size -= (size_t) (end + 1 - data);
      data = end + 1;
    }
  job_args_init (&args);
  if (job_api_read_job ((struct bytes){ data, size }, trace, "/tmp", NULL, &args, &field, &err)
      != 0)
    check_refusal (&args, field, &err);
  else
    check_job (&args.job);
  return 0;
}

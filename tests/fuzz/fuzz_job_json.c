/* libFuzzer: a job as HTTP brings it. Whatever is taken can be sent on and read back; whatever isn't has a reason. */
#include "cli/job_json.h"
#include "common/memory.h"
#include "schemas/codec.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct error err = ERROR_INIT;
  auto_job_args struct job_args args;
  auto_free char *field = NULL;
  job_args_init (&args);
  if (job_json_read ((struct bytes){ data, size }, &args, &field, &err) != 0)
    {
      if (err.message[0] == '\0' || err.class != ERROR_USER)
        abort ();
      return 0;
    }
  if (args.job.image == NULL)
    abort ();
  if (args.job.id == NULL)
    args.job.id = xstrdup ("j");
  args.job.results = xstrdup ("/r");
  auto_buffer struct buffer message = { 0 };
  auto_job struct job back = { 0 };
  if (codec_encode_job (&args.job, &message, &err) == 0
      && codec_decode_job (buffer_bytes (&message), &back, &err) != 0)
    abort ();
  return 0;
}

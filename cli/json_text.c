#include "cli/json_text.h"

#include "merger/text.h"

void
json_set_text (json_t *object, const char *key, const char *text)
{
  if (text != NULL)
    text_set_bytes (object, key, text);
}

void
json_set_number (json_t *object, const char *key, int64_t number)
{
  if (number >= 0)
    (void) json_object_set_new (object, key, json_integer (number));
}

json_t *
json_job (const struct job *job, const struct job_status *status)
{
  json_t *object = json_object ();
  json_set_text (object, "job", job->id);
  json_set_text (object, "state", job_state_name (status->state));
  json_set_number (object, "submitted", job->submitted);
  json_set_number (object, "shards", status->shards);
  json_set_number (object, "succeeded", status->succeeded);
  json_set_number (object, "failed", status->failed);
  json_set_number (object, "running", status->running);
  json_set_text (object, "reason", status->reason);
  json_set_text (object, "result", status->result);
  return object;
}

void
json_put_line (json_t *object, FILE *out)
{
  (void) json_dumpf (object, out, JSON_COMPACT);
  (void) fputc ('\n', out);
  json_decref (object);
}

#include "merger/status_json.h"

#include "common/text.h"

static void
status_json_set_text (json_t *object, const char *key, const char *text)
{
  if (text != NULL)
    text_set_bytes (object, key, text);
}

static void
status_json_set_number (json_t *object, const char *key, int64_t number)
{
  if (number >= 0)
    (void) json_object_set_new (object, key, json_integer (number));
}

void
status_json_set_settings (json_t *object, const struct job_settings *settings)
{
  (void) json_object_set_new (object, "priority", json_integer (settings->priority));
  status_json_set_number (object, "max_parallel", settings->max_parallel);
  (void) json_object_set_new (object, "paused", json_boolean (settings->paused));
}

json_t *
status_json (const struct job *job, const struct job_status *status,
             const struct job_settings *settings)
{
  json_t *object = json_object ();
  status_json_set_text (object, "job", job->id);
  status_json_set_text (object, "state", job_state_name (status->state));
  status_json_set_text (object, "queue", job->queue);
  status_json_set_number (object, "submitted", job->submitted);
  status_json_set_number (object, "generation", status->generation > 0 ? status->generation : 1);
  status_json_set_number (object, "shards", status->shards);
  status_json_set_number (object, "succeeded", status->succeeded);
  status_json_set_number (object, "failed", status->failed);
  status_json_set_number (object, "running", status->running);
  if (settings != NULL && !job_state_is_terminal (status->state))
    status_json_set_settings (object, settings);
  status_json_set_text (object, "reason", status->reason);
  status_json_set_text (object, "result", status->result);
  status_json_set_text (object, "webhook", status->webhook);
  return object;
}

#include "merger/report_job.h"

#include "common/memory.h"
#include "common/text.h"
#include "common/units.h"
#include "storage/storage.h"

/* A row; TEXT is escaped. */
static void
put_fact (struct buffer *out, const char *name, const char *text)
{
  buffer_printf (out, "<tr><th>%s</th><td>", name);
  text_put_html (out, text);
  buffer_puts (out, "</td></tr>\n");
}

static void
put_size (struct buffer *out, const char *name, int64_t bytes)
{
  char text[UNITS_TEXT_SIZE];
  if (bytes >= 0)
    put_fact (out, name, units_format_size (bytes, text));
}

static void
put_duration (struct buffer *out, const char *name, int64_t ms)
{
  char text[UNITS_TEXT_SIZE];
  if (ms >= 0)
    put_fact (out, name, units_format_duration (ms, text));
}

static void
report_put_inputs (struct buffer *out, const struct job *job)
{
  for (size_t i = 0; i < job->volume_count; i++)
    {
      const struct volume *volume = &job->volumes[i];
      auto_free char *source = storage_shown (volume->source);
      auto_free char *text = xasprintf ("%s at %s%s", source, volume->path,
                                        volume->shared ? ", whole in each shard" : "");
      put_fact (out, "input", text);
    }
  if (job->glob == NULL)
    return;
  auto_free char *pattern = job->base_path == NULL
                                ? xstrdup (job->glob)
                                : xasprintf ("%s below %s", job->glob, job->base_path);
  put_fact (out, "pattern", pattern);
  for (size_t i = 0; i < job->exclude.count; i++)
    put_fact (out, "excluded", job->exclude.items[i]);
}

static void
report_put_limits (struct buffer *out, const struct job *job)
{
  put_size (out, "memory limit", job->memory);
  if (job->cpus >= 0)
    {
      auto_free char *cpus = xasprintf ("%g", (double) job->cpus / 1000);
      put_fact (out, "CPU limit", cpus);
    }
  put_duration (out, "time limit", job->timeout_ms);
  put_duration (out, "time limit of the job", job->job_timeout_ms);
  put_size (out, "output limit", job->max_output_bytes);
  auto_free char *retries = xasprintf ("%d", job->retries);
  put_fact (out, "retries", retries);
}

void
report_put_job (const struct job *job, struct buffer *out)
{
  auto_free char *command = text_words (job->image, &job->command);
  buffer_puts (out, "<p><code>");
  text_put_html (out, command);
  buffer_puts (out, "</code></p>\n<table class=\"facts\">\n");
  if (job->image_id != NULL)
    put_fact (out, "image id", job->image_id);
  for (size_t i = 0; i < job->earlier_images.count; i++)
    put_fact (out, "image id of shards that ran before", job->earlier_images.items[i]);
  report_put_inputs (out, job);
  report_put_limits (out, job);
  buffer_puts (out, "</table>\n");
}

#include "cli/log_options.h"

#include "common/http/http.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
log_apply_level (const char *value, struct error *err)
{
  for (int level = LOG_DEBUG; level <= LOG_ERROR; level++)
    if (strcmp (value, log_level_names[level]) == 0)
      {
        log_set_level ((enum log_level) level);
        (void) setenv ("SHOAL_LOG", value, 1);
        return 0;
      }
  return error_set (err, ERROR_USER, "\"%s\" is none of debug, info, warn, error", value);
}

static int
log_apply_format (const char *value, struct error *err)
{
  bool json = strcmp (value, "json") == 0;
  if (!json && strcmp (value, "logfmt") != 0)
    return error_set (err, ERROR_USER, "\"%s\" is none of logfmt, json", value);
  log_set_json (json);
  (void) setenv ("SHOAL_LOG_FORMAT", value, 1);
  return 0;
}

static int
set_log_level (void *context, const char *value, struct error *err)
{
  (void) context;
  return log_apply_level (value, err);
}

static int
set_log_format (void *context, const char *value, struct error *err)
{
  (void) context;
  return log_apply_format (value, err);
}

const struct option_spec log_options[] = {
  { 0, "log-level", NULL, "LEVEL", "debug, info, warn or error (default SHOAL_LOG, else info)",
    GROUP_OTHER, false, set_log_level },
  { 0, "log-format", NULL, "FORMAT", "logfmt or json (default SHOAL_LOG_FORMAT, else logfmt)",
    GROUP_OTHER, false, set_log_format },
  { 0 },
};

int
log_options_finish (struct error *err)
{
  const char *level = getenv ("SHOAL_LOG");
  const char *format = getenv ("SHOAL_LOG_FORMAT");
  if (log_apply_level (level == NULL || level[0] == '\0' ? "info" : level, err) != 0)
    return error_wrap (err, "SHOAL_LOG");
  if (format != NULL && format[0] != '\0' && log_apply_format (format, err) != 0)
    return error_wrap (err, "SHOAL_LOG_FORMAT");
  return 0;
}

void
log_service_start (const char *service, const char *bus, const struct strlist *queues)
{
  struct buffer names = { 0 };
  for (size_t i = 0; queues != NULL && i < queues->count; i++)
    buffer_printf (&names, "%s%s", i == 0 ? "" : ",", queues->items[i]);
  if (queues != NULL && queues->count == 0)
    buffer_puts (&names, "default");
  auto_free char *list = buffer_take (&names);
  auto_free char *url = http_url_shown (bus);
  auto_free char *shown = text_log (url);
  log_info ("service_started", "service=%s version=%s pid=%d bus=%s%s%s", service, SHOAL_VERSION,
            (int) getpid (), shown, queues == NULL ? "" : " queues=", queues == NULL ? "" : list);
}

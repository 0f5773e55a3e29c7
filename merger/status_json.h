/* status_json.h — how a job stands, as programs read it: by HTTP, from `shoal list --json`, in a
 * webhook (docs/job-api.md). */
#ifndef SHOAL_MERGER_STATUS_JSON_H
#define SHOAL_MERGER_STATUS_JSON_H

#include "bus/settings.h"
#include "schemas/messages.h"

#include <jansson.h>

/* A new object; what isn't known is absent. SETTINGS: how the job goes on; NULL: not known, or it
 * has ended. */
json_t *status_json (const struct job *job, const struct job_status *status,
                     const struct job_settings *settings);

/* Puts SETTINGS into OBJECT. */
void status_json_set_settings (json_t *object, const struct job_settings *settings);

#endif

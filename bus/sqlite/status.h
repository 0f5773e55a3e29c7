/* status.h — control records and statuses. */
#ifndef SHOAL_BUS_SQLITE_STATUS_H
#define SHOAL_BUS_SQLITE_STATUS_H

#include "bus/sqlite/database.h"

/* Sets whether shards of JOB_ID are delivered. */
int sqlite_set_live (struct sqlite_bus *bus, const char *job_id, bool live, struct error *err);

int sqlite_publish_control (struct bus *bus, const struct control *control, struct error *err);
int sqlite_next_control (struct bus *bus, int64_t *position, struct control *control,
                         struct error *err);

/* The job runs again: who starts reading now finds what was set of it, and neither the order to
 * stop nor a pause. Within a transaction; 0 or -1. */
int sqlite_renew_control (struct sqlite_bus *bus, const char *job_id, struct error *err);

int sqlite_put_status (struct bus *bus, const struct job_status *status, struct error *err);
int sqlite_write_status (struct sqlite_bus *bus, const struct job_status *status,
                         struct error *err); /* within a transaction */
int sqlite_get_status (struct bus *bus, const char *job_id, struct job_status *status,
                       struct error *err);

#endif

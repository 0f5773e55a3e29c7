/* jobs.h — jobs in SQLite: submitted, read, listed. */
#ifndef SHOAL_BUS_SQLITE_JOBS_H
#define SHOAL_BUS_SQLITE_JOBS_H

#include "bus/sqlite/database.h"

int sqlite_submit (struct bus *bus, const struct job *job, struct error *err);
int sqlite_get_job (struct bus *bus, const char *id, struct job *job, struct error *err);
int sqlite_amend_job (struct bus *bus, const struct job *job, struct error *err);
int sqlite_list_queues (struct bus *base, struct strlist *queues, struct error *err);
int sqlite_list_jobs (struct bus *bus, const char *after,
                      int (*each) (void *context, const struct job *job), void *context,
                      struct error *err);

#endif

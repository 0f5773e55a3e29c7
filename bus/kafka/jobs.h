/* jobs.h — jobs, control records and statuses: written to their topics, and asked of the tables. */
#ifndef SHOAL_BUS_KAFKA_JOBS_H
#define SHOAL_BUS_KAFKA_JOBS_H

#include "bus/kafka/tables.h"

int jobs_submit (struct kafka_tables *tables, const struct job *job, struct error *err);
int jobs_get (struct kafka_tables *tables, const char *id, struct job *job, struct error *err);
int jobs_list (struct kafka_tables *tables, const char *after,
               int (*each) (void *context, const struct job *job), void *context,
               struct error *err);
int jobs_publish_control (struct kafka_tables *tables, const struct control *control,
                          struct error *err);
int jobs_next_control (struct kafka_tables *tables, int64_t *position, struct control *control,
                       struct error *err);
int jobs_put_status (struct kafka_tables *tables, const struct job_status *status,
                     struct error *err);
int jobs_get_status (struct kafka_tables *tables, const char *job_id, struct job_status *status,
                     struct error *err);

#endif

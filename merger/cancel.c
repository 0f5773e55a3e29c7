#include "merger/cancel.h"

/* The generation tells, whatever clocks say; the time where the bus doesn't know generations, or
 * read an old one while the job was reopened. */
bool
cancel_is_history (const struct fold *fold, const struct control *control)
{
  return control->generation < fold_generation (fold) && control->time <= fold_cancel_time (fold);
}

int
cancel_publish (struct bus *bus, const struct job *job, const struct fold *fold, const char *reason,
                const char *class_name, int64_t time, struct error *err)
{
  const struct event event = { .kind = EVENT_CANCELLED,
                               .job_id = job->id,
                               .time = time,
                               .writer = (char *) (uintptr_t) bus_writer (bus),
                               .generation = fold_generation (fold),
                               .class_name = (char *) (uintptr_t) class_name,
                               .reason = (char *) (uintptr_t) reason };
  if (bus_publish_event (bus, &event, err) != 0)
    return -1;
  return bus_flush (bus, err);
}

/* cancel.h — an order to cancel a job, and the event that puts it on record. */
#ifndef SHOAL_MERGER_CANCEL_H
#define SHOAL_MERGER_CANCEL_H

#include "bus/bus.h"
#include "merger/fold.h"

/* Whether CONTROL is from before the last cancel or reopening of FOLD's job: the records are read
 * from the start again and again. */
bool cancel_is_history (const struct fold *fold, const struct control *control);

/* Puts on record that JOB, whose events FOLD has, is cancelled: for REASON, at TIME (UTC ms).
 * CLASS_NAME: why, where no person ordered it; NULL. 0, or -1 with ERR. */
int cancel_publish (struct bus *bus, const struct job *job, const struct fold *fold,
                    const char *reason, const char *class_name, int64_t time, struct error *err);

#endif

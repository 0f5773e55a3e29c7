/* status.h — what is asked of a running job, and how far a job is. */
#ifndef SHOAL_SCHEMAS_STATUS_H
#define SHOAL_SCHEMAS_STATUS_H

#include "common/auto.h"

#include <stdbool.h>
#include <stdint.h>

enum control_kind
{
  CONTROL_UNKNOWN,
  CONTROL_CANCEL,
  CONTROL_SET, /* how the job goes on: priority, max_parallel, paused */
};

#define CONTROL_KEPT INT32_MIN /* of what a CONTROL_SET leaves as it was */

struct control
{
  enum control_kind kind;
  int64_t position; /* set by the bus; not encoded */
  char *job_id;
  int64_t time;
  uint32_t generation; /* the job's when it was written; set by the bus, 0: not known */
  char *reason;
  /* of a CONTROL_SET */
  int32_t priority;
  int64_t max_parallel; /* 0: no limit */
  int32_t paused;       /* 1 or 0 */
};

void control_release (struct control *control);
#define auto_control AUTO (control_release)

enum job_state
{
  JOB_QUEUED,
  JOB_RUNNING,
  JOB_MERGING,
  JOB_SUCCEEDED, /* terminal from here on: every shard succeeded */
  JOB_PARTIAL,   /* some shards failed, within --min-success: counts as done */
  JOB_FAILED,
  JOB_CONFLICT, /* two shards wrote one path under `fail` */
  JOB_CANCELLED,
};

struct job_status
{
  char *job_id;
  enum job_state state;
  int64_t updated;
  int64_t shards;    /* -1 while the plan is open */
  int64_t atoms;     /* of the plan, -1 */
  int64_t succeeded; /* shards */
  int64_t failed;
  int64_t running;
  int64_t atoms_done;
  uint32_t generation; /* the job's highest */
  uint32_t closed;     /* no shard up to this generation is delivered any more; kept by the bus */
  char *result;        /* where it stands; NULL before */
  char *reason;        /* why it isn't SUCCEEDED; NULL */
  char *class_name;    /* of a job that failed in planning, else NULL */
  /* "pending", "delivered" or why it wasn't told; NULL: the job has none, or hasn't ended */
  char *webhook;
};

/* STATUS, a job's last one or zeroed, as that of the job ID which runs again as GENERATION. */
void job_status_reopen (struct job_status *status, const char *id, uint32_t generation);
void job_status_release (struct job_status *status);
#define auto_job_status AUTO (job_status_release)

static inline bool
job_state_is_terminal (enum job_state state)
{
  return state >= JOB_SUCCEEDED;
}

/* Names as in the Avro symbols, lower case; and back, -1 when there is no such name. */
const char *job_state_name (enum job_state state);
int job_state_from_name (const char *name);

#endif

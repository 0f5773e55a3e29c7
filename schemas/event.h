/* event.h — what happened to a job: planned, a shard started, finished … */
#ifndef SHOAL_SCHEMAS_EVENT_H
#define SHOAL_SCHEMAS_EVENT_H

#include "schemas/job.h"
#include "schemas/shard.h"

enum event_kind
{
  EVENT_UNKNOWN,   /* written by a newer program: to be skipped */
  EVENT_PLANNED,   /* the plan is closed: shards, atoms, bytes, digest */
  EVENT_STARTED,   /* an attempt began: index, generation, attempt, worker */
  EVENT_FINISHED,  /* an attempt ended */
  EVENT_REOPENED,  /* a replay: generation, indexes */
  EVENT_CANCELLED, /* no attempt will start any more: reason */
  EVENT_FAILED,    /* the job can't be planned: reason, class */
  EVENT_REMERGE,   /* assemble again with on_conflict, nothing is run */
};

enum outcome
{
  OUTCOME_SUCCEEDED,
  OUTCOME_FAILED, /* the command's exit code or signal says so */
  OUTCOME_OOM,
  OUTCOME_TIMEOUT,
  OUTCOME_CANCELLED,
  OUTCOME_INFRA, /* create, image, staging, disk: ours */
};

/* How one attempt went. */
struct attempt_report
{
  enum outcome outcome;
  bool final;        /* no retry follows: the shard is settled with this outcome */
  int32_t exit_code; /* -1: never ran */
  int32_t signal;    /* 0: none */
  char *folder;      /* name of the attempt's folder; NULL: none was kept */
  char *reason;      /* one line for people; NULL on success */
  int64_t started;
  int64_t ended;
  int64_t cpu_us;      /* -1: not known */
  int64_t peak_memory; /* bytes, -1 */
  int64_t bytes_in;
  int64_t bytes_out;
  int64_t files_out;
};

struct event
{
  enum event_kind kind;
  int64_t position; /* where it stands in the log, set by the bus; not encoded */
  char *job_id;
  int64_t time;
  /* UTC ms by the bus's clock when it came there, set by the bus; not encoded; 0: not known */
  int64_t logged;
  char *writer; /* which process: "worker-…" */

  uint32_t generation; /* STARTED, FINISHED, REOPENED */
  uint32_t index;
  enum shard_kind shard_kind;
  uint32_t attempt;
  uint32_t starts;
  uint8_t digest[DIGEST_SIZE]; /* of the shard's atoms; PLANNED: of all shards' digests in order */

  int64_t shards; /* PLANNED */
  int64_t atoms;  /* PLANNED, and FINISHED: of the shard */
  int64_t bytes;
  struct strlist volume_pins; /* PLANNED: as its shards have them */

  struct attempt_report report; /* FINISHED */

  uint32_t *indexes; /* REOPENED */
  size_t index_count;
  enum on_conflict on_conflict; /* REMERGE */

  char *reason;     /* CANCELLED, FAILED; PLANNED: what was left out of the inputs */
  char *class_name; /* FAILED: error_class_name; CANCELLED: "limit" when limits were passed */
};

void attempt_report_release (struct attempt_report *report);
void event_release (struct event *event);
#define auto_event AUTO (event_release)

/* Names as in the Avro symbols, lower case: "succeeded", "oom", "planned" … */
const char *outcome_name (enum outcome outcome);
const char *event_kind_name (enum event_kind kind);

#endif

/* messages.h — what travels: job, atom, shard, event, control and status, as C structs.
 *
 * Each has an Avro schema of the same name beside it; codec.h turns one into the other. The structs
 * own what they point to; `X_release` frees the inside and zeroes it. Times are UTC milliseconds
 * unless said otherwise. Numbers that may be absent are -1, strings NULL.
 */
#ifndef SHOAL_SCHEMAS_MESSAGES_H
#define SHOAL_SCHEMAS_MESSAGES_H

#include "common/buffer.h"
#include "common/digest.h"
#include "common/strlist.h"
#include "common/units.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- job ------------------------------------------------------------------------------- */

enum
{
  JOB_LIST_MAX = 1000,   /* volumes or outputs of one job */
  JOB_RETRIES_USUAL = 2, /* of a job that doesn't say */
};
#define JOB_LOG_LIMIT_USUAL ((int64_t) 1 << 30) /* bytes, likewise */

enum network
{
  NETWORK_NONE,
  NETWORK_HOST,
};

enum symlinks /* in inputs */
{
  SYMLINKS_BENEATH, /* a link to a file beneath the volume is that file, others are an error */
  SYMLINKS_FOLLOW,
  SYMLINKS_SKIP,
};

enum stage_mode
{
  STAGE_AUTO,
  STAGE_LINK,
  STAGE_COPY,
  STAGE_BIND,
};

enum on_conflict /* two shards wrote one path */
{
  CONFLICT_FAIL,
  CONFLICT_FIRST,
  CONFLICT_LAST,
  CONFLICT_RENAME,
  CONFLICT_CONCAT,
};

struct volume
{
  char *source; /* a folder, s3://…, ipfs://… */
  char *path;   /* in the container, normal (path.h) */
  bool shared;  /* whole and read-only for every shard, not sliced */
};

struct output
{
  char *name; /* a folder below outputs/ */
  char *path; /* in the container, normal */
};

struct job
{
  char *id;
  int64_t submitted;
  char *results; /* where the result stands: an absolute folder or a URL */

  char *image;
  struct strlist command; /* the arguments behind the image's name */
  bool has_entrypoint;    /* --entrypoint was given; may be empty, which clears the image's */
  struct strlist entrypoint;
  struct strlist env; /* "NAME=value" */
  char *workdir;      /* NULL: the image's */
  char *user;         /* NULL: the image's; else "uid", "uid:gid", "name" … */
  enum network network;
  bool read_only;       /* the root file system */
  struct strlist tmpfs; /* container paths, docker's "PATH[:size=…]" */
  char *runtime;        /* "oci" or "process" */

  struct volume *volumes;
  size_t volume_count;
  struct output *outputs;
  size_t output_count;

  char *glob;      /* NULL: not sharded, one shard sees everything */
  char *base_path; /* normal; never NULL when glob is set */
  struct strlist exclude;
  int64_t batch_size;  /* atoms a shard, at least 1 */
  int64_t batch_bytes; /* -1: no bound */
  int64_t shards;      /* -1; else this many shards of equal size */
  bool needs_count;    /* SHOAL_SHARD_COUNT is wanted: list first, publish after */
  enum symlinks symlinks;
  enum stage_mode stage;

  int64_t memory;             /* bytes a container, -1: no limit */
  int32_t cpus;               /* thousandths, -1 */
  int64_t pids;               /* -1 */
  int64_t timeout_ms;         /* an attempt, -1 */
  int64_t job_timeout_ms;     /* the job, -1 */
  int64_t stage_timeout_ms;   /* fetching an attempt's inputs, -1: the default */
  int64_t collect_timeout_ms; /* collecting an attempt's outputs, -1: the default */
  int64_t max_output_bytes;   /* of an attempt's outputs, -1: no limit */
  int64_t max_output_files;   /* of an attempt's outputs, -1: no limit */
  int64_t log_limit;          /* bytes kept of stdout and of stderr each */

  int32_t retries;            /* after the first attempt */
  struct codes fail_on;       /* exit codes that are never retried */
  struct codes success_codes; /* exit codes that count as success; 0 is always in it */
  int32_t min_success;        /* hundredths of a percent, 10000: every shard */
  int64_t max_failures;       /* give up beyond this many failed shards; -1: no bound */
  int32_t max_failures_bp;    /* the same in hundredths of a percent; -1 */
  enum on_conflict on_conflict;

  char *reduce_image; /* NULL: no reduce */
  struct strlist reduce_command;

  char *queue;   /* which workers take its shards; "default" unless said otherwise */
  char *webhook; /* URL that is told how the job ended; NULL: none */
  /* name of storage credentials that the services hold, never a secret; NULL: the services' own */
  char *credentials;
  /* "sha256:…" of the configurations and layers that the images must have (docs/concepts.md);
     NULL: any of the name */
  char *image_id;
  char *reduce_image_id;
};

void job_init (struct job *job); /* the defaults */
void job_release (struct job *job);
void job_copy (struct job *to, const struct job *from);
#define auto_job AUTO (job_release)

/* ---- atoms and shards ------------------------------------------------------------------ */

/* One file or folder. Where it points into an atom list the list owns the strings. */
struct atom
{
  uint32_t volume; /* index into job.volumes */
  bool folder;
  int64_t size;     /* bytes of a file where known, else -1 */
  const char *path; /* relative to the volume's root, NUL-ended, any bytes; "" is the root itself */
  size_t path_size;
  const char *source;  /* NULL: path below the volume's source; else an absolute path or URL */
  const char *version; /* what the file was when it was listed; NULL: its storage doesn't say */
};

enum shard_kind
{
  SHARD_MAP,
  /* the job's reduce container: its atoms are the shards' output folders, under /shards */
  SHARD_REDUCE,
};

/* The atoms are Avro `Atom` records back to back: in `atoms`, or in a range of the plan file. */
struct shard
{
  char *job_id;
  enum shard_kind kind;
  uint32_t generation; /* 1; goes up with each replay */
  uint32_t index;
  int64_t count;      /* shards of the job, -1 when not known at publishing */
  uint32_t attempt;   /* 1, 2 … within the generation */
  uint32_t failures;  /* attempts of this generation that used up a retry */
  uint32_t infra;     /* … and those that the machine failed */
  int64_t not_before; /* UTC ms; 0: at once */
  int64_t atom_count;
  int64_t bytes;               /* of its files where known, else -1 */
  uint8_t digest[DIGEST_SIZE]; /* SHA-256 of the atom list as encoded */
  struct buffer atoms;         /* the list, or empty when plan_length >= 0 */
  int64_t plan_offset;         /* range of the job's plan file; -1: the list is inline */
  int64_t plan_length;
};

void shard_release (struct shard *shard);
void shard_copy (struct shard *to, const struct shard *from);
#define auto_shard AUTO (shard_release)

/* ---- events ---------------------------------------------------------------------------- */

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

/* ---- control and status ---------------------------------------------------------------- */

enum control_kind
{
  CONTROL_UNKNOWN,
  CONTROL_CANCEL,
};

struct control
{
  enum control_kind kind;
  int64_t position; /* set by the bus; not encoded */
  char *job_id;
  int64_t time;
  uint32_t generation; /* the job's when it was written; set by the bus, 0: not known */
  char *reason;
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

void job_status_release (struct job_status *status);
#define auto_job_status AUTO (job_status_release)

/* ---- claims ---------------------------------------------------------------------------- */

enum claim_kind
{
  CLAIM_UNKNOWN,
  CLAIM_CLAIM, /* I run it */
  CLAIM_RELEASE,
  CLAIM_SETTLE, /* this is how it ended */
  CLAIM_DONE,   /* and everybody knows */
  CLAIM_RENEW,  /* I go on running it */
};

#define CLAIM_LEASE_MAX_MS ((int64_t) 86400 * 1000)

/* Who runs what, on a bus that is a log: docs/claims.md. */
struct claim
{
  enum claim_kind kind;
  char *writer;
  uint32_t starts;
  int64_t lease_ms;
  int64_t position;    /* of the message that is claimed */
  struct buffer event; /* SETTLE: the completion event, encoded; may be empty */
  struct buffer retry; /* SETTLE: the retry, encoded; may be empty */
};

void claim_release (struct claim *claim);
#define auto_claim AUTO (claim_release)

static inline bool
job_state_is_terminal (enum job_state state)
{
  return state >= JOB_SUCCEEDED;
}

/* Names as in the Avro symbols, lower case: "succeeded", "oom", "running", "fail", "planned" … */
const char *outcome_name (enum outcome outcome);
const char *job_state_name (enum job_state state);
const char *on_conflict_name (enum on_conflict policy);
const char *event_kind_name (enum event_kind kind);
const char *network_name (enum network network);
const char *symlinks_name (enum symlinks symlinks);
const char *stage_mode_name (enum stage_mode mode);

/* And back; -1 when there is no such name. */
int job_state_from_name (const char *name);
int on_conflict_from_name (const char *name);
int network_from_name (const char *name);
int symlinks_from_name (const char *name);
int stage_mode_from_name (const char *name);

#endif

/* job.h — what a user asks for: an image, its command, inputs, how they are sliced, limits. */
#ifndef SHOAL_SCHEMAS_JOB_H
#define SHOAL_SCHEMAS_JOB_H

#include "common/auto.h"
#include "common/strlist.h"
#include "common/units.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

enum shard_order /* in which shards are published */
{
  ORDER_INDEX,
  ORDER_SIZE, /* the largest first */
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

enum output_links /* in outputs, to what isn't in the same output */
{
  OUTPUT_LINKS_FOLLOW,
  OUTPUT_LINKS_KEEP,
  OUTPUT_LINKS_FAIL,
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
  bool glob_ignore_case; /* of both */
  int64_t batch_size;    /* atoms a shard, at least 1 */
  int64_t batch_bytes;   /* -1: no bound */
  int64_t shards;        /* -1; else this many shards of equal size */
  bool needs_count;      /* SHOAL_SHARD_COUNT is wanted: list first, publish after */
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
  int32_t retry_memory;       /* hundredths by which memory grows after an oom; -1: it doesn't */
  int64_t retry_memory_max;   /* … up to these bytes; -1: not said */
  struct codes fail_on;       /* exit codes that are never retried */
  struct codes success_codes; /* exit codes that count as success; 0 is always in it */
  int32_t min_success;        /* hundredths of a percent, 10000: every shard */
  int64_t max_failures;       /* give up beyond this many failed shards; -1: no bound */
  int32_t max_failures_bp;    /* the same in hundredths of a percent; -1 */
  int64_t pilot;              /* shards that run before the others; -1: none do */
  int64_t max_parallel;       /* shards that may run at the same time; -1: any number */
  int32_t priority;           /* which share it gets beside other jobs (producer/shares.h) */
  enum shard_order order;
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

  bool init;               /* the container's first process is an init of ours */
  char *stop_signal;       /* signals.h; NULL: the image's, or SIGTERM */
  int64_t stop_timeout_ms; /* from the stop signal to SIGKILL, -1: the default */
  enum output_links output_links;
  char *hostname;          /* NULL: the default */
  struct strlist groups;   /* names or numbers, beside the user's own */
  struct strlist cap_drop; /* names of capabilities, or ALL */
  struct strlist ulimits;  /* ulimit.h */
  int64_t shm_size;        /* bytes of /dev/shm, -1: the default */
  char *platform;          /* that the images must be for, "linux/arm64"; NULL: any */
  struct strlist devices;  /* device.h */
  /* inputs that its plan leaves out because they failed: container paths, any bytes */
  struct strlist quarantined;
  struct strlist earlier_images; /* ids that shards which are kept may have run with, too */
};

void job_init (struct job *job); /* the defaults */

/* Bytes of memory that a container of JOB can have after attempts that ran out of them: eight times
 * its memory unless it says another ceiling. -1: no limit. */
int64_t job_memory_most (const struct job *job);
void job_release (struct job *job);
void job_copy (struct job *to, const struct job *from);
#define auto_job AUTO (job_release)

/* Whether sizes of inputs decide what becomes of JOB. */
bool job_wants_sizes (const struct job *job);

/* Names as in the Avro symbols, lower case; and back, -1 when there is no such name. */
const char *network_name (enum network network);
const char *symlinks_name (enum symlinks symlinks);
const char *shard_order_name (enum shard_order order);
const char *stage_mode_name (enum stage_mode mode);
const char *output_links_name (enum output_links links);
const char *on_conflict_name (enum on_conflict policy);
int network_from_name (const char *name);
int symlinks_from_name (const char *name);
int shard_order_from_name (const char *name);
int stage_mode_from_name (const char *name);
int output_links_from_name (const char *name);
int on_conflict_from_name (const char *name);

#endif

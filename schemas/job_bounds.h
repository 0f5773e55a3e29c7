/* job_bounds.h — how large a job's numbers, lists and texts may be.
 *
 * Any two of these can be added to each other and to a clock without overflow; bytes and counts are
 * whole numbers of a double too, as JSON has them.
 */
#ifndef SHOAL_SCHEMAS_JOB_BOUNDS_H
#define SHOAL_SCHEMAS_JOB_BOUNDS_H

#include <stdint.h>

#define JOB_PILOT_MAX 1000                   /* shards of a pilot */
#define JOB_PRIORITY_MAX 10                  /* above and below the usual one, 0 */
#define JOB_COUNT_MAX ((int64_t) 1000000000) /* atoms a shard, shards, failures, files */
#define JOB_MEMORY_MIN ((int64_t) 6 << 20)   /* docker's: less doesn't start a container */
#define JOB_BYTES_MAX ((int64_t) 1 << 53)
#define JOB_DURATION_MAX_MS ((int64_t) 3650 * 86400 * 1000) /* ten years */
#define JOB_STOP_MAX_MS ((int64_t) 3600 * 1000)             /* an hour */
#define JOB_TIME_MAX_MS ((int64_t) 253402300799999)         /* the end of the year 9999 */
#define JOB_USER_ID_MAX ((int64_t) 4294967294)              /* the last but one: -1 is nobody */

enum
{
  JOB_BINDS_MAX = 1000, /* input files of a shard that are mounted one by one */
  JOB_ID_MAX = 128,
  JOB_QUEUE_MAX = 64, /* it is part of topics' names */
  JOB_CREDENTIALS_MAX = 63,
  JOB_NAME_MAX = 255,      /* of a folder, a variable, a user */
  JOB_PATH_MAX = 3000,     /* of all paths: there must be room for what is put behind it */
  JOB_URL_MAX = 8000,      /* signed ones are long */
  JOB_WORD_MAX = 131071,   /* of a command or the environment: Linux takes no longer one */
  JOB_PATTERN_MAX = 65535, /* bytes of a glob */
  JOB_WORDS_MAX = 32768,   /* in a command */
  JOB_ENV_MAX = 4096,      /* variables */
  JOB_TMPFS_MAX = 100,     /* mounts */
  JOB_HOSTNAME_MAX = 63,
  JOB_GROUPS_MAX = 100,
  JOB_DEVICES_MAX = 100,
  JOB_CAPS_MAX = 100,            /* capabilities that are named */
  JOB_QUARANTINED_MAX = 10000,   /* inputs that are left out */
  JOB_RETRIES_MAX = 1000,        /* of a shard */
  JOB_MEMORY_GROWTH_MAX = 10000, /* hundredths, from one attempt to the next */
  JOB_CPUS_MAX = 16384000,       /* thousandths */
  JOB_PIDS_MAX = 4194304,        /* Linux has no larger id */
  JOB_WHOLE = 10000,             /* hundredths of a percent */
};

#endif

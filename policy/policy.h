/* policy.h — what an operator lets jobs do: one file for all services of a fleet, and what holds
 * without one.
 *
 *     file ──policy_load──► struct policy ──► policy_check.h: at each door, and at use
 *                               │
 *                               └─policy_format──► text ──► read back by a slot process
 *
 * A policy only ever refuses. Without a file, and for each member that a file doesn't name, the
 * defaults hold: containers only, no network, no device, no folder of the machine as input or
 * result, any URL, any image. `shoal run` gives its own parts the policy "none", which refuses
 * nothing: who runs it has the machine's shell as well.
 *
 * A plain value after policy_load; whoever only reads it may do so in any thread.
 */
#ifndef SHOAL_POLICY_POLICY_H
#define SHOAL_POLICY_POLICY_H

#include "common/auto.h"
#include "common/buffer.h"
#include "common/error.h"
#include "common/strlist.h"

#include <stdbool.h>
#include <stdint.h>

#define POLICY_NONE "none"

/* Of which values only some may be asked for. */
struct policy_list
{
  bool anything;
  struct strlist items;
};

/* Where data may come from or go to: folders of the machine with all beneath them, and URLs
 * (policy_url.h). */
struct policy_places
{
  bool any_url;
  struct strlist folders; /* normal paths */
  struct strlist urls;
};

struct policy_users /* a range of ids, both ends included */
{
  int64_t first;
  int64_t last;
};

enum policy_limit
{
  POLICY_MEMORY,
  POLICY_CPUS,
  POLICY_PIDS,
  POLICY_TIMEOUT,
  POLICY_JOB_TIMEOUT,
  POLICY_STAGE_TIMEOUT,
  POLICY_COLLECT_TIMEOUT,
  POLICY_STOP_TIMEOUT,
  POLICY_MAX_OUTPUT_BYTES,
  POLICY_MAX_OUTPUT_FILES,
  POLICY_LOG_LIMIT,
  POLICY_RETRIES,
  POLICY_SHARDS,
  POLICY_LIMITS, /* how many */
};

struct policy_bound
{
  int64_t otherwise; /* for a job that doesn't say; -1: none */
  int64_t most;      /* -1: no ceiling */
};

/* Who may send jobs by HTTP, beside the producer's one token. */
struct policy_token
{
  char *name;
  uint8_t sha256[32]; /* of the token */
  struct policy_list queues;
};

struct policy
{
  bool anything;  /* "none": nothing is refused */
  bool from_file; /* else the defaults, and roots that were named one by one */
  struct policy_list runtimes;
  struct policy_list networks;
  struct policy_list symlinks;
  struct policy_list devices; /* patterns of CDI devices, and of nodes' paths on the machine */
  struct policy_list images;  /* patterns of names, and "sha256:…" */
  struct policy_list queues;
  struct policy_list credentials;
  bool any_user;
  struct policy_users *users;
  size_t user_count;
  struct policy_places inputs;
  struct policy_places results;
  struct policy_places webhooks;
  struct policy_places here; /* results of jobs that this service is sent; not in its text */
  struct policy_bound limits[POLICY_LIMITS];
  struct policy_token *tokens;
  size_t token_count;
};

/* The defaults. */
void policy_init (struct policy *policy);
void policy_release (struct policy *policy);
#define auto_policy AUTO (policy_release)

/* Reads the file NAME into POLICY; "none" refuses nothing, NULL is the defaults. ERROR_USER names
 * the file, the line and the member. */
int policy_load (const char *name, struct policy *policy, struct error *err);

/* The same from TEXT. */
int policy_parse (struct bytes text, struct policy *policy, struct error *err);

/* Adds FOLDER, which must be there, to those of PLACES. ERROR_USER. */
int policy_add_folder (struct policy_places *places, const char *folder, struct error *err);

/* POLICY as text in the one form that all of its spellings have; policy_parse reads it back, but
 * for tokens. The caller frees. */
char *policy_format (const struct policy *policy);

#define POLICY_DIGEST_SIZE 17

/* What tells two policies apart, tokens included, into TEXT: "none", or 16 hex digits. Returns
 * TEXT. */
const char *policy_digest (const struct policy *policy, char text[static POLICY_DIGEST_SIZE]);

enum policy_unit
{
  POLICY_SIZE, /* bytes */
  POLICY_COUNT,
  POLICY_DURATION,  /* milliseconds */
  POLICY_CPU_COUNT, /* thousandths */
};

struct policy_limit_kind
{
  const char *name;  /* in the file's "limits" */
  const char *field; /* of Job.avsc */
  enum policy_unit unit;
};

extern const struct policy_limit_kind policy_limit_kinds[POLICY_LIMITS];

#endif

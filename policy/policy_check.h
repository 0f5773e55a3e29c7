/* policy_check.h — whether a policy lets a job do what it asks for. What is refused is ERROR_USER,
 * "policy: MEMBER: …", MEMBER the file's. A policy that is NULL refuses nothing. */
#ifndef SHOAL_POLICY_POLICY_CHECK_H
#define SHOAL_POLICY_POLICY_CHECK_H

#include "policy/policy.h"
#include "schemas/messages.h"

enum policy_use
{
  POLICY_INPUT,
  POLICY_RESULT,
  POLICY_WEBHOOK,
};

/* Whether POLICY lets JOB (which passed job_check) be: 0, or -1 and *FIELD (may be NULL), the
 * member of Job.avsc. Folders are compared as they are on this machine at this moment, with
 * symbolic links resolved; who uses one asks policy_check_location again for what it opened. What
 * only a worker can know (who an image's user is, an image's digest) is asked by policy_check_user
 * and policy_check_image. */
int policy_check_job (const struct policy *policy, const struct job *job, const char **field,
                      struct error *err);

/* The same but for its volumes, whose file systems may not answer: for a worker's own thread. */
int policy_check_terms (const struct policy *policy, const struct job *job, const char **field,
                        struct error *err);

/* Whether its result may stand where JOB says, and its webhook be told: what a merger must know. */
int policy_check_ends (const struct policy *policy, const struct job *job, const char **field,
                       struct error *err);

/* Whether a volume may come from SOURCE, a folder's path, whose links are resolved, or a URL. Of a
 * folder that isn't there it isn't told whether it is. */
int policy_check_source (const struct policy *policy, const char *source, struct error *err);

/* Whether what LINK, a URL relative to BASE, stands for may be read: a list at BASE names it. */
int policy_check_link (const struct policy *policy, const char *base, const char *link,
                       struct error *err);

/* Whether LOCATION, a real path or a URL, may be used so. */
int policy_check_location (const struct policy *policy, enum policy_use use, const char *location,
                           struct error *err);

/* The same for the folder open as FD. */
int policy_check_folder (const struct policy *policy, enum policy_use use, int fd,
                         struct error *err);

/* Whether an attempt's command may be the user UID in its container. */
int policy_check_user (const struct policy *policy, int64_t uid, struct error *err);

/* Whether the image NAME, whose manifest's digest is DIGEST ("sha256:…"), may be run. */
int policy_check_image (const struct policy *policy, const char *name, const char *digest,
                        struct error *err);

/* Whether a job may have so many shards. */
int policy_check_shards (const struct policy *policy, int64_t shards, struct error *err);

/* Whether ITEM is one of LIST. */
bool policy_list_has (const struct policy_list *list, const char *item);

/* The same for the one limit that is the job's, and not its attempts': its timeout. */
void policy_apply_to_job (const struct policy *policy, struct job *job);

/* Gives JOB, for the run, what it doesn't say: the defaults, and the ceilings where there is no
 * default. */
void policy_apply (const struct policy *policy, struct job *job);

/* VALUE of LIMIT as people write it, into TEXT. Returns TEXT. */
const char *policy_limit_show (enum policy_limit limit, int64_t value,
                               char text[static UNITS_TEXT_SIZE]);

#endif

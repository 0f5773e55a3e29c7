/* credentials.h — who we are to S3, found where AWS's own tools look, in their order:
 *
 *     1  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *     2  AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN: exchanged at STS (Kubernetes' service
 *        accounts)
 *     3  the profile AWS_PROFILE (default) of ~/.aws/credentials and ~/.aws/config
 *        (AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE)
 *     4  AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or …_FULL_URI (ECS, EKS pod identity)
 *     5  the instance's metadata, version 2 (not with AWS_EC2_METADATA_DISABLED=true)
 *
 * Temporary ones are got again before they run out. All functions may be called by several threads.
 */
#ifndef SHOAL_STORAGE_S3_CREDENTIALS_H
#define SHOAL_STORAGE_S3_CREDENTIALS_H

#include "common/auto.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

struct credentials;

/* A copy of what is valid now. */
struct credentials_now
{
  char *id;
  char *secret;
  char *token; /* or NULL */
};

/* NAME: those that a job names, and no others (SHOAL_CREDENTIALS_DIR/NAME: a file as
 * ~/.aws/credentials, or a folder with files aws_access_key_id and aws_secret_access_key); NULL:
 * found as above. */
struct credentials *credentials_new (const char *name);
void credentials_free (struct credentials *credentials);

/* Fills zeroed NOW, which the caller releases. ERROR_USER when nothing is found: says where was
 * looked; ERROR_TRANSIENT when a server that has them doesn't answer. */
int credentials_get (struct credentials *credentials, struct credentials_now *now,
                     struct error *err);

/* A server says that the last ones aren't valid any more: the next credentials_get looks for
 * others. */
void credentials_expire (struct credentials *credentials);

/* Whether there may be others by now: the last ones are of a session, which has an end, or of a
 * file that the operator changes. */
bool credentials_are_lent (struct credentials *credentials);

void credentials_release (struct credentials_now *now);
#define auto_credentials AUTO (credentials_release)

/* The value of NAME in the profile, the credentials file first; NULL when there is none. The caller
 * frees. */
char *credentials_setting (const char *name);

#endif

/* sign.h — AWS Signature Version 4 of a request.
 *
 * Source: "Signature Version 4 signing process" and "Authenticating Requests: Using the
 * Authorization Header" in the S3 API reference. S3 encodes a path once and doesn't normalise it.
 * libcurl's own signing differs from version to version; this one is the same on all.
 */
#ifndef SHOAL_STORAGE_S3_SIGN_H
#define SHOAL_STORAGE_S3_SIGN_H

#include "common/buffer.h"
#include "common/strlist.h"

#include <stdint.h>

struct sign_keys
{
  const char *id;
  const char *secret;
  const char *token; /* of temporary ones, or NULL */
};

struct sign_scope
{
  const char *region;
  const char *service; /* "s3" */
  int64_t now;         /* wall ms */
};

#define SIGN_UNSIGNED "UNSIGNED-PAYLOAD"

/* Adds Authorization, x-amz-date and x-amz-security-token to HEADERS ("Name: value"), whose x-amz-*
 * and content-type are signed along with the host. URL's path and query are encoded already
 * (sign_encode), the query sorted by names, each with "=". HEADERS holds x-amz-content-sha256 with
 * PAYLOAD where the service is S3. */
void sign_request (const struct sign_keys *keys, const struct sign_scope *scope, const char *method,
                   const char *url, const char *payload, struct strlist *headers);

/* TEXT with all but unreserved characters as %XX; KEEP_SLASH: "/" stays as well. */
void sign_encode (struct buffer *buffer, const char *text, bool keep_slash);

/* SHA-256 in hex of DATA. */
const char *sign_sha256 (struct bytes data, char hex[static 65]);

#endif

/* secret.h — files that hold a secret: keys, tokens, credentials.
 *
 * One that every user of the machine may read holds none, so it is refused. A group may read it:
 * that is how Kubernetes mounts them for a user that isn't root.
 */
#ifndef SHOAL_COMMON_SECRET_H
#define SHOAL_COMMON_SECRET_H

#include "common/buffer.h"
#include "common/error.h"

/* Appends the content of the regular file PATH, at most LIMIT bytes, to TEXT; the caller releases
 * it by secret_release. ERROR_USER when others may read or write it. */
int secret_read (int dirfd, const char *path, size_t limit, struct buffer *text, struct error *err);

/* Overwrites and releases TEXT. */
void secret_release (struct buffer *text);
#define auto_secret AUTO (secret_release)

#endif

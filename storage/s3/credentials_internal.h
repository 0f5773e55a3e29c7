/* credentials_internal.h — where credentials come from: each source fills what it found. */
#ifndef SHOAL_STORAGE_S3_CREDENTIALS_INTERNAL_H
#define SHOAL_STORAGE_S3_CREDENTIALS_INTERNAL_H

#include "storage/s3/credentials.h"

struct found_credentials
{
  struct credentials_now keys;
  int64_t expires; /* wall ms; 0: never */
};

/* 1 with FOUND, 0: this source isn't there, -1 with ERR: it is and doesn't work. */
int credentials_from_web_identity (struct found_credentials *found, struct error *err);
int credentials_from_container (struct found_credentials *found, struct error *err);
int credentials_from_instance (struct found_credentials *found, struct error *err);

/* Those that the operator put into the folder SHOAL_CREDENTIALS_DIR as NAME: 0, or -1 with
 * ERROR_TRANSIENT. */
int credentials_from_name (const char *name, struct found_credentials *found, struct error *err);

/* "2026-11-26T15:06:07Z" as wall ms, 0 when it is none. */
int64_t credentials_time (const char *text);

#endif

/* s3.h — one bucket, or a prefix of one, at an endpoint: what the parts of this storage share. */
#ifndef SHOAL_STORAGE_S3_S3_H
#define SHOAL_STORAGE_S3_S3_H

#include "common/http/http.h"
#include "storage/listing.h"
#include "storage/s3/credentials.h"
#include "storage/storage_ops.h"

#include <pthread.h>

struct s3
{
  struct storage base;
  char *bucket;
  char *prefix; /* of all keys: "" or "photos/2019/" */
  /* the key that the source is, should nothing begin with the prefix: "photos/2019"; NULL: it can't
     be one */
  char *object;
  char *shown;    /* "s3://photos/2019/" */
  char *endpoint; /* "http://127.0.0.1:9000"; NULL: Amazon's of the region */
  bool path_style;
  bool anonymous;
  bool requester_pays;
  struct credentials *credentials;
  char *name;           /* of these; NULL: the machine's own */
  pthread_mutex_t lock; /* of: */
  char region[64];
};

/* ---- list.c, fetch.c, send.c, remove.c: as their namesakes in storage.h */
int s3_list (struct storage *storage, const struct storage_visitor *visitor, struct error *err);
int s3_fetch (struct storage *storage, const struct storage_batch *batch, struct error *err);
int s3_send (struct storage *storage, const struct storage_batch *batch, struct error *err);
int s3_remove (struct storage *storage, const char *prefix, struct error *err);
int s3_end_uploads (struct storage *storage, const char *path, struct error *err);

#endif

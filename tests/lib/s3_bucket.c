#include "tests/lib/s3_bucket.h"

#include "common/clock.h"
#include "common/memory.h"
#include "storage/s3/request.h"
#include "storage/s3/sign.h"
#include "tests/lib/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void
set_environment (void)
{
  (void) setenv ("AWS_ENDPOINT_URL", peer_server ("SHOAL_TEST_S3"), 1);
  (void) setenv ("AWS_ACCESS_KEY_ID", "test", 1);
  (void) setenv ("AWS_SECRET_ACCESS_KEY", "testsecret", 1);
  (void) setenv ("AWS_EC2_METADATA_DISABLED", "true", 1);
  (void) setenv ("HOME", "/nonexistent", 1);
  (void) unsetenv ("AWS_ENDPOINT_URL_S3");
  (void) unsetenv ("AWS_SESSION_TOKEN");
  (void) unsetenv ("AWS_PROFILE");
}

/* The answer's body, or with ETAG that header, goes to ANSWER. */
static int
ask_with (struct storage *storage, const char *method, const char *key, const char *query,
          struct bytes body, bool etag, struct buffer *answer)
{
  struct s3 *s3 = (struct s3 *) storage;
  struct error err = ERROR_INIT;
  const struct http_options options = { .connections = 1 };
  auto_http struct http *http = http_new (&options);
  auto_http_call struct http_call call;
  s3_call_init (s3, &call, method, key, query);
  call.body = body;
  if (s3_perform (s3, http, &call, &err) != 0)
    fail_msg ("%s %s: %s", method, s3->shown, err.message);
  if (etag)
    buffer_puts (answer, http_header (&call, "etag"));
  else if (answer != NULL)
    buffer_append (answer, call.answer.data, call.answer.size);
  return call.status;
}

static int
ask (struct storage *storage, const char *method, const char *key, const char *query,
     struct buffer *answer)
{
  return ask_with (storage, method, key, query, (struct bytes){ NULL, 0 }, false, answer);
}

static int
on_bucket (struct storage *storage, const char *method, const char *query, struct buffer *answer)
{
  return ask (storage, method, NULL, query, answer);
}

struct s3_bucket *
s3_bucket_new (void)
{
  static int number;
  struct error err = ERROR_INIT;
  set_environment ();
  struct s3_bucket *bucket = xcalloc (1, sizeof *bucket);
  bucket->url = xasprintf ("s3://shoal-test-%d-%lld-%d", (int) getpid (),
                           (long long) clock_boot_us (), number++);
  bucket->storage = storage_open (bucket->url, &err);
  if (bucket->storage == NULL)
    fail_msg ("%s", err.message);
  (void) on_bucket (bucket->storage, "PUT", NULL, NULL);
  return bucket;
}

void
s3_bucket_free (struct s3_bucket *bucket)
{
  struct error err = ERROR_INIT;
  if (bucket == NULL)
    return;
  if (storage_remove (bucket->storage, "", &err) != 0)
    fail_msg ("%s", err.message);
  (void) on_bucket (bucket->storage, "DELETE", NULL, NULL);
  storage_close (bucket->storage);
  free (bucket->url);
  free (bucket);
}

void
s3_bucket_put (struct s3_bucket *bucket, const char *path, const char *content)
{
  struct error err = ERROR_INIT;
  if (storage_put (bucket->storage, path, (struct bytes){ content, strlen (content) }, false, &err)
      != 0)
    fail_msg ("%s", err.message);
}

void
s3_bucket_put_parts (struct s3_bucket *bucket, const char *path, struct bytes content,
                     const size_t *sizes, size_t count, int step)
{
  auto_buffer struct buffer begun = { 0 }, list = { 0 }, answer = { 0 };
  (void) ask (bucket->storage, "POST", path, "uploads=", &begun);
  const char *at = strstr (begun.data, "<UploadId>");
  assert_non_null (at);
  at += strlen ("<UploadId>");
  auto_free char *id = xstrndup (at, strcspn (at, "<"));
  const char *from = content.data;
  buffer_puts (&list, "<CompleteMultipartUpload>");
  for (size_t i = 0; i < count; i++)
    {
      auto_buffer struct buffer etag = { 0 };
      int number = (int) (i + 1) * step;
      auto_free char *query = xasprintf ("partNumber=%d&uploadId=%s", number, id);
      (void) ask_with (bucket->storage, "PUT", path, query, (struct bytes){ from, sizes[i] }, true,
                       &etag);
      buffer_printf (&list, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", number,
                     etag.data);
      from += sizes[i];
    }
  assert_ptr_equal (from, (const char *) content.data + content.size);
  buffer_puts (&list, "</CompleteMultipartUpload>");
  auto_free char *query = xasprintf ("uploadId=%s", id);
  (void) ask_with (bucket->storage, "POST", path, query, buffer_bytes (&list), false, &answer);
  assert_non_null (strstr (answer.data, "CompleteMultipartUploadResult"));
}

void
s3_bucket_begin (struct s3_bucket *bucket, const char *path)
{
  (void) ask (bucket->storage, "POST", path, "uploads=", NULL);
}

int
s3_bucket_uploads (struct s3_bucket *bucket, const char *path)
{
  auto_buffer struct buffer answer = { 0 };
  auto_buffer struct buffer query = { 0 };
  buffer_puts (&query, "prefix=");
  sign_encode (&query, path, false);
  buffer_puts (&query, "&uploads=");
  (void) on_bucket (bucket->storage, "GET", query.data, &answer);
  int count = 0;
  for (const char *at = strstr (answer.data, "<UploadId>"); at != NULL;
       at = strstr (at + 1, "<UploadId>"))
    count++;
  return count;
}

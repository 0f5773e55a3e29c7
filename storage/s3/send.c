/* Files taken to a bucket: small ones with one request, large ones in parts, many at once. */
#include "common/clock.h"
#include "common/fs.h"
#include "common/hex.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"
#include "storage/file_time.h"
#include "storage/s3/request.h"
#include "storage/s3/sign.h"
#include "storage/s3/xml.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>

enum
{
  CONNECTIONS = 16,
  MD5_SIZE = 16,
  TURN_MS = 250,
  ID_MS = 5000, /* a stopped sending waits so long for the id of an upload that is being begun */
  PARTS_MAX = 10 * 1000, /* S3's limit */
  COMPLETES =
      5, /* tries of the request that ends an upload and was answered with 200 and an error */
};

#define PART_SIZE ((int64_t) 16 << 20)

struct upload_part;

struct sending
{
  struct s3 *s3;
  const struct storage_batch *batch;
  struct http *http;
  bool exhausted;
  LIST_HEAD (, upload_part) parts; /* requests under way */
  LIST_HEAD (, upload) uploads;    /* files under way */
  struct upload *dividing;         /* whose parts aren't all started, or NULL */
};

struct upload
{
  struct sending *sending;
  LIST_ENTRY (upload) links;
  char *path, *key;
  int fd;
  int64_t size;
  struct timespec time;
  int64_t part_size;
  char *id;    /* of the multipart upload; NULL: none */
  char **tags; /* ETags of its parts */
  int parts, started, acknowledged;
  int completes;
  struct buffer list; /* what the completing request says */
};

struct upload_part
{
  struct http_call call;
  LIST_ENTRY (upload_part) links; /* of the sending's */
  struct upload *upload;
  int number; /* from 0 */
};

static void
free_upload (struct upload *upload)
{
  LIST_REMOVE (upload, links);
  if (upload->sending->dividing == upload)
    upload->sending->dividing = NULL;
  for (int i = 0; upload->tags != NULL && i < upload->parts; i++)
    free (upload->tags[i]);
  free (upload->tags);
  auto_fd_ (&upload->fd);
  buffer_release (&upload->list);
  free (upload->path);
  free (upload->key);
  free (upload->id);
  free (upload);
}

static void
s3_send_count (int64_t *counter, int64_t more)
{
  __atomic_fetch_add (counter, more, __ATOMIC_RELAXED);
}

/* Whether the server doesn't know the upload any more: it was completed or aborted. */
static bool
s3_send_is_gone (const struct http_call *call)
{
  char code[128];
  s3_error_code (call, code);
  return strcmp (code, "NoSuchUpload") == 0;
}

/* A request of PART's upload ended, with ERR or well: counts it and says what was wrong. */
static int
s3_send_count_answer (struct upload_part *part, struct error *err)
{
  struct storage_totals *totals = part->upload->sending->batch->totals;
  const struct http_call *call = &part->call;
  s3_send_count (&totals->requests, call->tried);
  s3_send_count (&totals->retries, call->tried > 1 ? call->tried - 1 : 0);
  if (!error_is_set (err))
    {
      if (call->body_fd >= 0)
        s3_send_count (&totals->bytes, call->body_size);
      return 0;
    }
  if (call->status >= 300)
    s3_explain (part->upload->sending->s3, call, err);
  if (s3_send_is_gone (call))
    err->class = ERROR_TRANSIENT; /* somebody swept it away: it may be begun again */
  return error_wrap (err, "%s", part->upload->path);
}

static void
s3_send_free_part (struct upload_part *part)
{
  LIST_REMOVE (part, links);
  http_call_release (&part->call);
  free (part);
}

static struct upload_part *
new_part (struct upload *upload, const char *method, const char *query, int number,
          int (*done) (struct http_call *call, struct error *err))
{
  struct upload_part *part = xcalloc (1, sizeof *part);
  LIST_INSERT_HEAD (&upload->sending->parts, part, links);
  part->upload = upload;
  part->number = number;
  s3_call_init (upload->sending->s3, &part->call, method, upload->key, query);
  part->call.context = part;
  part->call.done = done;
  return part;
}

/* ---- one request ------------------------------------------------------------------------ */

static int
end_file (struct upload_part *part, struct error *err)
{
  int result = s3_send_count_answer (part, err);
  if (result == 0)
    {
      s3_send_count (&part->upload->sending->batch->totals->files, 1);
      free_upload (part->upload);
    }
  s3_send_free_part (part);
  return result;
}

static int
end_whole (struct http_call *call, struct error *err)
{
  return end_file (call->context, err);
}

/* ---- in parts: create, parts, complete -------------------------------------------------- */

/* The ETag that UPLOAD's parts make, where theirs are MD5s: the MD5 of those, and how many they
 * are. */
static bool
sum_tags (const struct upload *upload, char tag[static 64])
{
  unsigned char sum[EVP_MAX_MD_SIZE];
  auto_buffer struct buffer sums = { 0 };
  for (int i = 0; i < upload->parts; i++)
    {
      const char *hex = upload->tags[i] + (upload->tags[i][0] == '"');
      uint8_t md5[MD5_SIZE];
      if (!hex_read (hex, md5, sizeof md5))
        return false;
      buffer_append (&sums, md5, sizeof md5);
    }
  if (EVP_Digest (sums.data, sums.size, sum, NULL, EVP_md5 (), NULL) != 1)
    abort ();
  tag[0] = '"';
  (void) hex_format (sum, MD5_SIZE, tag + 1);
  (void) snprintf (tag + 33, 31, "-%d\"", upload->parts);
  return true;
}

static int
s3_send_end_find (struct http_call *call, struct error *err)
{
  struct upload_part *part = call->context;
  char wanted[64];
  const char *tag = http_header (call, "etag");
  bool ours = tag != NULL && sum_tags (part->upload, wanted) && strcmp (tag, wanted) == 0;
  if (call->status == 404 || (!error_is_set (err) && !ours))
    {
      error_clear (err);
      (void) error_set (err, ERROR_TRANSIENT,
                        "the upload no longer exists, and the object was not created");
    }
  return end_file (part, err);
}

/* The answer to the end of an upload was lost, and asked again the server knows no such upload: the
 * object says whether it is ours. */
static int
s3_send_find_object (struct upload_part *part, struct error *err)
{
  struct upload *upload = part->upload;
  error_clear (err);
  (void) s3_send_count_answer (part, err);
  s3_send_free_part (part);
  http_start (upload->sending->http, &new_part (upload, "HEAD", NULL, -1, s3_send_end_find)->call);
  return 0;
}

static int
end_complete (struct http_call *call, struct error *err)
{
  struct upload_part *part = call->context;
  struct upload *upload = part->upload;
  char code[128] = "";
  if (error_is_set (err) && s3_send_is_gone (call))
    return s3_send_find_object (part, err);
  if (!error_is_set (err))
    {
      s3_error_code (call, code);
      if (code[0] != '\0' && ++upload->completes < COMPLETES)
        {
          /* a 200 that turned into an error: again, S3 says */
          http_start (upload->sending->http, call);
          return 0;
        }
      if (code[0] != '\0')
        (void) http_error (call, code, err);
    }
  return end_file (part, err);
}

static void
start_complete (struct upload *upload)
{
  buffer_puts (&upload->list, "<CompleteMultipartUpload>");
  for (int i = 0; i < upload->parts; i++)
    buffer_printf (&upload->list, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i + 1,
                   upload->tags[i]);
  buffer_puts (&upload->list, "</CompleteMultipartUpload>");
  auto_free char *query = xasprintf ("uploadId=%s", upload->id);
  struct upload_part *part = new_part (upload, "POST", query, -1, end_complete);
  part->call.body = buffer_bytes (&upload->list);
  part->call.limit = 64 << 10;
  http_start (upload->sending->http, &part->call);
}

static int
end_piece (struct http_call *call, struct error *err)
{
  struct upload_part *part = call->context;
  struct upload *upload = part->upload;
  const char *tag = http_header (call, "etag");
  if (!error_is_set (err) && (tag == NULL || strpbrk (tag, "<&") != NULL))
    (void) error_set (err, ERROR_TRANSIENT, "no ETag in the response to an uploaded part");
  int result = s3_send_count_answer (part, err);
  if (result == 0)
    {
      upload->tags[part->number] = xstrdup (tag);
      if (++upload->acknowledged == upload->parts)
        start_complete (upload);
    }
  s3_send_free_part (part);
  return result;
}

static void
start_piece (struct upload *upload)
{
  int number = upload->started++;
  auto_free char *query = xasprintf ("partNumber=%d&uploadId=%s", number + 1, upload->id);
  struct upload_part *part = new_part (upload, "PUT", query, number, end_piece);
  part->call.body_fd = upload->fd;
  part->call.body_offset = number * upload->part_size;
  part->call.body_size =
      number + 1 < upload->parts ? upload->part_size : upload->size - part->call.body_offset;
  http_start (upload->sending->http, &part->call);
  if (upload->started == upload->parts)
    upload->sending->dividing = NULL;
}

static int
end_create (struct http_call *call, struct error *err)
{
  struct upload_part *part = call->context;
  struct upload *upload = part->upload;
  char id[2048] = "";
  if (!error_is_set (err)
      && !xml_find (buffer_bytes (&call->answer), "InitiateMultipartUploadResult/UploadId", id,
                    sizeof id))
    (void) error_set (err, ERROR_TRANSIENT, "no upload ID in the response");
  int result = s3_send_count_answer (part, err);
  if (result == 0)
    {
      struct buffer encoded = { 0 };
      sign_encode (&encoded, id, false);
      upload->id = buffer_take (&encoded);
    }
  s3_send_free_part (part);
  return result;
}

/* ---- files ------------------------------------------------------------------------------ */

static struct upload *
open_upload (struct sending *sending, const struct storage_item *item, struct error *err)
{
  struct stat status;
  auto_fd int fd =
      fs_open_beneath (sending->batch->folder_fd, item->source == NULL ? item->path : item->source,
                       O_RDONLY, 0, err);
  if (fd < 0)
    return NULL;
  if (fstat (fd, &status) != 0)
    {
      (void) error_errno (err, errno, "%s", item->path);
      return NULL;
    }
  struct upload *upload = xcalloc (1, sizeof *upload);
  upload->sending = sending;
  LIST_INSERT_HEAD (&sending->uploads, upload, links);
  upload->path = xstrdup (item->path);
  upload->key = s3_key (sending->s3, item->path);
  upload->fd = take_fd (&fd);
  upload->size = status.st_size;
  upload->time = status.st_mtim;
  return upload;
}

static int
start_upload (struct sending *sending, const struct storage_item *item, struct error *err)
{
  struct upload *upload = open_upload (sending, item, err);
  if (upload == NULL)
    return -1;
  struct upload_part *part = NULL;
  if (upload->size <= STORAGE_WHOLE_MAX)
    {
      part = new_part (upload, "PUT", NULL, 0, end_whole);
      part->call.body_fd = upload->fd;
      part->call.body_size = upload->size;
    }
  else
    {
      upload->part_size = upload->size / PARTS_MAX + 1;
      if (upload->part_size < PART_SIZE)
        upload->part_size = PART_SIZE;
      upload->parts = (int) ((upload->size + upload->part_size - 1) / upload->part_size);
      upload->tags = xcalloc ((size_t) upload->parts, sizeof *upload->tags);
      sending->dividing = upload;
      part = new_part (upload, "POST", "uploads=", -1, end_create);
      part->call.limit = 64 << 10;
    }
  char time[FILE_TIME_SIZE];
  if (file_time_format (&upload->time, time)[0] != '\0')
    strlist_addf (&part->call.headers, "x-amz-meta-mtime: %s", time);
  http_start (sending->http, &part->call);
  return 0;
}

static int
s3_send_start_more (struct sending *sending, struct error *err)
{
  while (http_pending (sending->http) < CONNECTIONS + CONNECTIONS / 2)
    {
      if (sending->dividing != NULL)
        {
          if (sending->dividing->id == NULL)
            return 0; /* it is being created */
          start_piece (sending->dividing);
          continue;
        }
      if (sending->exhausted)
        return 0;
      struct storage_item item = { 0 };
      int more = sending->batch->next (sending->batch->context, &item, err);
      if (more < 0 || (more > 0 && start_upload (sending, &item, err) != 0))
        return -1;
      sending->exhausted = more == 0;
    }
  return 0;
}

static bool
is_beginning (const struct sending *sending)
{
  const struct upload *upload = sending->dividing;
  if (upload == NULL || upload->id != NULL)
    return false;
  const struct upload_part *part = NULL;
  LIST_FOREACH (part, &sending->parts, links)
    if (part->upload == upload)
      return true;
  return false;
}

/* An upload can be ended only by its id. */
static void
await_id (struct sending *sending)
{
  int64_t end = clock_boot_ms () + ID_MS;
  while (is_beginning (sending) && clock_boot_ms () < end)
    (void) http_turn (sending->http, TURN_MS, NULL);
}

/* What was begun and won't be completed. */
static void
abort_uploads (struct sending *sending)
{
  const struct http_options options = { .connections = CONNECTIONS, .tries = 4 };
  auto_http struct http *http = http_new (&options);
  while (!LIST_EMPTY (&sending->uploads))
    {
      struct upload *upload = LIST_FIRST (&sending->uploads);
      struct error err = ERROR_INIT;
      if (upload->id != NULL)
        {
          auto_free char *query = xasprintf ("uploadId=%s", upload->id);
          auto_http_call struct http_call call;
          s3_call_init (sending->s3, &call, "DELETE", upload->key, query);
          if (s3_perform (sending->s3, http, &call, &err) != 0 && call.status != 404)
            {
              auto_free char *location = text_log (sending->s3->shown);
              auto_free char *key = text_log (upload->key);
              log_failure (LOG_WARN, "upload_cleanup_failed", &err, "results=%s key=%s", location,
                           key);
            }
        }
      free_upload (upload);
    }
}

int
s3_send (struct storage *storage, const struct storage_batch *batch, struct error *err)
{
  struct s3 *s3 = (struct s3 *) storage;
  struct storage_totals own = { 0 };
  struct storage_batch counted = *batch;
  if (counted.totals == NULL)
    counted.totals = &own;
  struct sending sending = { .s3 = s3, .batch = &counted };
  const struct http_options options = { .connections = CONNECTIONS };
  sending.http = http_new (&options);
  int result = 0;
  do
    {
      bool stopped = batch->stopped != NULL && batch->stopped (batch->context);
      result = stopped ? error_set (err, ERROR_TRANSIENT, "stopped")
                       : s3_send_start_more (&sending, err);
      if (result == 0 && http_pending (sending.http) > 0)
        result = http_turn (sending.http, TURN_MS, err);
    }
  while (result == 0 && (!sending.exhausted || http_pending (sending.http) > 0));
  await_id (&sending);
  http_free (sending.http);
  while (!LIST_EMPTY (&sending.parts))
    s3_send_free_part (LIST_FIRST (&sending.parts));
  abort_uploads (&sending);
  return result == 0 ? 0 : error_wrap (err, "%s", s3->shown);
}

/* All beneath a prefix removed: objects by the thousand, and uploads that nobody finished. */
#include "common/base64.h"
#include "storage/s3/page.h"
#include "storage/s3/request.h"

#include "common/memory.h"
#include "storage/s3/sign.h"
#include "storage/s3/xml.h"

#include <openssl/evp.h>
#include <string.h>

enum
{
  ANSWER_MAX = 4 << 20,
  PASSES = 1000, /* of a listing of uploads; each aborts what it finds */
};

/* KEY in an XML text, with what a reader wouldn't give back as it was as references. False: XML 1.0
 * has no way to write it. */
static bool
add_key (struct buffer *body, const char *key)
{
  for (; *key != '\0'; key++)
    {
      unsigned char byte = (unsigned char) *key;
      if (byte < ' ' && byte != '\t' && byte != '\n' && byte != '\r')
        return false;
      if (byte < ' ' || strchr ("<>&\"'", byte) != NULL)
        buffer_printf (body, "&#%u;", byte);
      else
        buffer_putc (body, (char) byte);
    }
  return true;
}

static int
remove_one (struct s3 *s3, struct http *http, const char *key, const char *query, struct error *err)
{
  auto_http_call struct http_call call;
  s3_call_init (s3, &call, "DELETE", key, query);
  if (s3_perform (s3, http, &call, err) == 0 || call.status == 404)
    return 0;
  return error_wrap (err, "removing %s", key);
}

/* Content-MD5, which DeleteObjects wants. */
static void
add_sum (struct http_call *call)
{
  unsigned char sum[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (EVP_Digest (call->body.data, call->body.size, sum, &size, EVP_md5 (), NULL) != 1)
    abort ();
  auto_free char *text = base64_encode (sum, size);
  strlist_addf (&call->headers, "Content-MD5: %s", text);
}

static int
remove_page (struct s3 *s3, struct http *http, const struct s3_page *page, struct error *err)
{
  auto_buffer struct buffer body = { 0 };
  size_t written = 0;
  buffer_puts (&body, "<Delete><Quiet>true</Quiet>");
  for (size_t i = 0; i < page->count; i++)
    {
      size_t before = body.size;
      buffer_puts (&body, "<Object><Key>");
      if (add_key (&body, page->objects[i].key))
        {
          buffer_puts (&body, "</Key></Object>");
          written++;
          continue;
        }
      body.size = before;
      if (remove_one (s3, http, page->objects[i].key, NULL, err) != 0)
        return -1;
    }
  buffer_puts (&body, "</Delete>");
  if (written == 0)
    return 0;
  auto_http_call struct http_call call;
  s3_call_init (s3, &call, "POST", NULL, "delete=");
  call.body = buffer_bytes (&body);
  call.limit = ANSWER_MAX;
  add_sum (&call);
  if (s3_perform (s3, http, &call, err) != 0)
    return -1;
  char key[1100] = "", code[128] = "";
  if (!xml_find (buffer_bytes (&call.answer), "DeleteResult/Error/Code", code, sizeof code))
    return 0;
  (void) xml_find (buffer_bytes (&call.answer), "DeleteResult/Error/Key", key, sizeof key);
  return error_set (err, ERROR_TRANSIENT, "removing %s: %s", key, code);
}

/* Page by page; what a page had is gone when the next one is asked for. */
static int
remove_objects (struct s3 *s3, struct http *http, const char *prefix, struct error *err)
{
  auto_s3_page struct s3_page page = { 0 };
  auto_free char *token = NULL;
  do
    {
      auto_http_call struct http_call call;
      s3_page_request (s3, &call, prefix, NULL, token, false);
      if (s3_perform (s3, http, &call, err) != 0 || s3_page_read (&page, &call, err) != 0
          || remove_page (s3, http, &page, err) != 0)
        return -1;
      free (token);
      token = xstrdup (page.token);
    }
  while (token != NULL);
  return 0;
}

/* ---- uploads ---------------------------------------------------------------------------- */

struct uploads
{
  struct strlist keys, ids; /* side by side */
  bool truncated;
};

static int
read_upload (void *context, const char *path, const char *text, struct error *err)
{
  struct uploads *uploads = context;
  (void) err;
  if (strcmp (path, "ListMultipartUploadsResult/Upload/Key") == 0)
    strlist_add (&uploads->keys, text);
  else if (strcmp (path, "ListMultipartUploadsResult/Upload/UploadId") == 0)
    strlist_add (&uploads->ids, text);
  else if (strcmp (path, "ListMultipartUploadsResult/IsTruncated") == 0)
    uploads->truncated = strcmp (text, "true") == 0;
  return 0;
}

/* Aborts those of exactly KEY, or of all keys that begin so. How many it were, or -1. */
static int
abort_listed (struct s3 *s3, struct http *http, const struct uploads *uploads, const char *key,
              bool exactly, struct error *err)
{
  int aborted = 0;
  size_t size = strlen (key) + (exactly ? 1 : 0);
  for (size_t i = 0; i < uploads->keys.count && i < uploads->ids.count; i++)
    {
      auto_buffer struct buffer query = { 0 };
      if (strncmp (uploads->keys.items[i], key, size) != 0)
        continue;
      buffer_puts (&query, "uploadId=");
      sign_encode (&query, uploads->ids.items[i], false);
      if (remove_one (s3, http, uploads->keys.items[i], query.data, err) != 0)
        return -1;
      aborted++;
    }
  return aborted;
}

/* What a page had is gone when the next one is asked for, so each is the first one. KEY itself
 * comes before what begins with it. */
static int
remove_uploads (struct s3 *s3, struct http *http, const char *key, bool exactly, struct error *err)
{
  auto_buffer struct buffer query = { 0 };
  buffer_puts (&query, "prefix=");
  sign_encode (&query, key, false);
  buffer_puts (&query, "&uploads=");
  for (int pass = 0; pass < PASSES; pass++)
    {
      struct uploads uploads = { 0 };
      const struct xml_reader reader = { .context = &uploads, .element = read_upload };
      auto_http_call struct http_call call;
      s3_call_init (s3, &call, "GET", NULL, query.data);
      call.limit = ANSWER_MAX;
      int aborted = -1;
      if (s3_perform (s3, http, &call, err) == 0
          && xml_read (buffer_bytes (&call.answer), &reader, err) == 0)
        aborted = abort_listed (s3, http, &uploads, key, exactly, err);
      strlist_release (&uploads.keys);
      strlist_release (&uploads.ids);
      if (aborted <= 0 || !uploads.truncated)
        return aborted < 0 ? -1 : 0;
    }
  return 0;
}

/* A path that is a folder's, "" or "a/", is no object. */
static bool
s3_remove_is_folder (const char *path)
{
  return path[0] == '\0' || path[strlen (path) - 1] == '/';
}

int
s3_remove (struct storage *storage, const char *path, struct error *err)
{
  struct s3 *s3 = (struct s3 *) storage;
  const struct http_options options = { .connections = 4 };
  auto_http struct http *http = http_new (&options);
  auto_free char *key = s3_key (s3, path);
  bool folder = s3_remove_is_folder (path);
  auto_free char *prefix = xasprintf ("%s%s", key, folder ? "" : "/");
  if ((folder
       || (remove_one (s3, http, key, NULL, err) == 0
           && remove_uploads (s3, http, key, true, err) == 0))
      && remove_objects (s3, http, prefix, err) == 0
      && remove_uploads (s3, http, prefix, false, err) == 0)
    return 0;
  return error_wrap (err, "%s%s", s3->shown, path);
}

int
s3_end_uploads (struct storage *storage, const char *path, struct error *err)
{
  struct s3 *s3 = (struct s3 *) storage;
  const struct http_options options = { .connections = 1 };
  auto_http struct http *http = http_new (&options);
  auto_free char *key = s3_key (s3, path);
  if (remove_uploads (s3, http, key, true, err) == 0)
    return 0;
  return error_wrap (err, "%s%s", s3->shown, path);
}

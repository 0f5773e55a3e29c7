#include "storage/s3/page.h"
#include "common/percent.h"
#include "storage/s3/request.h"

#include "common/memory.h"
#include "storage/s3/sign.h"
#include "storage/s3/xml.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

enum
{
  ANSWER_MAX = 32 << 20,
  OBJECTS_MAX = 100 * 1000, /* a page has 1,000 */
  ETAG_MAX = 1000,          /* bytes; sums have some 40 */
};

void
s3_page_request (struct s3 *s3, struct http_call *call, const char *prefix, const char *start,
                 const char *token, bool shallow)
{
  auto_buffer struct buffer query = { 0 };
  if (token != NULL)
    {
      buffer_puts (&query, "continuation-token=");
      sign_encode (&query, token, false);
      buffer_putc (&query, '&');
    }
  if (shallow)
    buffer_puts (&query, "delimiter=%2F&");
  buffer_puts (&query, "encoding-type=url&list-type=2&prefix=");
  sign_encode (&query, prefix, false);
  if (start != NULL && token == NULL)
    {
      buffer_puts (&query, "&start-after=");
      sign_encode (&query, start, false);
    }
  s3_call_init (s3, call, "GET", NULL, query.data);
  call->limit = ANSWER_MAX;
}

void
s3_page_release (struct s3_page *page)
{
  free (page->objects);
  buffer_release (&page->text);
  free (page->token);
  *page = (struct s3_page){ 0 };
}

/* ---- reading ---------------------------------------------------------------------------- */

struct page_reading
{
  struct s3_page *page;
  bool inside; /* of Contents: there is an object being read */
  bool truncated;
  bool listing;
  bool folders; /* they come behind the objects, not among them */
  bool encoded; /* not all servers do as they were asked */
};

/* Takes the encoding, which is a form's, from TEXT: "+" is a space. -1 when a key would hold a
 * NUL. */
static int
decode (char *text)
{
  char *to = text;
  for (; *text != '\0'; text++)
    {
      int byte = percent_byte (text, strnlen (text, 3));
      if (byte < 0)
        {
          *to++ = (char) (*text == '+' ? ' ' : *text);
          continue;
        }
      if (byte == 0)
        return -1;
      *to++ = (char) byte;
      text += 2;
    }
  *to = '\0';
  return 0;
}

static int
read_size (const char *text, int64_t *size, struct error *err)
{
  char *end = NULL;
  errno = 0;
  long long number = strtoll (text, &end, 10);
  if (errno != 0 || end == text || *end != '\0' || number < 0)
    return error_set (err, ERROR_TRANSIENT, "invalid listing: size '%.40s'", text);
  *size = number;
  return 0;
}

/* It goes into a header, and into the plan with each object. */
static int
check_etag (const char *text, struct error *err)
{
  size_t size = 0;
  while (text[size] >= ' ' && text[size] <= '~')
    size++;
  bool ends = text[size] == '\0';
  return ends && size <= ETAG_MAX ? 0
                                  : error_set (err, ERROR_TRANSIENT, "invalid listing: ETag %.*s",
                                               (int) (size < 40 ? size : 40), text);
}

/* Where TEXT begins in the page's memory, as a pointer later: memory moves while it grows. */
static const char *
s3_page_offset_of (size_t offset)
{
  return (const char *) (uintptr_t) (offset + 1);
}

static struct s3_object *
s3_page_current (struct page_reading *reading)
{
  struct s3_page *page = reading->page;
  if (!reading->inside)
    {
      if (page->count == page->capacity)
        {
          page->capacity = page->capacity == 0 ? 1000 : 2 * page->capacity;
          page->objects = xrealloc (page->objects, page->capacity, sizeof *page->objects);
        }
      page->objects[page->count] = (struct s3_object){ .size = -1 };
      reading->inside = true;
    }
  return &page->objects[page->count];
}

static int
end_object (struct page_reading *reading, struct error *err)
{
  struct s3_page *page = reading->page;
  if (page->count == OBJECTS_MAX)
    return error_set (err, ERROR_TRANSIENT, "invalid listing: more than %d objects in a page",
                      (int) OBJECTS_MAX);
  if (!reading->inside)
    return error_set (err, ERROR_TRANSIENT, "invalid listing: object without key or size");
  struct s3_object *object = &page->objects[page->count];
  const char *key = object->key != NULL ? page->text.data + ((uintptr_t) object->key - 1) : "";
  size_t length = strlen (key);
  bool slash = (length > 0 && key[length - 1] == '/')
               || (length > 2 && strcasecmp (key + length - 3, "%2f") == 0);
  if (object->size < 0 && slash) /* a folder's marker, which S3Proxy gives no size */
    object->size = 0;
  if (length == 0 || object->size < 0)
    return error_set (err, ERROR_TRANSIENT, "invalid listing: object without key or size");
  reading->inside = false;
  page->count++;
  return 0;
}

static int
s3_page_by_key (const void *left, const void *right)
{
  return strcmp (((const struct s3_object *) left)->key, ((const struct s3_object *) right)->key);
}

static int
element (void *context, const char *path, const char *text, struct error *err)
{
  struct page_reading *reading = context;
  struct s3_page *page = reading->page;
  const char *root = "ListBucketResult";
  const char *below = xml_below_root (path);
  if (below == NULL)
    {
      reading->listing = reading->listing || strcmp (path, root) == 0;
      return 0;
    }
  path = below;
  if (strcmp (path, "Contents/Key") == 0)
    {
      struct s3_object *object = s3_page_current (reading);
      object->key = s3_page_offset_of (page->text.size);
      buffer_append (&page->text, text, strlen (text) + 1);
    }
  else if (strcmp (path, "Contents/ETag") == 0)
    {
      struct s3_object *object = s3_page_current (reading);
      if (check_etag (text, err) != 0)
        return -1;
      bool bare = text[0] != '"' && strncmp (text, "W/", 2) != 0; /* headers have the quotes */
      object->etag = s3_page_offset_of (page->text.size);
      buffer_printf (&page->text, "%s%s%s", bare ? "\"" : "", text, bare ? "\"" : "");
      buffer_putc (&page->text, '\0');
    }
  else if (strcmp (path, "Contents/StorageClass") == 0)
    s3_page_current (reading)->archived =
        strcmp (text, "GLACIER") == 0 || strcmp (text, "DEEP_ARCHIVE") == 0;
  else if (strcmp (path, "Contents/Size") == 0)
    return read_size (text, &s3_page_current (reading)->size, err);
  else if (strcmp (path, "Contents") == 0)
    return end_object (reading, err);
  else if (strcmp (path, "CommonPrefixes/Prefix") == 0)
    {
      struct s3_object *object = s3_page_current (reading);
      object->key = s3_page_offset_of (page->text.size);
      object->size = 0;
      buffer_append (&page->text, text, strlen (text) + 1);
      reading->folders = true;
    }
  else if (strcmp (path, "CommonPrefixes") == 0)
    return end_object (reading, err);
  else if (strcmp (path, "EncodingType") == 0)
    reading->encoded = strcmp (text, "url") == 0; /* it may come behind the keys */
  else if (strcmp (path, "IsTruncated") == 0)
    {
      reading->listing = true; /* whatever its root is called */
      reading->truncated = strcmp (text, "true") == 0;
    }
  else if (strcmp (path, "NextContinuationToken") == 0)
    {
      free (page->token);
      page->token = xstrdup (text);
    }
  return 0;
}

int
s3_page_read (struct s3_page *page, const struct http_call *call, struct error *err)
{
  struct page_reading reading = { .page = page };
  const struct xml_reader reader = { .context = &reading, .element = element };
  page->count = 0;
  buffer_clear (&page->text);
  free (take (&page->token));
  if (xml_read (buffer_bytes (&call->answer), &reader, err) != 0)
    return error_wrap (err, "listing");
  if (!reading.listing)
    return error_set (err, ERROR_USER, "not an S3 listing: is this an S3 endpoint?");
  if (!reading.truncated)
    free (take (&page->token));
  else if (page->token == NULL || page->token[0] == '\0')
    return error_set (err, ERROR_TRANSIENT,
                      "invalid listing: truncated without a continuation token");
  for (size_t i = 0; i < page->count; i++)
    {
      struct s3_object *object = &page->objects[i];
      char *key = page->text.data + ((uintptr_t) object->key - 1);
      object->key = key;
      if (reading.encoded && decode (key) != 0)
        return error_set (err, ERROR_USER, "invalid listing: key with a NUL byte (%.200s)", key);
      if (object->etag != NULL)
        object->etag = page->text.data + ((uintptr_t) object->etag - 1);
    }
  if (reading.folders)
    qsort (page->objects, page->count, sizeof *page->objects, s3_page_by_key);
  return 0;
}

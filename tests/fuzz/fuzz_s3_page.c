/* libFuzzer: a page of a bucket's listing. What is read has keys and sizes; what isn't is an error
 * with words. */
#include "storage/s3/page.h"

#include "common/memory.h"
#include "storage/s3/xml.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  auto_s3_page struct s3_page page = { 0 };
  struct error err = ERROR_INIT;
  auto_http_call struct http_call call;
  http_call_init (&call, xstrdup ("http://h/"));
  buffer_append (&call.answer, data, size);
  char text[64];
  (void) xml_find (buffer_bytes (&call.answer), "Error/Code", text, sizeof text);
  if (s3_page_read (&page, &call, &err) != 0)
    {
      if (err.message[0] == '\0')
        abort ();
      return 0;
    }
  for (size_t i = 0; i < page.count; i++)
    if (page.objects[i].key == NULL || page.objects[i].size < 0
        || strlen (page.objects[i].key) > page.text.size)
      abort ();
  return 0;
}

/* shoal topics tail: records as they stand in the log. */
#include "cli/topics_tail.h"

#include "cli/json_text.h"
#include "common/base64.h"
#include "common/memory.h"
#include "schemas/codec.h"

#include <stdio.h>

static json_t *
tail_headers_json (const struct strlist *headers)
{
  json_t *object = json_object ();
  for (size_t i = 0; i + 1 < headers->count; i += 2)
    json_set_text (object, headers->items[i], headers->items[i + 1]);
  return object;
}

/* Sets what RECORD says, or why that can't be told and its bytes. */
static void
tail_set_value (json_t *object, const struct bus_record *record)
{
  struct error err = ERROR_INIT;
  const char *name = NULL;
  auto_free char *json = NULL;
  if (record->tombstone)
    (void) json_object_set_new (object, "value", json_null ());
  else if (codec_to_json (record->message, &name, &json, &err) == 0)
    {
      json_set_text (object, "record", name);
      (void) json_object_set_new (object, "value", json_loads (json, JSON_ALLOW_NUL, NULL));
    }
  else
    {
      auto_free char *base64 = base64_encode (record->message.data, record->message.size);
      json_set_text (object, "error", err.message);
      json_set_text (object, "value_base64", base64);
    }
}

static int
tail_print (void *context, const struct bus_record *record)
{
  (void) context;
  json_t *object = json_object ();
  json_set_text (object, "topic", record->topic);
  json_set_number (object, "partition", record->partition);
  json_set_number (object, "offset", record->offset);
  json_set_number (object, "time", record->time);
  json_set_text (object, "key", record->key);
  if (record->headers->count > 0)
    (void) json_object_set_new (object, "headers", tail_headers_json (record->headers));
  json_set_text (object, "refused", record->refused);
  tail_set_value (object, record);
  /* In ASCII: bytes of digests and atoms are characters here that terminals take for orders. */
  (void) json_dumpf (object, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
  (void) putchar ('\n');
  (void) fflush (stdout);
  json_decref (object);
  return 0;
}

int
topics_tail (const char *url, const struct bus_options *bus_options, const struct bus_tail *tail,
             struct error *err)
{
  struct bus_options options = *bus_options;
  options.access = BUS_READS;
  auto_bus struct bus *bus = bus_open (url, &options, err);
  return bus == NULL ? -1 : bus_tail_records (bus, tail, tail_print, NULL, err);
}

#include "storage/s3/xml.h"

#include "common/memory.h"

#include <expat.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

enum
{
  DEPTH_MAX = 16,
  TEXT_MAX = 64 << 10,
  PATH_MAX_BYTES = 1024,
};

struct reading
{
  const struct xml_reader *reader;
  XML_Parser parser;
  struct buffer path;
  struct buffer text;
  int depth;
  struct error err;
};

static void
s3_xml_refuse (struct reading *reading, const char *why)
{
  if (!error_is_set (&reading->err))
    (void) error_set (&reading->err, ERROR_TRANSIENT, "not a valid S3 response: %s", why);
  (void) XML_StopParser (reading->parser, XML_FALSE);
}

/* NAME without a namespace's prefix, which servers choose. */
static const char *
s3_xml_local (const XML_Char *name)
{
  const char *colon = strrchr (name, ':');
  return colon == NULL ? name : colon + 1;
}

static void XMLCALL
s3_xml_begin (void *context, const XML_Char *prefixed, const XML_Char **attributes)
{
  struct reading *reading = context;
  const char *name = s3_xml_local (prefixed);
  (void) attributes;
  if (++reading->depth > DEPTH_MAX || reading->path.size + strlen (name) > PATH_MAX_BYTES)
    {
      s3_xml_refuse (reading, "too deep");
      return;
    }
  if (reading->depth > 1)
    buffer_putc (&reading->path, '/');
  buffer_puts (&reading->path, name);
  buffer_clear (&reading->text);
}

static void XMLCALL
s3_xml_gather (void *context, const XML_Char *text, int size)
{
  struct reading *reading = context;
  if (reading->text.size + (size_t) size > TEXT_MAX)
    s3_xml_refuse (reading, "a text too long");
  else
    buffer_append (&reading->text, text, (size_t) size);
}

static void XMLCALL
s3_xml_end (void *context, const XML_Char *name)
{
  struct reading *reading = context;
  const struct xml_reader *reader = reading->reader;
  const char *text = reading->text.size == 0 ? "" : reading->text.data;
  if (error_is_set (&reading->err))
    return;
  if (reader->element (reader->context, reading->path.data, text, &reading->err) != 0)
    (void) XML_StopParser (reading->parser, XML_FALSE);
  size_t length = strlen (s3_xml_local (name));
  reading->path.size -= reading->depth > 1 ? length + 1 : length;
  reading->path.data[reading->path.size] = '\0';
  buffer_clear (&reading->text);
  reading->depth--;
}

static void XMLCALL
doctype (void *context, const XML_Char *name, const XML_Char *system, const XML_Char *public,
         int internal)
{
  (void) name;
  (void) system;
  (void) public;
  (void) internal;
  s3_xml_refuse (context, "it has a DTD");
}

int
xml_read (struct bytes document, const struct xml_reader *reader, struct error *err)
{
  struct reading reading = { .reader = reader, .parser = XML_ParserCreate (NULL) };
  if (reading.parser == NULL)
    abort ();
  XML_SetUserData (reading.parser, &reading);
  XML_SetElementHandler (reading.parser, s3_xml_begin, s3_xml_end);
  XML_SetCharacterDataHandler (reading.parser, s3_xml_gather);
  XML_SetStartDoctypeDeclHandler (reading.parser, doctype);
  bool good = document.size <= INT_MAX
              && XML_Parse (reading.parser, document.data == NULL ? "" : document.data,
                            (int) document.size, XML_TRUE)
                     == XML_STATUS_OK;
  if (!good)
    s3_xml_refuse (&reading, "it isn't XML");
  XML_ParserFree (reading.parser);
  buffer_release (&reading.path);
  buffer_release (&reading.text);
  if (!error_is_set (&reading.err))
    return 0;
  if (err != NULL)
    *err = reading.err;
  return -1;
}

const char *
xml_below_root (const char *path)
{
  const char *slash = strchr (path, '/');
  return slash == NULL ? NULL : slash + 1;
}

struct search
{
  const char *path;
  char *text;
  size_t size;
  bool found;
};

static int
s3_xml_match (void *context, const char *path, const char *text, struct error *err)
{
  struct search *search = context;
  (void) err;
  const char *below = xml_below_root (path);
  const char *wanted = xml_below_root (search->path);
  bool same = wanted == NULL ? strcmp (path, search->path) == 0
                             : below != NULL && strcmp (below, wanted) == 0;
  if (!search->found && same)
    {
      search->found = true;
      (void) snprintf (search->text, search->size, "%s", text);
    }
  return 0;
}

bool
xml_find (struct bytes document, const char *path, char *text, size_t size)
{
  struct search search = { .path = path, .text = text, .size = size };
  const struct xml_reader reader = { .context = &search, .element = s3_xml_match };
  (void) xml_read (document, &reader, NULL);
  return search.found;
}

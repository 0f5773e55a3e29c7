/* xml.h — what S3 answers: flat lists of elements, read by expat.
 *
 * Nothing in an answer is believed: its size, its depth and the length of each text are bounded; an
 * answer with a DTD is refused.
 */
#ifndef SHOAL_STORAGE_S3_XML_H
#define SHOAL_STORAGE_S3_XML_H

#include "common/buffer.h"
#include "common/error.h"

struct xml_reader
{
  void *context;
  /* An element ends: PATH is "ListBucketResult/Contents/Key", without prefixes of namespaces, TEXT
   * what was in it (and in no element inside). */
  int (*element) (void *context, const char *path, const char *text, struct error *err);
};

/* Reads all of DOCUMENT. ERROR_TRANSIENT when it isn't XML, or what READER returned. */
int xml_read (struct bytes document, const struct xml_reader *reader, struct error *err);

/* What PATH has below the root, whose name differs between servers; NULL: it is the root. */
const char *xml_below_root (const char *path);

/* The text of the first element with PATH, whatever the root is called, at most SIZE - 1 bytes of
 * it; false when there is none. */
bool xml_find (struct bytes document, const char *path, char *text, size_t size);

#endif

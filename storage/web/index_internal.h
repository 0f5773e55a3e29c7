/* index_internal.h — what the readers of listings share. */
#ifndef SHOAL_STORAGE_WEB_INDEX_INTERNAL_H
#define SHOAL_STORAGE_WEB_INDEX_INTERNAL_H

#include "storage/web/index.h"

/* Adds ENTRY, whose name is taken. */
void index_add (struct index *index, struct index_entry entry);

/* One reader for each form; ERROR_USER when PAGE isn't of it. */
int index_read_json (struct index *index, struct bytes page, struct error *err);
int index_read_xml (struct index *index, struct bytes page, struct error *err);
int index_read_html (struct index *index, const char *url, struct bytes page, struct error *err);

/* ---- markup.c: tags and what is in them */

/* The ">" of the tag that begins at AT; NULL: END, or a tag that is too long. */
const char *markup_tag_end (const char *at, const char *end);

/* Whether the tag at AT is NAME ("a", "/tr"). */
bool markup_is_tag (const char *at, const char *end, const char *name);

/* Appends what the SIZE bytes at FROM stand for: "&amp;" is "&". */
void markup_put_text (struct buffer *text, const char *from, size_t size);

/* The value of the attribute NAME of the tag from AT to END, appended to VALUE. False: it has none.
 */
bool markup_attribute (const char *at, const char *end, const char *name, struct buffer *value);

/* ---- row.c: what stands beside a link */

/* A time at the beginning of TEXT, "26-Nov-2026 15:46", "2026-11-26 15:46:33", "2026-Nov-26 …",
 * "26Nov2026 …", "2026-11-26T15:46:33Z"; *REST is what is behind it. */
struct index_time row_time (const char *text, const char **rest);

/* Fills ENTRY's time and size from the markup BEFORE and AFTER its link, in its row. */
void row_read (struct index_entry *entry, struct bytes before, struct bytes after);

#endif

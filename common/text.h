/* text.h — names and messages of others, made safe for where they go: a screen, a shell, a log,
 * JSON, HTML.
 *
 * Bytes may be anything but NUL. What a terminal could take for a command is written out: control
 * characters (C0, DEL, C1, as code points and as raw bytes), characters that turn the direction of
 * what follows, line and paragraph separators, and what isn't UTF-8.
 *
 *     ESC  \x1b     raw byte 9B  \x9b     U+009B  \u009b     U+202E  \u202e     newline, tab,
 *                                                                    return  \n \t \r
 *
 * Nothing else in the program escapes for people, shells or logs.
 */
#ifndef SHOAL_COMMON_TEXT_H
#define SHOAL_COMMON_TEXT_H

#include "common/buffer.h"
#include "common/strlist.h"

#include <jansson.h>
#include <stdbool.h>

/* Whether both are NULL, or the same bytes. */
bool text_same (const char *a, const char *b);

/* Whether the SIZE bytes at TEXT end in END. */
bool text_ends_in (const char *text, size_t size, const char *end);

/* TEXT (NULL: empty) as one line for people. What was shown once isn't changed by showing it again.
 * The caller frees. */
char *text_shown (const char *text);

/* Appends the same to OUT, cut behind the character that reaches LIMIT bytes. */
void text_put_shown (struct buffer *out, const char *text, size_t limit);

/* Appends SIZE bytes, a part of a longer text, for people: newlines and tabs stay, "\r\n" is a
 * newline. Returns how many bytes were taken: unless it is the LAST part, an unfinished character
 * or line end at its end is left for the next part. */
size_t text_put_lines (struct buffer *out, const char *data, size_t size, bool last);

/* VALUE (NULL: empty) in double quotes for a log's `key=value`: escaped as above, `"` and `\` too.
 * The caller frees. */
char *text_log (const char *value);

/* WORD as a shell reads it back: as it is, '…', or $'…' where it has what may not be shown. The
 * caller frees. */
char *text_word (const char *word);

/* FIRST and WORDS (NULL: none) as one command line. The caller frees. */
char *text_words (const char *first, const struct strlist *words);

/* Sets KEY to BYTES where they are UTF-8, else KEY_percent to their percent-encoding. */
void text_set_bytes (json_t *object, const char *key, const char *bytes);

/* Appends TEXT, as people are shown it, with what HTML gives a meaning escaped. */
void text_put_html (struct buffer *out, const char *text);

#endif

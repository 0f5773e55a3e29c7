/* glob.h — the pattern language, doublestar's: which paths are atoms.
 *
 *     *  ?  [a-z]  [^x] [!x]   within one component, never across "/"
 *     **                       any number of whole components; inside a component it is one *
 *     {a,b{c,d}}               alternatives, nested
 *     \x                       x itself
 *
 * `?` and classes speak of code points of UTF-8; a byte that isn't valid UTF-8 counts as one. Case
 * matters unless it is to be ignored, dot files are matched like others. Slashes before and behind
 * the pattern don't matter.
 *
 * A compiled glob is immutable and may be shared by threads.
 */
#ifndef SHOAL_PRODUCER_GLOB_H
#define SHOAL_PRODUCER_GLOB_H

#include "common/auto.h"
#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>

struct glob;

/* NULL with ERROR_USER that names the pattern, the position (byte, from 1) and what is wrong there.
 * A pattern whose alternatives multiply beyond 10,000 is refused. */
struct glob *glob_compile (const char *pattern, struct error *err);

/* The same; IGNORE_CASE: letters match whatever their case is, by Unicode's simple mapping. */
struct glob *glob_compile_as (const char *pattern, bool ignore_case, struct error *err);
void glob_free (struct glob *glob);

static inline void
auto_glob_ (struct glob **glob)
{
  glob_free (*glob);
}
#define auto_glob AUTO (auto_glob_)

/* Whether PATH (no slash before or behind it; "" is the base itself) matches as a whole. */
bool glob_match (const struct glob *glob, const char *path, size_t size);

/* Whether the folder PATH is meant itself: as glob_match, but `**` at the end of a pattern stands
 * for files only, so that neither an empty folder nor the base matches it. */
bool glob_match_folder (const struct glob *glob, const char *path, size_t size);

/* Whether something below the folder PATH ("" for the base itself) can match: a folder for which
 * this is false needs no listing. Never false for a folder that holds a match. */
bool glob_may_match_below (const struct glob *glob, const char *path, size_t size);

/* Appends to PREFIX what every path that matches begins with, as far as that can be told from the
 * pattern. */
void glob_prefix (const struct glob *glob, struct buffer *prefix);

#endif

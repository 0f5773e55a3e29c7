/* braces.h — a pattern's syntax: is it right, and which plain patterns do its {alternatives} stand
 * for?
 *
 * What comes out of braces_expand is free of alternatives and known to parse: `\` always has
 * something behind it, each `[` its `]`, each class at least one member.
 */
#ifndef SHOAL_PRODUCER_BRACES_H
#define SHOAL_PRODUCER_BRACES_H

#include "common/error.h"
#include "common/strlist.h"

#define BRACES_ALTERNATIVES_MAX 10000
#define BRACES_DEPTH_MAX 64

/* Appends PATTERN's alternatives, in order, to EXPANDED. 0, or -1 with ERROR_USER: pattern,
 * position, reason. */
int braces_expand (const char *pattern, struct strlist *expanded, struct error *err);

/* What follows the element at AT (a byte, a `\x`, a whole class) of a pattern that parses. */
const char *braces_skip (const char *at);

#endif

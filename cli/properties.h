/* properties.h — a file of properties in Java's form, as Kafka's own tools read theirs.
 *
 *     # a comment, as is !
 *     name=value          name: value          name value
 *     long.one = one,\
 *                two      \ at the end goes on in the next line; \t \n \r \f \u20ac elsewhere; \x
 *                         is x
 *
 * As Kafka does, blanks around a value are dropped. Other than there bytes beyond ASCII are taken
 * as they are (UTF-8), and a line of one word is refused.
 */
#ifndef SHOAL_CLI_PROPERTIES_H
#define SHOAL_CLI_PROPERTIES_H

#include "common/buffer.h"
#include "common/error.h"
#include "common/strlist.h"

/* Appends name, value, … of TEXT to PAIRS, in its order. ERROR_USER with the number of a line that
 * is none; nothing of it is shown, it may be a password. */
int properties_read (struct bytes text, struct strlist *pairs, struct error *err);

#endif

/* unique.h — names that nobody else makes, on any machine. Process ids aren't: containers count
 * them from 1.
 *
 * In digits and small letters (Crockford's base 32), which sort as bytes do.
 */
#ifndef SHOAL_COMMON_UNIQUE_H
#define SHOAL_COMMON_UNIQUE_H

/* 80 random bits into TEXT; returns TEXT. */
#define UNIQUE_SIZE 17
const char *unique_text (char text[static UNIQUE_SIZE]);

/* "20261129-224154-4f9k2mxqpz7wv3h1t0bd": the time of day (UTC), its nanoseconds and 70 random
 * bits. Those of one process sort in the order in which they were made, as long as its clock isn't
 * set back. The caller frees. */
char *unique_id (void);

#endif

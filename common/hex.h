/* hex.h — bytes as hexadecimal digits. */
#ifndef SHOAL_COMMON_HEX_H
#define SHOAL_COMMON_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The value of DIGIT, of either case; -1 when it is none. */
int hex_digit (char digit);

/* SIZE bytes as lower-case digits into TEXT, which has room for 2 * SIZE + 1; returns TEXT. */
char *hex_format (const void *bytes, size_t size, char *text);

/* 2 * SIZE digits at TEXT, of either case, into BYTES; false when they aren't all digits. */
bool hex_read (const char *text, void *bytes, size_t size);

/* Whether TEXT is COUNT lower-case digits and nothing else. */
bool hex_is_text (const char *text, size_t count);

#endif

/* percent.h — percent-encoding (RFC 3986): bytes of URLs and of names as "%XX". */
#ifndef SHOAL_COMMON_PERCENT_H
#define SHOAL_COMMON_PERCENT_H

#include "common/buffer.h"

#include <stddef.h>

/* Appends TEXT; letters and digits of ASCII, "-._~" and the characters in KEPT stay. */
void percent_encode (struct buffer *out, const char *text, const char *kept);

/* The byte that "%XX" at AT stands for, of which LEFT bytes are there; -1 when it is none. */
int percent_byte (const char *at, size_t left);

/* Appends the SIZE bytes at TEXT with each "%XX" as its byte, NUL as well; what isn't one stays. */
void percent_decode (struct buffer *out, const char *text, size_t size);

#endif

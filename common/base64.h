/* base64.h — bytes as base64 (RFC 4648, section 4), with padding. */
#ifndef SHOAL_COMMON_BASE64_H
#define SHOAL_COMMON_BASE64_H

#include <stddef.h>

/* The caller frees. */
char *base64_encode (const void *bytes, size_t size);

#endif

/* pin.h — what a file on the web was when it was listed, as a version's text.
 *
 *     etag "5f3c-1a"        the server's own tag
 *     modified 1445412480   the second of its last change, UTC
 *     minute 24090208       the minute of it: listings in HTML don't say more
 *     sha256 9f86d0…        a sum that a list of URLs gave; md5 likewise
 */
#ifndef SHOAL_STORAGE_WEB_PIN_H
#define SHOAL_STORAGE_WEB_PIN_H

#include "common/http/http.h"
#include "storage/fetcher.h"

/* The version that CALL's answer tells, NULL when it tells none. The caller frees. */
char *pin_of_answer (const struct http_call *call);

/* Adds what a request for VERSION must say, so that a server refuses another one. */
void pin_add_condition (const char *version, struct strlist *headers);

/* Holds CALL's answer against VERSION: ERROR_USER when it is another one, or doesn't tell. Fills
 * SUM where the version is one. */
int pin_check (const char *version, const struct http_call *call, struct fetch_sum *sum,
               struct error *err);

/* "sha256 9f86…" of a sum as people write it, ALGORITHM "sha256" or "md5" in any case, HEX in any
 * case. NULL with ERR. */
char *pin_of_sum (const char *algorithm, const char *hex, struct error *err);

/* The second of the answer's Last-Modified, -1. */
int64_t pin_modified (const struct http_call *call);

#endif

/* route.h — what a request asks for and whether it may: its route and its token, told from text
 * alone.
 *
 * Plain functions, any thread.
 */
#ifndef SHOAL_HTTPD_ROUTE_H
#define SHOAL_HTTPD_ROUTE_H

#include "common/digest.h"
#include "httpd/httpd.h"

/* The route for METHOD ("HEAD" is a "GET") at PATH; *REST is what PATH has below it, in PATH. NULL
 * when there is none; then *ALLOWED is a method that PATH has a route for, or NULL. */
const struct http_route *route_find (const struct http_route *routes, size_t count,
                                     const char *method, const char *path, const char **rest,
                                     const char **allowed);

/* TOKEN's digest: comparing says nothing of its length either. */
void token_sum (const char *token, uint8_t sum[static DIGEST_SIZE]);

/* The same of the one in HEADER, the value of Authorization or NULL: false when there is none. */
bool token_sum_in (const char *header, uint8_t sum[static DIGEST_SIZE]);

/* Whether HEADER, the value of Authorization or NULL, is "Bearer TOKEN" with the token of SUM. */
bool token_is_in (const char *header, const uint8_t sum[static DIGEST_SIZE]);

#endif

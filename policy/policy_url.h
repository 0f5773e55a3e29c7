/* policy_url.h — which URLs a policy means.
 *
 *     s3://photos            a bucket;  s3://photos/2019 what is in that folder of it;  s3://team-*
 *                                       such buckets;  s3:// any
 *     https://host           a host, at the scheme's own port;  https://host:8443 and
 *                                                               https://host:* other ones. A host
 *                                                               may have stars: *.example.org
 *     ipfs://                any CID;  ipfs://CID one
 *
 * Scheme and host are compared without case, a path at its slashes. URLs are taken apart by the
 * same library that fetches them.
 */
#ifndef SHOAL_POLICY_POLICY_URL_H
#define SHOAL_POLICY_POLICY_URL_H

#include "common/error.h"

#include <stdbool.h>

/* Whether RULE is one: ERROR_USER. */
int policy_url_check_rule (const char *rule, struct error *err);

/* Whether RULE, which is one, means URL. */
bool policy_url_matches (const char *rule, const char *url);

/* LINK, which may be relative to BASE, both http or https, as a whole URL; NULL when that isn't
 * one. The caller frees. */
char *policy_url_resolve (const char *base, const char *link);

#endif

/* registry_internal.h — what registry.c is made of: requests (registry_http.c) and the folder
 * (registry_folder.c). */
#ifndef SHOAL_SCHEMAS_REGISTRY_INTERNAL_H
#define SHOAL_SCHEMAS_REGISTRY_INTERNAL_H

#include "common/buffer.h"
#include "common/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* ---- requests */

struct registry_http;

/* Strings are copied; USER, PASSWORD and CA_FILE may be NULL. */
struct registry_http *registry_http_new (const char *url, const char *user, const char *password,
                                         const char *ca_file);
void registry_http_free (struct registry_http *http);

struct answer
{
  long status;
  json_t *json; /* NULL when the body is none */
};

/* METHOD PATH (below the URL) with BODY (NULL: none), tried again for PATIENCE_MS (0: one try)
 * while the registry is away. 0 with ANSWER, whatever its status below 500; -1 with ERR,
 * ERROR_TRANSIENT where waiting may help. The URL is the operator's: it may lead anywhere. */
int registry_http_ask (const struct registry_http *http, const char *method, const char *path,
                       const json_t *body, int64_t patience_ms, struct answer *answer,
                       struct error *err);

/* ERR from an ANSWER that isn't what was wanted, of CLASS unless it is about passwords or no
 * registry's: then ERROR_FATAL. Returns -1. */
int registry_http_refused (const struct registry_http *http, const struct answer *answer,
                           enum error_class class, struct error *err);

/* The registry's own number for an error (40403), or 0. */
int answer_code (const struct answer *answer);
void answer_release (struct answer *answer);
#define auto_answer AUTO (answer_release)

/* ---- the folder: FOLDER/<crc of the URL>/, files written as a whole. DIRFD -1: there is none,
 * nothing is found. */

/* A descriptor for the folder of URL below FOLDER, made when missing, or -1 with ERR. */
int registry_folder_open (const char *folder, const char *url, struct error *err);

/* The id of the schema with FINGERPRINT under SUBJECT, or -1. */
int32_t registry_folder_id (int dirfd, const char *subject, uint64_t fingerprint);
void registry_folder_put_id (int dirfd, const char *subject, uint64_t fingerprint, int32_t id);

/* Appends the text of schema ID; false when it isn't there. */
bool registry_folder_schema (int dirfd, int32_t id, struct buffer *text);
void registry_folder_put_schema (int dirfd, int32_t id, struct bytes text);

/* Removes all of it: the registry isn't the one that it was. */
void registry_folder_forget (int dirfd);

#endif

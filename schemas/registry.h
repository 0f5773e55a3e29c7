/* registry.h — a schema registry: ids for the schemas that we write with, schemas for the ids that
 * we read.
 *
 * Speaks Confluent's REST API. What was learnt stays in memory and in a folder, so that a program
 * starts while the registry is away. One handle belongs to one thread; handles of several threads
 * and processes share a folder. Calls wait for the registry up to `patience_ms`. The classes of
 * errors are those of wire.h; no error holds a password.
 */
#ifndef SHOAL_SCHEMAS_REGISTRY_H
#define SHOAL_SCHEMAS_REGISTRY_H

#include "common/buffer.h"
#include "common/error.h"

#include <stdint.h>

struct registry;
struct writer_schema;

/* Copied by registry_open. */
struct registry_options
{
  const char *url;  /* http:// or https://, with the path of the API, without user and password */
  const char *user; /* basic authentication; NULL: none */
  const char *password;
  const char *password_file; /* instead of `password`: its first line */
  const char *ca_file;       /* PEM; NULL: those of the system */
  const char *cache_folder;  /* made when missing; NULL: what is learnt isn't kept */
  int64_t patience_ms;       /* 0: 10 s */
};

/* From SHOAL_SCHEMA_REGISTRY, SHOAL_SCHEMA_REGISTRY_USER, …_PASSWORD, …_PASSWORD_FILE, …_CA and
 * SHOAL_SCHEMA_CACHE, which is ~/.cache/shoal/schemas (or below XDG_CACHE_HOME) unless set; FOLDER
 * holds that text and is the caller's. `url` is NULL without a registry. */
struct registry_options registry_options_from_environment (struct buffer *folder);

/* Asks the registry nothing yet. NULL with ERR: ERROR_USER for options that can't be. */
struct registry *registry_open (const struct registry_options *options, struct error *err);
void registry_close (struct registry *registry);

static inline void
auto_registry_ (struct registry **registry)
{
  registry_close (*registry);
}
#define auto_registry AUTO (auto_registry_)

/* The ID of the schema TEXT under SUBJECT, which is registered when it isn't there. A subject whose
 * compatibility level is NONE, or not set, gets FULL_TRANSITIVE. Asks once a process; when the
 * registry is away what the folder says counts. TEXT must stay where it is as long as the
 * handle. */
int registry_register (struct registry *registry, const char *subject, const char *text,
                       int32_t *id, struct error *err);

/* The schema with ID, valid until the next call; NULL with ERR. */
const struct writer_schema *registry_schema (struct registry *registry, int32_t id,
                                             struct error *err);

#endif

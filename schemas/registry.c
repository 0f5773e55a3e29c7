#include "schemas/registry.h"

#include "common/clock.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/percent.h"
#include "common/text.h"
#include "schemas/codec_internal.h"
#include "schemas/fingerprint.h"
#include "schemas/registry_internal.h"
#include "schemas/writer_schema.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum
{
  KNOWN_MAX = 1024,    /* schemas in memory; an id has one place */
  UNKNOWN_MS = 10000,  /* how long an id that the registry doesn't know isn't asked for again */
  AWAY_MS = 1000,      /* how long a registry that is away isn't asked again */
  PATIENCE_MS = 10000, /* default */
  PASSWORD_MAX = 4096, /* bytes of a password file */
};

/* What is known of an id: its schema, or what is wrong with it. */
struct known_schema
{
  int32_t id;
  struct writer_schema *schema;
  char *problem;
  int64_t until; /* the problem isn't asked for again before this*/
};

struct subject
{
  char *name;
  const char *text;
  int32_t id;
};

struct registry
{
  struct registry_http *http;
  int dirfd; /* of the folder, -1: none */
  int64_t patience_ms;
  struct known_schema known[KNOWN_MAX];
  struct subject *subjects;
  size_t subject_count;
  struct error away; /* why, until AWAY_UNTIL */
  int64_t away_until;
};

/* ---- opening ---------------------------------------------------------------------------- */

struct registry_options
registry_options_from_environment (struct buffer *folder)
{
  const char *given = getenv ("SHOAL_SCHEMA_CACHE");
  const char *cache = getenv ("XDG_CACHE_HOME");
  const char *home = getenv ("HOME");
  buffer_clear (folder);
  if (given != NULL)
    buffer_puts (folder, given);
  else if (cache != NULL && cache[0] == '/')
    buffer_printf (folder, "%s/shoal/schemas", cache);
  else if (home != NULL && home[0] == '/')
    buffer_printf (folder, "%s/.cache/shoal/schemas", home);
  const char *url = getenv ("SHOAL_SCHEMA_REGISTRY");
  return (struct registry_options){
    .url = url != NULL && url[0] != '\0' ? url : NULL,
    .user = getenv ("SHOAL_SCHEMA_REGISTRY_USER"),
    .password = getenv ("SHOAL_SCHEMA_REGISTRY_PASSWORD"),
    .password_file = getenv ("SHOAL_SCHEMA_REGISTRY_PASSWORD_FILE"),
    .ca_file = getenv ("SHOAL_SCHEMA_REGISTRY_CA"),
    .cache_folder = folder->size > 0 ? folder->data : NULL,
  };
}

/* The URL isn't in these errors: there may be a password in it. */
static int
check_url (const char *url, struct error *err)
{
  const char *host = NULL;
  if (url != NULL && strncasecmp (url, "http://", 7) == 0)
    host = url + 7;
  else if (url != NULL && strncasecmp (url, "https://", 8) == 0)
    host = url + 8;
  if (host == NULL || *host == '\0' || *host == '/')
    return error_set (err, ERROR_USER,
                      "schema registry: the URL must begin with http://HOST or https://HOST");
  if (memchr (host, '@', strcspn (host, "/?#")) != NULL)
    return error_set (err, ERROR_USER,
                      "schema registry: the URL holds a user or a password; they go into "
                      "SHOAL_SCHEMA_REGISTRY_USER and SHOAL_SCHEMA_REGISTRY_PASSWORD");
  if (strpbrk (host, "?#") != NULL)
    return error_set (err, ERROR_USER, "schema registry: the URL must end with its path");
  return 0;
}

/* The password, from its file or as it stands, into PASSWORD. */
static int
read_password (const struct registry_options *options, struct buffer *password, struct error *err)
{
  if (options->password_file == NULL)
    buffer_puts (password, options->password == NULL ? "" : options->password);
  else if (fs_read_file (AT_FDCWD, options->password_file, PASSWORD_MAX, password, err) != 0)
    return error_wrap (err, "schema registry: the password");
  if (options->password_file != NULL && password->size > 0)
    password->data[strcspn (password->data, "\r\n")] = '\0';
  return 0;
}

static struct registry_http *
open_http (const struct registry_options *options, struct error *err)
{
  auto_buffer struct buffer password = { 0 };
  auto_free char *url = NULL;
  if (check_url (options->url, err) != 0 || read_password (options, &password, err) != 0)
    return NULL;
  if (options->ca_file != NULL && access (options->ca_file, R_OK) != 0)
    {
      (void) error_errno (err, errno, "schema registry: %s", options->ca_file);
      return NULL;
    }
  url = xstrdup (options->url);
  for (size_t n = strlen (url); n > 0 && url[n - 1] == '/'; n--)
    url[n - 1] = '\0';
  struct registry_http *http =
      registry_http_new (url, options->user, password.data, options->ca_file);
  if (password.data != NULL)
    explicit_bzero (password.data, password.capacity);
  return http;
}

struct registry *
registry_open (const struct registry_options *options, struct error *err)
{
  auto_registry struct registry *registry = xcalloc (1, sizeof *registry);
  registry->dirfd = -1;
  registry->patience_ms = options->patience_ms > 0 ? options->patience_ms : PATIENCE_MS;
  registry->http = open_http (options, err);
  if (registry->http == NULL)
    return NULL;
  if (options->cache_folder != NULL)
    {
      registry->dirfd = registry_folder_open (options->cache_folder, options->url, err);
      if (registry->dirfd < 0)
        {
          (void) error_wrap (err, "schema registry: the folder of its cache");
          return NULL;
        }
    }
  return take (&registry);
}

static void
clear_known (struct known_schema *known)
{
  writer_schema_free (known->schema);
  free (known->problem);
  *known = (struct known_schema){ 0 };
}

void
registry_close (struct registry *registry)
{
  if (registry == NULL)
    return;
  for (size_t i = 0; i < KNOWN_MAX; i++)
    clear_known (&registry->known[i]);
  for (size_t i = 0; i < registry->subject_count; i++)
    free (registry->subjects[i].name);
  free (registry->subjects);
  registry_http_free (registry->http);
  if (registry->dirfd >= 0)
    (void) close (registry->dirfd);
  free (registry);
}

/* ---- asking ----------------------------------------------------------------------------- */

/* As registry_http_ask, but a registry that was away a moment ago isn't asked. */
static int
registry_request (struct registry *registry, const char *method, const char *path,
                  const json_t *body, int64_t patience_ms, struct answer *answer, struct error *err)
{
  if (clock_boot_ms () < registry->away_until)
    return error_set (err, registry->away.class, "%s", registry->away.message);
  struct error own = ERROR_INIT;
  if (registry_http_ask (registry->http, method, path, body, patience_ms, answer, &own) == 0)
    return 0;
  if (own.class == ERROR_TRANSIENT)
    {
      registry->away = own;
      registry->away_until = clock_boot_ms () + AWAY_MS;
    }
  return error_set (err, own.class, "%s", own.message);
}

/* ---- schemas that we write with --------------------------------------------------------- */

/* The id in ANSWER, or -1. */
static int32_t
id_in (const struct answer *answer)
{
  json_t *id = json_object_get (answer->json, "id");
  json_int_t value = json_integer_value (id);
  return answer->status == 200 && json_is_integer (id) && value >= 0 && value <= INT32_MAX
             ? (int32_t) value
             : -1;
}

/* A subject without a level gets ours (NONE is what a registry says that has no other word for it);
   whoever set another one knows why. Where we may not, that is a warning. */
static int
set_level (struct registry *registry, const char *subject, struct error *err)
{
  auto_answer struct answer there = { 0 };
  auto_answer struct answer set = { 0 };
  auto_free char *path = xasprintf ("/config/%s", subject);
  if (registry_request (registry, "GET", path, NULL, registry->patience_ms, &there, err) != 0)
    return -1;
  const char *now = json_string_value (json_object_get (there.json, "compatibilityLevel"));
  if (there.status == 200 && now != NULL && strcmp (now, "NONE") != 0)
    return 0;
  json_t *level = json_pack ("{s:s}", "compatibility", "FULL_TRANSITIVE");
  int outcome = registry_request (registry, "PUT", path, level, registry->patience_ms, &set, err);
  json_decref (level);
  if (outcome == 0 && set.status != 200)
    log_warn ("schema_compatibility_refused", "subject=%s status=%ld wanted=FULL_TRANSITIVE",
              subject, set.status);
  return outcome;
}

/* Puts BODY, the schema, under SUBJECT (escaped): its id, or -1 with ERR. */
static int32_t
registry_add_known (struct registry *registry, const char *subject, const json_t *body,
                    struct error *err)
{
  auto_answer struct answer answer = { 0 };
  auto_free char *path = xasprintf ("/subjects/%s/versions", subject);
  if (registry_request (registry, "POST", path, body, registry->patience_ms, &answer, err) != 0)
    return -1;
  int32_t id = id_in (&answer);
  if (id >= 0)
    return id;
  (void) registry_http_refused (registry->http, &answer, ERROR_FATAL, err);
  if (answer.status == 409)
    (void) error_wrap (err,
                       "the schemas registered before can't read this one, or it can't read them");
  return -1;
}

/* Finds BODY under SUBJECT or adds it; PATIENCE_MS for the first answer. */
static int32_t
find_or_add (struct registry *registry, const char *subject, const json_t *body,
             int64_t patience_ms, struct error *err)
{
  auto_answer struct answer found = { 0 };
  auto_buffer struct buffer escaped = { 0 };
  buffer_puts (&escaped, "");
  percent_encode (&escaped, subject, "");
  auto_free char *path = xasprintf ("/subjects/%s", escaped.data);
  if (registry_request (registry, "POST", path, body, patience_ms, &found, err) != 0)
    return -1;
  int32_t id = id_in (&found);
  bool absent = found.status == 404 && answer_code (&found) != 0;
  if (id < 0 && !absent)
    return registry_http_refused (registry->http, &found, ERROR_FATAL, err);
  if (set_level (registry, escaped.data, err) != 0)
    return -1;
  return id >= 0 ? id : registry_add_known (registry, escaped.data, body, err);
}

/* ID is that of the schema TEXT now. If the folder says something else, it is another registry's,
 * or an older one's. */
static void
remember (struct registry *registry, const char *subject, const char *text, uint64_t fingerprint,
          int32_t id)
{
  auto_buffer struct buffer kept = { 0 };
  uint64_t other = fingerprint;
  int32_t old = registry_folder_id (registry->dirfd, subject, fingerprint);
  if (registry_folder_schema (registry->dirfd, id, &kept))
    {
      struct writer_schema *schema = writer_schema_parse (buffer_bytes (&kept), NULL);
      other = schema == NULL ? 0 : schema->fingerprint;
      writer_schema_free (schema);
    }
  if ((old >= 0 && old != id) || other != fingerprint)
    {
      log_warn ("schema_cache_discarded", "reason=\"the registry has other ids now\"");
      registry_folder_forget (registry->dirfd);
      for (size_t i = 0; i < KNOWN_MAX; i++)
        clear_known (&registry->known[i]);
    }
  if (old != id)
    registry_folder_put_id (registry->dirfd, subject, fingerprint, id);
  if (kept.size == 0 || other != fingerprint)
    registry_folder_put_schema (registry->dirfd, id, (struct bytes){ text, strlen (text) });
}

/* The id from the registry, or, when that is away, from the folder. */
static int32_t
learn (struct registry *registry, const char *subject, const char *text, struct error *err)
{
  uint64_t fingerprint = 0;
  if (fingerprint_of (text, &fingerprint, err) != 0)
    return -1;
  int32_t kept = registry_folder_id (registry->dirfd, subject, fingerprint);
  json_t *body = json_pack ("{s:s}", "schema", text);
  struct error own = ERROR_INIT;
  int32_t id = find_or_add (registry, subject, body, kept >= 0 ? 0 : registry->patience_ms, &own);
  json_decref (body);
  if (id >= 0)
    remember (registry, subject, text, fingerprint, id);
  else if (kept >= 0 && own.class == ERROR_TRANSIENT)
    {
      auto_free char *why = text_log (own.message);
      log_warn ("registry_unavailable", "subject=%s id=%d from=cache error=%s", subject, kept, why);
      return kept;
    }
  else
    (void) error_set (err, own.class, "subject %s: %s", subject, own.message);
  return id;
}

int
registry_register (struct registry *registry, const char *subject, const char *text, int32_t *id,
                   struct error *err)
{
  for (size_t i = 0; i < registry->subject_count; i++)
    if (registry->subjects[i].text == text && strcmp (registry->subjects[i].name, subject) == 0)
      {
        *id = registry->subjects[i].id;
        return 0;
      }
  *id = learn (registry, subject, text, err);
  if (*id < 0)
    return -1;
  size_t count = ++registry->subject_count;
  registry->subjects = xrealloc (registry->subjects, count, sizeof *registry->subjects);
  registry->subjects[count - 1] =
      (struct subject){ .name = xstrdup (subject), .text = text, .id = *id };
  return 0;
}

/* ---- schemas that we read --------------------------------------------------------------- */

/* The text of a schema, from the answer for its id; NULL with ERR. A view. */
static const char *
text_in (const struct registry *registry, const struct answer *answer, struct error *err)
{
  const char *text = json_string_value (json_object_get (answer->json, "schema"));
  const char *type = json_string_value (json_object_get (answer->json, "schemaType"));
  const json_t *references = json_object_get (answer->json, "references");
  if (answer->status != 200 || text == NULL)
    {
      (void) registry_http_refused (registry->http, answer,
                                    answer->status == 404 ? ERROR_USER : ERROR_FATAL, err);
      return NULL;
    }
  if ((type != NULL && strcmp (type, "AVRO") != 0) || json_array_size (references) > 0)
    {
      (void) error_set (err, ERROR_USER, "not a self-contained Avro schema");
      return NULL;
    }
  return text;
}

/* The schema ID from the registry, kept in the folder when it is one of our messages; NULL with
 * ERR. */
static struct writer_schema *
registry_fetch_schema (struct registry *registry, int32_t id, struct error *err)
{
  auto_answer struct answer answer = { 0 };
  auto_free char *path = xasprintf ("/schemas/ids/%d", id);
  if (registry_request (registry, "GET", path, NULL, registry->patience_ms, &answer, err) != 0)
    return NULL;
  const char *text = text_in (registry, &answer, err);
  struct bytes bytes = { text, text == NULL ? 0 : strlen (text) };
  struct writer_schema *schema = text == NULL ? NULL : writer_schema_parse (bytes, err);
  if (schema != NULL && codec_kind_of (schema->name) >= 0)
    registry_folder_put_schema (registry->dirfd, id, bytes);
  return schema;
}

static struct writer_schema *
from_folder (struct registry *registry, int32_t id)
{
  auto_buffer struct buffer text = { 0 };
  if (!registry_folder_schema (registry->dirfd, id, &text))
    return NULL;
  return writer_schema_parse (buffer_bytes (&text), NULL);
}

/* Learns what there is to know of ID. Only what is the message's fault is remembered as a
 * problem. */
static void
fill_known (struct registry *registry, struct known_schema *known, int32_t id, struct error *err)
{
  struct error own = ERROR_INIT;
  clear_known (known);
  known->id = id;
  known->schema = from_folder (registry, id);
  if (known->schema == NULL)
    known->schema = registry_fetch_schema (registry, id, &own);
  if (known->schema != NULL)
    return;
  if (own.class == ERROR_USER)
    {
      known->problem = xstrdup (own.message);
      known->until = clock_boot_ms () + UNKNOWN_MS;
    }
  (void) error_set (err, own.class, "schema %d: %s", id, own.message);
}

const struct writer_schema *
registry_schema (struct registry *registry, int32_t id, struct error *err)
{
  if (id < 0)
    {
      (void) error_set (err, ERROR_USER, "schema %d: not a valid schema ID", id);
      return NULL;
    }
  struct known_schema *known = &registry->known[id % KNOWN_MAX];
  if (known->id == id && known->problem != NULL && clock_boot_ms () < known->until)
    (void) error_set (err, ERROR_USER, "schema %d: %s", id, known->problem);
  else if (known->id != id || known->schema == NULL)
    fill_known (registry, known, id, err);
  return known->id == id ? known->schema : NULL;
}

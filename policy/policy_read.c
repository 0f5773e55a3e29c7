/* The policy file: JSON, of which nothing is skipped. */
#include "common/hex.h"
#include "policy/policy.h"

#include "common/digest.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/path.h"
#include "common/units.h"
#include "policy/policy_url.h"
#include "schemas/job_bounds.h"
#include "schemas/job_check.h"
#include "schemas/messages.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum
{
  FILE_SIZE_MAX = 1 << 20, /* bytes */
  ITEMS_MAX = 10000,       /* of a list */
};

struct policy_reader
{
  struct bytes text;
  struct policy *policy;
  char where[256]; /* the member that is read, "limits.memory.most" */
};

/* Goes on with the member NAME of what is at the first DEPTH bytes of `where`; returns the depth of
 * what is in it. */
static size_t
policy_file_enter (struct policy_reader *reader, size_t depth, const char *name)
{
  (void) snprintf (reader->where + depth, sizeof reader->where - depth, "%s%.80s",
                   depth == 0 ? "" : ".", name);
  return strlen (reader->where);
}

/* ---- lists ------------------------------------------------------------------------------ */

/* The texts of the array VALUE into ITEMS; "*" alone is *ANYTHING (NULL: it isn't taken). */
static int
read_texts (const json_t *value, struct strlist *items, bool *anything, struct error *err)
{
  size_t i;
  json_t *item;
  if (!json_is_array (value) || json_array_size (value) > ITEMS_MAX)
    return error_set (err, ERROR_USER, "expected an array of at most %d strings", ITEMS_MAX);
  json_array_foreach (value, i, item)
    {
      const char *text = json_string_value (item);
      if (text == NULL || strlen (text) != json_string_length (item) || text[0] == '\0')
        return error_set (err, ERROR_USER, "expected strings, none of them empty");
      if (anything != NULL && strcmp (text, "*") == 0)
        *anything = true;
      else
        strlist_add (items, text);
    }
  return 0;
}

/* A list whose items CHECK (may be NULL) takes. */
static int
policy_file_read_list (const json_t *value, struct policy_list *list,
                       int (*check) (const char *text, struct error *err), struct error *err)
{
  strlist_release (&list->items);
  list->anything = false;
  if (read_texts (value, &list->items, &list->anything, err) != 0)
    return -1;
  for (size_t i = 0; check != NULL && i < list->items.count; i++)
    if (check (list->items.items[i], err) != 0)
      return -1;
  return 0;
}

static int
policy_file_check_runtime (const char *text, struct error *err)
{
  if (strcmp (text, "oci") == 0 || strcmp (text, "process") == 0)
    return 0;
  return error_set (err, ERROR_USER, "\"%.100s\" is none of oci, process", text);
}

static int
policy_file_check_network (const char *text, struct error *err)
{
  return network_from_name (text) >= 0
             ? 0
             : error_set (err, ERROR_USER, "\"%.100s\" is none of none, host", text);
}

static int
policy_file_check_symlinks (const char *text, struct error *err)
{
  return symlinks_from_name (text) >= 0
             ? 0
             : error_set (err, ERROR_USER, "\"%.100s\" is none of beneath, follow, skip", text);
}

/* A pattern that could mean one. */
static int
policy_file_check_device (const char *text, struct error *err)
{
  const char *slash = strchr (text, '/');
  if (text[0] == '/' || (slash != NULL && strchr (slash, '=') != NULL))
    return 0;
  return error_set (err, ERROR_USER, "\"%.100s\": expected /dev/NAME or VENDOR/CLASS=NAME", text);
}

static int
policy_file_check_image (const char *text, struct error *err)
{
  static const char prefix[] = "sha256:";
  size_t length = strlen (prefix);
  if (strncmp (text, prefix, length) != 0)
    return 0;
  if (hex_is_text (text + length, 2 * DIGEST_SIZE))
    return 0;
  return error_set (err, ERROR_USER, "\"%.100s\": expected sha256: and 64 hexadecimal digits",
                    text);
}

/* ---- places ----------------------------------------------------------------------------- */

static int
check_scheme (const char *text, const char *const *schemes, struct error *err)
{
  for (size_t i = 0; schemes[i] != NULL; i++)
    if (strncmp (text, schemes[i], strlen (schemes[i])) == 0)
      return policy_url_check_rule (text, err);
  return error_set (err, ERROR_USER, "\"%.300s\": not a valid location here", text);
}

/* Folders (where they may be named) and URLs of SCHEMES. */
static int
read_places (const json_t *value, struct policy_places *places, bool folders,
             const char *const *schemes, struct error *err)
{
  auto_strlist struct strlist items = { 0 };
  strlist_release (&places->folders);
  strlist_release (&places->urls);
  places->any_url = false;
  if (read_texts (value, &items, &places->any_url, err) != 0)
    return -1;
  for (size_t i = 0; i < items.count; i++)
    {
      const char *text = items.items[i];
      if (folders && text[0] == '/')
        {
          char *normal = path_normal (text, err);
          if (normal == NULL)
            return -1;
          strlist_take (&places->folders, normal);
        }
      else if (check_scheme (text, schemes, err) == 0)
        strlist_add (&places->urls, text);
      else
        return -1;
    }
  return 0;
}

static int
set_inputs (struct policy_reader *reader, const json_t *value, struct error *err)
{
  static const char *const schemes[] = { "s3://", "http://", "https://", "ipfs://", NULL };
  return read_places (value, &reader->policy->inputs, true, schemes, err);
}

static int
set_results (struct policy_reader *reader, const json_t *value, struct error *err)
{
  static const char *const schemes[] = { "s3://", NULL };
  return read_places (value, &reader->policy->results, true, schemes, err);
}

static int
set_webhooks (struct policy_reader *reader, const json_t *value, struct error *err)
{
  static const char *const schemes[] = { "http://", "https://", NULL };
  return read_places (value, &reader->policy->webhooks, false, schemes, err);
}

/* ---- users ------------------------------------------------------------------------------ */

/* "1000", "1000-1999". */
static int
read_range (const char *text, struct policy_users *users, struct error *err)
{
  const char *dash = strchr (text, '-');
  auto_free char *first = xstrndup (text, dash == NULL ? strlen (text) : (size_t) (dash - text));
  if (units_parse_number (first, 0, JOB_USER_ID_MAX, &users->first, err) != 0)
    return -1;
  users->last = users->first;
  if (dash != NULL && units_parse_number (dash + 1, 0, JOB_USER_ID_MAX, &users->last, err) != 0)
    return -1;
  return users->last >= users->first
             ? 0
             : error_set (err, ERROR_USER, "\"%.100s\": the range ends before it begins", text);
}

static int
set_users (struct policy_reader *reader, const json_t *value, struct error *err)
{
  auto_strlist struct strlist items = { 0 };
  struct policy *policy = reader->policy;
  policy->any_user = false;
  policy->user_count = 0;
  if (read_texts (value, &items, &policy->any_user, err) != 0)
    return -1;
  policy->users = xrealloc (policy->users, items.count + 1, sizeof *policy->users);
  for (size_t i = 0; i < items.count; i++)
    if (read_range (items.items[i], &policy->users[policy->user_count++], err) != 0)
      return -1;
  return 0;
}

/* ---- limits ----------------------------------------------------------------------------- */

static int64_t
policy_file_largest (enum policy_unit unit)
{
  switch (unit)
    {
    case POLICY_SIZE:
      return JOB_BYTES_MAX;
    case POLICY_COUNT:
      return JOB_COUNT_MAX;
    case POLICY_DURATION:
      return JOB_DURATION_MAX_MS;
    case POLICY_CPU_COUNT:
      break;
    }
  return JOB_CPUS_MAX;
}

static int
read_text_bound (enum policy_unit unit, const char *text, int64_t *bound, struct error *err)
{
  int32_t cpus = 0;
  switch (unit)
    {
    case POLICY_SIZE:
      return units_parse_size (text, bound, err);
    case POLICY_COUNT:
      return units_parse_number (text, 0, JOB_COUNT_MAX, bound, err);
    case POLICY_DURATION:
      return units_parse_duration (text, bound, err);
    case POLICY_CPU_COUNT:
      break;
    }
  int result = units_parse_cpus (text, &cpus, err);
  *bound = cpus;
  return result;
}

/* A number of bytes or of things, or what the command line would take. */
static int
read_bound (enum policy_unit unit, const json_t *value, int64_t *bound, struct error *err)
{
  bool whole = unit == POLICY_SIZE || unit == POLICY_COUNT;
  if (json_is_string (value))
    {
      if (read_text_bound (unit, json_string_value (value), bound, err) != 0)
        return -1;
    }
  else if (json_is_integer (value) && whole)
    *bound = json_integer_value (value);
  else
    return error_set (err, ERROR_USER, "expected %s",
                      unit == POLICY_SIZE       ? "a size, e.g. \"8g\""
                      : unit == POLICY_COUNT    ? "a number"
                      : unit == POLICY_DURATION ? "a duration, e.g. \"90m\""
                                                : "a number of CPUs, e.g. \"1.5\"");
  if (*bound >= 0 && *bound <= policy_file_largest (unit))
    return 0;
  return error_set (err, ERROR_USER, "%lld is out of range: expected 0 to %lld", (long long) *bound,
                    (long long) policy_file_largest (unit));
}

static int
read_limit (struct policy_reader *reader, size_t depth, enum policy_limit limit,
            const json_t *value, struct error *err)
{
  enum policy_unit unit = policy_limit_kinds[limit].unit;
  struct policy_bound *bound = &reader->policy->limits[limit];
  const char *name;
  json_t *item;
  if (!json_is_object (value))
    return read_bound (unit, value, &bound->most, err);
  json_object_foreach ((json_t *) (uintptr_t) value, name, item)
    {
      bool most = strcmp (name, "most") == 0;
      (void) policy_file_enter (reader, depth, name);
      if (!most && strcmp (name, "default") != 0)
        return error_set (err, ERROR_USER, "unknown member (valid: default, most)");
      if (read_bound (unit, item, most ? &bound->most : &bound->otherwise, err) != 0)
        return -1;
    }
  return bound->most < 0 || bound->otherwise <= bound->most
             ? 0
             : error_set (err, ERROR_USER, "default is larger than most");
}

static int
find_limit (const char *name)
{
  for (int i = 0; i < POLICY_LIMITS; i++)
    if (strcmp (policy_limit_kinds[i].name, name) == 0)
      return i;
  return -1;
}

static int
policy_file_set_limits (struct policy_reader *reader, const json_t *value, struct error *err)
{
  const char *name;
  json_t *item;
  if (!json_is_object (value))
    return error_set (err, ERROR_USER, "expected an object");
  size_t depth = strlen (reader->where);
  json_object_foreach ((json_t *) (uintptr_t) value, name, item)
    {
      int limit = find_limit (name);
      size_t inner = policy_file_enter (reader, depth, name);
      if (limit < 0)
        return error_set (err, ERROR_USER, "unknown member");
      if (read_limit (reader, inner, (enum policy_limit) limit, item, err) != 0)
        return -1;
    }
  return 0;
}

/* ---- tokens ----------------------------------------------------------------------------- */

static int
policy_file_read_sum (const json_t *value, uint8_t sum[static DIGEST_SIZE], struct error *err)
{
  const char *text = json_string_value (value);
  if (text == NULL || !hex_is_text (text, 2 * DIGEST_SIZE) || !hex_read (text, sum, DIGEST_SIZE))
    return error_set (err, ERROR_USER, "expected 64 hexadecimal digits, the token's SHA-256");
  return 0;
}

static int
read_token_member (const char *name, const json_t *value, struct policy_token *token,
                   struct error *err)
{
  if (strcmp (name, "name") == 0)
    {
      const char *text = json_string_value (value);
      free (token->name);
      token->name = xstrdup (text == NULL ? "" : text);
      return job_check_id (token->name, err);
    }
  if (strcmp (name, "sha256") == 0)
    return policy_file_read_sum (value, token->sha256, err);
  if (strcmp (name, "queues") == 0)
    return policy_file_read_list (value, &token->queues, job_check_queue, err);
  return error_set (err, ERROR_USER, "unknown member (valid: name, sha256, queues)");
}

static int
read_token (struct policy_reader *reader, size_t depth, const json_t *value,
            struct policy_token *token, struct error *err)
{
  const char *name;
  json_t *item;
  token->queues.anything = true;
  if (json_object_get (value, "name") == NULL || json_object_get (value, "sha256") == NULL)
    return error_set (err, ERROR_USER, "expected objects with name and sha256");
  json_object_foreach ((json_t *) (uintptr_t) value, name, item)
    {
      (void) policy_file_enter (reader, depth, name);
      if (read_token_member (name, item, token, err) != 0)
        return -1;
    }
  return 0;
}

static int
set_tokens (struct policy_reader *reader, const json_t *value, struct error *err)
{
  size_t i;
  json_t *item;
  if (!json_is_array (value) || json_array_size (value) > ITEMS_MAX)
    return error_set (err, ERROR_USER, "expected an array of at most %d objects", ITEMS_MAX);
  struct policy *policy = reader->policy;
  size_t depth = strlen (reader->where);
  policy->tokens = xcalloc (json_array_size (value) + 1, sizeof *policy->tokens);
  json_array_foreach (value, i, item)
    {
      if (read_token (reader, depth, item, &policy->tokens[policy->token_count++], err) != 0)
        return -1;
    }
  return 0;
}

/* ---- the file --------------------------------------------------------------------------- */

static int
set_runtimes (struct policy_reader *reader, const json_t *value, struct error *err)
{
  return policy_file_read_list (value, &reader->policy->runtimes, policy_file_check_runtime, err);
}

static int
set_networks (struct policy_reader *reader, const json_t *value, struct error *err)
{
  return policy_file_read_list (value, &reader->policy->networks, policy_file_check_network, err);
}

static int
set_symlinks (struct policy_reader *reader, const json_t *value, struct error *err)
{
  return policy_file_read_list (value, &reader->policy->symlinks, policy_file_check_symlinks, err);
}

static int
set_devices (struct policy_reader *reader, const json_t *value, struct error *err)
{
  return policy_file_read_list (value, &reader->policy->devices, policy_file_check_device, err);
}

static int
policy_file_set_images (struct policy_reader *reader, const json_t *value, struct error *err)
{
  return policy_file_read_list (value, &reader->policy->images, policy_file_check_image, err);
}

static int
set_queues (struct policy_reader *reader, const json_t *value, struct error *err)
{
  return policy_file_read_list (value, &reader->policy->queues, job_check_queue, err);
}

static int
set_credentials (struct policy_reader *reader, const json_t *value, struct error *err)
{
  return policy_file_read_list (value, &reader->policy->credentials, job_check_id, err);
}

static const struct
{
  const char *name;
  int (*set) (struct policy_reader *reader, const json_t *value, struct error *err);
} members[] = {
  { "runtimes", set_runtimes },
  { "networks", set_networks },
  { "symlinks", set_symlinks },
  { "devices", set_devices },
  { "images", policy_file_set_images },
  { "queues", set_queues },
  { "credentials", set_credentials },
  { "users", set_users },
  { "inputs", set_inputs },
  { "results", set_results },
  { "webhooks", set_webhooks },
  { "limits", policy_file_set_limits },
  { "tokens", set_tokens },
};

static int
policy_file_set_member (struct policy_reader *reader, const char *name, const json_t *value,
                        struct error *err)
{
  (void) policy_file_enter (reader, 0, name);
  for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
    if (strcmp (members[i].name, name) == 0)
      return members[i].set (reader, value, err);
  return error_set (err, ERROR_USER, "unknown member");
}

/* The line of TEXT in which the member NAME is written, 0 where it can't be told (an escaped
 * name). */
static int
policy_file_find_line (struct bytes text, const char *name)
{
  int line = 1;
  auto_free char *quoted = xasprintf ("\"%s\"", name);
  size_t length = strlen (quoted);
  const char *data = text.data;
  for (size_t i = 0; i + length <= text.size; i++)
    {
      if (data[i] == '\n')
        line++;
      if (memcmp (data + i, quoted, length) != 0)
        continue;
      size_t behind = i + length;
      while (behind < text.size && strchr (" \t\r\n", data[behind]) != NULL && data[behind] != '\0')
        behind++;
      if (behind < text.size && data[behind] == ':')
        return line;
    }
  return 0;
}

static int
read_members (struct policy_reader *reader, json_t *object, struct error *err)
{
  const char *name;
  json_t *value;
  json_object_foreach (object, name, value)
    {
      if (policy_file_set_member (reader, name, value, err) == 0)
        continue;
      const char *dot = strrchr (reader->where, '.');
      int line = policy_file_find_line (reader->text, dot == NULL ? reader->where : dot + 1);
      line = line > 0 ? line : policy_file_find_line (reader->text, name);
      return error_wrap (err, "line %d: %s", line, reader->where);
    }
  return 0;
}

int
policy_parse (struct bytes text, struct policy *policy, struct error *err)
{
  json_error_t why;
  struct error local = ERROR_INIT;
  struct error *reason = err == NULL ? &local : err;
  struct policy_reader reader = { .text = text, .policy = policy };
  policy_init (policy);
  policy->from_file = true;
  json_t *object =
      json_loadb (text.data == NULL ? "" : text.data, text.size, JSON_REJECT_DUPLICATES, &why);
  if (object == NULL)
    return error_set (reason, ERROR_USER, "line %d: invalid JSON: %s", why.line, why.text);
  int result = json_is_object (object)
                   ? read_members (&reader, object, reason)
                   : error_set (reason, ERROR_USER, "line 1: expected a JSON object");
  json_decref (object);
  return result;
}

int
policy_load (const char *name, struct policy *policy, struct error *err)
{
  auto_buffer struct buffer text = { 0 };
  policy_init (policy);
  if (name == NULL)
    return 0;
  if (strcmp (name, POLICY_NONE) == 0)
    {
      policy->anything = true;
      return 0;
    }
  if (fs_read_file (AT_FDCWD, name, FILE_SIZE_MAX, &text, err) != 0)
    return -1;
  policy_release (policy);
  return policy_parse (buffer_bytes (&text), policy, err) == 0 ? 0 : error_wrap (err, "%s", name);
}

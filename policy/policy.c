#include "policy/policy.h"

#include "common/digest.h"
#include "common/memory.h"
#include "common/path.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

enum
{
  DIGEST_SHOWN = 16, /* hex digits */
};

const struct policy_limit_kind policy_limit_kinds[POLICY_LIMITS] = {
  [POLICY_MEMORY] = { "memory", "memory", POLICY_SIZE },
  [POLICY_CPUS] = { "cpus", "cpus", POLICY_CPU_COUNT },
  [POLICY_PIDS] = { "pids", "pids", POLICY_COUNT },
  [POLICY_TIMEOUT] = { "timeout", "timeout_ms", POLICY_DURATION },
  [POLICY_JOB_TIMEOUT] = { "job_timeout", "job_timeout_ms", POLICY_DURATION },
  [POLICY_STAGE_TIMEOUT] = { "stage_timeout", "stage_timeout_ms", POLICY_DURATION },
  [POLICY_COLLECT_TIMEOUT] = { "collect_timeout", "collect_timeout_ms", POLICY_DURATION },
  [POLICY_STOP_TIMEOUT] = { "stop_timeout", "stop_timeout_ms", POLICY_DURATION },
  [POLICY_MAX_OUTPUT_BYTES] = { "max_output_bytes", "max_output_bytes", POLICY_SIZE },
  [POLICY_MAX_OUTPUT_FILES] = { "max_output_files", "max_output_files", POLICY_COUNT },
  [POLICY_LOG_LIMIT] = { "log_limit", "log_limit", POLICY_SIZE },
  [POLICY_RETRIES] = { "retries", "retries", POLICY_COUNT },
  [POLICY_SHARDS] = { "shards", "shards", POLICY_COUNT },
};

/* ---- life ------------------------------------------------------------------------------- */

void
policy_init (struct policy *policy)
{
  *policy = (struct policy){ .any_user = true,
                             .images.anything = true,
                             .queues.anything = true,
                             .credentials.anything = true,
                             .inputs.any_url = true,
                             .results.any_url = true,
                             .webhooks.any_url = true };
  strlist_add (&policy->runtimes.items, "oci");
  strlist_add (&policy->networks.items, "none");
  strlist_add (&policy->symlinks.items, "beneath");
  strlist_add (&policy->symlinks.items, "skip");
  for (int i = 0; i < POLICY_LIMITS; i++)
    policy->limits[i] = (struct policy_bound){ .otherwise = -1, .most = -1 };
}

static void
places_release (struct policy_places *places)
{
  strlist_release (&places->folders);
  strlist_release (&places->urls);
}

void
policy_release (struct policy *policy)
{
  struct policy_list *lists[] = { &policy->runtimes,   &policy->networks, &policy->symlinks,
                                  &policy->devices,    &policy->images,   &policy->queues,
                                  &policy->credentials };
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
    strlist_release (&lists[i]->items);
  places_release (&policy->inputs);
  places_release (&policy->results);
  places_release (&policy->webhooks);
  places_release (&policy->here);
  for (size_t i = 0; i < policy->token_count; i++)
    {
      free (policy->tokens[i].name);
      strlist_release (&policy->tokens[i].queues.items);
    }
  free (policy->tokens);
  free (policy->users);
  *policy = (struct policy){ 0 };
}

int
policy_add_folder (struct policy_places *places, const char *folder, struct error *err)
{
  auto_free char *real = realpath (folder, NULL);
  if (real == NULL)
    return error_errno (err, errno, "%s", folder);
  if (!strlist_has (&places->folders, real))
    strlist_add (&places->folders, real);
  return 0;
}

/* ---- as text ---------------------------------------------------------------------------- */

/* Adds ITEMS, in one order whatever theirs is, as far as they are no duplicates. */
static void
add_items (json_t *array, const struct strlist *items)
{
  for (size_t i = 0; i < items->count; i++)
    {
      size_t at = 0;
      int order = 1;
      while (at < json_array_size (array)
             && (order = strcmp (items->items[i], json_string_value (json_array_get (array, at))))
                    > 0)
        at++;
      if (at == json_array_size (array) || order != 0)
        (void) json_array_insert_new (array, at, json_string_nocheck (items->items[i]));
    }
}

static void
policy_put_list (json_t *object, const char *name, const struct policy_list *list)
{
  json_t *array = json_array ();
  if (list->anything)
    (void) json_array_append_new (array, json_string ("*"));
  else
    add_items (array, &list->items);
  (void) json_object_set_new (object, name, array);
}

static void
put_places (json_t *object, const char *name, const struct policy_places *places)
{
  json_t *array = json_array ();
  add_items (array, &places->folders);
  if (places->any_url)
    (void) json_array_append_new (array, json_string ("*"));
  else
    add_items (array, &places->urls);
  (void) json_object_set_new (object, name, array);
}

static void
put_users (json_t *object, const struct policy *policy)
{
  json_t *array = json_array ();
  if (policy->any_user)
    (void) json_array_append_new (array, json_string ("*"));
  for (size_t i = 0; i < policy->user_count; i++)
    {
      auto_free char *text = xasprintf ("%lld-%lld", (long long) policy->users[i].first,
                                        (long long) policy->users[i].last);
      (void) json_array_append_new (array, json_string (text));
    }
  (void) json_object_set_new (object, "users", array);
}

static json_t *
limit_json (enum policy_limit limit, int64_t value)
{
  long long number = value;
  switch (policy_limit_kinds[limit].unit)
    {
    case POLICY_SIZE:
    case POLICY_COUNT:
      break;
    case POLICY_DURATION:
      return json_sprintf ("%lldms", number);
    case POLICY_CPU_COUNT:
      return json_sprintf ("%lld.%03lld", number / 1000, number % 1000);
    }
  return json_integer (number);
}

static void
put_limits (json_t *object, const struct policy *policy)
{
  json_t *all = json_object ();
  for (int i = 0; i < POLICY_LIMITS; i++)
    {
      const struct policy_bound *bound = &policy->limits[i];
      json_t *one = json_object ();
      if (bound->otherwise >= 0)
        (void) json_object_set_new (one, "default",
                                    limit_json ((enum policy_limit) i, bound->otherwise));
      if (bound->most >= 0)
        (void) json_object_set_new (one, "most", limit_json ((enum policy_limit) i, bound->most));
      if (json_object_size (one) > 0)
        (void) json_object_set (all, policy_limit_kinds[i].name, one);
      json_decref (one);
    }
  (void) json_object_set_new (object, "limits", all);
}

static void
put_tokens (json_t *object, const struct policy *policy)
{
  json_t *array = json_array ();
  for (size_t i = 0; i < policy->token_count; i++)
    {
      const struct policy_token *token = &policy->tokens[i];
      char sum[DIGEST_TEXT_SIZE];
      json_t *one = json_object ();
      (void) json_object_set_new (one, "name", json_string_nocheck (token->name));
      (void) json_object_set_new (one, "sha256", json_string (digest_format (token->sha256, sum)));
      policy_put_list (one, "queues", &token->queues);
      (void) json_array_append_new (array, one);
    }
  (void) json_object_set_new (object, "tokens", array);
}

static char *
format (const struct policy *policy, bool with_tokens)
{
  json_t *object = json_object ();
  policy_put_list (object, "runtimes", &policy->runtimes);
  policy_put_list (object, "networks", &policy->networks);
  policy_put_list (object, "symlinks", &policy->symlinks);
  policy_put_list (object, "devices", &policy->devices);
  policy_put_list (object, "images", &policy->images);
  policy_put_list (object, "queues", &policy->queues);
  policy_put_list (object, "credentials", &policy->credentials);
  put_users (object, policy);
  put_places (object, "inputs", &policy->inputs);
  put_places (object, "results", &policy->results);
  put_places (object, "webhooks", &policy->webhooks);
  put_limits (object, policy);
  if (with_tokens)
    put_tokens (object, policy);
  char *dumped = json_dumps (object, JSON_SORT_KEYS | JSON_INDENT (2));
  char *text = xstrdup (dumped == NULL ? "{}" : dumped);
  free (dumped);
  json_decref (object);
  return text;
}

char *
policy_format (const struct policy *policy)
{
  return format (policy, false);
}

const char *
policy_digest (const struct policy *policy, char text[static POLICY_DIGEST_SIZE])
{
  if (policy->anything)
    return memcpy (text, POLICY_NONE, sizeof POLICY_NONE);
  auto_free char *whole = format (policy, true);
  auto_digest struct digest *digest = digest_new ();
  uint8_t sum[DIGEST_SIZE];
  char hex[DIGEST_TEXT_SIZE];
  digest_add (digest, whole, strlen (whole));
  digest_finish (digest, sum);
  memcpy (text, digest_format (sum, hex), DIGEST_SHOWN);
  text[DIGEST_SHOWN] = '\0';
  return text;
}

#include "worker/image_id.h"

#include "common/auto.h"
#include "common/digest.h"
#include "common/memory.h"

#include <string.h>

/* Absent, null, "", [] and {} mean the same, and tools write any of them. */
static bool
image_id_is_empty (const json_t *value)
{
  return value == NULL || json_is_null (value)
         || (json_is_string (value) && json_string_length (value) == 0)
         || (json_is_array (value) && json_array_size (value) == 0)
         || (json_is_object (value) && json_object_size (value) == 0);
}

static void
image_id_take (json_t *to, const json_t *from, const char *const *keys, size_t count)
{
  for (size_t i = 0; i < count; i++)
    {
      json_t *value = json_object_get (from, keys[i]);
      if (!image_id_is_empty (value))
        (void) json_object_set (to, keys[i], value);
    }
}

char *
image_id (const json_t *root)
{
  static const char *const platform[] = { "architecture", "os", "os.version", "variant" };
  static const char *const config[] = { "User",    "ExposedPorts", "Env",    "Entrypoint", "Cmd",
                                        "Volumes", "WorkingDir",   "Labels", "StopSignal" };
  static const char *const layers[] = { "diff_ids" };
  json_t *told = json_object ();
  json_t *inner = json_object ();
  image_id_take (told, root, platform, sizeof platform / sizeof platform[0]);
  image_id_take (inner, json_object_get (root, "config"), config, sizeof config / sizeof config[0]);
  image_id_take (inner, json_object_get (root, "rootfs"), layers, sizeof layers / sizeof layers[0]);
  (void) json_object_set_new (told, "config", inner);
  auto_free char *text = json_dumps (told, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII);
  json_decref (told);
  auto_digest struct digest *digest = digest_new ();
  uint8_t sum[DIGEST_SIZE];
  char hex[DIGEST_TEXT_SIZE];
  digest_add (digest, text, strlen (text));
  digest_finish (digest, sum);
  return xasprintf ("sha256:%s", digest_format (sum, hex));
}

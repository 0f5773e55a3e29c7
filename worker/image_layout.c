#include "worker/image_layout.h"

#include "common/digest.h"
#include "common/fs.h"
#include "common/memory.h"
#include "worker/image_config.h"
#include "worker/image_ref.h"

#include <fcntl.h>
#include <jansson.h>
#include <string.h>

#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define TAG_KEY "org.opencontainers.image.ref.name"
#define TAG_BYTES "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

enum
{
  JSON_MAX = 4 << 20, /* bytes of an index or a manifest */
};

static void
auto_json_ (json_t **json)
{
  json_decref (*json);
}
#define auto_json AUTO (auto_json_)

void
image_layout_release (struct image_layout *layout)
{
  free (layout->tag);
  free (layout->digest);
  buffer_release (&layout->config);
  *layout = (struct image_layout){ 0 };
}

bool
image_layout_is_one (const char *folder)
{
  auto_fd int fd = fs_open_folder (AT_FDCWD, folder, NULL);
  return fd >= 0 && fs_exists (fd, "oci-layout");
}

static json_t *
parse (const struct buffer *text, const char *name, struct error *err)
{
  json_error_t why;
  json_t *json = json_loadb (text->size > 0 ? text->data : "", text->size, 0, &why);
  if (json == NULL)
    (void) error_set (err, ERROR_USER, "%s: line %d: %s", name, why.line, why.text);
  return json;
}

/* A member of an object; "" when it isn't a string. */
static const char *
text_of (const json_t *object, const char *key)
{
  const char *text = json_string_value (json_object_get (object, key));
  return text != NULL ? text : "";
}

static const char *
tag_of (const json_t *entry)
{
  return text_of (json_object_get (entry, "annotations"), TAG_KEY);
}

/* ---- which one -------------------------------------------------------------------------- */

static const json_t *
find_tag (const json_t *entries, const char *tag)
{
  for (size_t i = 0; i < json_array_size (entries); i++)
    if (strcmp (tag_of (json_array_get (entries, i)), tag) == 0)
      return json_array_get (entries, i);
  return NULL;
}

static int
not_found (const json_t *entries, const char *tag, struct error *err)
{
  auto_buffer struct buffer tags = { 0 };
  for (size_t i = 0; i < json_array_size (entries); i++)
    {
      const char *there = tag_of (json_array_get (entries, i));
      buffer_printf (&tags, "%s%s", i == 0 ? "" : ", ", *there == '\0' ? "(untagged)" : there);
    }
  const char *names = tags.size > 0 ? tags.data : "no image";
  if (tag != NULL)
    return error_set (err, ERROR_USER, "no image is tagged \"%s\"; available: %s", tag, names);
  return error_set (err, ERROR_USER, "select an image with FOLDER:TAG; available: %s", names);
}

static int
choose (const json_t *entries, const char *tag, const json_t **entry, struct error *err)
{
  if (tag == NULL && json_array_size (entries) == 1)
    *entry = json_array_get (entries, 0);
  else
    *entry = find_tag (entries, tag != NULL ? tag : "latest");
  return *entry != NULL ? 0 : not_found (entries, tag, err);
}

/* ---- blobs ------------------------------------------------------------------------------ */

static int
read_blob (int folder, const char *digest, size_t limit, struct buffer *blob, struct error *err)
{
  if (!image_digest_is_valid (digest))
    return error_set (err, ERROR_USER, "\"%s\" isn't a SHA-256 digest", digest);
  auto_free char *path = xasprintf ("blobs/sha256/%s", image_digest_hex (digest));
  if (fs_read_file (folder, path, limit, blob, err) != 0)
    return -1;
  auto_digest struct digest *sum = digest_new ();
  uint8_t bytes[DIGEST_SIZE];
  char text[DIGEST_TEXT_SIZE];
  digest_add (sum, blob->data, blob->size);
  digest_finish (sum, bytes);
  if (strcmp (digest_format (bytes, text), image_digest_hex (digest)) != 0)
    return error_set (err, ERROR_USER, "%s does not match this digest: it is damaged", path);
  return 0;
}

static int
read_config (int folder, const char *digest, struct buffer *config, struct error *err)
{
  auto_buffer struct buffer text = { 0 };
  if (read_blob (folder, digest, JSON_MAX, &text, err) != 0)
    return -1;
  auto_json json_t *manifest = parse (&text, digest, err);
  if (manifest == NULL)
    return -1;
  const char *config_digest = text_of (json_object_get (manifest, "config"), "digest");
  if (read_blob (folder, config_digest, IMAGE_CONFIG_MAX, config, err) != 0)
    return error_wrap (err, "image configuration");
  auto_image_config struct image_config parsed = { 0 };
  return image_config_parse (buffer_bytes (config), &parsed, err);
}

static int
read_layout (int folder, const char *tag, struct image_layout *layout, struct error *err)
{
  auto_buffer struct buffer text = { 0 };
  if (fs_read_file (folder, "index.json", JSON_MAX, &text, err) != 0)
    return -1;
  auto_json json_t *index = parse (&text, "index.json", err);
  const json_t *entry = NULL;
  if (index == NULL || choose (json_object_get (index, "manifests"), tag, &entry, err) != 0)
    return -1;
  const char *name = tag_of (entry);
  if (*name != '\0')
    layout->tag = xstrdup (name);
  layout->direct = *name != '\0' && name[strspn (name, TAG_BYTES)] == '\0'
                   && strcmp (text_of (entry, "mediaType"), MANIFEST_TYPE) == 0;
  if (!layout->direct)
    return 0;
  layout->digest = xstrdup (text_of (entry, "digest"));
  return read_config (folder, layout->digest, &layout->config, err);
}

int
image_layout_read (const char *folder, const char *tag, struct image_layout *layout,
                   struct error *err)
{
  auto_fd int fd = fs_open_folder (AT_FDCWD, folder, err);
  if (fd < 0)
    return -1;
  if (read_layout (fd, tag, layout, err) == 0)
    return 0;
  image_layout_release (layout);
  return error_wrap (err, "%s", folder);
}

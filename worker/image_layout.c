#include "worker/image_layout.h"

#include "common/digest.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/text.h"
#include "worker/image_config.h"
#include "worker/image_index.h"
#include "worker/image_ref.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"
#define OCI_LAYER "application/vnd.oci.image.layer."
#define ZSTD_SUFFIX "+zstd"
#define VERSION_FILE "{\"imageLayoutVersion\":\"1.0.0\"}"

enum
{
  JSON_MAX = 4 << 20, /* bytes of an index or a manifest */
  DEPTH_MAX = 4,      /* of an index in an index */
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
  free (layout->index);
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
image_layout_parse (const struct buffer *text, const char *name, struct error *err)
{
  json_error_t why;
  json_t *json = json_loadb (text->size > 0 ? text->data : "", text->size, 0, &why);
  if (json == NULL)
    (void) error_set (err, ERROR_USER, "%s: line %d: %s", name, why.line, why.text);
  return json;
}

/* A member of an object; "" when it isn't a string. */
static const char *
image_layout_text_of (const json_t *object, const char *key)
{
  const char *text = json_string_value (json_object_get (object, key));
  return text != NULL ? text : "";
}

/* ---- blobs ------------------------------------------------------------------------------ */

static int
image_layout_read_blob (int folder, const char *digest, size_t limit, struct buffer *blob,
                        struct error *err)
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

/* The JSON that the DESCRIPTOR stands for; the caller lets it go. */
static json_t *
image_layout_read_json (int folder, const json_t *descriptor, struct error *err)
{
  auto_buffer struct buffer text = { 0 };
  const char *digest = image_layout_text_of (descriptor, "digest");
  return image_layout_read_blob (folder, digest, JSON_MAX, &text, err) == 0
             ? image_layout_parse (&text, digest, err)
             : NULL;
}

/* ---- which platform --------------------------------------------------------------------- */

static int
image_layout_other_platform (const char *there, const struct image_platform *platform,
                             struct error *err)
{
  auto_free char *wanted = image_platform_format (platform);
  return error_set (err, ERROR_USER,
                    "not for platform %s; available: %s (--platform selects another one)", wanted,
                    there);
}

static bool
image_layout_is_attestation (const json_t *descriptor)
{
  const json_t *platform = json_object_get (descriptor, "platform");
  return strcmp (image_layout_text_of (platform, "os"), "unknown") == 0
         && strcmp (image_layout_text_of (platform, "architecture"), "unknown") == 0;
}

/* The entry of INDEX that does best on PLATFORM; NULL with ERR. */
static const json_t *
image_layout_choose_platform (const json_t *index, const struct image_platform *platform,
                              struct error *err)
{
  const json_t *entries = json_object_get (index, "manifests");
  auto_buffer struct buffer names = { 0 };
  const json_t *best = NULL;
  int best_fit = 0;
  for (size_t i = 0; i < json_array_size (entries); i++)
    {
      const json_t *entry = json_array_get (entries, i);
      if (image_layout_is_attestation (entry))
        continue;
      auto_image_platform struct image_platform there = { 0 };
      image_platform_read (json_object_get (entry, "platform"), &there);
      auto_free char *name = image_platform_format (&there);
      buffer_printf (&names, "%s%s", names.size > 0 ? ", " : "", name);
      int fit = image_platform_fits (platform, &there);
      best = fit > best_fit ? entry : best;
      best_fit = fit > best_fit ? fit : best_fit;
    }
  if (best == NULL)
    (void) image_layout_other_platform (names.size > 0 ? names.data : "none", platform, err);
  return best;
}

static bool
image_layout_is_index (const char *type)
{
  return strcmp (type, OCI_INDEX) == 0 || strcmp (type, DOCKER_LIST) == 0;
}

int
image_layout_check_platform (const struct buffer *json, const struct image_platform *platform,
                             struct error *err)
{
  auto_json json_t *index = image_layout_parse (json, "index", NULL);
  if (json_object_get (index, "manifests") == NULL)
    return 0;
  return image_layout_choose_platform (index, platform, err) != NULL ? 0 : -1;
}

/* The manifest's descriptor that ENTRY leads to; the caller lets it go. */
static json_t *
image_layout_resolve (int folder, json_t *entry, const struct image_platform *platform,
                      struct error *err)
{
  json_t *at = json_incref (entry);
  for (int depth = 0; image_layout_is_index (image_layout_text_of (at, "mediaType")); depth++)
    {
      auto_json json_t *descriptor = at;
      auto_json json_t *index =
          depth < DEPTH_MAX ? image_layout_read_json (folder, descriptor, err) : NULL;
      if (depth == DEPTH_MAX)
        (void) error_set (err, ERROR_USER, "more than %d indexes in each other", DEPTH_MAX);
      const json_t *best =
          index == NULL ? NULL : image_layout_choose_platform (index, platform, err);
      if (best == NULL)
        return NULL;
      at = json_deep_copy (best);
    }
  return at;
}

/* ---- the image -------------------------------------------------------------------------- */

static int
image_layout_read_config (int folder, const json_t *manifest, const struct image_platform *platform,
                          struct buffer *config, struct error *err)
{
  const char *digest = image_layout_text_of (json_object_get (manifest, "config"), "digest");
  if (image_layout_read_blob (folder, digest, IMAGE_CONFIG_MAX, config, err) != 0)
    return error_wrap (err, "image configuration");
  auto_image_config struct image_config parsed = { 0 };
  auto_image_platform struct image_platform there = { 0 };
  auto_json json_t *json = image_layout_parse (config, digest, err);
  if (json == NULL || image_config_parse (buffer_bytes (config), &parsed, err) != 0)
    return -1;
  image_platform_read (json, &there);
  if (image_platform_fits (platform, &there) > 0)
    return 0;
  auto_free char *name = image_platform_format (&there);
  return image_layout_other_platform (name, platform, err);
}

/* What umoci can make of it. */
static void
image_layout_read_kind (const json_t *descriptor, const json_t *manifest,
                        struct image_layout *layout)
{
  const json_t *layers = json_object_get (manifest, "layers");
  layout->direct = strcmp (image_layout_text_of (descriptor, "mediaType"), OCI_MANIFEST) == 0;
  for (size_t i = 0; i < json_array_size (layers); i++)
    {
      const char *type = image_layout_text_of (json_array_get (layers, i), "mediaType");
      layout->zstd = layout->zstd || text_ends_in (type, strlen (type), ZSTD_SUFFIX);
      layout->direct = layout->direct && strncmp (type, OCI_LAYER, strlen (OCI_LAYER)) == 0;
    }
  layout->direct = layout->direct && !layout->zstd;
}

/* skopeo finds no image of Docker's type by a tag, umoci none without. */
static void
image_layout_write_index (json_t *descriptor, struct image_layout *layout)
{
  (void) json_object_del (descriptor, "annotations");
  if (layout->direct)
    (void) json_object_set_new (descriptor, "annotations",
                                json_pack ("{s:s}", IMAGE_TAG_KEY, "latest"));
  auto_json json_t *index = json_pack ("{s:i, s:[O]}", "schemaVersion", 2, "manifests", descriptor);
  layout->index = json_dumps (index, JSON_COMPACT);
}

static int
image_layout_read_image (int folder, json_t *entry, const struct image_platform *platform,
                         struct image_layout *layout, struct error *err)
{
  auto_json json_t *descriptor = image_layout_resolve (folder, entry, platform, err);
  auto_json json_t *manifest =
      descriptor == NULL ? NULL : image_layout_read_json (folder, descriptor, err);
  if (manifest == NULL
      || image_layout_read_config (folder, manifest, platform, &layout->config, err) != 0)
    return -1;
  layout->digest = xstrdup (image_layout_text_of (descriptor, "digest"));
  image_layout_read_kind (descriptor, manifest, layout);
  image_layout_write_index (descriptor, layout);
  return layout->index != NULL ? 0 : error_set (err, ERROR_USER, "index.json: not valid UTF-8");
}

static int
image_layout_read_folder (int folder, const char *choice, const struct image_platform *platform,
                          struct image_layout *layout, struct error *err)
{
  auto_buffer struct buffer text = { 0 };
  if (fs_read_file (folder, "index.json", JSON_MAX, &text, err) != 0)
    return -1;
  auto_json json_t *index = image_layout_parse (&text, "index.json", err);
  auto_image_index struct image_index images = { 0 };
  if (index == NULL)
    return -1;
  image_index_read_oci (index, &images);
  const struct image_candidate *chosen = image_index_choose (&images, choice, err);
  if (chosen == NULL)
    return -1;
  json_t *entry = json_array_get (json_object_get (index, "manifests"), chosen->index);
  return image_layout_read_image (folder, entry, platform, layout, err);
}

int
image_layout_read (const char *folder, const char *choice, const struct image_platform *platform,
                   struct image_layout *layout, struct error *err)
{
  auto_fd int fd = fs_open_folder (AT_FDCWD, folder, err);
  if (fd < 0)
    return -1;
  if (image_layout_read_folder (fd, choice, platform, layout, err) == 0)
    return 0;
  image_layout_release (layout);
  return -1;
}

int
image_layout_make (int dirfd, const char *name, const char *folder,
                   const struct image_layout *layout, struct error *err)
{
  auto_free char *version = xasprintf ("%s/oci-layout", name);
  auto_free char *index = xasprintf ("%s/index.json", name);
  auto_free char *blobs = xasprintf ("%s/blobs", name);
  auto_free char *target = xasprintf ("%s/blobs", folder);
  struct bytes content = { layout->index, strlen (layout->index) };
  struct bytes format = { VERSION_FILE, strlen (VERSION_FILE) };
  if (fs_make_folders (dirfd, name, 0700, err) != 0
      || fs_write_file (dirfd, version, format, err) != 0
      || fs_write_file (dirfd, index, content, err) != 0)
    return -1;
  return symlinkat (target, dirfd, blobs) == 0 ? 0 : error_errno (err, errno, "%s", blobs);
}

#include "worker/image_index.h"

#include "common/buffer.h"
#include "common/digest.h"
#include "common/memory.h"
#include "worker/image_ref.h"

#include <stdlib.h>
#include <string.h>

#define NAME_KEY "io.containerd.image.name"
#define ATTESTATION_KEY "vnd.docker.reference.type"

enum
{
  SHOWN_MAX = 12, /* images that an error lists */
};

void
image_index_release (struct image_index *index)
{
  for (size_t i = 0; i < index->count; i++)
    {
      strlist_release (&index->items[i].names);
      free (index->items[i].digest);
    }
  free (index->items);
  *index = (struct image_index){ 0 };
}

static struct image_candidate *
image_index_add (struct image_index *index, size_t number)
{
  index->items = xrealloc (index->items, index->count + 1, sizeof *index->items);
  struct image_candidate *candidate = &index->items[index->count++];
  *candidate = (struct image_candidate){ .index = number };
  return candidate;
}

/* ---- reading ---------------------------------------------------------------------------- */

static void
image_index_add_name (struct image_candidate *candidate, const char *name)
{
  if (name != NULL && name[0] != '\0' && !strlist_has (&candidate->names, name))
    strlist_add (&candidate->names, name);
}

void
image_index_read_oci (const json_t *json, struct image_index *index)
{
  const json_t *entries = json_object_get (json, "manifests");
  for (size_t i = 0; i < json_array_size (entries); i++)
    {
      const json_t *entry = json_array_get (entries, i);
      const json_t *notes = json_object_get (entry, "annotations");
      if (json_object_get (notes, ATTESTATION_KEY) != NULL)
        continue;
      struct image_candidate *candidate = image_index_add (index, i);
      candidate->digest = xstrdup (json_string_value (json_object_get (entry, "digest")));
      image_index_add_name (candidate, json_string_value (json_object_get (notes, NAME_KEY)));
      image_index_add_name (candidate, json_string_value (json_object_get (notes, IMAGE_TAG_KEY)));
    }
}

/* "blobs/sha256/HEX" and "HEX.json" are the configuration's digest. */
static char *
image_index_config_digest (const char *path)
{
  const char *slash = path == NULL ? NULL : strrchr (path, '/');
  const char *hex = slash != NULL ? slash + 1 : path;
  auto_free char *digest =
      hex == NULL ? NULL : xasprintf ("sha256:%.*s", DIGEST_TEXT_SIZE - 1, hex);
  return digest != NULL && image_digest_is_valid (digest) ? take (&digest) : NULL;
}

void
image_index_read_docker (const json_t *json, struct image_index *index)
{
  for (size_t i = 0; i < json_array_size (json); i++)
    {
      const json_t *entry = json_array_get (json, i);
      const json_t *names = json_object_get (entry, "RepoTags");
      struct image_candidate *candidate = image_index_add (index, i);
      candidate->digest =
          image_index_config_digest (json_string_value (json_object_get (entry, "Config")));
      for (size_t k = 0; k < json_array_size (names); k++)
        image_index_add_name (candidate, json_string_value (json_array_get (names, k)));
    }
}

/* ---- choosing --------------------------------------------------------------------------- */

static bool
image_index_same_name (const char *a, const char *b)
{
  auto_free char *left = image_ref_normal (a, NULL);
  auto_free char *right = image_ref_normal (b, NULL);
  auto_strlist struct strlist aliases = { 0 };
  if (left == NULL || right == NULL)
    return false;
  image_ref_aliases (left, &aliases);
  return strlist_has (&aliases, right);
}

static bool
image_index_is_meant (const struct image_candidate *candidate, const char *choice)
{
  const char *digest = choice[0] == '@' ? choice + 1 : choice;
  if (candidate->digest != NULL && strcmp (candidate->digest, digest) == 0)
    return true;
  if (choice[0] == '@')
    {
      auto_free char *number = xasprintf ("@%zu", candidate->index);
      return strcmp (number, choice) == 0;
    }
  for (size_t i = 0; i < candidate->names.count; i++)
    if (strcmp (candidate->names.items[i], choice) == 0
        || image_index_same_name (candidate->names.items[i], choice))
      return true;
  return false;
}

static bool
image_index_same (const struct image_candidate *a, const struct image_candidate *b)
{
  return a->digest != NULL && b->digest != NULL && strcmp (a->digest, b->digest) == 0;
}

/* The one image that CHOICE (NULL: any) names; NULL where none or several are, in *SEVERAL. */
static const struct image_candidate *
image_index_only (const struct image_index *index, const char *choice, bool *several)
{
  const struct image_candidate *found = NULL;
  for (size_t i = 0; i < index->count; i++)
    {
      const struct image_candidate *candidate = &index->items[i];
      if (choice != NULL && !image_index_is_meant (candidate, choice))
        continue;
      *several = *several || (found != NULL && !image_index_same (found, candidate));
      found = found == NULL ? candidate : found;
    }
  return *several ? NULL : found;
}

static void
image_index_list (const struct image_index *index, struct buffer *out)
{
  for (size_t i = 0; i < index->count && i < SHOWN_MAX; i++)
    {
      const struct image_candidate *candidate = &index->items[i];
      buffer_printf (out, "%s@%zu", i == 0 ? "" : ", ", candidate->index);
      for (size_t k = 0; k < candidate->names.count && k < SHOWN_MAX; k++)
        buffer_printf (out, " %s", candidate->names.items[k]);
      if (candidate->names.count == 0 && candidate->digest != NULL)
        buffer_printf (out, " %s", candidate->digest);
    }
  if (index->count > SHOWN_MAX)
    buffer_printf (out, " and %zu more", index->count - SHOWN_MAX);
  if (index->count == 0)
    buffer_puts (out, "none");
}

const struct image_candidate *
image_index_choose (const struct image_index *index, const char *choice, struct error *err)
{
  auto_buffer struct buffer there = { 0 };
  bool several = false;
  bool tagged_several = false;
  const struct image_candidate *found = image_index_only (index, choice, &several);
  if (found == NULL && choice == NULL)
    found = image_index_only (index, "latest", &tagged_several);
  if (found != NULL)
    return found;
  image_index_list (index, &there);
  if (choice == NULL && !several)
    (void) error_set (err, ERROR_USER, "no image in it");
  else if (several)
    (void) error_set (err, ERROR_USER,
                      "%s: select one with SOURCE:NAME, SOURCE:DIGEST or SOURCE:@N; available: %s",
                      choice == NULL ? "several images" : "several images have this name",
                      there.data);
  else
    (void) error_set (err, ERROR_USER, "no image is named \"%s\"; available: %s", choice,
                      there.data);
  return NULL;
}

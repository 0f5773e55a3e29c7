/* shoal image: the local image store. */
#include "cli/commands.h"
#include "cli/json_text.h"
#include "common/memory.h"
#include "common/text.h"
#include "common/units.h"
#include "worker/image_store.h"

#include <stdio.h>
#include <string.h>

struct image_args
{
  const char *as;
  const char *images;
  bool json;
};

static int
set_as (void *context, const char *value, struct error *err)
{
  (void) err;
  ((struct image_args *) context)->as = value;
  return 0;
}

static int
set_images (void *context, const char *value, struct error *err)
{
  (void) err;
  ((struct image_args *) context)->images = value;
  return 0;
}

static int
set_json (void *context, const char *value, struct error *err)
{
  (void) value;
  (void) err;
  ((struct image_args *) context)->json = true;
  return 0;
}

static const struct option_spec image_options[] = {
  { 0, "as", NULL, "NAME[:TAG]", "import: name of the image", GROUP_OTHER, false, set_as },
  { 0, "json", NULL, NULL, "list: print one JSON object per line", GROUP_OTHER, false, set_json },
  { 0, "images", NULL, "DIR", "directory of the image store (default SHOAL_IMAGES)", GROUP_OTHER,
    false, set_images },
  { 0 },
};

static int
print_image (void *context, const struct image_listed *image)
{
  const struct image_args *args = context;
  char size[UNITS_TEXT_SIZE];
  if (!args->json)
    {
      auto_free char *name_shown = text_shown (image->name);
      auto_free char *digest_shown = text_shown (image->digest);
      (void) printf ("%s\t%.19s\t%s\n", name_shown, digest_shown,
                     units_format_size (image->bytes, size));
      return 0;
    }
  json_t *object = json_object ();
  json_set_text (object, "name", image->name);
  json_set_text (object, "digest", image->digest);
  json_set_text (object, "id", image->id);
  json_set_number (object, "bytes", image->bytes);
  json_put_line (object, stdout);
  return 0;
}

/* ---- actions: VALUE is the operand, NULL when there is none ------------------------------ */

static int
import (const struct image_args *args, const char *store, const char *value, struct error *err)
{
  auto_free char *source = text_word (value);
  if (args->as == NULL)
    return error_set (err, ERROR_USER, "missing name: shoal image import %s --as NAME[:TAG]",
                      source);
  return image_store_import (store, value, args->as, err);
}

static int
pull (const struct image_args *args, const char *store, const char *value, struct error *err)
{
  (void) args;
  return image_store_pull (store, value, err);
}

static int
list (const struct image_args *args, const char *store, const char *value, struct error *err)
{
  (void) value;
  struct image_args copy = *args;
  return image_store_list (store, print_image, &copy, err);
}

static int
remove_image (const struct image_args *args, const char *store, const char *value,
              struct error *err)
{
  (void) args;
  return image_store_remove (store, value, err);
}

static const struct action
{
  const char *name;
  int operands;
  const char *synopsis;
  int (*run) (const struct image_args *args, const char *store, const char *value,
              struct error *err);
} actions[] = {
  { "import", 1, "image import SOURCE --as NAME[:TAG]", import },
  { "pull", 1, "image pull REFERENCE", pull },
  { "list", 0, "image list", list },
  { "remove", 1, "image remove NAME", remove_image },
};

static int
run (int argc, char **argv, struct error *err)
{
  struct image_args args = { 0 };
  const struct option_set sets[] = { { image_options, &args } };
  int first = options_operands (sets, 1, argc, argv, 1, -1, command_image.synopsis, err);
  if (first < 0)
    return first;
  auto_free char *store = args.images != NULL ? xstrdup (args.images) : image_store_default ();
  for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
    {
      const struct action *action = &actions[i];
      if (strcmp (argv[first], action->name) != 0)
        continue;
      if (argc - first - 1 != action->operands)
        return error_set (err, ERROR_USER, "usage: shoal %s", action->synopsis);
      return action->run (&args, store, action->operands > 0 ? argv[first + 1] : NULL, err);
    }
  return error_set (err, ERROR_USER, "image %s: expected import, pull, list or remove",
                    argv[first]);
}

const struct command command_image = {
  .name = "image",
  .synopsis = "image import SOURCE --as NAME[:TAG] | pull REFERENCE | list | remove NAME",
  .summary = "import, pull, list and remove local images",
  .help = "SOURCE is an OCI layout folder, an OCI archive or a Docker archive. pull\n"
          "fetches from a registry, with skopeo.\n"
          "\n"
          "  shoal image import imagemagick.oci --as imagemagick\n",
  .options = { image_options },
  .run = run,
};

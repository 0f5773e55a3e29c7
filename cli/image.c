/* shoal image: the local image store. */
#include "cli/commands.h"
#include "cli/guarded.h"
#include "cli/json_text.h"
#include "common/memory.h"
#include "common/text.h"
#include "common/units.h"
#include "worker/image_store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct image_args
{
  const char *as;
  const char *images;
  struct image_access access;
  bool json;
  bool force;
  bool all;
};

static int
image_set_as (void *context, const char *value, struct error *err)
{
  (void) err;
  ((struct image_args *) context)->as = value;
  return 0;
}

static int
image_set_images (void *context, const char *value, struct error *err)
{
  (void) err;
  ((struct image_args *) context)->images = value;
  return 0;
}

static int
image_set_json (void *context, const char *value, struct error *err)
{
  (void) value;
  (void) err;
  ((struct image_args *) context)->json = true;
  return 0;
}

static int
image_set_force (void *context, const char *value, struct error *err)
{
  (void) value;
  (void) err;
  ((struct image_args *) context)->force = true;
  return 0;
}

static int
image_set_all (void *context, const char *value, struct error *err)
{
  (void) value;
  (void) err;
  ((struct image_args *) context)->all = true;
  return 0;
}

static int
image_set_platform (void *context, const char *value, struct error *err)
{
  (void) err;
  ((struct image_args *) context)->access.platform = value;
  return 0;
}

static int
image_set_tls_verify (void *context, const char *value, struct error *err)
{
  bool verify = strcmp (value, "true") == 0;
  if (!verify && strcmp (value, "false") != 0)
    return error_set (err, ERROR_USER, "\"%s\": expected true or false", value);
  ((struct image_args *) context)->access.tls_unverified = !verify;
  return 0;
}

static int
image_set_cert_dir (void *context, const char *value, struct error *err)
{
  (void) err;
  ((struct image_args *) context)->access.cert_dir = value;
  return 0;
}

static int
image_set_authfile (void *context, const char *value, struct error *err)
{
  (void) err;
  ((struct image_args *) context)->access.authfile = value;
  return 0;
}

static const struct option_spec image_options[] = {
  { 0, "as", NULL, "NAME[:TAG]", "import, pull: name of the image", GROUP_OTHER, false,
    image_set_as },
  { 0, "platform", NULL, "OS/ARCH", "import, pull: platform of the image (default this machine's)",
    GROUP_OTHER, false, image_set_platform },
  { 0, "tls-verify", NULL, "BOOL", "pull: false for plain HTTP or any certificate (default true)",
    GROUP_OTHER, false, image_set_tls_verify },
  { 0, "cert-dir", NULL, "DIR", "pull: directory with the registry's *.crt, *.cert and *.key",
    GROUP_OTHER, false, image_set_cert_dir },
  { 0, "authfile", NULL, "FILE", "pull: credentials file, as `docker login` writes it", GROUP_OTHER,
    false, image_set_authfile },
  { 0, "json", NULL, NULL, "list: print one JSON object per line", GROUP_OTHER, false,
    image_set_json },
  { 0, "force", NULL, NULL, "remove: also an image that a job of this machine needs", GROUP_OTHER,
    false, image_set_force },
  { 0, "all", NULL, NULL, "prune: also images with a name that no job needs", GROUP_OTHER, false,
    image_set_all },
  { 0, "images", NULL, "DIR", "directory of the image store (default SHOAL_IMAGES)", GROUP_OTHER,
    false, image_set_images },
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
image_run_import (const struct image_args *args, const char *store, const char *value,
                  struct error *err)
{
  auto_free char *source = text_word (value);
  if (args->as == NULL)
    return error_set (err, ERROR_USER, "missing name: shoal image import %s --as NAME[:TAG]",
                      source);
  return image_store_import (store, value, args->as, &args->access, err);
}

static int
image_run_pull (const struct image_args *args, const char *store, const char *value,
                struct error *err)
{
  return image_store_pull (store, value, args->as, &args->access, err);
}

static int
image_run_list (const struct image_args *args, const char *store, const char *value,
                struct error *err)
{
  (void) value;
  struct image_args copy = *args;
  return image_store_list (store, print_image, &copy, err);
}

static int
image_run_remove (const struct image_args *args, const char *store, const char *value,
                  struct error *err)
{
  return image_store_remove (store, value, args->force, err);
}

static int
image_run_prune (const struct image_args *args, const char *store, const char *value,
                 struct error *err)
{
  (void) value;
  struct image_pruned pruned = { 0 };
  char size[UNITS_TEXT_SIZE];
  if (image_store_prune (store, args->all, &pruned, err) != 0)
    return -1;
  (void) printf ("removed %lld %s, %s\n", (long long) pruned.images,
                 pruned.images == 1 ? "image" : "images", units_format_size (pruned.bytes, size));
  return 0;
}

static const struct action
{
  const char *name;
  int operands;
  bool guarded; /* has unfinished things, which must not be left behind */
  const char *synopsis;
  int (*run) (const struct image_args *args, const char *store, const char *value,
              struct error *err);
} actions[] = {
  { "import", 1, true, "image import SOURCE --as NAME[:TAG]", image_run_import },
  { "pull", 1, true, "image pull REFERENCE", image_run_pull },
  { "list", 0, false, "image list", image_run_list },
  { "remove", 1, false, "image remove NAME", image_run_remove },
  { "prune", 0, false, "image prune", image_run_prune },
};

/* The action in a child, whose exit code this is. */
static int
image_run_guarded (const struct action *action, const struct image_args *args, const char *store,
                   const char *value, struct error *err)
{
  bool is_parent = false;
  int code = guarded_begin (&is_parent, err);
  if (is_parent || code != 0)
    return code;
  int result = action->run (args, store, value, err);
  if (result != -1 || err->code != EINTR)
    return result;
  (void) fprintf (stderr, "shoal: interrupted: no image was added\n");
  return EXIT_INTERRUPTED;
}

static int
image_run (int argc, char **argv, struct error *err)
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
      const char *value = action->operands > 0 ? argv[first + 1] : NULL;
      return action->guarded ? image_run_guarded (action, &args, store, value, err)
                             : action->run (&args, store, value, err);
    }
  return error_set (err, ERROR_USER, "image %s: expected import, pull, list, remove or prune",
                    argv[first]);
}

const struct command command_image = {
  .name = "image",
  .synopsis = "image import SOURCE --as NAME[:TAG] | pull REFERENCE | list | remove NAME | prune",
  .summary = "import, pull, list and remove local images",
  .help = "SOURCE is an OCI layout folder, an OCI or Docker archive (also compressed), - for one\n"
          "on standard input, dir:PATH, docker-daemon:NAME or containers-storage:NAME. Of several\n"
          "images SOURCE:NAME selects one, by name, digest or @N. pull fetches from a registry.\n"
          "prune removes images without a name.\n"
          "\n"
          "  shoal image import imagemagick.oci --as imagemagick\n"
          "  docker save tool:1 | shoal image import - --as tool:1\n",
  .options = { image_options },
  .run = image_run,
};

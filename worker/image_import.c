#include "common/buffer.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/path.h"
#include "common/spawn.h"
#include "common/strlist.h"
#include "common/sys.h"
#include "common/text.h"
#include "worker/image_layout.h"
#include "worker/image_nodes.h"
#include "worker/image_ref.h"
#include "worker/image_store.h"
#include "worker/image_tmp.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum source_kind
{
  SOURCE_LAYOUT,
  SOURCE_OCI_ARCHIVE,
  SOURCE_DOCKER_ARCHIVE,
};

struct source
{
  enum source_kind kind;
  char *path;
  char *tag; /* NULL: not given */
};

static void
source_release (struct source *source)
{
  free (source->path);
  free (source->tag);
}
#define auto_source AUTO (source_release)

static int
run (struct strlist *argv, const char *package, struct buffer *out, struct error *err)
{
  auto_buffer struct buffer ignored = { 0 };
  struct error why = ERROR_INIT;
  if (spawn_run ((char *const *) strlist_argv (argv), out != NULL ? out : &ignored, &why) == 0)
    return 0;
  if (why.code == ENOENT)
    return error_set (err, ERROR_USER, "%s isn't installed (Debian package %s)", argv->items[0],
                      package);
  (void) error_set (err, why.class, "%s", why.message);
  if (err != NULL)
    err->code = why.code;
  return -1;
}

/* skopeo and umoci take FOLDER:TAG. */
static int
check_colon (const char *path, struct error *err)
{
  if (strchr (path, ':') == NULL)
    return 0;
  return error_set (err, ERROR_USER, "%s: the path can't contain a colon here", path);
}

/* ---- what the source is ----------------------------------------------------------------- */

/* Whether a line of LISTING is NAME, at the archive's top. */
static bool
lists (const struct buffer *listing, const char *name)
{
  size_t length = strlen (name);
  for (const char *line = listing->data; line != NULL && *line != '\0';)
    {
      const char *end = strchrnul (line, '\n');
      const char *start = strncmp (line, "./", 2) == 0 ? line + 2 : line;
      if ((size_t) (end - start) == length && memcmp (start, name, length) == 0)
        return true;
      line = *end == '\0' ? end : end + 1;
    }
  return false;
}

static int
identify_archive (struct source *source, struct error *err)
{
  auto_buffer struct buffer listing = { 0 };
  auto_strlist struct strlist argv = { 0 };
  strlist_add (&argv, "tar");
  strlist_add (&argv, "--force-local");
  strlist_add (&argv, "-tf");
  strlist_add (&argv, source->path);
  struct error why = ERROR_INIT;
  if (run (&argv, "tar", &listing, &why) != 0)
    return error_set (err, ERROR_USER, "%s is neither an OCI layout folder nor an archive: %s",
                      source->path, why.message);
  if (lists (&listing, "oci-layout"))
    source->kind = SOURCE_OCI_ARCHIVE;
  else if (lists (&listing, "manifest.json"))
    source->kind = SOURCE_DOCKER_ARCHIVE;
  else
    return error_set (err, ERROR_USER, "%s is neither an OCI nor a Docker archive", source->path);
  return 0;
}

/* SOURCE is PATH or PATH:TAG; a path that is there as it stands has no tag. */
static int
identify (const char *text, struct source *source, struct error *err)
{
  struct stat status;
  const char *colon = strrchr (text, ':');
  size_t length = strlen (text);
  if (stat (text, &status) != 0)
    {
      int code = errno;
      auto_free char *before = colon == NULL ? NULL : xstrndup (text, (size_t) (colon - text));
      if (before == NULL || colon[1] == '\0' || stat (before, &status) != 0)
        return error_errno (err, code, "%s", text);
      length = (size_t) (colon - text);
      source->tag = xstrdup (colon + 1);
    }
  source->path = xstrndup (text, length);
  if (check_colon (source->path, err) != 0)
    return -1;
  if (!S_ISDIR (status.st_mode))
    return identify_archive (source, err);
  if (!image_layout_is_one (source->path))
    return error_set (err, ERROR_USER, "%s isn't an OCI layout: it has no file oci-layout",
                      source->path);
  source->kind = SOURCE_LAYOUT;
  return 0;
}

/* ---- unpacking -------------------------------------------------------------------------- */

/* Copies what skopeo calls FROM to a layout in TMP and reads it. */
static int
copy (const struct image_tmp *tmp, const char *from, char **folder, struct image_layout *layout,
      struct error *err)
{
  *folder = path_join (tmp->path, "layout");
  auto_strlist struct strlist argv = { 0 };
  strlist_add (&argv, "skopeo");
  strlist_add (&argv, "--insecure-policy"); /* whom to trust is the user's choice of the source */
  strlist_addf (&argv, "--tmpdir=%s", tmp->path);
  strlist_add (&argv, "copy");
  strlist_add (&argv, "--quiet");
  strlist_add (&argv, from);
  strlist_addf (&argv, "oci:%s:latest", *folder);
  if (run (&argv, "skopeo", NULL, err) != 0
      || image_layout_read (*folder, "latest", layout, err) != 0)
    return -1;
  if (!layout->direct)
    return error_set (err, ERROR_USER, "%s can't be converted to an OCI image by skopeo", from);
  return 0;
}

static int
leave_nodes_out (const struct image_tmp *tmp, struct error *err)
{
  auto_free char *rootfs = xasprintf ("%s/image/rootfs", tmp->path);
  auto_free char *first = NULL;
  int removed = image_nodes_remove (rootfs, &first, err);
  if (removed <= 0)
    return removed;
  auto_free char *text = text_log (first);
  log_warn ("image_devices_skipped", "count=%d first=%s", removed, text);
  return 0;
}

static int
unpack (const struct image_tmp *tmp, const char *folder, const struct image_layout *layout,
        struct error *err)
{
  if (fs_make_folders (tmp->fd, "image", 0700, err) != 0)
    return -1;
  auto_strlist struct strlist argv = { 0 };
  strlist_add (&argv, "umoci");
  strlist_add (&argv, "raw");
  strlist_add (&argv, "unpack");
  if (geteuid () != 0)
    strlist_add (&argv, "--rootless");
  strlist_add (&argv, "--image");
  strlist_addf (&argv, "%s:%s", folder, layout->tag);
  strlist_addf (&argv, "%s/image/rootfs", tmp->path);
  if (run (&argv, "umoci", NULL, err) != 0)
    return error_wrap (err, "unpacking the image");
  if (leave_nodes_out (tmp, err) != 0)
    return error_wrap (err, "unpacking the image");
  if (fs_write_file (tmp->fd, "image/config.json", buffer_bytes (&layout->config), err) != 0)
    return -1;
  /* The rename must not get to the disk before the files do, or a power cut would leave half an
   * image. */
  return syncfs (tmp->fd) == 0 ? 0 : error_errno (err, errno, "syncing %s", tmp->path);
}

/* ---- into its place --------------------------------------------------------------------- */

static int
rename_to (const struct image_tmp *tmp, const char *name, const char *store, const char *folder,
           const char *target, struct error *err)
{
  auto_free char *path = path_join (store, folder);
  auto_fd int fd = fs_open_folder (AT_FDCWD, path, err);
  if (fd < 0)
    return -1;
  if (sys_rename (tmp->fd, name, fd, target, 0) != 0)
    return error_errno (err, errno, "renaming to %s/%s", path, target);
  return fs_sync_folder (fd, err);
}

static bool
has_image (const char *store, const char *digest)
{
  auto_free char *path = xasprintf ("%s/images/%s", store, image_digest_hex (digest));
  return fs_exists (AT_FDCWD, path);
}

/* 0: REF stands for the image. 1: the image isn't there and must be unpacked first. */
static int
publish (const char *store, const struct image_tmp *tmp, const char *ref, const char *digest,
         struct error *err)
{
  auto_fd int lock = image_tmp_lock (store, err);
  if (lock < 0)
    return -1;
  if (!has_image (store, digest))
    {
      if (!fs_exists (tmp->fd, "image/config.json"))
        return 1;
      if (rename_to (tmp, "image", store, "images", image_digest_hex (digest), err) != 0)
        return -1;
    }
  auto_free char *line = xasprintf ("%s\n", digest);
  auto_free char *file = image_ref_encode (ref);
  if (fs_write_file (tmp->fd, "ref", (struct bytes){ line, strlen (line) }, err) != 0)
    return -1;
  return rename_to (tmp, "ref", store, "refs", file, err);
}

static int
add (const char *store, const struct image_tmp *tmp, const char *folder,
     const struct image_layout *layout, const char *ref, struct error *err)
{
  int missing = publish (store, tmp, ref, layout->digest, err);
  if (missing != 1)
    return missing;
  if (unpack (tmp, folder, layout, err) != 0)
    return -1;
  return publish (store, tmp, ref, layout->digest, err);
}

/* skopeo's name for SOURCE. */
static char *
transport (const struct source *source)
{
  static const char *const names[] = {
    [SOURCE_LAYOUT] = "oci",
    [SOURCE_OCI_ARCHIVE] = "oci-archive",
    [SOURCE_DOCKER_ARCHIVE] = "docker-archive",
  };
  return xasprintf ("%s:%s%s%s", names[source->kind], source->path, source->tag != NULL ? ":" : "",
                    source->tag != NULL ? source->tag : "");
}

static int
import (const char *store, struct source *source, const char *ref, struct error *err)
{
  auto_image_tmp struct image_tmp tmp = IMAGE_TMP_INIT;
  auto_image_layout struct image_layout layout = { 0 };
  auto_free char *folder = NULL;
  if (check_colon (store, err) != 0 || image_tmp_make (store, &tmp, err) != 0)
    return -1;
  if (source->kind == SOURCE_LAYOUT)
    {
      if (image_layout_read (source->path, source->tag, &layout, err) != 0)
        return -1;
      if (layout.direct)
        return add (store, &tmp, source->path, &layout, ref, err);
      /* An index of several platforms, Docker's manifest, or a tag that umoci doesn't take. */
      free (source->tag);
      source->tag = take (&layout.tag);
    }
  auto_free char *from = transport (source);
  image_layout_release (&layout);
  if (copy (&tmp, from, &folder, &layout, err) != 0)
    return -1;
  return add (store, &tmp, folder, &layout, ref, err);
}

int
image_store_import (const char *store, const char *source, const char *name, struct error *err)
{
  auto_source struct source parsed = { 0 };
  auto_free char *ref = image_ref_normal (name, err);
  if (ref == NULL)
    return -1;
  auto_free char *absolute = image_store_absolute (store, err);
  if (absolute == NULL)
    return -1;
  if (identify (source, &parsed, err) != 0 || import (absolute, &parsed, ref, err) != 0)
    return error_wrap (err, "image \"%s\"", ref);
  return 0;
}

int
image_store_pull (const char *store, const char *reference, struct error *err)
{
  auto_image_tmp struct image_tmp tmp = IMAGE_TMP_INIT;
  auto_image_layout struct image_layout layout = { 0 };
  auto_free char *folder = NULL;
  auto_free char *ref = image_ref_normal (reference, err);
  if (ref == NULL)
    return -1;
  auto_free char *absolute = image_store_absolute (store, err);
  if (absolute == NULL || check_colon (absolute, err) != 0
      || image_tmp_make (absolute, &tmp, err) != 0)
    return -1;
  auto_free char *from = xasprintf ("docker://%s", ref);
  if (copy (&tmp, from, &folder, &layout, err) != 0
      || add (absolute, &tmp, folder, &layout, ref, err) != 0)
    return error_wrap (err, "image \"%s\"", ref);
  return 0;
}

#include "worker/image_store.h"

#include "common/fs.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/path.h"
#include "common/strlist.h"
#include "common/sys.h"
#include "common/text.h"
#include "worker/image_layout.h"
#include "worker/image_nodes.h"
#include "worker/image_platform.h"
#include "worker/image_ref.h"
#include "worker/image_source.h"
#include "worker/image_tmp.h"
#include "worker/image_tool.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* In the folder of the unfinished image. */
#define CHOSEN "chosen" /* a layout with this image alone */
#define PLAIN "plain"   /* skopeo's `dir:` with its layers decompressed */
#define COPIED "layout" /* what skopeo made */

/* One image on its way into a store. */
struct import
{
  const char *store; /* absolute */
  const char *ref;
  const struct image_access *access;
  struct image_platform platform;
  struct image_tmp tmp;
  struct image_layout layout;
};

static void
import_release (struct import *import)
{
  image_platform_release (&import->platform);
  image_layout_release (&import->layout);
  image_tmp_release (&import->tmp);
}
#define auto_import AUTO (import_release)

static int
import_begin (struct import *import, const char *store, const char *ref,
              const struct image_access *access, struct error *err)
{
  import->store = store;
  import->ref = ref;
  import->access = access;
  if (image_platform_parse (access->platform, &import->platform, err) != 0)
    return error_wrap (err, "--platform");
  return image_tmp_make (store, &import->tmp, err);
}

/* ---- skopeo ----------------------------------------------------------------------------- */

/* An absolute path for an option of a program that runs in another folder. */
static int
import_add_path (struct strlist *argv, const char *option, const char *path, struct error *err)
{
  if (path == NULL)
    return 0;
  auto_free char *absolute = realpath (path, NULL);
  if (absolute == NULL)
    return error_errno (err, errno, "%s", path);
  strlist_addf (argv, "%s=%s", option, absolute);
  return 0;
}

static void
import_add_platform (const struct import *import, struct strlist *argv)
{
  strlist_addf (argv, "--override-os=%s", import->platform.os);
  strlist_addf (argv, "--override-arch=%s", import->platform.architecture);
  if (import->platform.variant[0] != '\0')
    strlist_addf (argv, "--override-variant=%s", import->platform.variant);
}

static int
import_add_access (const struct import *import, struct strlist *argv, const char *prefix,
                   struct error *err)
{
  auto_free char *cert_dir = xasprintf ("--%scert-dir", prefix);
  if (import->access->tls_unverified)
    strlist_addf (argv, "--%stls-verify=false", prefix);
  if (import_add_path (argv, cert_dir, import->access->cert_dir, err) != 0)
    return error_wrap (err, "--cert-dir");
  if (import_add_path (argv, "--authfile", import->access->authfile, err) != 0)
    return error_wrap (err, "--authfile");
  return 0;
}

/* `skopeo copy` FROM, TO, with OPTION (NULL: none). */
static int
import_copy (const struct import *import, const char *option, const char *from, const char *to,
             struct error *err)
{
  auto_strlist struct strlist argv = { 0 };
  const struct image_tool tool = IMAGE_TOOL_INIT;
  strlist_add (&argv, "skopeo");
  strlist_add (&argv, "--insecure-policy"); /* whom to trust is the user's choice of the source */
  strlist_addf (&argv, "--tmpdir=%s", import->tmp.path);
  import_add_platform (import, &argv);
  strlist_add (&argv, "copy");
  strlist_add (&argv, "--quiet");
  if (import_add_access (import, &argv, "src-", err) != 0)
    return -1;
  /* skopeo doesn't look where docker's own commands do. */
  const char *engine = strncmp (from, "docker-daemon:", 14) == 0 ? getenv ("DOCKER_HOST") : NULL;
  if (engine != NULL && engine[0] != '\0')
    strlist_addf (&argv, "--src-daemon-host=%s", engine);
  if (option != NULL)
    strlist_add (&argv, option);
  strlist_add (&argv, from);
  strlist_add (&argv, to);
  return image_tool_run (&tool, &import->tmp, &argv, err);
}

/* Reads the image CHOICE of the layout FOLDER and makes the layout CHOSEN of it. */
static int
import_choose (struct import *import, const char *folder, const char *choice, struct error *err)
{
  image_layout_release (&import->layout);
  if (image_layout_read (folder, choice, &import->platform, &import->layout, err) != 0
      || fs_remove_tree (import->tmp.fd, CHOSEN, err) != 0)
    return -1;
  return image_layout_make (import->tmp.fd, CHOSEN, folder, &import->layout, err);
}

/* What umoci doesn't unpack is converted by skopeo; layers of zstd by way of uncompressed ones. */
static int
import_convert (struct import *import, struct error *err)
{
  auto_free char *folder = path_join (import->tmp.path, COPIED);
  const char *from = "oci:" CHOSEN;
  if (import->layout.direct)
    return 0;
  if (import->layout.zstd
      && import_copy (import, "--dest-decompress", from, "dir:" PLAIN, err) != 0)
    return -1;
  if (fs_remove_tree (import->tmp.fd, COPIED, err) != 0
      || import_copy (import, "--dest-oci-accept-uncompressed-layers",
                      import->layout.zstd ? "dir:" PLAIN : from, "oci:" COPIED ":latest", err)
             != 0
      || import_choose (import, folder, NULL, err) != 0)
    return -1;
  return import->layout.direct
             ? 0
             : error_set (err, ERROR_USER, "skopeo can't convert the image to OCI's format");
}

/* What skopeo calls FROM becomes the layout CHOSEN. */
static int
import_fetch (struct import *import, const char *from, struct error *err)
{
  auto_free char *folder = path_join (import->tmp.path, COPIED);
  if (import_copy (import, NULL, from, "oci:" COPIED ":latest", err) != 0)
    return -1;
  return import_choose (import, folder, NULL, err);
}

/* ---- unpacking -------------------------------------------------------------------------- */

static int
import_leave_nodes_out (const struct image_tmp *tmp, struct error *err)
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
import_unpack (const struct import *import, struct error *err)
{
  const struct image_tmp *tmp = &import->tmp;
  if (fs_make_folders (tmp->fd, "image", 0700, err) != 0)
    return -1;
  auto_strlist struct strlist argv = { 0 };
  const struct image_tool tool = IMAGE_TOOL_INIT;
  strlist_add (&argv, "umoci");
  strlist_add (&argv, "raw");
  strlist_add (&argv, "unpack");
  if (geteuid () != 0)
    strlist_add (&argv, "--rootless");
  strlist_add (&argv, "--image");
  strlist_add (&argv, CHOSEN ":latest");
  strlist_add (&argv, "image/rootfs");
  if (image_tool_run (&tool, tmp, &argv, err) != 0 || import_leave_nodes_out (tmp, err) != 0)
    return error_wrap (err, "unpacking the image");
  struct bytes config = buffer_bytes (&import->layout.config);
  if (fs_write_file (tmp->fd, "image/config.json", config, err) != 0)
    return -1;
  /* The rename must not get to the disk before the files do, or a power cut would leave half an
   * image. */
  return syncfs (tmp->fd) == 0 ? 0 : error_errno (err, errno, "syncing %s", tmp->path);
}

/* ---- into its place --------------------------------------------------------------------- */

static int
import_rename_to (const struct image_tmp *tmp, const char *name, const char *store,
                  const char *folder, const char *target, struct error *err)
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
import_has_image (const char *store, const char *digest)
{
  auto_free char *path = xasprintf ("%s/images/%s", store, image_digest_hex (digest));
  return fs_exists (AT_FDCWD, path);
}

/* 0: REF stands for the image. 1: the image isn't there and must be unpacked first. */
static int
import_publish (const char *store, const struct image_tmp *tmp, const char *ref, const char *digest,
                struct error *err)
{
  auto_fd int lock = image_tmp_lock (store, err);
  if (lock < 0)
    return -1;
  if (!import_has_image (store, digest))
    {
      if (!fs_exists (tmp->fd, "image/config.json"))
        return 1;
      if (import_rename_to (tmp, "image", store, "images", image_digest_hex (digest), err) != 0)
        return -1;
    }
  auto_free char *line = xasprintf ("%s\n", digest);
  auto_free char *file = image_store_ref_file (store, ref);
  if (fs_write_file (tmp->fd, "ref", (struct bytes){ line, strlen (line) }, err) != 0)
    return -1;
  return import_rename_to (tmp, "ref", store, "refs", file, err);
}

/* The layout CHOSEN into the store. */
static int
import_add (struct import *import, struct error *err)
{
  const char *digest = import->layout.digest;
  int missing = import_publish (import->store, &import->tmp, import->ref, digest, err);
  if (missing != 1)
    return missing;
  if (import_unpack (import, err) != 0)
    return -1;
  return import_publish (import->store, &import->tmp, import->ref, digest, err);
}

/* ---- import and pull -------------------------------------------------------------------- */

static int
import_source (struct import *import, const char *text, struct error *err)
{
  auto_image_source struct image_source source = { 0 };
  if (image_source_open (text, &import->tmp, &source, err) != 0)
    return -1;
  int result = source.kind == IMAGE_SOURCE_LAYOUT
                   ? import_choose (import, source.folder, source.choice, err)
                   : import_fetch (import, source.from, err);
  if (result != 0)
    return error_wrap (err, "%s", text);
  return import_convert (import, err) == 0 ? import_add (import, err) : -1;
}

int
image_store_import (const char *store, const char *source, const char *name,
                    const struct image_access *access, struct error *err)
{
  auto_import struct import import = { .tmp = IMAGE_TMP_INIT };
  auto_free char *ref = image_ref_normal (name, err);
  auto_free char *absolute = ref == NULL ? NULL : image_store_absolute (store, err);
  if (absolute == NULL)
    return -1;
  if (import_begin (&import, absolute, ref, access, err) != 0
      || import_source (&import, source, err) != 0)
    return error_wrap (err, "image \"%s\"", ref);
  return 0;
}

/* Why REF wasn't copied, when it is for other platforms alone: what there is. */
static void
import_tell_platforms (const struct import *import, const char *ref, struct error *err)
{
  auto_strlist struct strlist argv = { 0 };
  auto_buffer struct buffer text = { 0 };
  struct error why = ERROR_INIT;
  struct image_tool tool = IMAGE_TOOL_INIT;
  tool.out = &text;
  strlist_add (&argv, "skopeo");
  strlist_add (&argv, "inspect");
  strlist_add (&argv, "--raw");
  if (import_add_access (import, &argv, "", NULL) != 0)
    return;
  strlist_addf (&argv, "docker://%s", ref);
  if (image_tool_run (&tool, &import->tmp, &argv, NULL) == 0
      && image_layout_check_platform (&text, &import->platform, &why) != 0)
    (void) error_set (err, why.class, "%s", why.message);
}

int
image_store_pull (const char *store, const char *reference, const char *name,
                  const struct image_access *access, struct error *err)
{
  auto_import struct import import = { .tmp = IMAGE_TMP_INIT };
  auto_free char *from = image_ref_normal (reference, err);
  auto_free char *ref =
      from == NULL || name == NULL ? xstrdup (from) : image_ref_normal (name, err);
  auto_free char *absolute = ref == NULL ? NULL : image_store_absolute (store, err);
  if (absolute == NULL)
    return -1;
  if (import_begin (&import, absolute, ref, access, err) != 0)
    return error_wrap (err, "image \"%s\"", ref);
  auto_free char *url = xasprintf ("docker://%s", from);
  int fetched = import_fetch (&import, url, err);
  if (fetched != 0 && (err == NULL || err->class == ERROR_TRANSIENT))
    import_tell_platforms (&import, from, err);
  if (fetched != 0 || import_convert (&import, err) != 0 || import_add (&import, err) != 0)
    return error_wrap (err, "image \"%s\"", ref);
  return 0;
}

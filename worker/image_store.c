#include "worker/image_store.h"

#include "common/digest.h"
#include "common/fs.h"
#include "common/hex.h"
#include "common/memory.h"
#include "common/path.h"
#include "common/strlist.h"
#include "common/sys.h"
#include "common/text.h"
#include "common/variable.h"
#include "worker/image_config.h"
#include "worker/image_ref.h"
#include "worker/image_tmp.h"
#include "worker/image_use.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum
{
  REF_MAX = 128, /* bytes of a file in refs/ */
};

void
image_release (struct image *image)
{
  free (image->name);
  free (image->digest);
  free (image->rootfs);
  free (image->config);
  *image = (struct image){ 0 };
}

/* ---- where ------------------------------------------------------------------------------ */

char *
image_store_absolute (const char *store, struct error *err)
{
  if (store[0] == '/')
    return xstrdup (store);
  auto_free char *here = getcwd (NULL, 0);
  if (here == NULL)
    {
      (void) error_errno (err, errno, "the current folder");
      return NULL;
    }
  return path_join (here, store);
}

char *
image_store_default (void)
{
  const char *images = variable_get ("SHOAL_IMAGES");
  const char *data = variable_get ("XDG_DATA_HOME");
  const char *home = variable_get ("HOME");
  if (images != NULL)
    {
      char *absolute = image_store_absolute (images, NULL);
      return absolute != NULL ? absolute : xstrdup (images);
    }
  if (geteuid () == 0)
    return xstrdup ("/var/lib/shoal/images");
  if (data != NULL && data[0] == '/')
    return xasprintf ("%s/shoal/images", data);
  return xasprintf ("%s/.local/share/shoal/images", home != NULL ? home : "");
}

/* ---- names ------------------------------------------------------------------------------ */

/* The digest that FILE in STORE/refs holds, the caller frees. NULL with ERR, whose code is ENOENT
 * when it isn't there. */
static char *
read_ref (const char *store, const char *file, struct error *err)
{
  auto_free char *path = xasprintf ("%s/refs/%s", store, file);
  auto_buffer struct buffer text = { 0 };
  if (fs_read_file (AT_FDCWD, path, REF_MAX, &text, err) != 0)
    return NULL;
  auto_free char *digest = buffer_take (&text);
  digest[strcspn (digest, "\n")] = '\0';
  if (image_digest_is_valid (digest))
    return take (&digest);
  (void) error_set (err, ERROR_USER, "%s is damaged: import the image again", path);
  return NULL;
}

static int
unknown (const char *store, const char *name, struct error *err)
{
  auto_free char *word = text_word (name);
  (void) error_set (err, ERROR_USER,
                    "image \"%s\" isn't in the local store %s: use `shoal image pull %s`, or "
                    "`shoal image import SOURCE --as %s`",
                    name, store, word, word);
  if (err != NULL)
    err->code = ENOENT;
  return -1;
}

char *
image_store_ref_file (const char *store, const char *ref)
{
  auto_strlist struct strlist aliases = { 0 };
  image_ref_aliases (ref, &aliases);
  for (size_t i = 0; i < aliases.count; i++)
    {
      auto_free char *file = image_ref_encode (aliases.items[i]);
      auto_free char *path = xasprintf ("%s/refs/%s", store, file);
      if (fs_exists (AT_FDCWD, path))
        return take (&file);
    }
  return image_ref_encode (ref);
}

int
image_store_find (const char *store, const char *name, struct image *image, struct error *err)
{
  auto_free char *ref = image_ref_normal (name, err);
  auto_free char *absolute = ref == NULL ? NULL : image_store_absolute (store, err);
  if (absolute == NULL)
    return -1;
  image_tmp_close_off (absolute);
  auto_free char *file = image_store_ref_file (absolute, ref);
  struct error why = ERROR_INIT;
  auto_free char *digest = read_ref (absolute, file, &why);
  if (digest == NULL && (why.code == ENOENT || why.code == ENOTDIR))
    return unknown (absolute, name, err);
  if (digest == NULL && why.code == EACCES)
    return error_set (err, ERROR_USER,
                      "%s: the store belongs to another user: import the image as the current user",
                      why.message);
  if (digest == NULL)
    return error_set (err, why.class, "%s", why.message);
  const char *hex = image_digest_hex (digest);
  auto_free char *rootfs = xasprintf ("%s/images/%s/rootfs", absolute, hex);
  if (!fs_exists (AT_FDCWD, rootfs))
    return unknown (absolute, name, err);
  image->config = xasprintf ("%s/images/%s/config.json", absolute, hex);
  image->name = image_ref_decode (file);
  image->rootfs = take (&rootfs);
  image->digest = take (&digest);
  return 0;
}

static int
image_store_compare (const void *a, const void *b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

/* The sorted names in folder STORE/NAME; none when it isn't there. */
static int
image_store_list_folder (const char *store, const char *name, struct strlist *files,
                         struct error *err)
{
  auto_free char *path = path_join (store, name);
  auto_dir DIR *dir = opendir (path);
  if (dir == NULL)
    return errno == ENOENT ? 0 : error_errno (err, errno, "%s", path);
  for (;;)
    {
      errno = 0;
      struct dirent *entry = readdir (dir);
      if (entry == NULL && errno != 0)
        return error_errno (err, errno, "%s", path);
      if (entry == NULL)
        break;
      if (entry->d_name[0] != '.')
        strlist_add (files, entry->d_name);
    }
  if (files->count > 0)
    qsort (files->items, files->count, sizeof *files->items, image_store_compare);
  return 0;
}

/* ---- list ------------------------------------------------------------------------------- */

/* What the files in FOLDER take; a file with several names counts once. */
static int64_t
image_store_bytes_of (char *folder)
{
  char *const paths[] = { folder, NULL };
  FTS *walk = fts_open (paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
  if (walk == NULL)
    return 0;
  int64_t bytes = 0;
  for (const FTSENT *entry = fts_read (walk); entry != NULL; entry = fts_read (walk))
    if (entry->fts_info == FTS_F)
      bytes += (int64_t) entry->fts_statp->st_size / (int64_t) entry->fts_statp->st_nlink;
  (void) fts_close (walk);
  return bytes;
}

int
image_store_list (const char *store, int (*each) (void *context, const struct image_listed *image),
                  void *context, struct error *err)
{
  auto_strlist struct strlist files = { 0 };
  auto_strlist struct strlist refs = { 0 };
  if (image_store_list_folder (store, "refs", &files, err) != 0)
    return -1;
  for (size_t i = 0; i < files.count; i++)
    {
      char *ref = image_ref_decode (files.items[i]);
      if (ref != NULL)
        strlist_take (&refs, ref);
    }
  if (refs.count > 0)
    qsort (refs.items, refs.count, sizeof *refs.items, image_store_compare);
  for (size_t i = 0; i < refs.count; i++)
    {
      auto_image struct image image = { 0 };
      struct error why = ERROR_INIT;
      if (image_store_find (store, refs.items[i], &image, &why) != 0)
        {
          if (why.code == ENOENT)
            continue; /* removed meanwhile */
          return error_set (err, why.class, "%s", why.message);
        }
      auto_image_config struct image_config config = { 0 };
      (void) image_config_load (image.config, &config, NULL);
      const struct image_listed listed = { .name = refs.items[i],
                                           .digest = image.digest,
                                           .id = config.id,
                                           .bytes = image_store_bytes_of (image.rootfs) };
      int result = each (context, &listed);
      if (result != 0)
        return result;
    }
  return 0;
}

/* ---- remove ----------------------------------------------------------------------------- */

static int
list_used (const char *store, struct strlist *used, struct error *err)
{
  auto_strlist struct strlist files = { 0 };
  if (image_store_list_folder (store, "refs", &files, err) != 0)
    return -1;
  for (size_t i = 0; i < files.count; i++)
    {
      auto_free char *digest = read_ref (store, files.items[i], err);
      if (digest == NULL)
        return -1;
      strlist_add (used, image_digest_hex (digest));
    }
  return 0;
}

/* Whether NAME is an image's folder: there may be others where the user put the store. */
static bool
is_image (const char *name)
{
  return hex_is_text (name, DIGEST_TEXT_SIZE - 1);
}

/* Whether a job needs the image of the folder HEX. */
static bool
is_needed (const char *store, const char *hex)
{
  auto_free char *digest = xasprintf ("sha256:%s", hex);
  auto_free char *user = image_use_find (store, digest);
  return user != NULL;
}

/* Moves what no name stands for to TMP, with which it goes; but not what jobs need, unless it is
 * FORCED (NULL: none), a digest. Counts in PRUNED (NULL: nothing does). */
static int
drop_unnamed (const char *store, const struct image_tmp *tmp, const char *forced,
              struct image_pruned *pruned, struct error *err)
{
  auto_strlist struct strlist used = { 0 };
  auto_strlist struct strlist images = { 0 };
  if (list_used (store, &used, err) != 0
      || image_store_list_folder (store, "images", &images, err) != 0)
    return -1;
  for (size_t i = 0; i < images.count; i++)
    {
      const char *hex = images.items[i];
      auto_free char *path = xasprintf ("%s/images/%s", store, hex);
      if (!is_image (hex) || strlist_has (&used, hex))
        continue;
      bool force = forced != NULL && strcmp (image_digest_hex (forced), hex) == 0;
      if (!force && is_needed (store, hex))
        continue;
      if (pruned != NULL)
        {
          pruned->images++;
          pruned->bytes += image_store_bytes_of (path);
        }
      if (sys_rename (AT_FDCWD, path, tmp->fd, hex, 0) != 0)
        return error_errno (err, errno, "removing %s", path);
    }
  return 0;
}

/* With the store's lock held. */
static int
remove_name (const char *store, const char *ref, bool force, const struct image_tmp *tmp,
             struct error *err)
{
  auto_free char *file = image_store_ref_file (store, ref);
  auto_free char *path = xasprintf ("%s/refs/%s", store, file);
  auto_free char *digest = read_ref (store, file, NULL);
  auto_free char *user = force || digest == NULL ? NULL : image_use_find (store, digest);
  if (user != NULL)
    return error_set (
        err, ERROR_USER,
        "image \"%s\" is needed by %s: remove it when that has ended, or with --force", ref, user);
  if (unlink (path) != 0)
    return errno == ENOENT ? unknown (store, ref, err) : error_errno (err, errno, "%s", path);
  return drop_unnamed (store, tmp, force ? digest : NULL, NULL, err);
}

int
image_store_remove (const char *store, const char *name, bool force, struct error *err)
{
  auto_image_tmp struct image_tmp tmp = IMAGE_TMP_INIT;
  auto_free char *ref = image_ref_normal (name, err);
  auto_free char *absolute = ref == NULL ? NULL : image_store_absolute (store, err);
  if (absolute == NULL)
    return -1;
  auto_free char *file = image_store_ref_file (absolute, ref);
  auto_free char *path = xasprintf ("%s/refs/%s", absolute, file);
  if (!fs_exists (AT_FDCWD, path))
    return unknown (absolute, name, err);
  if (image_tmp_make (absolute, &tmp, err) != 0)
    return -1;
  auto_fd int lock = image_tmp_lock (absolute, err);
  return lock < 0 ? -1 : remove_name (absolute, ref, force, &tmp, err);
}

/* Removes the names of images that no job needs. */
static int
drop_unneeded (const char *store, struct error *err)
{
  auto_strlist struct strlist files = { 0 };
  if (image_store_list_folder (store, "refs", &files, err) != 0)
    return -1;
  for (size_t i = 0; i < files.count; i++)
    {
      auto_free char *path = xasprintf ("%s/refs/%s", store, files.items[i]);
      auto_free char *digest = read_ref (store, files.items[i], err);
      if (digest == NULL)
        return -1;
      auto_free char *user = image_use_find (store, digest);
      if (user == NULL && unlink (path) != 0)
        return error_errno (err, errno, "%s", path);
    }
  return 0;
}

int
image_store_prune (const char *store, bool all, struct image_pruned *pruned, struct error *err)
{
  auto_image_tmp struct image_tmp tmp = IMAGE_TMP_INIT;
  auto_free char *absolute = image_store_absolute (store, err);
  *pruned = (struct image_pruned){ 0 };
  if (absolute == NULL)
    return -1;
  if (!fs_exists (AT_FDCWD, absolute))
    return 0;
  if (image_tmp_make (absolute, &tmp, err) != 0)
    return -1;
  auto_fd int lock = image_tmp_lock (absolute, err);
  if (lock < 0 || (all && drop_unneeded (absolute, err) != 0))
    return -1;
  return drop_unnamed (absolute, &tmp, NULL, pruned, err);
}

#include "worker/image_store.h"

#include "common/digest.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/path.h"
#include "common/strlist.h"
#include "common/sys.h"
#include "common/text.h"
#include "worker/image_config.h"
#include "worker/image_ref.h"
#include "worker/image_tmp.h"

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

static const char *
environment (const char *name)
{
  const char *value = getenv (name);
  return value != NULL && value[0] != '\0' ? value : NULL;
}

char *
image_store_default (void)
{
  const char *images = environment ("SHOAL_IMAGES");
  const char *data = environment ("XDG_DATA_HOME");
  const char *home = environment ("HOME");
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
                    "image \"%s\" isn't in the local store %s: import it with "
                    "`shoal image import SOURCE --as %s`",
                    name, store, word);
  if (err != NULL)
    err->code = ENOENT;
  return -1;
}

int
image_store_find (const char *store, const char *name, struct image *image, struct error *err)
{
  auto_free char *ref = image_ref_normal (name, err);
  auto_free char *absolute = ref == NULL ? NULL : image_store_absolute (store, err);
  if (absolute == NULL)
    return -1;
  image_tmp_close_off (absolute);
  auto_free char *file = image_ref_encode (ref);
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
  image->rootfs = take (&rootfs);
  image->digest = take (&digest);
  return 0;
}

static int
compare (const void *a, const void *b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

/* The sorted names in folder STORE/NAME; none when it isn't there. */
static int
list_folder (const char *store, const char *name, struct strlist *files, struct error *err)
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
    qsort (files->items, files->count, sizeof *files->items, compare);
  return 0;
}

/* ---- list ------------------------------------------------------------------------------- */

/* What the files in FOLDER take; a file with several names counts once. */
static int64_t
bytes_of (char *folder)
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
  if (list_folder (store, "refs", &files, err) != 0)
    return -1;
  for (size_t i = 0; i < files.count; i++)
    {
      char *ref = image_ref_decode (files.items[i]);
      if (ref != NULL)
        strlist_take (&refs, ref);
    }
  if (refs.count > 0)
    qsort (refs.items, refs.count, sizeof *refs.items, compare);
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
                                           .bytes = bytes_of (image.rootfs) };
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
  if (list_folder (store, "refs", &files, err) != 0)
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
  return strlen (name) == DIGEST_TEXT_SIZE - 1
         && strspn (name, "0123456789abcdef") == DIGEST_TEXT_SIZE - 1;
}

/* Moves what no name stands for to TMP, with which it goes. */
static int
drop_unnamed (const char *store, const struct image_tmp *tmp, struct error *err)
{
  auto_strlist struct strlist used = { 0 };
  auto_strlist struct strlist images = { 0 };
  if (list_used (store, &used, err) != 0 || list_folder (store, "images", &images, err) != 0)
    return -1;
  for (size_t i = 0; i < images.count; i++)
    {
      auto_free char *path = xasprintf ("%s/images/%s", store, images.items[i]);
      if (is_image (images.items[i]) && !strlist_has (&used, images.items[i])
          && sys_rename (AT_FDCWD, path, tmp->fd, images.items[i], 0) != 0)
        return error_errno (err, errno, "removing %s", path);
    }
  return 0;
}

int
image_store_remove (const char *store, const char *name, struct error *err)
{
  auto_image_tmp struct image_tmp tmp = IMAGE_TMP_INIT;
  auto_free char *ref = image_ref_normal (name, err);
  auto_free char *absolute = ref == NULL ? NULL : image_store_absolute (store, err);
  if (absolute == NULL)
    return -1;
  auto_free char *file = image_ref_encode (ref);
  auto_free char *path = xasprintf ("%s/refs/%s", absolute, file);
  if (!fs_exists (AT_FDCWD, path))
    return unknown (absolute, name, err);
  if (image_tmp_make (absolute, &tmp, err) != 0)
    return -1;
  auto_fd int lock = image_tmp_lock (absolute, err);
  if (lock < 0)
    return -1;
  if (unlink (path) != 0)
    return errno == ENOENT ? unknown (absolute, name, err) : error_errno (err, errno, "%s", path);
  return drop_unnamed (absolute, &tmp, err);
}

#include "worker/image_source.h"

#include "common/buffer.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/path.h"
#include "common/strlist.h"
#include "worker/image_index.h"
#include "worker/image_layout.h"
#include "worker/image_ref.h"
#include "worker/image_tool.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARCHIVE "archive"       /* in the unfinished image's folder: a link to the user's … */
#define PLAIN "archive.plain"   /* … or what it was before it was compressed */
#define GIVEN "archive.stdin"   /* what came on standard input */
#define LAYOUT "archive.layout" /* an OCI archive, taken apart */

enum
{
  MAGIC_SIZE = 6,
  DOCKER_JSON_MAX = 4 << 20,
};

void
image_source_release (struct image_source *source)
{
  free (source->folder);
  free (source->from);
  free (source->choice);
}

/* ---- tools ------------------------------------------------------------------------------ */

/* Runs WORDS (ended by NULL); what they print goes to OUT (NULL: dropped) or to OUT_FD. */
static int
image_source_run (const struct image_tmp *tmp, const char *const words[], int in_fd, int out_fd,
                  struct buffer *out, struct error *err)
{
  auto_strlist struct strlist argv = { 0 };
  for (size_t i = 0; words[i] != NULL; i++)
    strlist_add (&argv, words[i]);
  const struct image_tool tool = { .package = strcmp (words[0], "xz") == 0 ? "xz-utils" : NULL,
                                   .in_fd = in_fd,
                                   .out_fd = out_fd,
                                   .out = out };
  return image_tool_run (&tool, tmp, &argv, err);
}

/* What PROGRAM makes of IN_FD becomes the file NAME in TMP. */
static int
image_source_filter (const struct image_tmp *tmp, const char *const program[], int in_fd,
                     const char *name, struct error *err)
{
  auto_fd int out = openat (tmp->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (out < 0)
    return error_errno (err, errno, "%s", name);
  return image_source_run (tmp, program, in_fd, out, NULL, err);
}

/* ---- archives --------------------------------------------------------------------------- */

/* The program that undoes the compression which MAGIC is the begin of; NULL: none. */
static const char *
image_source_decompressor (const unsigned char magic[static MAGIC_SIZE])
{
  static const struct
  {
    const char *bytes;
    size_t size;
    const char *program;
  } kinds[] = { { "\x1f\x8b", 2, "gzip" },
                { "\x28\xb5\x2f\xfd", 4, "zstd" },
                { "\xfd"
                  "7zXZ",
                  5, "xz" },
                { "BZh", 3, "bzip2" } };
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (memcmp (magic, kinds[i].bytes, kinds[i].size) == 0)
      return kinds[i].program;
  return NULL;
}

/* Puts the archive of the file SOURCE_FD, which lies at PATH, into TMP: *NAME. */
static int
image_source_plain (const struct image_tmp *tmp, const char *path, int source_fd, const char **name,
                    struct error *err)
{
  unsigned char magic[MAGIC_SIZE] = { 0 };
  if (pread (source_fd, magic, sizeof magic, 0) < 0)
    return error_errno (err, errno, "%s", path);
  const char *program = image_source_decompressor (magic);
  const char *const words[] = { program, "-dc", NULL };
  *name = program == NULL ? ARCHIVE : PLAIN;
  if (program != NULL)
    return image_source_filter (tmp, words, source_fd, PLAIN, err);
  auto_free char *absolute = realpath (path, NULL);
  if (absolute == NULL || symlinkat (absolute, tmp->fd, ARCHIVE) != 0)
    return error_errno (err, errno, "%s", path);
  return 0;
}

/* Whether a line of LISTING is NAME, at the archive's top; *SPELT is how (NULL: not of interest).
 */
static bool
image_source_lists (const struct buffer *listing, const char *name, char **spelt)
{
  size_t length = strlen (name);
  for (const char *line = listing->data; line != NULL && *line != '\0';)
    {
      const char *end = strchrnul (line, '\n');
      const char *start = strncmp (line, "./", 2) == 0 ? line + 2 : line;
      if ((size_t) (end - start) == length && memcmp (start, name, length) == 0)
        {
          *spelt = xstrndup (line, (size_t) (end - line));
          return true;
        }
      line = *end == '\0' ? end : end + 1;
    }
  return false;
}

/* An archive of somebody else's may hold links and devices, which a layout has none of. */
static int
image_source_check_files (const struct image_tmp *tmp, struct error *err)
{
  auto_free char *folder = path_join (tmp->path, LAYOUT);
  char *const paths[] = { folder, NULL };
  FTS *walk = fts_open (paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
  if (walk == NULL)
    return error_errno (err, errno, "%s", folder);
  int result = 0;
  for (const FTSENT *entry = fts_read (walk); entry != NULL && result == 0; entry = fts_read (walk))
    if (entry->fts_info != FTS_F && entry->fts_info != FTS_D && entry->fts_info != FTS_DP)
      result = error_set (err, ERROR_USER, "%s in the archive is neither a file nor a folder",
                          entry->fts_path + strlen (folder));
  (void) fts_close (walk);
  return result;
}

static int
image_source_take_apart (const struct image_tmp *tmp, const char *archive,
                         struct image_source *source, struct error *err)
{
  const char *const words[] = {
    "tar", "--no-same-owner", "--no-same-permissions", "-xf", archive, "-C", LAYOUT, NULL
  };
  if (fs_make_folders (tmp->fd, LAYOUT, 0700, err) != 0
      || image_source_run (tmp, words, -1, -1, NULL, err) != 0
      || image_source_check_files (tmp, err) != 0)
    return -1;
  source->kind = IMAGE_SOURCE_LAYOUT;
  source->folder = path_join (tmp->path, LAYOUT);
  return 0;
}

/* `docker save`: which of its images. */
static int
image_source_of_docker (const struct image_tmp *tmp, const char *archive, const char *manifest,
                        struct image_source *source, struct error *err)
{
  const char *const words[] = { "tar", "-xOf", archive, manifest, NULL };
  auto_buffer struct buffer text = { 0 };
  auto_image_index struct image_index images = { 0 };
  json_error_t why;
  if (image_source_run (tmp, words, -1, -1, &text, err) != 0)
    return -1;
  if (text.size > DOCKER_JSON_MAX)
    return error_set (err, ERROR_USER, "manifest.json is larger than 4 MiB");
  json_t *json = json_loadb (text.size > 0 ? text.data : "", text.size, 0, &why);
  if (json == NULL)
    return error_set (err, ERROR_USER, "manifest.json: line %d: %s", why.line, why.text);
  image_index_read_docker (json, &images);
  json_decref (json);
  const struct image_candidate *chosen = image_index_choose (&images, source->choice, err);
  if (chosen == NULL)
    return -1;
  source->kind = IMAGE_SOURCE_DOCKER_ARCHIVE;
  source->from = xasprintf ("docker-archive:%s:@%zu", archive, chosen->index);
  return 0;
}

static int
image_source_archive (const struct image_tmp *tmp, const char *path, int fd,
                      struct image_source *source, struct error *err)
{
  const char *archive = NULL;
  auto_buffer struct buffer listing = { 0 };
  auto_free char *name = NULL;
  struct error why = ERROR_INIT;
  if (image_source_plain (tmp, path, fd, &archive, err) != 0)
    return -1;
  const char *const words[] = { "tar", "-tf", archive, NULL };
  if (image_source_run (tmp, words, -1, -1, &listing, &why) != 0)
    {
      (void) error_set (err, why.code == EINTR ? why.class : ERROR_USER,
                        "%s is neither an OCI layout folder nor an archive: %s", path, why.message);
      if (err != NULL)
        err->code = why.code;
      return -1;
    }
  if (image_source_lists (&listing, "oci-layout", &name))
    return image_source_take_apart (tmp, archive, source, err);
  if (image_source_lists (&listing, "manifest.json", &name))
    return image_source_of_docker (tmp, archive, name, source, err);
  return error_set (err, ERROR_USER, "%s is neither an OCI nor a Docker archive", path);
}

/* ---- what the text says ----------------------------------------------------------------- */

/* An archive that comes through the pipe FD. */
static int
image_source_stream (const struct image_tmp *tmp, int fd, struct image_source *source,
                     struct error *err)
{
  const char *const words[] = { "cat", NULL };
  auto_free char *path = path_join (tmp->path, GIVEN);
  int flags = fcntl (fd, F_GETFL);
  if (flags < 0 || fcntl (fd, F_SETFL, flags & ~O_NONBLOCK) != 0)
    return error_errno (err, errno, "fcntl");
  if (image_source_filter (tmp, words, fd, GIVEN, err) != 0)
    return -1;
  auto_fd int file = open (path, O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return error_errno (err, errno, "%s", path);
  return image_source_archive (tmp, path, file, source, err);
}

/* PATH is what is there of TEXT: the longest part that ends before a colon. The caller frees. */
static char *
image_source_path (const char *text, struct image_source *source)
{
  struct stat status;
  if (stat (text, &status) == 0)
    return xstrdup (text);
  for (size_t end = strlen (text); end > 0; end--)
    {
      auto_free char *path = xstrndup (text, end);
      if (text[end] != ':' || text[end + 1] == '\0' || stat (path, &status) != 0)
        continue;
      source->choice = xstrdup (text + end + 1);
      return take (&path);
    }
  return NULL;
}

static int
image_source_local (const char *text, const struct image_tmp *tmp, struct image_source *source,
                    struct error *err)
{
  struct stat status;
  auto_free char *path = image_source_path (text, source);
  if (path == NULL)
    return error_errno (err, ENOENT, "%s", text);
  auto_fd int fd = open (path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0 || fstat (fd, &status) != 0)
    return error_errno (err, errno, "%s", path);
  if (S_ISREG (status.st_mode) || S_ISBLK (status.st_mode))
    return image_source_archive (tmp, path, fd, source, err);
  if (!S_ISDIR (status.st_mode))
    return image_source_stream (tmp, fd, source, err);
  if (!image_layout_is_one (path))
    return error_set (err, ERROR_USER, "%s isn't an OCI layout: it has no file oci-layout", path);
  source->kind = IMAGE_SOURCE_LAYOUT;
  source->folder = realpath (path, NULL);
  return source->folder != NULL ? 0 : error_errno (err, errno, "%s", path);
}

/* skopeo's name for TRANSPORT:REST that isn't a path of ours. A name without a tag is the latest.
 */
static int
image_source_other (const char *transport, const char *rest, struct image_source *source,
                    struct error *err)
{
  source->kind = IMAGE_SOURCE_OTHER;
  if (strcmp (transport, "dir") == 0)
    {
      auto_free char *path = realpath (rest, NULL);
      source->from = path == NULL ? NULL : xasprintf ("dir:%s", path);
      return path != NULL ? 0 : error_errno (err, errno, "%s", rest);
    }
  const char *last = strrchr (rest, '/');
  bool plain = rest[0] != '\0' && strpbrk (last != NULL ? last : rest, ":@[]") == NULL;
  source->from = xasprintf ("%s:%s%s", transport, rest, plain ? ":latest" : "");
  return 0;
}

int
image_source_open (const char *text, const struct image_tmp *tmp, struct image_source *source,
                   struct error *err)
{
  static const char *const locals[] = { "oci", "oci-archive", "docker-archive" };
  static const char *const others[] = { "dir", "docker-daemon", "containers-storage" };
  struct stat status;
  if (strcmp (text, "-") == 0)
    return image_source_stream (tmp, STDIN_FILENO, source, err) == 0
               ? 0
               : error_wrap (err, "standard input");
  const char *colon = strchr (text, ':');
  if (colon == NULL || stat (text, &status) == 0)
    return image_source_local (text, tmp, source, err);
  auto_free char *before = xstrndup (text, (size_t) (colon - text));
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (strcmp (before, others[i]) == 0)
      return image_source_other (before, colon + 1, source, err);
  for (size_t i = 0; i < sizeof locals / sizeof *locals; i++)
    if (strcmp (before, locals[i]) == 0)
      return image_source_local (colon + 1, tmp, source, err);
  return image_source_local (text, tmp, source, err);
}

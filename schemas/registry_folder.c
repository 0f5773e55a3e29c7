/* What a registry said, in a folder. A file that can't be written is a warning: the program goes
 * on. */
#include "schemas/registry_internal.h"

#include "common/fs.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"
#include "schemas/fingerprint.h"
#include "schemas/writer_schema.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum
{
  FILE_NAME = 64,
  ID_FILE_MAX = 1024,
};

int
registry_folder_open (const char *folder, const char *url, struct error *err)
{
  auto_free char *path =
      xasprintf ("%s/%016" PRIx64, folder, fingerprint_crc64 (url, strlen (url)));
  if (fs_make_path (path, 0700, err) != 0)
    return -1;
  return fs_open_folder (AT_FDCWD, path, err);
}

static void
registry_folder_put (int dirfd, const char *name, struct bytes content)
{
  struct error err = ERROR_INIT;
  if (dirfd < 0 || fs_write_file (dirfd, name, content, &err) == 0)
    return;
  auto_free char *message = text_log (err.message);
  log_warn ("schema_cache_write_failed", "error=%s", message);
}

/* Subjects are of any length and any letters: the name of the file is a sum, the subject is
 * within. */
static void
id_file (const char *subject, uint64_t fingerprint, char name[static FILE_NAME])
{
  (void) snprintf (name, FILE_NAME, "%016" PRIx64 "-%016" PRIx64 ".id",
                   fingerprint_crc64 (subject, strlen (subject)), fingerprint);
}

int32_t
registry_folder_id (int dirfd, const char *subject, uint64_t fingerprint)
{
  auto_buffer struct buffer text = { 0 };
  char name[FILE_NAME];
  id_file (subject, fingerprint, name);
  if (dirfd < 0 || fs_read_file (dirfd, name, ID_FILE_MAX, &text, NULL) != 0 || text.size == 0)
    return -1;
  char *end = NULL;
  long id = strtol (text.data, &end, 10);
  auto_free char *rest = xasprintf (" %s\n", subject);
  return end != text.data && id >= 0 && id <= INT32_MAX && strcmp (end, rest) == 0 ? (int32_t) id
                                                                                   : -1;
}

void
registry_folder_put_id (int dirfd, const char *subject, uint64_t fingerprint, int32_t id)
{
  auto_free char *text = xasprintf ("%d %s\n", id, subject);
  char name[FILE_NAME];
  id_file (subject, fingerprint, name);
  registry_folder_put (dirfd, name, (struct bytes){ text, strlen (text) });
}

bool
registry_folder_schema (int dirfd, int32_t id, struct buffer *text)
{
  char name[FILE_NAME];
  (void) snprintf (name, sizeof name, "%d.avsc", id);
  return dirfd >= 0 && fs_read_file (dirfd, name, WRITER_SCHEMA_TEXT_MAX, text, NULL) == 0;
}

void
registry_folder_put_schema (int dirfd, int32_t id, struct bytes text)
{
  char name[FILE_NAME];
  (void) snprintf (name, sizeof name, "%d.avsc", id);
  registry_folder_put (dirfd, name, text);
}

/* Whether NAME is one of those that are put here. */
static bool
registry_folder_is_ours (const char *name)
{
  size_t digits = strspn (name, "0123456789abcdef-");
  return digits > 0 && (strcmp (name + digits, ".id") == 0 || strcmp (name + digits, ".avsc") == 0);
}

void
registry_folder_forget (int dirfd)
{
  auto_fd int again = dirfd < 0 ? -1 : openat (dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  auto_dir DIR *dir = again < 0 ? NULL : fdopendir (again);
  if (dir == NULL)
    return;
  again = -1; /* DIR closes it */
  for (const struct dirent *entry = readdir (dir); entry != NULL; entry = readdir (dir))
    if (registry_folder_is_ours (entry->d_name))
      (void) unlinkat (dirfd, entry->d_name, 0);
}

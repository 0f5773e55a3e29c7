#include "worker/image_use.h"

#include "common/buffer.h"
#include "common/digest.h"
#include "common/fs.h"
#include "common/lock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/path.h"
#include "common/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define JOB_PREFIX "job."
#define UNFINISHED ".partial"

enum
{
  NOTE_MAX = PATH_MAX + 4096, /* bytes */
  IDLE_SECONDS = 10,
  NOTE_TRIES = 100,
};

static int
image_use_open_folder (const char *store)
{
  auto_free char *path = path_join (store, "uses");
  if (mkdir (path, 0700) != 0 && errno != EEXIST)
    return -1;
  return open (path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* ---- reading ---------------------------------------------------------------------------- */

struct note
{
  char text[NOTE_MAX];
  char *digests;
  char *job;
  char *state;
  char *path;
};

static bool
image_use_read (int fd, struct note *note)
{
  ssize_t size = pread (fd, note->text, sizeof note->text - 1, 0);
  if (size <= 0)
    return false;
  note->text[size] = '\0';
  char **const lines[] = { &note->digests, &note->job, &note->state };
  char *at = note->text;
  for (size_t i = 0; i < 3; i++)
    {
      char *end = strchr (at, '\n');
      if (end == NULL)
        return false;
      *end = '\0';
      *lines[i] = at;
      at = end + 1;
    }
  note->path = at;
  return true;
}

/* Whether the unfinished result is still the folder that the note was made for. */
static bool
image_use_is_unfinished (const struct note *note)
{
  uintmax_t device = 0;
  uintmax_t inode = 0;
  struct stat status;
  return text_ends_in (note->path, strlen (note->path), UNFINISHED)
         && sscanf (note->state, "%ju %ju", &device, &inode) == 2
         && lstat (note->path, &status) == 0 && (uintmax_t) status.st_dev == device
         && (uintmax_t) status.st_ino == inode;
}

static bool
image_use_has (const char *digests, const char *digest)
{
  size_t length = strlen (digest);
  for (const char *at = strstr (digests, digest); at != NULL; at = strstr (at + 1, digest))
    if (at[length] == '\0' || at[length] == ' ')
      return true;
  return false;
}

/* Who needs DIGEST by the note NAME, or NULL. *STALE: it doesn't count any more. */
static char *
image_use_tell (int uses, const char *name, const char *digest, bool *stale)
{
  struct note note = { 0 };
  struct stat status;
  bool of_job = strncmp (name, JOB_PREFIX, strlen (JOB_PREFIX)) == 0;
  auto_fd int fd = openat (uses, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0 || fstat (fd, &status) != 0 || !S_ISREG (status.st_mode))
    return NULL;
  bool read = image_use_read (fd, &note);
  if (of_job)
    *stale = !read || !image_use_is_unfinished (&note);
  else
    *stale = flock (fd, LOCK_SH | LOCK_NB) == 0;
  if (*stale || !read || digest == NULL || !image_use_has (note.digests, digest))
    return NULL;
  if (of_job)
    return xasprintf ("job %s, whose result %s isn't finished", note.job, note.path);
  if (strcmp (note.state, "idle") == 0 && time (NULL) - status.st_mtime > IDLE_SECONDS)
    return NULL;
  return xasprintf ("job %s, which runs on this machine", note.job);
}

/* Who needs DIGEST (NULL: none is looked for) by a note in USES; removes those that don't count any
 * more. */
static char *
image_use_look (int uses, const char *digest)
{
  auto_free char *found = NULL;
  int copy = uses < 0 ? -1 : openat (uses, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  auto_dir DIR *dir = copy < 0 ? NULL : fdopendir (copy);
  if (dir == NULL)
    auto_fd_ (&copy);
  for (struct dirent *entry = dir == NULL ? NULL : readdir (dir); entry != NULL && found == NULL;
       entry = readdir (dir))
    {
      bool stale = false;
      found = image_use_tell (uses, entry->d_name, digest, &stale);
      if (stale)
        (void) unlinkat (uses, entry->d_name, 0);
    }
  return take (&found);
}

char *
image_use_find (const char *store, const char *digest)
{
  auto_fd int uses = image_use_open_folder (store);
  return image_use_look (uses, digest);
}

/* ---- writing ---------------------------------------------------------------------------- */

static bool
image_use_open (struct image_use *use, const char *store)
{
  struct stat status;
  auto_fd int folder = use->name != NULL ? -1 : image_use_open_folder (store);
  if (folder >= 0)
    free (image_use_look (folder, NULL)); /* notes of slots that were killed */
  for (unsigned int n = 0; folder >= 0 && use->name == NULL && n < NOTE_TRIES; n++)
    {
      auto_free char *name = xasprintf ("%d.%u", (int) getpid (), n);
      auto_fd int fd = lock_open (folder, name, NULL);
      /* One that is held is another container's process of our number; one that isn't there any
       * more was taken for a dead slot's before it was locked. */
      if (fd < 0 || flock (fd, LOCK_EX | LOCK_NB) != 0 || fstat (fd, &status) != 0
          || status.st_nlink == 0)
        continue;
      *use = (struct image_use){ .name = take (&name),
                                 .folder_fd = take_fd (&folder),
                                 .fd = take_fd (&fd) };
    }
  return use->name != NULL;
}

static void
image_use_write (int fd, const char *text)
{
  size_t length = strlen (text);
  /* In this order: who reads meanwhile finds a note. */
  if (pwrite (fd, text, length, 0) != (ssize_t) length || ftruncate (fd, (off_t) length) != 0)
    log_debug ("image_use", "error=%d", errno);
}

void
image_use_begin (struct image_use *use, const char *store, const char *digest, const char *job)
{
  if (!image_use_open (use, store))
    return;
  auto_free char *text = xasprintf ("%s\n%s\nbusy\n", digest, job);
  image_use_write (use->fd, text);
}

void
image_use_end (const struct image_use *use)
{
  char text[NOTE_MAX];
  ssize_t size = use->name == NULL ? -1 : pread (use->fd, text, sizeof text - 1, 0);
  char *busy = NULL;
  if (size > 0)
    {
      text[size] = '\0';
      busy = strstr (text, "\nbusy\n");
    }
  if (busy != NULL && pwrite (use->fd, "\nidle", strlen ("\nidle"), busy - text) < 0)
    log_debug ("image_use", "error=%d", errno);
}

void
image_use_release (struct image_use *use)
{
  if (use->name == NULL)
    return;
  (void) unlinkat (use->folder_fd, use->name, 0);
  auto_fd_ (&use->fd);
  auto_fd_ (&use->folder_fd);
  free (take (&use->name));
}

/* "job.HASH" of the folder's PATH. */
static char *
image_use_job_name (const char *path)
{
  auto_digest struct digest *digest = digest_new ();
  uint8_t sum[DIGEST_SIZE];
  char hex[DIGEST_TEXT_SIZE];
  digest_add (digest, path, strlen (path));
  digest_finish (digest, sum);
  return xasprintf (JOB_PREFIX "%.32s", digest_format (sum, hex));
}

void
image_use_keep (const char *store, const char *digests, const char *job, int folder_fd)
{
  char path[PATH_MAX];
  struct stat status;
  auto_fd int uses = image_use_open_folder (store);
  if (uses < 0 || fstat (folder_fd, &status) != 0 || fs_path_of (folder_fd, path, NULL) != 0)
    return;
  free (image_use_look (uses, NULL)); /* notes of jobs that have ended */
  auto_free char *name = image_use_job_name (path);
  auto_free char *text = xasprintf ("%s\n%s\n%ju %ju\n%s", digests, job, (uintmax_t) status.st_dev,
                                    (uintmax_t) status.st_ino, path);
  (void) fs_write_file (uses, name, (struct bytes){ text, strlen (text) }, NULL);
}

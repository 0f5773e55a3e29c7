#include "worker/usage.h"

#include "common/auto.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum
{
  DEPTH_MAX = 128, /* folders that are open at once; collecting counts what lies deeper */
  STEP_US = 10000, /* of one call */
  CHECKED = 64,    /* entries between two looks at the clock */
  REST_MS = 1000,  /* between two looks, at least, … */
  REST_TIMES = 25, /* … and so many times as long as the last one took */
};

struct usage
{
  int folder_fd;
  const struct job *job;
  size_t output; /* the next one to be opened */
  DIR *open[DEPTH_MAX];
  size_t depth;
  int64_t files;
  int64_t bytes;
  int64_t due;   /* boot ms */
  int64_t spent; /* us, on this look */
};

struct usage *
usage_new (int folder_fd, const struct job *job)
{
  if (job->output_count == 0 || (job->max_output_bytes < 0 && job->max_output_files < 0))
    return NULL;
  struct usage *usage = xcalloc (1, sizeof *usage);
  usage->folder_fd = folder_fd;
  usage->job = job;
  usage->due = clock_boot_ms () + REST_MS;
  return usage;
}

static void
close_folders (struct usage *usage)
{
  while (usage->depth > 0)
    (void) closedir (usage->open[--usage->depth]);
}

void
usage_free (struct usage *usage)
{
  if (usage == NULL)
    return;
  close_folders (usage);
  free (usage);
}

int64_t
usage_due (const struct usage *usage)
{
  return usage == NULL ? INT64_MAX : usage->due;
}

int
usage_check (const struct job *job, int64_t files, int64_t bytes, struct error *err)
{
  char is[UNITS_TEXT_SIZE], allowed[UNITS_TEXT_SIZE];
  if (job->max_output_bytes >= 0 && bytes > job->max_output_bytes)
    return error_set (
        err, ERROR_USER, "outputs of %s, more than the %s allowed (--max-output-bytes)",
        units_format_size (bytes, is), units_format_size (job->max_output_bytes, allowed));
  if (job->max_output_files >= 0 && files > job->max_output_files)
    return error_set (err, ERROR_USER,
                      "%lld files of output, more than the %lld allowed (--max-output-files)",
                      (long long) files, (long long) job->max_output_files);
  return 0;
}

/* ---- one look --------------------------------------------------------------------------- */

/* What can't be opened isn't counted: the command changes it meanwhile, or lets nobody in. */
static void
usage_enter (struct usage *usage, int fd)
{
  DIR *dir = fd < 0 || usage->depth == DEPTH_MAX ? NULL : fdopendir (fd);
  if (dir != NULL)
    usage->open[usage->depth++] = dir;
  else if (fd >= 0)
    (void) close (fd);
}

/* No link is followed, whatever the command puts in the place of what was read: one component at a
 * time, downwards only. */
static void
count_entry (struct usage *usage, DIR *dir, const struct dirent *entry)
{
  struct stat status = { 0 };
  int fd = dirfd (dir);
  bool folder = entry->d_type == DT_DIR;
  if (!folder && fstatat (fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0)
    folder = S_ISDIR (status.st_mode);
  if (folder)
    {
      usage_enter (usage, openat (fd, entry->d_name,
                                  O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
      return;
    }
  usage->files++;
  if (!S_ISREG (status.st_mode))
    return;
  int64_t taken = (int64_t) status.st_blocks * 512;
  usage->bytes += taken < status.st_size ? taken : status.st_size;
}

/* The next entry, or the next output. False: that was all. */
static bool
count_next (struct usage *usage)
{
  if (usage->depth == 0)
    {
      if (usage->output == usage->job->output_count)
        return false;
      auto_free char *path = xasprintf ("outputs/%s", usage->job->outputs[usage->output++].name);
      usage_enter (usage,
                   fs_open_beneath (usage->folder_fd, path, O_RDONLY | O_DIRECTORY, 0, NULL));
      return true;
    }
  DIR *dir = usage->open[usage->depth - 1];
  const struct dirent *entry = readdir (dir);
  if (entry == NULL)
    (void) closedir (usage->open[--usage->depth]);
  else if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0)
    count_entry (usage, dir, entry);
  return true;
}

static void
usage_end_measure (struct usage *usage)
{
  int64_t rest = usage->spent / 1000 * REST_TIMES;
  usage->due = clock_boot_ms () + (rest < REST_MS ? REST_MS : rest);
  close_folders (usage);
  usage->files = usage->bytes = usage->spent = 0;
  usage->output = 0;
}

int
usage_update (struct usage *usage, struct error *err)
{
  int64_t began = clock_boot_us ();
  bool more = true;
  for (unsigned int count = 1; more; count++)
    {
      more = count_next (usage);
      if (usage_check (usage->job, usage->files, usage->bytes, err) != 0)
        return -1;
      if (count % CHECKED == 0 && clock_boot_us () - began > STEP_US)
        break;
    }
  usage->spent += clock_boot_us () - began;
  if (!more)
    usage_end_measure (usage);
  return 0;
}

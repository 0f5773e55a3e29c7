#include "worker/trial.h"

#include "common/clock.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/scratch.h"
#include "common/spawn.h"
#include "common/text.h"
#include "common/unique.h"
#include "common/variable.h"
#include "worker/image_ref.h"
#include "worker/init.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIAL_NAME "trial"
#define TRIAL_PREFIX "shoal-"
#define TRIAL_SUFFIX "-" TRIAL_NAME
#define TRIAL_DIGEST "sha256:0000000000000000000000000000000000000000000000000000000000000000"

enum
{
  TRIAL_MS = 20000, /* for a command that does nothing */
  TRIAL_SAID_MAX = 4096,
  TRIAL_STEP_MS = 10,
};

/* What a trial has of its own on the disk. */
struct trial_place
{
  int parent_fd;
  char *name;
  int folder_fd;
  int run_fd;  /* the container's scratch folder */
  char *store; /* an image store, absolute */
  struct container_mount output;
};

static void
trial_place_release (struct trial_place *place)
{
  auto_fd_ (&place->run_fd);
  auto_fd_ (&place->folder_fd);
  if (place->name != NULL)
    scratch_remove (place->parent_fd, place->name);
  auto_fd_ (&place->parent_fd);
  free (place->name);
  free (place->store);
  free ((char *) (uintptr_t) place->output.source);
}
#define auto_trial_place AUTO (trial_place_release)

/* ---- the place -------------------------------------------------------------------------- */

/* A folder of ours in SCRATCH. */
static int
trial_place_make_in (struct trial_place *place, const char *scratch, struct error *err)
{
  char unique[UNIQUE_SIZE];
  auto_free char *absolute = realpath (scratch, NULL);
  if (absolute == NULL)
    return error_errno (err, errno, "%s", scratch);
  auto_fd int parent = fs_open_folder (AT_FDCWD, absolute, err);
  if (parent < 0)
    return -1;
  auto_free char *name = xasprintf (TRIAL_PREFIX "%s" TRIAL_SUFFIX, unique_text (unique));
  place->folder_fd = scratch_make (parent, name, 0700, err);
  if (place->folder_fd < 0)
    return error_wrap (err, "%s", scratch);
  place->parent_fd = take_fd (&parent);
  place->name = take (&name);
  place->store = xasprintf ("%s/%s/store", absolute, place->name);
  return 0;
}

enum
{
  TRIAL_PARENTS = 4,
};

/* Folders for temporary files, in order of preference; NULL: there is no such. */
static void
trial_parents (const char *parents[static TRIAL_PARENTS])
{
  parents[0] = variable_get ("TMPDIR");
  parents[1] = "/tmp";
  parents[2] = "/var/tmp";
  parents[3] = "/dev/shm";
}

static int
trial_place_open (struct trial_place *place, const char *scratch, struct error *err)
{
  const char *parents[TRIAL_PARENTS];
  trial_parents (parents);
  if (scratch != NULL)
    return trial_place_make_in (place, scratch, err) == 0 ? 0 : error_wrap (err, "--scratch");
  for (size_t i = 0; i < TRIAL_PARENTS; i++)
    if (parents[i] != NULL && trial_place_make_in (place, parents[i], err) == 0)
      {
        error_clear (err);
        return 0;
      }
  return error_wrap (err, "no folder for temporary files; name one with --scratch");
}

/* Whether NAME is of those that trial_place_make_in gives. */
static bool
trial_is_name (const char *name)
{
  size_t size = strlen (name);
  return size == strlen (TRIAL_PREFIX) + UNIQUE_SIZE - 1 + strlen (TRIAL_SUFFIX)
         && strncmp (name, TRIAL_PREFIX, strlen (TRIAL_PREFIX)) == 0
         && text_ends_in (name, size, TRIAL_SUFFIX);
}

/* Whether DIRFD has a trial's folder. */
static bool
trial_is_left (int dirfd)
{
  int copy = openat (dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  auto_dir DIR *dir = copy < 0 ? NULL : fdopendir (copy);
  for (const struct dirent *entry = NULL; dir != NULL && (entry = readdir (dir)) != NULL;)
    if (trial_is_name (entry->d_name))
      return true;
  return false;
}

void
trial_sweep (const char *scratch, int wait_ms)
{
  const char *parents[TRIAL_PARENTS] = { scratch, NULL, NULL, NULL };
  if (scratch == NULL)
    trial_parents (parents);
  for (size_t i = 0; i < TRIAL_PARENTS; i++)
    {
      auto_fd int parent = parents[i] == NULL ? -1 : fs_open_folder (AT_FDCWD, parents[i], NULL);
      if (parent < 0)
        continue;
      (void) scratch_sweep_ours (parent, trial_is_name);
      for (; wait_ms > 0 && trial_is_left (parent); wait_ms -= TRIAL_STEP_MS)
        {
          (void) poll (NULL, 0, TRIAL_STEP_MS);
          (void) scratch_sweep_ours (parent, trial_is_name);
        }
    }
}

/* A store with one image, which has no files. */
static int
trial_place_fill_store (const struct trial_place *place, struct error *err)
{
  static const char config[] = "{\"config\":{},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";
  auto_free char *ref = image_ref_normal (TRIAL_NAME, err);
  auto_free char *file = image_ref_encode (ref);
  auto_free char *image = xasprintf ("store/images/%s", image_digest_hex (TRIAL_DIGEST));
  auto_free char *rootfs = xasprintf ("%s/rootfs", image);
  auto_free char *config_file = xasprintf ("%s/config.json", image);
  auto_free char *ref_file = xasprintf ("store/refs/%s", file);
  if (fs_make_folders (place->folder_fd, rootfs, 0755, err) != 0
      || fs_make_folders (place->folder_fd, "store/refs", 0755, err) != 0
      || fs_write_file (place->folder_fd, config_file, (struct bytes){ config, strlen (config) },
                        err)
             != 0)
    return -1;
  return fs_write_file (place->folder_fd, ref_file,
                        (struct bytes){ TRIAL_DIGEST, strlen (TRIAL_DIGEST) }, err);
}

/* A folder as an output is. */
static int
trial_place_make_output (struct trial_place *place, struct error *err)
{
  if (fs_make_folders (place->folder_fd, "output", 0755, err) != 0)
    return -1;
  auto_fd int fd = fs_open_folder (place->folder_fd, "output", err);
  if (fd < 0)
    return -1;
  if (fchmod (fd, 0777) != 0)
    return error_errno (err, errno, "output");
  place->output = (struct container_mount){ .target = "/output", .writable = true };
  place->output.source = identity_take (&place->output.identity, fd, err);
  return place->output.source == NULL ? -1 : 0;
}

static int
trial_place_make (struct trial_place *place, const char *scratch, bool own_image, struct error *err)
{
  if (trial_place_open (place, scratch, err) != 0
      || fs_make_folders (place->folder_fd, "run", 0755, err) != 0
      || (place->run_fd = fs_open_folder (place->folder_fd, "run", err)) < 0)
    return -1;
  return own_image
                 && (trial_place_fill_store (place, err) != 0
                     || trial_place_make_output (place, err) != 0)
             ? -1
             : 0;
}

/* ---- the run ---------------------------------------------------------------------------- */

/* In a container the init is there in any case; elsewhere this very program, which another user may
 * not be let to: it may lie in a folder of root's. */
static int
trial_make_command (const struct job *job, struct strlist *command, struct error *err)
{
  if (strcmp (job->runtime, "process") != 0)
    {
      strlist_add (command, INIT_PATH_IN_CONTAINER);
      strlist_add (command, INIT_PROBE);
      return 0;
    }
  if (job->user != NULL)
    {
      strlist_add (command, "sh");
      strlist_add (command, "-c");
      strlist_add (command, ":");
      return 0;
    }
  auto_free char *self = spawn_self (err);
  if (self == NULL)
    return -1;
  strlist_add (command, self);
  strlist_add (command, "--version");
  return 0;
}

/* What SAID_FD has of why the command ended as it did. */
static int
trial_check_exit (const struct job *job, const struct container_exit *exit, int said_fd,
                  struct error *err)
{
  char said[TRIAL_SAID_MAX] = "";
  if (exit->exit_code == 0)
    return 0;
  if (exit->oom)
    return error_set (err, ERROR_USER,
                      "a container ran out of memory before its command did anything: %lld bytes "
                      "are too little",
                      (long long) job->memory);
  ssize_t got = pread (said_fd, said, sizeof said - 1, 0);
  said[got > 0 ? strcspn (said, "\n") : 0] = '\0';
  return error_set (err, ERROR_TRANSIENT, "a command that does nothing ended with exit code %d%s%s",
                    exit->exit_code, said[0] == '\0' ? "" : ": ", said);
}

static int
trial_run_container (struct container_runtime *runtime, const struct container *container,
                     struct error *err)
{
  struct container_exit exit = { .exit_code = -1 };
  if (container_prepare (runtime, container, err) != 0)
    return -1;
  struct pollfd end = { .fd = container_start (runtime, container, err), .events = POLLIN };
  if (end.fd < 0)
    return -1;
  int64_t until = clock_boot_ms () + TRIAL_MS;
  int got = 0;
  for (int64_t left = TRIAL_MS; left > 0 && (got = poll (&end, 1, (int) left)) <= 0;)
    left = until - clock_boot_ms ();
  if (got <= 0)
    container_signal (runtime, SIGKILL);
  int result = container_wait (runtime, &exit, err);
  if (got <= 0)
    return error_set (err, ERROR_TRANSIENT, "a command that does nothing didn't end in %d s",
                      TRIAL_MS / 1000);
  return result == 0 ? trial_check_exit (container->job, &exit, container->stderr_fd, err) : -1;
}

int
trial_run (const struct trial *trial, const struct job *job, char **description, struct error *err)
{
  bool own_image = strcmp (job->image, TRIAL_IMAGE) == 0;
  bool pod = trial->runtime.pod != NULL; /* it has a command of its own for this */
  auto_trial_place struct trial_place place = { .parent_fd = -1, .folder_fd = -1, .run_fd = -1 };
  auto_strlist struct strlist command = { 0 };
  if (trial_place_make (&place, trial->scratch, own_image, err) != 0
      || trial_make_command (job, &command, err) != 0)
    return error_blame_machine (err);
  struct container_runtime_options options = trial->runtime;
  if (own_image)
    options.images = place.store;
  auto_container_runtime struct container_runtime *runtime =
      container_runtime_open (job->runtime, &options, err);
  if (runtime == NULL)
    return -1;
  *description = xstrdup (container_runtime_describe (runtime));
  auto_fd int said = memfd_create ("trial", MFD_CLOEXEC);
  if (said < 0)
    return error_errno (err, errno, "memory for what a trial says");
  struct job view = *job;
  view.has_entrypoint = true;
  view.entrypoint = (struct strlist){ 0 };
  view.init = true;
  view.workdir = NULL;
  auto_free char *id = xasprintf ("shoal-%d-" TRIAL_NAME, (int) getpid ());
  const struct container container = { .id = id,
                                       .job = &view,
                                       .image = own_image && !pod ? TRIAL_NAME : job->image,
                                       .image_id = job->image_id,
                                       .command = &command,
                                       .mounts = &place.output,
                                       .mount_count = own_image && !pod ? 1 : 0,
                                       .scratch_fd = place.run_fd,
                                       .stdout_fd = said,
                                       .stderr_fd = said };
  return trial_run_container (runtime, &container, err);
}

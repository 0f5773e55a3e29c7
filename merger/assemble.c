#include "merger/assemble.h"

#include "common/fs.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/sys.h"
#include "common/text.h"
#include "merger/attempt_record.h"
#include "merger/lines.h"
#include "merger/linker.h"
#include "merger/resolve.h"
#include "merger/sweep.h"
#include "merger/unchanged.h"
#include "result/result.h"
#include "result/result_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#define LINES "outputs.part"

enum
{
  LINES_CHUNK = 64 << 10,
  RENEW_FILES = 256, /* linked between two renewals */
  BUILDS_MAX = 1000, /* names that are tried for a build folder */
};

struct assembly
{
  struct result_store *store; /* where attempts are kept, when not in the folder */
  int folder_fd;
  int build_fd; /* locked */
  int stdout_fd;
  int stderr_fd;
  int lines_fd;
  char *name;
  const struct job *job;
  const struct heartbeat *heartbeat;
  struct halt halt; /* renews the heartbeat while the store is listed */
  struct linker linker;
  struct conflicts *conflicts;
  char *damage;          /* the first file that isn't what was collected, or shard that another
                            image made; NULL: none */
  char *image_id;        /* of the first shard that succeeded; NULL: not known */
  struct buffer settled; /* manifest lines of the settled conflicts */
  uint32_t next;         /* first shard whose logs and lines aren't appended */
  uint64_t appended;     /* sum over the appended shards of what counted (stamp) */
};

/* ---- opening and closing ---------------------------------------------------------------- */

static int
open_part (struct assembly *assembly, const char *name, struct error *err)
{
  return fs_open_beneath (assembly->build_fd, name, O_RDWR | O_CREAT | O_TRUNC, 0644, err);
}

static int
make_parts (struct assembly *assembly, struct error *err)
{
  for (size_t i = 0; i < assembly->job->output_count; i++)
    {
      auto_free char *path = xasprintf ("outputs/%s", assembly->job->outputs[i].name);
      if (fs_make_folders (assembly->build_fd, path, 0755, err) != 0)
        return -1;
    }
  assembly->stdout_fd = open_part (assembly, "stdout", err);
  assembly->stderr_fd = assembly->stdout_fd < 0 ? -1 : open_part (assembly, "stderr", err);
  assembly->lines_fd = assembly->stderr_fd < 0 ? -1 : open_part (assembly, LINES, err);
  return assembly->lines_fd < 0 ? -1 : 0;
}

/* Opens and locks the new folder. False when another merger's sweep took it for a dead one's before
 * it was locked. */
static bool
lock_build (struct assembly *assembly)
{
  auto_fd int fd =
      fs_open_beneath (assembly->folder_fd, assembly->name, O_RDONLY | O_DIRECTORY, 0, NULL);
  if (fd < 0 || flock (fd, LOCK_EX | LOCK_NB) != 0
      || !fs_exists (assembly->folder_fd, assembly->name))
    return false;
  assembly->build_fd = take_fd (&fd);
  return true;
}

/* A folder name that no other assembly has: the process's id and a number. */
static int
make_build (struct assembly *assembly, struct error *err)
{
  for (int number = 0; number < BUILDS_MAX; number++)
    {
      free (assembly->name);
      assembly->name = xasprintf (RESULT_STATE "/build.%d.%d", (int) getpid (), number);
      if (sys_mkdir (assembly->folder_fd, assembly->name, 0755) == 0)
        {
          if (lock_build (assembly))
            return 0;
        }
      else if (errno != EEXIST)
        return error_errno (err, errno, "making %s", assembly->name);
    }
  return error_set (err, ERROR_TRANSIENT, "locking %s", assembly->name);
}

struct assembly *
assembly_open (int folder_fd, const struct job *job, const struct heartbeat *heartbeat,
               struct error *err)
{
  struct assembly *assembly = xcalloc (1, sizeof *assembly);
  *assembly = (struct assembly){ .folder_fd = folder_fd,
                                 .build_fd = -1,
                                 .stdout_fd = -1,
                                 .stderr_fd = -1,
                                 .lines_fd = -1,
                                 .job = job,
                                 .heartbeat = heartbeat };
  assembly->conflicts = conflicts_new ();
  bool remote = job->results != NULL && result_is_remote (job->results);
  if (remote)
    assembly->store = result_store_open (job->results, job->credentials, err);
  assembly->halt = heartbeat_halt (heartbeat);
  if (assembly->store != NULL)
    result_store_set_halt (assembly->store, &assembly->halt);
  if ((!remote || assembly->store != NULL) && sweep_builds (folder_fd, err) == 0
      && make_build (assembly, err) == 0 && make_parts (assembly, err) == 0)
    {
      assembly->linker = (struct linker) LINKER_INIT (assembly->build_fd);
      assembly->linker.pointers = assembly->store != NULL;
      assembly->linker.heartbeat = heartbeat;
      return assembly;
    }
  assembly_close (assembly);
  (void) error_wrap (err, "assembling");
  return NULL;
}

void
assembly_close (struct assembly *assembly)
{
  if (assembly == NULL)
    return;
  if (assembly->name != NULL && assembly->build_fd >= 0)
    (void) fs_remove_tree (assembly->folder_fd, assembly->name, NULL);
  linker_release (&assembly->linker);
  auto_fd_ (&assembly->stdout_fd);
  auto_fd_ (&assembly->stderr_fd);
  auto_fd_ (&assembly->lines_fd);
  auto_fd_ (&assembly->build_fd);
  conflicts_free (assembly->conflicts);
  result_store_close (assembly->store);
  buffer_release (&assembly->settled);
  free (assembly->damage);
  free (assembly->image_id);
  free (assembly->name);
  free (assembly);
}

int
assembly_fd (const struct assembly *assembly)
{
  return assembly->build_fd;
}

const char *
assembly_name (const struct assembly *assembly)
{
  return assembly->name;
}

bool
assembly_is_damaged (const struct assembly *assembly)
{
  return assembly->damage != NULL;
}

const struct conflicts *
assembly_conflicts (const struct assembly *assembly)
{
  return assembly->conflicts;
}

/* ---- linking ---------------------------------------------------------------------------- */

/* The file of LINE isn't what the attempt FOLDER wrote. A sum that isn't its file's must not be
 * published. */
static void
assembly_add_damage (struct assembly *assembly, const char *folder, const struct line *line)
{
  auto_free char *path = text_shown (line->path.data);
  bool sharded = line->shard >= 0;
  auto_free char *again =
      sharded ? xasprintf ("move it out of the result, then run `shoal retry --shard %lld`",
                           (long long) line->shard)
              : xstrdup ("run the job again");
  if (assembly->damage == NULL)
    assembly->damage = xasprintf ("outputs/%s/%s isn't what attempt %s wrote any more: it was "
                                  "changed or removed in the result or in " RESULT_ATTEMPTS "; %s",
                                  line->output, path, folder, again);
}

static int
assemble_add_line (struct assembly *assembly, const char *folder, const struct line *line,
                   struct error *err)
{
  auto_free char *from = xasprintf (RESULT_ATTEMPTS "/%s/outputs/%s", folder, line->output);
  auto_free char *to = xasprintf ("outputs/%s", line->output);
  enum link_outcome outcome =
      line->folder ? linker_folder (&assembly->linker, to, line->path.data, err)
                   : linker_link (&assembly->linker, assembly->folder_fd, from, to, line, err);
  if (outcome == LINK_CHANGED)
    assembly_add_damage (assembly, folder, line);
  if (outcome == LINK_TAKEN)
    conflicts_add (assembly->conflicts, line->output, line->path.data, false);
  if (outcome == LINK_COLLIDES)
    {
      auto_free char *obstacle = linker_obstacle (&assembly->linker, to, line->path.data);
      conflicts_add (assembly->conflicts, line->output, obstacle, true);
    }
  return outcome == LINK_FAILED ? -1 : 0;
}

/* Brings what is to be read of an attempt that is kept elsewhere. */
static int
assemble_receive (struct assembly *assembly, const char *folder, struct error *err)
{
  if (assembly->store == NULL)
    return 0;
  if (heartbeat_renew (assembly->heartbeat, err) != 0)
    return -1;
  return result_store_receive (assembly->store, assembly->folder_fd, folder, err);
}

static int
add_folder (struct assembly *assembly, const char *folder, struct error *err)
{
  if (assemble_receive (assembly, folder, err) != 0)
    return -1;
  auto_free char *attempt = xasprintf (RESULT_ATTEMPTS "/%s", folder);
  auto_lines struct lines lines = { 0 };
  if (lines_open (&lines, assembly->folder_fd, attempt, err) != 0)
    return -1;
  for (unsigned int count = 0;;)
    {
      int outcome = lines_next (&lines, err);
      if (outcome <= 0)
        return outcome;
      if (count++ % RENEW_FILES == 0 && heartbeat_renew (assembly->heartbeat, err) != 0)
        return -1;
      if (assemble_add_line (assembly, folder, &lines.line, err) != 0)
        return error_wrap (err, "%s", folder);
    }
}

int
assembly_add (struct assembly *assembly, const struct fold *fold, uint32_t index, struct error *err)
{
  /* With a reduce container the result's outputs are its own. */
  if (assembly->job->reduce_image != NULL)
    return 0;
  auto_free char *folder = fold_folder_name (fold, index);
  return folder == NULL ? 0 : add_folder (assembly, folder, err);
}

/* ---- before a reduce container reads them -------------------------------------------------- */

static int
check_attempt (struct assembly *assembly, const char *folder, struct error *err)
{
  auto_free char *attempt = xasprintf (RESULT_ATTEMPTS "/%s", folder);
  auto_lines struct lines lines = { 0 };
  if (lines_open (&lines, assembly->folder_fd, attempt, err) != 0)
    return -1;
  int unchanged =
      unchanged_attempt (assembly->folder_fd, attempt, &lines, assembly->heartbeat, err);
  if (unchanged == 0)
    assembly_add_damage (assembly, folder, &lines.line);
  return unchanged < 0 ? error_wrap (err, "%s", folder) : 0;
}

int
assembly_check (struct assembly *assembly, const struct fold *fold, struct error *err)
{
  if (assembly->store != NULL)
    return 0;
  for (uint32_t i = 0; i < fold_known (fold) && assembly->damage == NULL; i++)
    {
      auto_free char *folder = fold_folder_name (fold, i);
      if (fold_shard (fold, i)->state == SHARD_SUCCEEDED && folder != NULL
          && check_attempt (assembly, folder, err) != 0)
        return -1;
    }
  return 0;
}

/* ---- what goes in shard order ----------------------------------------------------------- */

static int
append_part (struct assembly *assembly, const char *folder, const char *name, int target,
             struct error *err)
{
  auto_free char *path = xasprintf (RESULT_ATTEMPTS "/%s/%s", folder, name);
  struct error problem = ERROR_INIT;
  auto_fd int source = fs_open_beneath (assembly->folder_fd, path, O_RDONLY, 0, &problem);
  if (source < 0 && problem.code == ENOENT)
    return 0;
  if (source < 0)
    return error_set (err, problem.class, "%s", problem.message);
  return fs_append (source, target, err) < 0 ? error_wrap (err, "%s", path) : 0;
}

/* Empties TEXT into TARGET when there is enough of it, or at the END. */
static int
flush_lines (struct buffer *text, int target, bool end, struct error *err)
{
  if (!end && text->size < LINES_CHUNK)
    return 0;
  int outcome = fs_write_all (target, text->data, text->size, LINES, err);
  buffer_clear (text);
  return outcome;
}

/* A shard's lines for the manifest, each with ",\n" behind it, but those of conflicts. */
static int
append_lines (struct assembly *assembly, const char *folder, struct error *err)
{
  auto_free char *attempt = xasprintf (RESULT_ATTEMPTS "/%s", folder);
  auto_lines struct lines lines = { 0 };
  auto_buffer struct buffer text = { 0 };
  bool any = conflicts_count (assembly->conflicts) > 0;
  int found = lines_open (&lines, assembly->folder_fd, attempt, err) == 0 ? 1 : -1;
  while (found == 1)
    {
      found = any ? lines_next (&lines, err) : lines_next_raw (&lines, err);
      if (found != 1 || (any && conflicts_has (assembly->conflicts, &lines.line)))
        continue;
      buffer_append (&text, lines.line.text, lines.line.text_size);
      buffer_puts (&text, ",\n");
      if (flush_lines (&text, assembly->lines_fd, false, err) != 0)
        return -1;
    }
  return found < 0 ? -1 : flush_lines (&text, assembly->lines_fd, true, err);
}

static int
append_shard (struct assembly *assembly, const char *folder, bool with_lines, struct error *err)
{
  if (heartbeat_renew (assembly->heartbeat, err) != 0
      || append_part (assembly, folder, "stdout", assembly->stdout_fd, err) != 0
      || append_part (assembly, folder, "stderr", assembly->stderr_fd, err) != 0)
    return -1;
  return with_lines ? append_lines (assembly, folder, err) : 0;
}

/* Whether the job says that some of its shards ran with the image ID. */
static bool
assemble_knows_image (const struct job *job, const char *id)
{
  return job->earlier_images.count > 0
         && (strlist_has (&job->earlier_images, id)
             || (job->image_id != NULL && strcmp (job->image_id, id) == 0));
}

/* One name may mean two images on two workers. What they made isn't one result. */
static void
assemble_check_image (struct assembly *assembly, const char *folder)
{
  json_t *record = attempt_record_read (assembly->folder_fd, folder);
  const char *id = json_string_value (json_object_get (record, "image_id"));
  bool known = id != NULL && assemble_knows_image (assembly->job, id);
  /* Of a job that names several, none is missing. */
  if (assembly->image_id == NULL && assembly->job->earlier_images.count > 0)
    assembly->image_id = xstrdup (assembly->job->earlier_images.items[0]);
  if (id != NULL && !known && assembly->image_id == NULL)
    assembly->image_id = xstrdup (id);
  else if (id != NULL && !known && strcmp (id, assembly->image_id) != 0 && assembly->damage == NULL)
    {
      auto_free char *name = text_shown (assembly->job->image);
      auto_free char *shown = text_shown (id);
      auto_free char *first = text_shown (assembly->image_id);
      assembly->damage = xasprintf (
          "the image \"%s\" isn't the same on all workers: attempt %s ran with the id %s, shards "
          "before it with %s; import one image everywhere, then `shoal retry --shard` with the "
          "shards of the other (manifest.json has the id of each)",
          name, folder, shown, first);
    }
  json_decref (record);
}

/* What failed is read in its own folder; only a job that isn't sharded has none. */
static int
append_settled (struct assembly *assembly, const struct shard_record *record, const char *folder,
                struct error *err)
{
  bool succeeded = record->state == SHARD_SUCCEEDED;
  if (assemble_receive (assembly, folder, err)
      != 0) /* a failed one's attempt.json is for the manifest */
    return -1;
  if (!succeeded && assembly->job->glob != NULL)
    return 0;
  if (succeeded)
    assemble_check_image (assembly, folder);
  return append_shard (assembly, folder, succeeded && assembly->job->reduce_image == NULL, err);
}

/* A number that changes when a shard's record gets another winner or none. */
static uint64_t
stamp (const struct shard_record *record, uint32_t index)
{
  uint64_t value = record->state == SHARD_SUCCEEDED
                       ? record->folder_key ^ (uint64_t) record->generation << 52
                       : 1;
  return value * (2 * (uint64_t) index + 1);
}

static bool
assemble_is_settled (const struct shard_record *record)
{
  return (record->state == SHARD_SUCCEEDED || record->state == SHARD_FAILED);
}

int
assembly_advance (struct assembly *assembly, const struct fold *fold, struct error *err)
{
  for (const struct shard_record *record = fold_shard (fold, assembly->next);
       assemble_is_settled (record); record = fold_shard (fold, ++assembly->next))
    {
      auto_free char *folder = fold_folder_name (fold, assembly->next);
      if (folder != NULL && append_settled (assembly, record, folder, err) != 0)
        return -1;
      assembly->appended += stamp (record, assembly->next);
    }
  return 0;
}

bool
assembly_is_stale (const struct assembly *assembly, const struct fold *fold)
{
  uint64_t sum = 0;
  for (uint32_t i = 0; i < assembly->next; i++)
    {
      const struct shard_record *record = fold_shard (fold, i);
      if (!assemble_is_settled (record))
        return true;
      sum += stamp (record, i);
    }
  return sum != assembly->appended;
}

/* ---- the end ---------------------------------------------------------------------------- */

/* The succeeded shards behind the first gap, when a job ends with shards that never ran. */
static int
append_rest (struct assembly *assembly, const struct fold *fold, struct error *err)
{
  for (uint32_t i = assembly->next; i < fold_known (fold); i++)
    {
      const struct shard_record *record = fold_shard (fold, i);
      auto_free char *folder = fold_folder_name (fold, i);
      if (folder != NULL && append_settled (assembly, record, folder, err) != 0)
        return -1;
    }
  return 0;
}

static int
link_reduce (const struct fold *fold, int shards_fd, struct error *err)
{
  auto_free char *folder = fold_reduce_folder_name (fold);
  auto_free char *target = xasprintf ("../" RESULT_ATTEMPTS "/%s", folder);
  if (folder != NULL && symlinkat (target, shards_fd, "reduce") != 0)
    return error_errno (err, errno, "shards/reduce");
  return 0;
}

static int
link_shards (struct assembly *assembly, const struct fold *fold, struct error *err)
{
  if (assembly->job->glob == NULL)
    return 0;
  if (fs_make_folders (assembly->build_fd, "shards", 0755, err) != 0)
    return -1;
  auto_fd int shards =
      fs_open_beneath (assembly->build_fd, "shards", O_RDONLY | O_DIRECTORY, 0, err);
  if (shards < 0)
    return -1;
  for (uint32_t i = 0; i < fold_known (fold); i++)
    {
      auto_free char *folder = fold_folder_name (fold, i);
      auto_free char *target = xasprintf ("../" RESULT_ATTEMPTS "/%s", folder);
      char name[16];
      (void) snprintf (name, sizeof name, "%05u", i);
      if (folder != NULL && symlinkat (target, shards, name) != 0)
        return error_errno (err, errno, "shards/%s", name);
    }
  return link_reduce (fold, shards, err);
}

static int
add_reduce (struct assembly *assembly, const struct fold *fold, struct error *err)
{
  const struct shard_record *reduce = fold_reduce (fold);
  auto_free char *folder = fold_reduce_folder_name (fold);
  if (reduce == NULL || reduce->state != SHARD_SUCCEEDED || folder == NULL)
    return 0;
  if (add_folder (assembly, folder, err) != 0)
    return -1;
  return append_shard (assembly, folder, true, err);
}

int
assembly_finish (struct assembly *assembly, const struct fold *fold, enum on_conflict policy,
                 char **reason, struct error *err)
{
  *reason = NULL;
  linker_release (&assembly->linker);
  if (assembly_advance (assembly, fold, err) != 0 || append_rest (assembly, fold, err) != 0
      || link_shards (assembly, fold, err) != 0 || add_reduce (assembly, fold, err) != 0)
    return -1;
  linker_release (&assembly->linker);
  if (assembly->damage != NULL)
    {
      *reason = xstrdup (assembly->damage);
      return fs_remove_tree (assembly->build_fd, "outputs", err);
    }
  if (conflicts_find_owners (assembly->conflicts, assembly->folder_fd, fold, err) != 0)
    return -1;
  const struct resolution resolution = { .folder_fd = assembly->folder_fd,
                                         .build_fd = assembly->build_fd,
                                         .fold = fold,
                                         .policy = policy,
                                         .store = assembly->store,
                                         .heartbeat = assembly->heartbeat,
                                         .lines = &assembly->settled };
  int settled = settle (&resolution, assembly->conflicts, reason, err);
  if (settled == 0 && fs_remove_tree (assembly->build_fd, "outputs", err) != 0)
    return -1;
  return settled;
}

/* Copies the lines' file without its last comma. */
static int
write_part (struct assembly *assembly, int fd, struct error *err)
{
  off_t end = lseek (assembly->lines_fd, 0, SEEK_END);
  if (end < 0 || lseek (assembly->lines_fd, 0, SEEK_SET) != 0)
    return error_errno (err, errno, LINES);
  if (end == 0)
    return 0;
  if (ftruncate (assembly->lines_fd, end - 2) != 0)
    return error_errno (err, errno, LINES);
  return fs_append (assembly->lines_fd, fd, err) < 0 ? -1 : 0;
}

int
assembly_write_lines (struct assembly *assembly, const struct fold *fold, int fd, struct error *err)
{
  if (conflicts_count (assembly->conflicts) > 0)
    {
      /* Written again, without the paths that were settled otherwise, and those behind. */
      if (ftruncate (assembly->lines_fd, 0) != 0 || lseek (assembly->lines_fd, 0, SEEK_SET) != 0)
        return error_errno (err, errno, LINES);
      for (uint32_t i = 0; i < fold_known (fold); i++)
        {
          auto_free char *folder = fold_folder_name (fold, i);
          if (fold_shard (fold, i)->state == SHARD_SUCCEEDED && folder != NULL
              && append_lines (assembly, folder, err) != 0)
            return -1;
        }
      if (fs_write_all (assembly->lines_fd, assembly->settled.data, assembly->settled.size, LINES,
                        err)
          != 0)
        return -1;
    }
  return write_part (assembly, fd, err);
}

int
assembly_clean (struct assembly *assembly, struct error *err)
{
  if (unlinkat (assembly->build_fd, LINES, 0) != 0 && errno != ENOENT)
    return error_errno (err, errno, LINES);
  return 0;
}

#include "tests/lib/merge_scene.h"

#include "common/clock.h"
#include "common/digest.h"
#include "common/fs.h"
#include "common/memory.h"
#include "result/result.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* ---- the scene -------------------------------------------------------------------------- */

void
merge_scene_set_up (struct merge_scene *scene)
{
  *scene = (struct merge_scene){ .tree = file_tree_new () };
  scene->place = file_tree_path (scene->tree, "out");
  assert_int_equal (result_create (scene->place, NULL, NULL), 0);
  /* Beside the result, so that its file doesn't move. */
  auto_free char *database = file_tree_path (scene->tree, "bus.db");
  scene->url = xasprintf ("sqlite:%s", database);
  struct job *job = &scene->job;
  job_init (job);
  job->id = xstrdup ("job-1");
  job->submitted = 1000;
  job->results = xstrdup (scene->place);
  job->image = xstrdup ("image");
  job->glob = xstrdup ("*");
  job->base_path = xstrdup ("/in");
  job->volumes = xcalloc (1, sizeof *job->volumes);
  job->volumes[job->volume_count++] =
      (struct volume){ .source = xstrdup ("/photos"), .path = xstrdup ("/in") };
  strlist_add (&job->env, "TOKEN=secret");
  job->outputs = xcalloc (1, sizeof *job->outputs);
  job->outputs[job->output_count++] =
      (struct output){ .name = xstrdup ("o"), .path = xstrdup ("/o") };
}

void
merge_scene_tear_down (struct merge_scene *scene)
{
  job_release (&scene->job);
  file_tree_free (scene->tree);
  free (scene->place);
  free (scene->url);
}

struct bus *
merge_scene_bus (const struct merge_scene *scene)
{
  struct error err = ERROR_INIT;
  const struct bus_options options = { .client = "test" };
  struct bus *bus = bus_open (scene->url, &options, &err);
  if (bus == NULL)
    fail_msg ("%s", err.message);
  return bus;
}

void
merge_scene_submit (const struct merge_scene *scene)
{
  auto_bus struct bus *bus = merge_scene_bus (scene);
  assert_int_equal (bus_submit (bus, &scene->job, NULL), 1);
}

/* ---- attempts --------------------------------------------------------------------------- */

static void
write_text (int dirfd, const char *path, const char *text)
{
  auto_fd int fd = openat (dirfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  assert_true (fd >= 0);
  assert_int_equal (fs_write_all (fd, text, strlen (text), path, NULL), 0);
}

/* PATH, or where it isn't UTF-8 its percent-encoding. */
static void
set_path (json_t *object, const char *path)
{
  json_t *string = json_string (path);
  if (string != NULL)
    {
      (void) json_object_set_new (object, "path", string);
      return;
    }
  auto_buffer struct buffer text = { 0 };
  for (const unsigned char *at = (const unsigned char *) path; *at != '\0'; at++)
    buffer_printf (&text, "%%%02X", *at);
  (void) json_object_set_new (object, "path_percent", json_string (text.data));
}

static void
set_sum (json_t *object, const char *content)
{
  auto_digest struct digest *digest = digest_new ();
  uint8_t sum[DIGEST_SIZE];
  char text[DIGEST_TEXT_SIZE];
  digest_add (digest, content, strlen (content));
  digest_finish (digest, sum);
  (void) json_object_set_new (object, "size", json_integer ((json_int_t) strlen (content)));
  (void) json_object_set_new (object, "sha256", json_string (digest_format (sum, text)));
}

static void
make_file (int outputs_fd, const struct made_file *file, int64_t shard, struct buffer *list)
{
  const char *slash = strrchr (file->path, '/');
  auto_free char *above = xstrndup (file->path, slash == NULL ? 0 : (size_t) (slash - file->path));
  assert_int_equal (fs_make_folders (outputs_fd, above, 0755, NULL), 0);
  json_t *object = json_object ();
  struct stat status = { 0 };
  (void) json_object_set_new (object, "output", json_string ("o"));
  set_path (object, file->path);
  if (file->content == NULL)
    {
      assert_int_equal (fs_make_folders (outputs_fd, file->path, 0755, NULL), 0);
      (void) json_object_set_new (object, "folder", json_true ());
    }
  else if (strncmp (file->content, "->", 2) == 0)
    {
      assert_int_equal (symlinkat (file->content + 2, outputs_fd, file->path), 0);
      (void) json_object_set_new (object, "link", json_string (file->content + 2));
    }
  else
    {
      auto_fd int fd =
          fs_open_beneath (outputs_fd, file->path, O_WRONLY | O_CREAT | O_EXCL, 0644, NULL);
      assert_true (fd >= 0);
      assert_int_equal (fs_write_all (fd, file->content, strlen (file->content), file->path, NULL),
                        0);
      set_sum (object, file->content);
      assert_int_equal (fstat (fd, &status), 0);
    }
  if (shard >= 0)
    (void) json_object_set_new (object, "shard", json_integer (shard));
  if (S_ISREG (status.st_mode))
    (void) json_object_set_new (object, "mtime_ns", json_integer (fs_mtime_ns (&status)));
  auto_free char *line = json_dumps (object, JSON_COMPACT);
  json_decref (object);
  buffer_puts (list, line);
  buffer_putc (list, '\n');
}

static void
write_record (int fd, uint32_t index, enum outcome outcome)
{
  auto_free char *text =
      xasprintf ("{\"outcome\":\"%s\",\"exit_code\":%d,\"started\":%u,\"ended\":%u,"
                 "\"cpu_us\":5,\"peak_memory\":4096,\"bytes_in\":1,\"bytes_out\":2,"
                 "\"files_out\":1,\"atoms\":3,\"writer\":\"worker-x\"%s}\n",
                 outcome_name (outcome), outcome == OUTCOME_SUCCEEDED ? 0 : 3, 2000 + index * 10,
                 2500 + index * 10, outcome == OUTCOME_SUCCEEDED ? "" : ",\"reason\":\"<b>&\"");
  write_text (fd, "attempt.json", text);
  write_text (fd, "exit_code", outcome == OUTCOME_SUCCEEDED ? "0\n" : "3\n");
}

void
merge_scene_attempt (const struct merge_scene *scene, uint32_t index, uint32_t generation,
                     uint32_t attempt, enum outcome outcome, const struct made_file *files)
{
  auto_fd int folder = result_open (scene->place, NULL);
  assert_true (folder >= 0);
  auto_free char *name = result_attempt_name (index, generation, attempt, 1);
  auto_free char *path = xasprintf (RESULT_ATTEMPTS "/%s/outputs/o", name);
  assert_int_equal (fs_make_folders (folder, path, 0755, NULL), 0);
  auto_fd int outputs = fs_open_beneath (folder, path, O_RDONLY | O_DIRECTORY, 0, NULL);
  path[strlen (path) - strlen ("/outputs/o")] = '\0';
  auto_fd int fd = fs_open_beneath (folder, path, O_RDONLY | O_DIRECTORY, 0, NULL);
  auto_free char *out = xasprintf ("out %u\n", index);
  auto_free char *errors = xasprintf ("err %u\n", index);
  write_text (fd, "stdout", out);
  write_text (fd, "stderr", errors);
  write_record (fd, index, outcome);
  auto_buffer struct buffer list = { 0 };
  buffer_puts (&list, "");
  for (; files != NULL && files->path != NULL; files++)
    make_file (outputs, files, scene->job.glob == NULL ? -1 : (int64_t) index, &list);
  write_text (fd, "outputs.jsonl", list.data);
}

void
merge_scene_finished (struct bus *bus, const struct merge_scene *scene, enum shard_kind kind,
                      uint32_t index, uint32_t generation, uint32_t attempt, enum outcome outcome)
{
  auto_free char *name = result_attempt_name (index, generation, attempt, 1);
  const struct event event = { .kind = EVENT_FINISHED,
                               .job_id = scene->job.id,
                               .time = 2500 + index * 10,
                               .generation = generation,
                               .index = index,
                               .shard_kind = kind,
                               .attempt = attempt,
                               .starts = 1,
                               .digest = { (uint8_t) (index + 1), 1 },
                               .shards = -1,
                               .atoms = 3,
                               .bytes = -1,
                               .report = { .outcome = outcome,
                                           .final = true,
                                           .exit_code = outcome == OUTCOME_SUCCEEDED ? 0 : 3,
                                           .cpu_us = -1,
                                           .peak_memory = -1,
                                           .folder = name } };
  struct error err = ERROR_INIT;
  if (bus_publish_event (bus, &event, &err) != 0 || bus_flush (bus, &err) != 0)
    fail_msg ("%s", err.message);
}

void
merge_scene_planned (struct bus *bus, const struct merge_scene *scene, int64_t shards)
{
  const struct event event = { .kind = EVENT_PLANNED,
                               .job_id = scene->job.id,
                               .time = 1500,
                               .generation = 1,
                               .shards = shards,
                               .atoms = 3 * shards,
                               .bytes = -1,
                               .digest = { 7 } };
  struct error err = ERROR_INIT;
  if (bus_publish_event (bus, &event, &err) != 0 || bus_flush (bus, &err) != 0)
    fail_msg ("%s", err.message);
}

void
merge_scene_ended (struct bus *bus, const struct merge_scene *scene, uint32_t index,
                   uint32_t generation, enum outcome outcome, const struct made_file *files)
{
  merge_scene_attempt (scene, index, generation, 1, outcome, files);
  merge_scene_finished (bus, scene, SHARD_MAP, index, generation, 1, outcome);
}

void
merge_scene_succeed (struct bus *bus, const struct merge_scene *scene, uint32_t index,
                     const struct made_file *files)
{
  merge_scene_ended (bus, scene, index, 1, OUTCOME_SUCCEEDED, files);
}

enum job_state
merge_scene_state (const struct merge_scene *scene, char **reason)
{
  auto_bus struct bus *bus = merge_scene_bus (scene);
  auto_job_status struct job_status status = { 0 };
  assert_int_equal (bus_get_status (bus, scene->job.id, &status, NULL), 1);
  if (reason != NULL)
    *reason = xstrdup (status.reason);
  return status.state;
}

/* ---- pictures --------------------------------------------------------------------------- */

static void
draw_file (int dirfd, const char *name, struct buffer *text)
{
  char target[4096] = "";
  if (readlinkat (dirfd, name, target, sizeof target - 1) >= 0)
    buffer_printf (text, " -> %s\n", target);
  else
    {
      buffer_puts (text, ": ");
      assert_int_equal (fs_read_file (dirfd, name, 1 << 26, text, NULL), 0);
      buffer_putc (text, '\n');
    }
}

static void
draw (int dirfd, const char *prefix, struct buffer *text)
{
  int copy = openat (dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  assert_true (copy >= 0);
  (void) close (copy);
  struct dirent **names = NULL;
  int count = scandirat (dirfd, ".", &names, NULL, alphasort);
  assert_true (count >= 0);
  for (int i = 0; i < count; i++)
    {
      const char *name = names[i]->d_name;
      bool skipped =
          strcmp (name, ".") == 0 || strcmp (name, "..") == 0
          || (prefix[0] == '\0'
              && (strcmp (name, RESULT_STATE) == 0 || strcmp (name, "report.html") == 0));
      if (!skipped)
        {
          auto_fd int below = openat (dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
          buffer_printf (text, "%s%s", prefix, name);
          if (below < 0)
            draw_file (dirfd, name, text);
          else
            {
              auto_free char *deeper = xasprintf ("%s%s/", prefix, name);
              buffer_puts (text, "/\n");
              draw (below, deeper, text);
            }
        }
      free (names[i]);
    }
  free (names);
}

void
merge_scene_picture (const struct merge_scene *scene, struct buffer *text)
{
  auto_fd int folder = result_open (scene->place, NULL);
  assert_true (folder >= 0);
  buffer_clear (text);
  buffer_printf (text, "%s\n",
                 result_state (scene->place) == RESULT_COMPLETE ? "complete" : "partial");
  draw (folder, "", text);
}

struct bus *
merge_scene_webhook (struct merge_scene *scene, const char *url, int64_t ago_ms)
{
  scene->job.webhook = xstrdup (url);
  merge_scene_submit (scene);
  struct bus *bus = merge_scene_bus (scene);
  const struct job_status ended = { .job_id = scene->job.id,
                                    .state = JOB_SUCCEEDED,
                                    .updated = clock_wall_ms () - ago_ms,
                                    .shards = 1,
                                    .succeeded = 1,
                                    .generation = 1,
                                    .webhook = (char *) "pending" };
  assert_int_equal (bus_put_status (bus, &ended, NULL), 0);
  return bus;
}

char *
merge_scene_webhook_said (const struct merge_scene *scene, struct bus *bus)
{
  auto_job_status struct job_status status = { 0 };
  assert_int_equal (bus_get_status (bus, scene->job.id, &status, NULL), 1);
  return take (&status.webhook);
}

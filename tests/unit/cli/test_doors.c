/* Every door asks the same of a job. Random jobs from a grammar, most with a member or two that are
 * wrong, are brought to the command line, to HTTP, to the bus as Avro, and to a result's folder:
 * what one refuses all refuse, for the same member and the same reason. SHOAL_SEED repeats a
 * run. */
#include "cli/job_api.h"
#include "cli/job_options.h"
#include "cli/session.h"
#include "common/fs.h"
#include "common/memory.h"
#include "producer/admit.h"
#include "result/result.h"
#include "schemas/codec.h"
#include "schemas/job_bounds.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum
{
  ROUNDS = 3000,
  FOLDER_EVERY = 20, /* a bus in a file costs a hundred times as much as the other doors */
};

struct scene
{
  char root[64]; /* holds in/, in2/ */
  uint64_t state;
  int folders;
};

/* What a door said. */
struct verdict
{
  bool taken;
  char *field; /* of Job.avsc */
  char *reason;
};

static void
verdict_release (struct verdict *verdict)
{
  free (verdict->field);
  free (verdict->reason);
}
#define auto_verdict AUTO (verdict_release)

static struct verdict
verdict_of (int result, const char *field, const struct error *err)
{
  return (struct verdict){ .taken = result == 0,
                           .field = result == 0 ? NULL : xstrdup (field == NULL ? "?" : field),
                           .reason = result == 0 ? NULL : xstrdup (err->message) };
}

/* ---- the grammar ------------------------------------------------------------------------ */

static uint64_t
below (struct scene *scene, uint64_t bound)
{
  return random_next (&scene->state) % bound;
}

#define PICK(scene, ...)                                                                           \
  pick (scene, (const char *const[]){ __VA_ARGS__ },                                               \
        sizeof ((const char *const[]){ __VA_ARGS__ }) / sizeof (char *))

static const char *
pick (struct scene *scene, const char *const *items, size_t count)
{
  return items[below (scene, count)];
}

static void
set (char **slot, const char *text)
{
  free (*slot);
  *slot = xstrdup (text);
}

static void
add_volume (struct job *job, char *source, const char *path, bool shared)
{
  job->volumes = xrealloc (job->volumes, job->volume_count + 1, sizeof *job->volumes);
  job->volumes[job->volume_count++] =
      (struct volume){ .source = source, .path = xstrdup (path), .shared = shared };
}

static void
add_output (struct job *job, const char *name, const char *path)
{
  job->outputs = xrealloc (job->outputs, job->output_count + 1, sizeof *job->outputs);
  job->outputs[job->output_count++] =
      (struct output){ .name = xstrdup (name), .path = xstrdup (path) };
}

static int64_t
number (struct scene *scene, int64_t most)
{
  return 1 + (int64_t) below (scene, (uint64_t) most);
}

static void
make_good_limits (struct scene *scene, struct job *job)
{
  if (below (scene, 3) == 0)
    job->memory = JOB_MEMORY_MIN + number (scene, JOB_BYTES_MAX - JOB_MEMORY_MIN);
  if (below (scene, 3) == 0)
    job->cpus = (int32_t) number (scene, JOB_CPUS_MAX);
  if (below (scene, 3) == 0)
    job->pids = number (scene, JOB_PIDS_MAX);
  if (below (scene, 3) == 0)
    job->timeout_ms = number (scene, JOB_DURATION_MAX_MS);
  if (below (scene, 3) == 0)
    job->job_timeout_ms = number (scene, JOB_DURATION_MAX_MS);
  if (below (scene, 3) == 0)
    job->retries = (int32_t) below (scene, JOB_RETRIES_MAX + 1);
  if (below (scene, 3) == 0)
    job->max_failures = (int64_t) below (scene, 5);
}

static void
make_good (struct scene *scene, struct job *job)
{
  job_init (job);
  job->id = xasprintf ("j%u", (unsigned int) below (scene, 1000));
  job->submitted = 1;
  job->results = xasprintf ("%s/r%u", scene->root, (unsigned int) below (scene, 1000));
  job->image = xstrdup (PICK (scene, "busybox", "host:5000/a/b:tag", "a@sha256:00"));
  for (uint64_t i = below (scene, 4); i > 0; i--)
    strlist_add (&job->command, PICK (scene, "sh", "-c", "a b", "\x1b[31m", "é", "", "../x"));
  add_volume (job, xasprintf ("%s/in", scene->root), PICK (scene, "/in", "/in/./deep//", "/x"),
              below (scene, 4) == 0);
  if (below (scene, 2) == 0)
    add_volume (job, xasprintf ("%s/in2", scene->root), "/in2", below (scene, 2) == 0);
  if (below (scene, 2) == 0 && !job->volumes[0].shared)
    {
      job->glob = xstrdup (PICK (scene, "*", "**/*.jpg", "{a,b}"));
      job->batch_size = number (scene, JOB_COUNT_MAX);
      if (below (scene, 3) == 0)
        strlist_add (&job->exclude, "*.tmp");
    }
  for (uint64_t i = below (scene, 3); i > 0; i--)
    add_output (job, i == 1 ? "out" : "é", i == 1 ? "/out" : "/o/p/");
  if (below (scene, 2) == 0)
    strlist_add (&job->env, PICK (scene, "A=b", "_x.y-z=", "A==\n\x1b"));
  if (below (scene, 3) == 0)
    strlist_add (&job->tmpfs, PICK (scene, "/tmp", "/run:size=64m,mode=755,exec,ro"));
  if (below (scene, 3) == 0)
    job->workdir = xstrdup (PICK (scene, "/", "/a/./b", "/out"));
  if (below (scene, 3) == 0)
    job->user = xstrdup (PICK (scene, "1000", "1000:1000", "www-data", ":5", "0"));
  if (below (scene, 3) == 0)
    set (&job->queue, "gpu");
  make_good_limits (scene, job);
}

/* One member is made wrong. */
static void
spoil_text (struct scene *scene, struct job *job)
{
  switch (below (scene, 9))
    {
    case 0:
      set (&job->id, PICK (scene, "", "..", "a/b", "a b", ".a", "-a", "\x1b[31m", "é"));
      break;
    case 1:
      set (&job->image, PICK (scene, "a b", "a\nb",
                              "\u202e"
                              "gpj",
                              "a\x1b]0;x\a", "a\\b"));
      break;
    case 2:
      set (&job->runtime, PICK (scene, "docker", "", "OCI", "oci\n"));
      break;
    case 3:
      free (job->workdir);
      job->workdir = xstrdup (PICK (scene, "tmp", "/a/../b", "/..", "/a\nb",
                                    "/a\xc2\x9b"
                                    "b",
                                    ""));
      break;
    case 4:
      free (job->user);
      job->user = xstrdup (PICK (scene, "a:b:c", "4294967295", "99999999999", "a b", "a/b", "\n"));
      break;
    case 5:
      set (&job->queue, PICK (scene, "GPU", "", "a/b", "a\nb", "a.b"));
      break;
    case 6:
      free (job->webhook);
      job->webhook = xstrdup (PICK (scene, "ftp://h/", "http://", "http://u:p@h/", "http://h/ x",
                                    "http://h/\x1b", "x"));
      break;
    case 7:
      {
        free (job->results);
        job->results = xasprintf ("%s/%s", scene->root,
                                  PICK (scene, "r\x1b[31m", "r\nlevel=error", "in/r", "r\u2066x"));
        break;
      }
    case 8:
      free (job->image_id);
      job->image_id = xstrdup (PICK (scene, "", "latest", "sha256:00", "sha256:\x1b"));
      break;
    default:
      free (job->reduce_image);
      job->reduce_image = xstrdup (PICK (scene, "", "a b", "a\x1b"));
      break;
    }
}

static void
spoil_list (struct scene *scene, struct job *job)
{
  switch (below (scene, 8))
    {
    case 0:
      strlist_add (&job->env, PICK (scene, "=x", "A B=x", "é=x", "\n=x", "A\x1b=x"));
      break;
    case 7:
      strlist_add (&job->devices, PICK (scene, "gpu", "v/c=", "/dev", "/dev/../etc/x", "/dev/x:/x",
                                        "/dev/x:m", "v/c=n\n", "/dev/\x1b"));
      break;
    case 1:
      strlist_add (&job->tmpfs,
                   PICK (scene, "tmp", "/", "/t:size=0", "/t:suid", "/t:dev", "/t:size",
                         "/t:mode=4755", "/proc/x", "/a/../b", "/t:a=b", "/t:uid=-1"));
      break;
    case 2:
      add_output (job, PICK (scene, "..", ".", "a/b", "", "out\n"), "/zz");
      break;
    case 3:
      add_output (job, "more",
                  PICK (scene, "/", "/in/x", "/in", "/x", "/sys/x", "/a/../b", "/out/x"));
      break;
    case 4:
      add_volume (job, xasprintf ("%s/in", scene->root),
                  PICK (scene, "/in2", "/..", "/proc", "/proc/self", "/a/../b", "/a\n"), true);
      break;
    case 5:
      add_volume (job, xstrdup (PICK (scene, "/no/such/folder", "gopher://h/", "http://h/\n")),
                  "/more", true);
      break;
    default:
      for (int i = 0; i <= JOB_ENV_MAX; i++)
        strlist_addf (&job->env, "A%d=", i);
      break;
    }
}

static void
spoil_number (struct scene *scene, struct job *job)
{
  switch (below (scene, 9))
    {
    case 0:
      job->memory = JOB_BYTES_MAX + number (scene, 1000);
      break;
    case 1:
      job->cpus = INT32_MAX;
      break;
    case 2:
      job->pids = JOB_PIDS_MAX + number (scene, INT64_MAX - JOB_PIDS_MAX);
      break;
    case 3:
      job->timeout_ms = JOB_DURATION_MAX_MS + number (scene, 1000000000000000);
      break;
    case 4:
      job->job_timeout_ms = JOB_DURATION_MAX_MS + 1;
      break;
    case 5:
      job->retries = JOB_RETRIES_MAX + 1;
      break;
    case 6:
      job->max_failures = INT64_MAX;
      break;
    case 7:
      job->log_limit = JOB_BYTES_MAX + 1;
      break;
    default:
      job->batch_size = below (scene, 2) == 0 ? INT64_MAX : 0;
      break;
    }
}

static void
spoil_slicing (struct scene *scene, struct job *job)
{
  switch (below (scene, 6))
    {
    case 0:
      set (&job->glob, PICK (scene, "[", "{a", "a\\"));
      break;
    case 1:
      strlist_add (&job->exclude, PICK (scene, "[", "*"));
      break;
    case 2:
      set (&job->base_path, PICK (scene, "/elsewhere", "rel", "/..", "/"));
      break;
    case 3:
      job->shards = below (scene, 2) == 0 ? 0 : INT64_MAX;
      break;
    case 4:
      job->shards = 2;
      break;
    default:
      strlist_add (&job->reduce_command, "true");
      break;
    }
}

static void
spoil (struct scene *scene, struct job *job)
{
  static void (*const spoilers[]) (struct scene * scene,
                                   struct job * job) = { spoil_text, spoil_list, spoil_number,
                                                         spoil_slicing };
  spoilers[below (scene, sizeof spoilers / sizeof spoilers[0])](scene, job);
}

/* ---- a job as options: --NAME=VALUE, which HTTP has as members -------------------------- */

static void
say (struct strlist *options, const char *name, const char *text)
{
  strlist_add (options, name);
  strlist_add (options, text);
}

static void
say_number (struct strlist *options, const char *name, int64_t value, const char *unit)
{
  strlist_add (options, name);
  strlist_addf (options, "%lld%s", (long long) value, unit);
}

static void
say_numbers (struct strlist *options, const struct job *job)
{
  struct job usual;
  job_init (&usual);
  if (job->batch_size != usual.batch_size)
    say_number (options, "batch-size", job->batch_size, "");
  if (job->shards != -1)
    say_number (options, "shards", job->shards, "");
  if (job->memory != -1)
    say_number (options, "memory", job->memory, "");
  if (job->cpus != -1)
    {
      strlist_add (options, "cpus");
      strlist_addf (options, "%d.%03d", job->cpus / 1000, job->cpus % 1000);
    }
  if (job->pids != -1)
    say_number (options, "pids-limit", job->pids, "");
  if (job->timeout_ms != -1)
    say_number (options, "timeout", job->timeout_ms, "ms");
  if (job->job_timeout_ms != -1)
    say_number (options, "job-timeout", job->job_timeout_ms, "ms");
  if (job->log_limit != usual.log_limit)
    say_number (options, "log-limit", job->log_limit, "");
  if (job->retries != usual.retries)
    say_number (options, "retries", job->retries, "");
  if (job->max_failures != -1)
    say_number (options, "max-failures", job->max_failures, "");
  job_release (&usual);
}

static void
say_lists (struct strlist *options, const struct job *job)
{
  const struct
  {
    const char *name;
    const struct strlist *items;
  } lists[] = { { "env", &job->env },
                { "tmpfs", &job->tmpfs },
                { "device", &job->devices },
                { "exclude", &job->exclude },
                { "reduce-command", &job->reduce_command } };
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
    for (size_t j = 0; j < lists[i].items->count; j++)
      say (options, lists[i].name, lists[i].items->items[j]);
  for (size_t i = 0; i < job->volume_count; i++)
    {
      const struct volume *volume = &job->volumes[i];
      strlist_add (options, volume->shared ? "volume-shared" : "volume");
      strlist_addf (options, "%s:%s", volume->source, volume->path);
    }
  for (size_t i = 0; i < job->output_count; i++)
    {
      strlist_add (options, "output");
      strlist_addf (options, "%s:%s", job->outputs[i].name, job->outputs[i].path);
    }
}

static void
say_job (struct strlist *options, const struct job *job)
{
  const char *const texts[][2] = {
    { "id", job->id },
    { "results", job->results },
    { "runtime", job->runtime },
    { "workdir", job->workdir },
    { "user", job->user },
    { "queue", job->queue },
    { "webhook", job->webhook },
    { "glob", job->glob },
    { "base-path", job->base_path },
    { "reduce", job->reduce_image },
    { "image-id", job->image_id },
  };
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    if (texts[i][1] != NULL)
      say (options, texts[i][0], texts[i][1]);
  say_numbers (options, job);
  say_lists (options, job);
}

/* ---- the doors -------------------------------------------------------------------------- */

/* The member of Job.avsc that the option NAME fills in. */
static char *
member_of (const char *name)
{
  static const char *const others[][2] = {
    { "device", "devices" },     { "output", "outputs" },
    { "pids-limit", "pids" },    { "reduce", "reduce_image" },
    { "volume", "volumes" },     { "volume-shared", "volumes" },
    { "timeout", "timeout_ms" }, { "job-timeout", "job_timeout_ms" },
  };
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
    if (strcmp (others[i][0], name) == 0)
      return xstrdup (others[i][1]);
  char *member = xstrdup (name);
  for (char *at = member; *at != '\0'; at++)
    if (*at == '-')
      *at = '_';
  return member;
}

static struct verdict
by_command_line (const struct job *job)
{
  auto_strlist struct strlist options = { 0 };
  auto_strlist struct strlist words = { 0 };
  auto_job_args struct job_args args;
  struct error err = ERROR_INIT;
  job_args_init (&args);
  say_job (&options, job);
  strlist_add (&words, "submit");
  for (size_t i = 0; i < options.count; i += 2)
    strlist_addf (&words, "--%s=%s", options.items[i], options.items[i + 1]);
  strlist_add (&words, job->image);
  strlist_add (&words, "--");
  strlist_extend (&words, &job->command);
  char **argv = (char **) (uintptr_t) strlist_argv (&words);
  const struct option_set sets[] = { { job_options, &args } };
  int first = options_parse (sets, 1, (int) words.count, argv, &err);
  if (first < 0)
    fail_msg ("the command line doesn't take it for an option: %s", err.message);
  int result = job_args_operands (&args, (int) words.count - first, argv + first, "submit", &err);
  if (result == 0)
    result = job_args_finish (&args, &err);
  auto_free char *member = args.wrong == NULL ? NULL : member_of (args.wrong);
  struct verdict verdict = verdict_of (result, member, &err);
  if (result != 0)
    {
      char *cut = strstr (verdict.reason, ": ");
      assert_non_null (cut);
      memmove (verdict.reason, cut + 2, strlen (cut + 2) + 1);
    }
  return verdict;
}

static json_t *
job_as_json (const struct job *job)
{
  auto_strlist struct strlist options = { 0 };
  json_t *object = json_object ();
  json_t *command = json_array ();
  say_job (&options, job);
  (void) json_object_set_new (object, "image", json_string (job->image));
  for (size_t i = 0; i < job->command.count; i++)
    (void) json_array_append_new (command, json_string (job->command.items[i]));
  (void) json_object_set_new (object, "command", command);
  for (size_t i = 0; i < options.count; i += 2)
    {
      const char *name = options.items[i];
      bool list = strcmp (name, "volume") == 0 || strcmp (name, "volume-shared") == 0
                  || strcmp (name, "output") == 0 || strcmp (name, "env") == 0
                  || strcmp (name, "tmpfs") == 0 || strcmp (name, "device") == 0
                  || strcmp (name, "exclude") == 0;
      json_t *text = json_string (options.items[i + 1]);
      assert_non_null (text);
      if (list && json_object_get (object, name) == NULL)
        (void) json_object_set_new (object, name, json_array ());
      if (list)
        (void) json_array_append_new (json_object_get (object, name), text);
      else
        (void) json_object_set_new (object, name, text);
    }
  return object;
}

static struct verdict
by_http (const struct scene *scene, const struct job *job)
{
  json_t *object = job_as_json (job);
  auto_free char *text = json_dumps (object, 0);
  json_decref (object);
  auto_job_args struct job_args args;
  auto_free char *field = NULL;
  struct error err = ERROR_INIT;
  job_args_init (&args);
  int result = job_api_read_job ((struct bytes){ text, strlen (text) }, NULL, scene->root, NULL,
                                 &args, &field, &err);
  auto_free char *member = field == NULL ? NULL : member_of (field);
  return verdict_of (result, member, &err);
}

/* As another program writes it, read by a producer. */
static struct verdict
by_avro (const struct job *job)
{
  auto_buffer struct buffer message = { 0 };
  auto_job struct job back = { 0 };
  struct error err = ERROR_INIT;
  const char *field = NULL;
  if (codec_encode_job (job, &message, &err) != 0
      || codec_decode_job (buffer_bytes (&message), &back, &err) != 0)
    fail_msg ("%s", err.message);
  int result = admit_job (NULL, &back, &field, &err);
  return verdict_of (result, field, &err);
}

/* In a result's folder that resume, retry or merge is asked to work on. What isn't the folder's
 * fault is left to the producer that it starts. */
static struct verdict
by_folder (struct scene *scene, const struct job *job)
{
  struct error err = ERROR_INIT;
  const char *field = NULL;
  auto_free char *wanted = xasprintf ("%s/f%d", scene->root, scene->folders++);
  auto_free char *place = result_location (wanted, &err);
  assert_int_equal (result_create (place, NULL, &err), 0);
  auto_free char *folder = result_folder (place, &err);
  auto_free char *url = xasprintf ("sqlite:%s/" RESULT_BUS, folder);
  const struct bus_options options = { .client = "test" };
  struct bus *bus = bus_open (url, &options, &err);
  if (bus == NULL || bus_submit (bus, job, &err) < 0)
    fail_msg ("%s", err.message);
  bus_close (bus);
  auto_session struct session session = SESSION_INIT;
  assert_int_equal (session_open_location (&session, place, &err), 0);
  if (session_lock (&session, &err) == 0)
    {
      int result = admit_job (NULL, &session.job, &field, &err);
      return verdict_of (result, field, &err);
    }
  char *rest = strstr (err.message, ": the job in it: ");
  assert_non_null (rest);
  rest += strlen (": the job in it: ");
  auto_free char *member = xstrndup (rest, strcspn (rest, ":"));
  memmove (err.message, rest + strlen (member) + 2, strlen (rest + strlen (member) + 2) + 1);
  return verdict_of (-1, member, &err);
}

/* ---- the property ----------------------------------------------------------------------- */

static void
compare (const char *door, const struct verdict *one, const char *other_door,
         const struct verdict *other)
{
  bool same =
      one->taken == other->taken
      && (one->taken
          || (strcmp (one->field, other->field) == 0 && strcmp (one->reason, other->reason) == 0));
  if (!same)
    fail_msg ("%s: %s: %s\n%s: %s: %s", door, one->taken ? "taken" : one->field,
              one->taken ? "" : one->reason, other_door, other->taken ? "taken" : other->field,
              other->taken ? "" : other->reason);
}

static void
what_one_door_refuses_all_refuse (void **state)
{
  struct scene *scene = *state;
  int taken = 0;
  for (int round = 0; round < ROUNDS; round++)
    {
      auto_job struct job job = { 0 };
      make_good (scene, &job);
      for (uint64_t faults = below (scene, 4); faults > 1; faults--)
        spoil (scene, &job);
      auto_verdict struct verdict avro = by_avro (&job);
      auto_verdict struct verdict line = by_command_line (&job);
      auto_verdict struct verdict http = by_http (scene, &job);
      compare ("the command line", &line, "Avro", &avro);
      compare ("HTTP", &http, "Avro", &avro);
      if (round % FOLDER_EVERY == 0)
        {
          auto_verdict struct verdict folder = by_folder (scene, &job);
          compare ("a result's folder", &folder, "Avro", &avro);
        }
      taken += avro.taken ? 1 : 0;
    }
  print_message ("%d jobs, %d taken\n", ROUNDS, taken);
  assert_in_range (taken, ROUNDS / 4, ROUNDS * 3 / 4);
}

static int
set_up (void **state)
{
  struct scene *scene = xcalloc (1, sizeof *scene);
  (void) snprintf (scene->root, sizeof scene->root, "/tmp/shoal-doors-XXXXXX");
  assert_non_null (mkdtemp (scene->root));
  auto_free char *one = xasprintf ("%s/in", scene->root);
  auto_free char *two = xasprintf ("%s/in2", scene->root);
  assert_int_equal (mkdir (one, 0755), 0);
  assert_int_equal (mkdir (two, 0755), 0);
  scene->state = random_state (seed_of_test ());
  *state = scene;
  return 0;
}

static int
tear_down (void **state)
{
  struct scene *scene = *state;
  assert_int_equal (fs_remove_tree (AT_FDCWD, scene->root, NULL), 0);
  free (scene);
  return 0;
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (what_one_door_refuses_all_refuse, set_up, tear_down),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}

/* Folders and files that become links, and links that become folders, while outputs are collected,
 * counted or removed, and while inputs are staged: what the links lead to is neither read nor
 * changed. */
#include "common/fs.h"
#include "common/memory.h"
#include "schemas/codec.h"
#include "tests/lib/race.h"
#include "tests/lib/seed.h"
#include "worker/collect.h"
#include "worker/stage.h"
#include "worker/usage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum
{
  ROUNDS = 100,
  NOBODY = 65534,
};

#define AS_A_USER "as-a-user"

/* What is exchanged for a link, in the folder `tree`: a folder, a file, and a folder that is
 * closed. */
static const char *const swapped[] = { "folder", "file", "closed", "closed-file", NULL };

struct scene
{
  char *root;
  int fd;   /* of it */
  int tree; /* outputs/out, or the volume */
  struct outside outside;
  struct job job;
  struct policy policy; /* allows the volume alone */
};

static void
put (int dirfd, const char *path, mode_t mode)
{
  auto_fd int fd = openat (dirfd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  assert_true (fd >= 0);
  assert_int_equal (write (fd, "harmless", 8), 8);
}

/* As it is before each round, as far as the last one has left something of it. */
static void
fill (const struct scene *scene)
{
  auto_free char *secret = xasprintf ("%s/secret", scene->outside.path);
  for (const char *const *name = swapped; *name != NULL; name++)
    {
      auto_free char *other = xasprintf ("%s.other", *name);
      bool folder = strstr (*name, "file") == NULL;
      assert_int_equal (fs_remove_tree (scene->tree, *name, NULL), 0);
      assert_int_equal (fs_remove_tree (scene->tree, other, NULL), 0);
      if (folder)
        {
          auto_free char *file = xasprintf ("%s/secret", *name);
          assert_int_equal (mkdirat (scene->tree, *name, 0755), 0);
          put (scene->tree, file, 0644);
        }
      else
        put (scene->tree, *name, 0644);
      assert_int_equal (symlinkat (folder ? scene->outside.path : secret, scene->tree, other), 0);
    }
  assert_int_equal (fchmodat (scene->tree, "closed", 0, 0), 0);
  assert_int_equal (fchmodat (scene->tree, "closed-file", 0, 0), 0);
}

static void
set_up (struct scene *scene, const char *tree)
{
  scene->root = xstrdup ("/tmp/shoal-races-XXXXXX");
  assert_non_null (mkdtemp (scene->root));
  scene->fd = open (scene->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  assert_int_equal (fs_make_folders (scene->fd, tree, 0777, NULL), 0);
  scene->tree = openat (scene->fd, tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  outside_make (&scene->outside);
  job_init (&scene->job);
  scene->job.outputs = xcalloc (1, sizeof *scene->job.outputs);
  scene->job.output_count = 1;
  scene->job.outputs[0] = (struct output){ .name = xstrdup ("out"), .path = xstrdup ("/out") };
}

static void
tear_down (struct scene *scene)
{
  job_release (&scene->job);
  (void) close (scene->tree);
  (void) close (scene->fd);
  assert_int_equal (fs_remove_tree (AT_FDCWD, scene->root, NULL), 0);
  free (scene->root);
  outside_release (&scene->outside);
}

/* ROUND again and again, with somebody beside it who swaps. */
static void
race (struct scene *scene, void (*round) (struct scene *scene), int rounds)
{
  unsigned int seed = seed_of_test ();
  long swaps = 0;
  for (int i = 0; i < rounds; i++)
    {
      fill (scene);
      struct race *beside = race_start (scene->tree, swapped, seed + (unsigned int) i);
      round (scene);
      swaps += race_stop (beside);
      outside_expect_untouched (&scene->outside);
    }
  printf ("%d rounds, %ld swaps\n", rounds, swaps);
  assert_true (swaps > 0);
}

/* ---- collecting ---------------------------------------------------------------------------- */

static void
collect_round (struct scene *scene)
{
  auto_buffer struct buffer list = { 0 };
  struct collected collected = { 0 };
  struct error err = ERROR_INIT;
  (void) collect_outputs (scene->fd, &scene->job, 0, NULL, NULL, &collected, &err);
  if (fs_read_file (scene->fd, "outputs.jsonl", 1 << 20, &list, NULL) == 0 && list.size > 0)
    assert_null (strstr (list.data, "\"size\":16,"));
}

static void
usage_round (struct scene *scene)
{
  struct error err = ERROR_INIT;
  scene->job.max_output_bytes = 1 << 20;
  struct usage *usage = usage_new (scene->fd, &scene->job);
  for (int i = 0; i < 5; i++)
    assert_int_equal (usage_update (usage, &err), 0);
  usage_free (usage);
}

static void
remove_round (struct scene *scene)
{
  (void) fs_remove_tree (scene->fd, "outputs", NULL);
  (void) close (scene->tree);
  assert_int_equal (fs_make_folders (scene->fd, "outputs/out", 0777, NULL), 0);
  scene->tree = openat (scene->fd, "outputs/out", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void
test_collecting (void **state)
{
  (void) state;
  struct scene scene = { 0 };
  set_up (&scene, "outputs/out");
  race (&scene, collect_round, race_rounds (ROUNDS));
  tear_down (&scene);
}

static void
test_counting (void **state)
{
  (void) state;
  struct scene scene = { 0 };
  set_up (&scene, "outputs/out");
  race (&scene, usage_round, race_rounds (ROUNDS));
  tear_down (&scene);
}

static void
test_removing (void **state)
{
  (void) state;
  struct scene scene = { 0 };
  set_up (&scene, "outputs/out");
  race (&scene, remove_round, race_rounds (ROUNDS));
  tear_down (&scene);
}

/* As a user who must open what is closed first: by its mode, which a link must not lead outside. */
static void
test_as_a_user (void **state)
{
  (void) state;
  if (geteuid () != 0)
    return; /* the tests above were this one */
  char self[PATH_MAX] = "";
  assert_true (readlink ("/proc/self/exe", self, sizeof self - 1) > 0);
  pid_t pid = fork ();
  assert_true (pid >= 0);
  if (pid == 0)
    {
      (void) execl (self, "test_races", AS_A_USER, NULL);
      _exit (99);
    }
  int status = 0;
  assert_int_equal (waitpid (pid, &status, 0), pid);
  assert_int_equal (status, 0);
}

/* ---- staging ------------------------------------------------------------------------------- */

static void
add_atom (struct shard *shard, const char *path, bool folder)
{
  const struct atom atom = {
    .path = path, .path_size = strlen (path), .folder = folder, .size = -1
  };
  atom_append (&shard->atoms, &atom);
  shard->atom_count++;
}

/* Files by METHOD, and with FOLDERS whole folders, which are linked or copied. */
static void
stage_by (struct scene *scene, enum stage_mode mode, const char *const *paths, bool folders)
{
  struct error err = ERROR_INIT;
  struct mounts mounts = { 0 };
  int64_t bytes = 0;
  auto_shard struct shard shard = { .job_id = xstrdup ("j"),
                                    .generation = 1,
                                    .attempt = 1,
                                    .count = -1,
                                    .bytes = -1,
                                    .plan_offset = -1,
                                    .plan_length = -1 };
  for (; *paths != NULL; paths++)
    add_atom (&shard, *paths, folders);
  auto_digest struct digest *digest = digest_new ();
  digest_add (digest, shard.atoms.data, shard.atoms.size);
  digest_finish (digest, shard.digest);
  assert_int_equal (fs_remove_tree (scene->fd, "scratch", NULL), 0);
  assert_int_equal (mkdirat (scene->fd, "scratch", 0755), 0);
  auto_fd int staged = openat (scene->fd, "scratch", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  scene->job.stage = mode;
  const struct stage stage = {
    .job = &scene->job,
    .shard = &shard,
    .result_fd = scene->fd,
    .policy = scene->job.symlinks == SYMLINKS_FOLLOW ? &scene->policy : NULL,
    .scratch_fd = staged,
  };
  (void) stage_in (&stage, &mounts, &bytes, &err);
  mounts_release (&mounts);
  outside_expect_not_in (&scene->outside, staged);
}

static const char *const files[] = { "file", "folder/secret", "closed/secret", NULL };
static const char *const folders[] = { "folder", "closed", NULL };

static void
link_round (struct scene *scene)
{
  stage_by (scene, STAGE_LINK, files, false);
  stage_by (scene, STAGE_LINK, folders, true);
}

static void
copy_round (struct scene *scene)
{
  stage_by (scene, STAGE_COPY, files, false);
  stage_by (scene, STAGE_COPY, folders, true);
}

/* Links are followed, but never out of what a policy allows. */
static void
follow_round (struct scene *scene)
{
  scene->job.symlinks = SYMLINKS_FOLLOW;
  static const enum stage_mode modes[] = { STAGE_AUTO, STAGE_LINK, STAGE_COPY, STAGE_BIND };
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
    {
      stage_by (scene, modes[i], files, false);
      stage_by (scene, modes[i], folders, true);
    }
}

static void
stage_race (void (*round) (struct scene *scene))
{
  struct scene scene = { 0 };
  set_up (&scene, "volume");
  scene.job.glob = xstrdup ("**");
  scene.job.base_path = xstrdup ("/in");
  scene.job.volumes = xcalloc (1, sizeof *scene.job.volumes);
  scene.job.volume_count = 1;
  scene.job.volumes[0] =
      (struct volume){ .source = xasprintf ("%s/volume", scene.root), .path = xstrdup ("/in") };
  auto_free char *text = xasprintf ("{\"inputs\": [\"%s/volume\"]}", scene.root);
  assert_int_equal (policy_parse ((struct bytes){ text, strlen (text) }, &scene.policy, NULL), 0);
  race (&scene, round, race_rounds (ROUNDS));
  policy_release (&scene.policy);
  tear_down (&scene);
}

static void
test_staging_links (void **state)
{
  (void) state;
  stage_race (link_round);
}

static void
test_staging_copies (void **state)
{
  (void) state;
  stage_race (copy_round);
}

static void
test_staging_what_links_lead_to (void **state)
{
  (void) state;
  stage_race (follow_round);
}

int
main (int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_collecting),
    cmocka_unit_test (test_counting),
    cmocka_unit_test (test_removing),
    cmocka_unit_test (test_as_a_user),
    cmocka_unit_test (test_staging_links),
    cmocka_unit_test (test_staging_copies),
    cmocka_unit_test (test_staging_what_links_lead_to),
  };
  const struct CMUnitTest of_a_user[] = {
    cmocka_unit_test (test_collecting),
    cmocka_unit_test (test_removing),
  };
  if (argc < 2 || strcmp (argv[1], AS_A_USER) != 0)
    return cmocka_run_group_tests (tests, NULL, NULL);
  if (setgid (NOBODY) != 0 || setuid (NOBODY) != 0)
    return 98;
  return cmocka_run_group_tests (of_a_user, NULL, NULL);
}

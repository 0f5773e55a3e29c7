/* Staging: the container sees the shard's atoms, all of them, and nothing else of the volume. */
#include "worker/stage.h"

#include "common/fs.h"
#include "common/memory.h"
#include "common/path.h"
#include "common/sys.h"
#include "policy/policy.h"
#include "result/result.h"
#include "schemas/codec.h"
#include "storage/local_pin.h"
#include "tests/lib/seed.h"
#include "worker/place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OTHER_FILE_SYSTEM "/dev/shm"

struct scene
{
  char *root; /* photos/ (the volume), result/, scratch/ */
  int volume_fd;
  int result_fd;
  const struct policy *policy;
  char *scratch;
  struct job job;
  struct shard shard;
  struct mounts mounts;
  int64_t bytes;
  struct error err;
};

/* ---- scenery ---------------------------------------------------------------------------- */

static void
add_volume (struct job *job, char *source, const char *path, bool shared)
{
  job->volumes = xrealloc (job->volumes, job->volume_count + 1, sizeof *job->volumes);
  job->volumes[job->volume_count++] =
      (struct volume){ .source = source, .path = xstrdup (path), .shared = shared };
}

static struct scene *
new_scene (const char *above)
{
  struct scene *scene = xcalloc (1, sizeof *scene);
  scene->root = xasprintf ("%s/shoal-stage-XXXXXX", above);
  assert_non_null (mkdtemp (scene->root));
  int root = open (scene->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  assert_int_equal (mkdirat (root, "photos", 0755), 0);
  assert_int_equal (mkdirat (root, "result", 0755), 0);
  assert_int_equal (mkdirat (root, "scratch", 0755), 0);
  scene->volume_fd = openat (root, "photos", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  scene->result_fd = openat (root, "result", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  scene->scratch = xasprintf ("%s/scratch", scene->root);
  close (root);
  job_init (&scene->job);
  scene->job.id = xstrdup ("j");
  scene->job.glob = xstrdup ("**");
  scene->job.base_path = xstrdup ("/in");
  add_volume (&scene->job, xasprintf ("%s/photos", scene->root), "/in", false);
  scene->shard = (struct shard){ .job_id = xstrdup ("j"),
                                 .generation = 1,
                                 .attempt = 1,
                                 .count = -1,
                                 .bytes = -1,
                                 .plan_offset = -1,
                                 .plan_length = -1 };
  return scene;
}

static int
set_up (void **state)
{
  *state = new_scene ("/tmp");
  return 0;
}

static void
free_scene (struct scene *scene)
{
  mounts_release (&scene->mounts);
  job_release (&scene->job);
  shard_release (&scene->shard);
  close (scene->volume_fd);
  close (scene->result_fd);
  assert_int_equal (fs_remove_tree (AT_FDCWD, scene->root, NULL), 0);
  free (scene->root);
  free (scene->scratch);
  free (scene);
}

static int
tear_down (void **state)
{
  for (int call = 0; call < SYS_CALLS; call++)
    sys_fail ((enum sys_call) call, 0, 0);
  free_scene (*state);
  return 0;
}

/* File PATH in the volume; what is in it is its path. */
static void
put_file (const struct scene *scene, const char *path)
{
  const char *slash = strrchr (path, '/');
  auto_free char *above = slash == NULL ? xstrdup ("") : xstrndup (path, (size_t) (slash - path));
  assert_int_equal (fs_make_folders (scene->volume_fd, above, 0755, NULL), 0);
  auto_fd int fd = openat (scene->volume_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  assert_true (fd >= 0);
  assert_int_equal (write (fd, path, strlen (path)), (ssize_t) strlen (path));
}

static void
add_atom_of (struct scene *scene, uint32_t volume, const char *path, bool folder,
             const char *source)
{
  const struct atom atom = { .volume = volume,
                             .folder = folder,
                             .size = -1,
                             .path = path,
                             .path_size = strlen (path),
                             .source = source };
  atom_append (&scene->shard.atoms, &atom);
  scene->shard.atom_count++;
}

static void
add_atom (struct scene *scene, const char *path, bool folder)
{
  add_atom_of (scene, 0, path, folder, NULL);
}

static void
sum_atoms (struct shard *shard)
{
  auto_digest struct digest *digest = digest_new ();
  digest_add (digest, shard->atoms.data, shard->atoms.size);
  digest_finish (digest, shard->digest);
}

static int
run_stage (struct scene *scene)
{
  auto_fd int scratch_fd = fs_open_folder (AT_FDCWD, scene->scratch, NULL);
  const struct stage stage = { .job = &scene->job,
                               .shard = &scene->shard,
                               .result_fd = scene->result_fd,
                               .policy = scene->policy,
                               .scratch_fd = scratch_fd };
  error_clear (&scene->err);
  if (stage_in (&stage, &scene->mounts, &scene->bytes, &scene->err) != 0)
    return -1;
  return mounts_arrange (&scene->mounts, &scene->err);
}

static int
stage_all (struct scene *scene)
{
  sum_atoms (&scene->shard);
  return run_stage (scene);
}

static void
assert_staged (struct scene *scene)
{
  if (stage_all (scene) != 0)
    fail_msg ("staging failed: %s", scene->err.message);
}

static void
assert_refused (struct scene *scene, const char *named)
{
  assert_int_equal (stage_all (scene), -1);
  if (scene->err.class != ERROR_USER || strstr (scene->err.message, named) == NULL)
    fail_msg ("expected a user error that names %s, got %s: %s", named,
              error_class_name (scene->err.class), scene->err.message);
}

/* ---- the container's view --------------------------------------------------------------- */

/* The host path of PATH as the mounts, one over the other, show it. */
static char *
seen_at (const struct mounts *mounts, const char *path)
{
  char *host = NULL;
  for (size_t i = 0; i < mounts->count; i++)
    {
      const char *rest = path_below (path, mounts->items[i].target);
      if (rest == NULL)
        continue;
      free (host);
      host = path_join (mounts->items[i].source, rest);
    }
  return host;
}

static bool
is_seen (const struct mounts *mounts, const char *path)
{
  auto_free char *host = seen_at (mounts, path);
  struct stat status;
  return host != NULL && lstat (host, &status) == 0;
}

/* Checks that PATH below /in shows the volume's file; LINKED: it is the same inode. */
static void
assert_shows (const struct scene *scene, const char *path, bool linked)
{
  auto_free char *inside = path_join ("/in", path);
  auto_free char *host = seen_at (&scene->mounts, inside);
  struct stat seen;
  struct stat original;
  assert_non_null (host);
  if (lstat (host, &seen) != 0)
    fail_msg ("%s isn't there in the container", inside);
  assert_int_equal (fstatat (scene->volume_fd, path, &original, 0), 0);
  assert_int_equal (seen.st_size, original.st_size);
  assert_int_equal (seen.st_mode, original.st_mode);
  assert_int_equal (seen.st_ino == original.st_ino && seen.st_dev == original.st_dev, linked);
  auto_buffer struct buffer content = { 0 };
  assert_int_equal (fs_read_file (AT_FDCWD, host, 1 << 20, &content, NULL), 0);
  assert_int_equal (content.size, seen.st_size);
}

static void
assert_read_only (const struct scene *scene)
{
  for (size_t i = 0; i < scene->mounts.count; i++)
    assert_false (scene->mounts.items[i].writable);
}

/* ---- tests ------------------------------------------------------------------------------ */

static const char *const odd_names[] = {
  "plain.jpg",  "-rf",     "--",           "new\nline",    "tab\there", "sub/-x/\xff\xfe",
  "sub/ü.jpg",  "sub/a b", "sub/*?[]{}\\", "sub/'\"$(x)`", "..x",       "...",
  ".hidden/.x",
};

static void
test_any_name_is_linked (void **state)
{
  struct scene *scene = *state;
  char longest[256];
  memset (longest, 'n', 255);
  longest[255] = '\0';
  auto_buffer struct buffer expected = { 0 };
  for (size_t i = 0; i < sizeof odd_names / sizeof *odd_names; i++)
    {
      put_file (scene, odd_names[i]);
      add_atom (scene, odd_names[i], false);
      buffer_printf (&expected, "/in/%s", odd_names[i]);
      buffer_putc (&expected, '\0');
    }
  put_file (scene, longest);
  add_atom (scene, longest, false);
  buffer_printf (&expected, "/in/%s", longest);
  buffer_putc (&expected, '\0');
  put_file (scene, "not-mine");
  put_file (scene, "sub/not-mine");
  assert_staged (scene);
  for (size_t i = 0; i < sizeof odd_names / sizeof *odd_names; i++)
    assert_shows (scene, odd_names[i], true);
  assert_shows (scene, longest, true);
  assert_false (is_seen (&scene->mounts, "/in/not-mine"));
  assert_false (is_seen (&scene->mounts, "/in/sub/not-mine"));
  assert_read_only (scene);
  auto_free char *host = seen_at (&scene->mounts, STAGE_ATOMS_FILE);
  auto_buffer struct buffer list = { 0 };
  assert_int_equal (fs_read_file (AT_FDCWD, host, 1 << 20, &list, NULL), 0);
  assert_int_equal (list.size, expected.size);
  assert_memory_equal (list.data, expected.data, list.size);
}

/* Random trees: what is seen is exactly what is in the shard. */
static void
test_random_shards (void **state)
{
  struct scene *scene = *state;
  unsigned int seed = seed_of_test ();
  bool mine[300];
  for (int i = 0; i < 300; i++)
    {
      auto_free char *path = xasprintf ("d%d/e%d/f%d", i % 3, i % 7, i);
      put_file (scene, path);
      mine[i] = rand_r (&seed) % 3 == 0;
      if (mine[i])
        add_atom (scene, path, false);
    }
  assert_staged (scene);
  for (int i = 0; i < 300; i++)
    {
      auto_free char *path = xasprintf ("/in/d%d/e%d/f%d", i % 3, i % 7, i);
      assert_int_equal (is_seen (&scene->mounts, path), mine[i]);
    }
}

static void
test_vanished_atom_is_named (void **state)
{
  struct scene *scene = *state;
  put_file (scene, "a");
  add_atom (scene, "a", false);
  add_atom (scene, "gone.jpg", false);
  assert_refused (scene, "gone.jpg");
}

static void
test_paths_out_of_the_volume_are_refused (void **state)
{
  struct scene *scene = *state;
  static const char *const hostile[] = { "../secret",      "/etc/passwd", "a//b", "a/./b",
                                         "a/../../secret", "..",          "a/..", "a/" };
  put_file (scene, "a/b");
  for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++)
    for (int folder = 0; folder < 2; folder++)
      {
        buffer_clear (&scene->shard.atoms);
        add_atom (scene, hostile[i], folder == 1);
        assert_refused (scene, hostile[i]);
        mounts_release (&scene->mounts);
      }
  /* nor through a link to a folder elsewhere */
  assert_int_equal (symlinkat ("/etc", scene->volume_fd, "etc"), 0);
  buffer_clear (&scene->shard.atoms);
  add_atom (scene, "etc/passwd", false);
  assert_refused (scene, "etc/passwd");
  buffer_clear (&scene->shard.atoms);
  mounts_release (&scene->mounts);
  add_atom (scene, "etc", true);
  assert_refused (scene, "etc");
}

static void
test_symbolic_links (void **state)
{
  struct scene *scene = *state;
  put_file (scene, "real/file");
  assert_int_equal (symlinkat ("real/file", scene->volume_fd, "inside"), 0);
  assert_int_equal (symlinkat ("/etc/hostname", scene->volume_fd, "outside"), 0);
  add_atom (scene, "inside", false);
  assert_staged (scene);
  assert_shows (scene, "inside", true);
  assert_false (is_seen (&scene->mounts, "/in/real"));
  mounts_release (&scene->mounts);
  fs_remove_tree (AT_FDCWD, scene->scratch, NULL);
  mkdir (scene->scratch, 0755);
  buffer_clear (&scene->shard.atoms);
  add_atom (scene, "outside", false);
  assert_refused (scene, "outside");
}

static void
test_folders_are_mounted_whole (void **state)
{
  struct scene *scene = *state;
  put_file (scene, "set/1/a");
  put_file (scene, "set/2/b");
  put_file (scene, "file");
  add_atom (scene, "file", false);
  add_atom (scene, "set/1", true);
  assert_staged (scene);
  assert_shows (scene, "set/1/a", true);
  assert_shows (scene, "file", true);
  assert_false (is_seen (&scene->mounts, "/in/set/2"));
  assert_read_only (scene);
}

static void
test_many_folders_are_linked (void **state)
{
  struct scene *scene = *state;
  for (int i = 0; i <= STAGE_BINDS_MAX; i++)
    {
      auto_free char *folder = xasprintf ("f%d", i);
      auto_free char *file = xasprintf ("f%d/x/y", i);
      put_file (scene, file);
      add_atom (scene, folder, true);
    }
  assert_int_equal (symlinkat ("x/y", scene->volume_fd, "f0/link"), 0);
  assert_staged (scene);
  assert_int_equal (scene->mounts.count, 2); /* the volume's folder and the atom list */
  assert_shows (scene, "f0/x/y", true);
  assert_shows (scene, "f1000/x/y", true);
  assert_true (is_seen (&scene->mounts, "/in/f0/link"));
}

static void
restage (struct scene *scene, enum stage_mode mode)
{
  mounts_release (&scene->mounts);
  assert_int_equal (fs_remove_tree (AT_FDCWD, scene->scratch, NULL), 0);
  assert_int_equal (mkdir (scene->scratch, 0755), 0);
  scene->job.stage = mode;
}

/* PATH in the container is a file with what FILE of the volume holds. */
static void
assert_holds (const struct scene *scene, const char *path, const char *file)
{
  auto_free char *inside = path_join ("/in", path);
  auto_free char *host = seen_at (&scene->mounts, inside);
  auto_buffer struct buffer content = { 0 };
  assert_non_null (host);
  char target[64];
  ssize_t size = readlink (host, target, sizeof target - 1);
  if (size > 0) /* as the container follows it: through what is mounted */
    {
      target[size] = '\0';
      auto_free char *folder = xstrndup (inside, (size_t) (strrchr (inside, '/') - inside));
      auto_free char *led = path_join (folder, target);
      free (host);
      host = seen_at (&scene->mounts, led);
    }
  if (fs_read_file (AT_FDCWD, host, 1 << 20, &content, NULL) != 0)
    fail_msg ("%s can't be read in the container", inside);
  assert_string_equal (content.data, file);
}

static const enum stage_mode all_modes[] = { STAGE_AUTO, STAGE_LINK, STAGE_COPY, STAGE_BIND };

/* The folder `set` of a volume, whose links lead to all kinds of places. */
static void
put_linked_set (struct scene *scene)
{
  static const char *const links[][2] = {
    { "inner/f", "set/same" },
    { "../../other/g", "set/sub/away" },
    { "../../other", "set/sub/folder" },
    { "..", "set/up" },
    { ".", "set/around" },
  };
  put_file (scene, "set/inner/f");
  put_file (scene, "set/sub/plain");
  put_file (scene, "other/g");
  put_file (scene, "other/deep/h");
  for (size_t i = 0; i < sizeof links / sizeof *links; i++)
    assert_int_equal (symlinkat (links[i][0], scene->volume_fd, links[i][1]), 0);
}

static void
test_folders_hold_what_their_links_lead_to (void **state)
{
  struct scene *scene = *state;
  put_linked_set (scene);
  add_atom (scene, "set", true);
  for (size_t i = 0; i < sizeof all_modes / sizeof *all_modes; i++)
    for (int links = SYMLINKS_BENEATH; links <= SYMLINKS_FOLLOW; links++)
      {
        restage (scene, all_modes[i]);
        scene->job.symlinks = (enum symlinks) links;
        assert_staged (scene);
        assert_holds (scene, "set/inner/f", "set/inner/f");
        assert_holds (scene, "set/same", "set/inner/f");
        assert_holds (scene, "set/sub/plain", "set/sub/plain");
        assert_holds (scene, "set/sub/away", "other/g");
        assert_holds (scene, "set/sub/folder/g", "other/g");
        assert_holds (scene, "set/sub/folder/deep/h", "other/deep/h");
        assert_true (is_seen (&scene->mounts, "/in/set/around"));
        assert_false (is_seen (&scene->mounts, "/in/set/up"));
        assert_false (is_seen (&scene->mounts, "/in/other"));
        assert_read_only (scene);
      }
}

static void
test_folders_without_their_links (void **state)
{
  struct scene *scene = *state;
  put_linked_set (scene);
  add_atom (scene, "set", true);
  scene->job.symlinks = SYMLINKS_SKIP;
  for (size_t i = 0; i < sizeof all_modes / sizeof *all_modes; i++)
    {
      restage (scene, all_modes[i]);
      assert_staged (scene);
      assert_holds (scene, "set/inner/f", "set/inner/f");
      assert_holds (scene, "set/sub/plain", "set/sub/plain");
      assert_false (is_seen (&scene->mounts, "/in/set/same"));
      assert_false (is_seen (&scene->mounts, "/in/set/around"));
      assert_false (is_seen (&scene->mounts, "/in/set/sub/away"));
    }
}

/* Links of a folder atom that lead nowhere, or out of the volume, are refused by name. */
static void
test_folders_with_links_that_lead_out (void **state)
{
  struct scene *scene = *state;
  static const char *const targets[] = { "/etc", "/etc/hostname", "gone" };
  put_file (scene, "set/file");
  add_atom (scene, "set", true);
  for (size_t t = 0; t < sizeof targets / sizeof *targets; t++)
    {
      assert_int_equal (symlinkat (targets[t], scene->volume_fd, "set/link"), 0);
      for (size_t i = 0; i < sizeof all_modes / sizeof *all_modes; i++)
        {
          restage (scene, all_modes[i]);
          assert_refused (scene, strcmp (targets[t], "gone") == 0
                                     ? "set/link: dangling symbolic link"
                                     : "set/link: the symbolic link leads out of the volume");
        }
      assert_int_equal (unlinkat (scene->volume_fd, "set/link", 0), 0);
    }
}

/* Whole volumes keep their links, as docker's do; with `follow` they hold what those lead to. */
static void
test_whole_volumes_and_links (void **state)
{
  struct scene *scene = *state;
  put_file (scene, "f");
  auto_free char *outside = xasprintf ("%s/outside", scene->root);
  assert_int_equal (mkdir (outside, 0755), 0);
  auto_free char *file = xasprintf ("%s/g", outside);
  auto_fd int fd = open (file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  assert_int_equal (write (fd, "g", 1), 1);
  assert_int_equal (symlinkat (outside, scene->volume_fd, "ref"), 0);
  scene->job.volumes[0].shared = true;
  assert_staged (scene);
  auto_free char *kept = seen_at (&scene->mounts, "/in/ref");
  struct stat status;
  assert_int_equal (lstat (kept, &status), 0);
  assert_true (S_ISLNK (status.st_mode));
  restage (scene, STAGE_AUTO);
  scene->job.symlinks = SYMLINKS_FOLLOW;
  assert_staged (scene);
  assert_holds (scene, "f", "f");
  assert_holds (scene, "ref/g", "g");
}

/* A file at a path with a link in it: the same by all ways of staging. */
static void
test_files_behind_links (void **state)
{
  struct scene *scene = *state;
  put_file (scene, "real/f");
  assert_int_equal (symlinkat ("real", scene->volume_fd, "by"), 0);
  add_atom (scene, "by/f", false);
  add_atom (scene, "real/f", false);
  assert_refused (scene, "by");
  scene->job.symlinks = SYMLINKS_FOLLOW;
  for (size_t i = 0; i < sizeof all_modes / sizeof *all_modes; i++)
    {
      restage (scene, all_modes[i]);
      assert_staged (scene);
      assert_holds (scene, "by/f", "real/f");
      assert_holds (scene, "real/f", "real/f");
    }
}

/* With a policy `follow` leads to nothing that the policy doesn't name. */
static void
test_followed_links_obey_the_policy (void **state)
{
  struct scene *scene = *state;
  auto_policy struct policy policy = { 0 };
  auto_free char *text =
      xasprintf ("{\"inputs\": [\"%s/photos\"], \"symlinks\": [\"follow\"]}", scene->root);
  assert_int_equal (policy_parse ((struct bytes){ text, strlen (text) }, &policy, NULL), 0);
  put_file (scene, "set/f");
  put_file (scene, "real/f");
  assert_int_equal (symlinkat ("../real", scene->volume_fd, "set/fine"), 0);
  scene->policy = &policy;
  scene->job.symlinks = SYMLINKS_FOLLOW;
  add_atom (scene, "set", true);
  for (size_t i = 0; i < sizeof all_modes / sizeof *all_modes; i++)
    {
      restage (scene, all_modes[i]);
      assert_staged (scene);
      assert_holds (scene, "set/fine/f", "real/f");
    }
  assert_int_equal (symlinkat ("/etc", scene->volume_fd, "set/out"), 0);
  for (size_t i = 0; i < sizeof all_modes / sizeof *all_modes; i++)
    {
      restage (scene, all_modes[i]);
      assert_refused (scene, "policy: inputs: ");
    }
  buffer_release (&scene->shard.atoms);
  scene->shard.atom_count = 0;
  add_atom (scene, "set/out/hostname", false);
  for (size_t i = 0; i < sizeof all_modes / sizeof *all_modes; i++)
    {
      restage (scene, all_modes[i]);
      assert_refused (scene, "policy: inputs: ");
    }
  scene->policy = NULL;
}

/* A file that isn't what was listed any more is refused, however it is staged. */
static void
test_files_that_changed_since_they_were_listed (void **state)
{
  struct scene *scene = *state;
  struct stat status;
  char pin[LOCAL_PIN_SIZE];
  put_file (scene, "a");
  assert_int_equal (symlinkat ("a", scene->volume_fd, "link"), 0);
  assert_int_equal (fstatat (scene->volume_fd, "a", &status, 0), 0);
  (void) local_pin_format (&status, pin);
  const struct atom atoms[] = {
    { .path = "a", .path_size = 1, .size = -1, .version = pin },
    { .path = "link", .path_size = 4, .size = -1, .version = pin },
  };
  for (size_t a = 0; a < 2; a++)
    {
      buffer_clear (&scene->shard.atoms);
      atom_append (&scene->shard.atoms, &atoms[a]);
      scene->shard.atom_count = 1;
      for (size_t i = 0; i < sizeof all_modes / sizeof *all_modes; i++)
        {
          restage (scene, all_modes[i]);
          assert_int_equal (utimensat (scene->volume_fd, "a",
                                       (struct timespec[2]){ status.st_atim, status.st_mtim }, 0),
                            0);
          assert_staged (scene);
          restage (scene, all_modes[i]);
          const struct timespec later[2] = { { .tv_sec = 5 }, { .tv_sec = 5 } };
          assert_int_equal (utimensat (scene->volume_fd, "a", later, 0), 0);
          assert_refused (scene, "changed since it was listed");
        }
    }
}

static void
test_volume_itself_is_the_atom (void **state)
{
  struct scene *scene = *state;
  put_file (scene, "a/b");
  add_atom (scene, "", true);
  assert_staged (scene);
  assert_shows (scene, "a/b", true);
  assert_read_only (scene);
}

static void
test_forced_copy (void **state)
{
  struct scene *scene = *state;
  int64_t total = 0; /* each file holds its own path */
  scene->job.stage = STAGE_COPY;
  for (int i = 0; i < 500; i++)
    {
      auto_free char *path = xasprintf ("d%d/f%d", i % 20, i);
      put_file (scene, path);
      total += (int64_t) strlen (path);
      add_atom (scene, path, false);
    }
  assert_staged (scene);
  for (int i = 0; i < 500; i++)
    {
      auto_free char *path = xasprintf ("d%d/f%d", i % 20, i);
      assert_shows (scene, path, false);
    }
  assert_int_equal (scene->bytes, total);
}

static void
test_forced_copy_names_what_vanished (void **state)
{
  struct scene *scene = *state;
  scene->job.stage = STAGE_COPY;
  put_file (scene, "a");
  add_atom (scene, "a", false);
  add_atom (scene, "gone", false);
  assert_refused (scene, "gone");
}

static void
test_forced_bind (void **state)
{
  struct scene *scene = *state;
  scene->job.stage = STAGE_BIND;
  put_file (scene, "a/b");
  put_file (scene, "c");
  add_atom (scene, "a/b", false);
  add_atom (scene, "c", false);
  assert_staged (scene);
  assert_shows (scene, "a/b", true);
  assert_shows (scene, "c", true);
  assert_int_equal (scene->mounts.count, 4);
}

static bool
is_other_file_system (void)
{
  struct stat here;
  struct stat there;
  return stat ("/tmp", &here) == 0 && stat (OTHER_FILE_SYSTEM, &there) == 0
         && here.st_dev != there.st_dev && access (OTHER_FILE_SYSTEM, W_OK) == 0;
}

/* The scratch folder on another file system than the volume. */
static struct scene *
new_divided_scene (void)
{
  if (!is_other_file_system ())
    {
      fprintf (stderr, "SKIPPED: /tmp and " OTHER_FILE_SYSTEM " are one file system here\n");
      skip ();
    }
  struct scene *scene = new_scene (OTHER_FILE_SYSTEM);
  char volume[] = "/tmp/shoal-volume-XXXXXX";
  assert_non_null (mkdtemp (volume));
  close (scene->volume_fd);
  scene->volume_fd = open (volume, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  free (scene->job.volumes[0].source);
  scene->job.volumes[0].source = xstrdup (volume);
  return scene;
}

static void
free_divided_scene (struct scene *scene)
{
  assert_int_equal (fs_remove_tree (AT_FDCWD, scene->job.volumes[0].source, NULL), 0);
  free_scene (scene);
}

static void
test_another_file_system (void **state)
{
  (void) state;
  struct scene *scene = new_divided_scene ();
  put_file (scene, "a/b");
  add_atom (scene, "a/b", false);
  assert_staged (scene);
  assert_shows (scene, "a/b", true); /* few: mounted one by one */
  free_divided_scene (scene);

  scene = new_divided_scene ();
  for (int i = 0; i <= STAGE_BINDS_MAX; i++)
    {
      auto_free char *path = xasprintf ("d%d/%d", i % 9, i);
      put_file (scene, path);
      add_atom (scene, path, false);
    }
  assert_staged (scene);
  assert_int_equal (scene->mounts.count, 2);
  assert_shows (scene, "d0/0", false); /* many: copied */
  assert_shows (scene, "d1/1000", false);
  free_divided_scene (scene);

  scene = new_divided_scene ();
  scene->job.stage = STAGE_LINK;
  put_file (scene, "a");
  add_atom (scene, "a", false);
  assert_refused (scene, "/in/a");
  free_divided_scene (scene);
}

/* One link that leads to another file system is copied; the files beside it are linked all the
 * same. */
static void
test_link_to_another_file_system (void **state)
{
  struct scene *scene = *state;
  if (!is_other_file_system ())
    {
      fprintf (stderr, "SKIPPED: /tmp and " OTHER_FILE_SYSTEM " are one file system here\n");
      skip ();
    }
  char elsewhere[] = OTHER_FILE_SYSTEM "/shoal-elsewhere-XXXXXX";
  auto_fd int fd = mkstemp (elsewhere);
  assert_int_equal (write (fd, "x", 1), 1);
  assert_int_equal (symlinkat (elsewhere, scene->volume_fd, "a"), 0);
  put_file (scene, "b");
  scene->job.symlinks = SYMLINKS_FOLLOW;
  add_atom (scene, "a", false);
  add_atom (scene, "b", false);
  int result = stage_all (scene);
  if (result == 0)
    assert_shows (scene, "a", false);
  assert_int_equal (unlink (elsewhere), 0);
  assert_int_equal (result, 0);
  assert_shows (scene, "b", true);
}

static void
test_without_glob_volumes_are_whole (void **state)
{
  struct scene *scene = *state;
  free (take (&scene->job.glob));
  put_file (scene, "a");
  put_file (scene, "b");
  assert_staged (scene);
  assert_int_equal (scene->mounts.count, 1);
  assert_shows (scene, "a", true);
  assert_shows (scene, "b", true);
  assert_read_only (scene);
}

static void
test_shared_and_empty_volumes (void **state)
{
  struct scene *scene = *state;
  assert_int_equal (mkdirat (scene->volume_fd, "models", 0755), 0);
  put_file (scene, "models/m");
  put_file (scene, "a");
  add_volume (&scene->job, xasprintf ("%s/photos/models", scene->root), "/models", true);
  add_volume (&scene->job, xasprintf ("%s/photos", scene->root), "/more", false);
  add_atom (scene, "a", false);
  assert_staged (scene);
  assert_true (is_seen (&scene->mounts, "/models/m"));
  assert_true (is_seen (&scene->mounts, "/more"));
  assert_false (is_seen (&scene->mounts, "/more/a"));
}

/* /in/deep/er lies in /in, an output in it as well. */
static void
test_nested_mounts (void **state)
{
  struct scene *scene = *state;
  put_file (scene, "a");
  add_volume (&scene->job, xasprintf ("%s/photos", scene->root), "/in/deep/er", false);
  add_atom (scene, "a", false);
  add_atom_of (scene, 1, "a", false, NULL);
  auto_fd int scratch_fd = fs_open_folder (AT_FDCWD, scene->scratch, NULL);
  assert_int_equal (mounts_add (&scene->mounts, scratch_fd, xstrdup ("/in/out"), true, true, NULL),
                    0);
  assert_staged (scene);
  assert_true (is_seen (&scene->mounts, "/in/deep/er/a"));
  assert_shows (scene, "a", true);
  assert_string_equal (scene->mounts.items[1].target, "/in");
  /* the mount points are there: in the staging folder, not in the user's */
  auto_free char *point = path_join (scene->mounts.items[1].source, "deep/er");
  assert_int_equal (access (point, F_OK), 0);
  assert_int_not_equal (faccessat (scene->volume_fd, "deep", F_OK, 0), 0);
}

static void
test_mount_point_missing_in_the_users_folder (void **state)
{
  struct scene *scene = *state;
  free (take (&scene->job.glob));
  add_volume (&scene->job, xasprintf ("%s/photos", scene->root), "/in/sub", false);
  assert_int_equal (run_stage (scene), -1);
  assert_int_equal (scene->err.class, ERROR_USER);
  assert_non_null (strstr (scene->err.message, "/in/sub"));
  assert_int_not_equal (faccessat (scene->volume_fd, "sub", F_OK, 0), 0);
}

static void
test_two_on_one_path (void **state)
{
  struct scene *scene = *state;
  free (take (&scene->job.glob));
  add_volume (&scene->job, xasprintf ("%s/photos", scene->root), "/in", false);
  assert_int_equal (run_stage (scene), -1);
  assert_int_equal (scene->err.class, ERROR_USER);
}

/* The output PATH of the attempt NAME. */
static void
put_output (const struct scene *scene, const char *name, const char *path)
{
  auto_free char *folder = xasprintf (RESULT_ATTEMPTS "/%s/outputs/out", name);
  auto_free char *file = xasprintf ("%s/%s", folder, path);
  assert_int_equal (fs_make_folders (scene->result_fd, folder, 0755, NULL), 0);
  auto_fd int fd = openat (scene->result_fd, file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  assert_true (fd >= 0);
}

static void
start_reduce (struct scene *scene)
{
  free (scene->job.results);
  scene->job.results = xasprintf ("%s/result", scene->root);
  scene->shard.kind = SHARD_REDUCE;
}

static void
add_output_atom (struct scene *scene, const char *name, const char *source)
{
  add_atom_of (scene, (uint32_t) scene->job.volume_count, name, true, source);
}

/* Who may write to the bus may write any list: it names attempts of this job, or nothing. */
static void
test_a_forged_reduce_list_reads_nothing_else (void **state)
{
  struct scene *scene = *state;
  put_file (scene, "secret/out/x");
  put_output (scene, "00000.g1.a1.s1", "x");
  auto_free char *secret = xasprintf ("%s/photos/secret", scene->root);
  auto_free char *other =
      xasprintf ("%s/photos/.shoal/attempts/00001.g1.a1.s1/outputs", scene->root);
  put_file (scene, ".shoal/attempts/00001.g1.a1.s1/outputs/out/x");
  assert_int_equal (symlinkat (secret, scene->result_fd, ".shoal/attempts/00002.g1.a1.s1"), 0);
  const char *const sources[] = {
    "/etc",
    secret,
    other,
    "s3://bucket/other/.shoal/attempts/00001.g1.a1.s1/outputs",
    "/r/.shoal/attempts/../../../../etc/outputs",
    "/r/.shoal/attempts/00000.g1.a1.s1/outputs/../../../..",
    "/r/.shoal/attempts/00000.g1.a1.s1",
    "/r/.shoal/attempts//outputs",
    "/r/.shoal/attempts/00002.g1.a1.s1/outputs",
    "https://127.0.0.1/",
    "",
  };
  start_reduce (scene);
  for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
    {
      buffer_release (&scene->shard.atoms);
      scene->shard.atom_count = 0;
      add_output_atom (scene, "00000", sources[i]);
      scene->err = (struct error) ERROR_INIT;
      if (stage_all (scene) == 0)
        fail_msg ("taken: %s", sources[i]);
      mounts_release (&scene->mounts);
      auto_free char *in = xasprintf ("%s/in", scene->scratch);
      assert_int_equal (fs_remove_tree (AT_FDCWD, in, NULL), 0);
    }
}

/* What a volume is when it is opened is what counts, and it is asked for each. */
static void
test_a_policy_is_asked_at_use (void **state)
{
  struct scene *scene = *state;
  auto_policy struct policy policy = { 0 };
  auto_free char *text = xasprintf ("{\"inputs\": [\"%s/photos/sub\"]}", scene->root);
  assert_int_equal (policy_parse ((struct bytes){ text, strlen (text) }, &policy, NULL), 0);
  scene->policy = &policy;
  put_file (scene, "sub/a");
  put_file (scene, "b");
  add_atom (scene, "b", false);
  assert_int_equal (stage_all (scene), -1);
  assert_int_equal (scene->err.class, ERROR_USER);
  assert_non_null (strstr (scene->err.message, "policy: inputs: "));
  /* By a link to what isn't allowed, and by one to what is. */
  assert_int_equal (symlinkat ("..", scene->volume_fd, "sub/up"), 0);
  assert_int_equal (symlinkat ("sub", scene->volume_fd, "down"), 0);
  static const char *const sources[] = { "photos/sub/up", "photos/down" };
  for (int i = 0; i < 2; i++)
    {
      free (scene->job.volumes[0].source);
      scene->job.volumes[0].source = xasprintf ("%s/%s", scene->root, sources[i]);
      buffer_release (&scene->shard.atoms);
      scene->shard.atom_count = 0;
      add_atom (scene, i == 0 ? "b" : "a", false);
      scene->err = (struct error) ERROR_INIT;
      assert_int_equal (stage_all (scene), i - 1);
    }
  scene->policy = NULL;
}

static void
test_reduce_sees_the_shards_outputs (void **state)
{
  struct scene *scene = *state;
  put_output (scene, "00000.g1.a1.s1", "x");
  put_output (scene, "00001.g1.a2.s3", "y");
  start_reduce (scene);
  add_output_atom (scene, "00000", "/where/it/was/.shoal/attempts/00000.g1.a1.s1/outputs");
  add_output_atom (scene, "00001", "/where/it/was/.shoal/attempts/00001.g1.a2.s3/outputs");
  assert_staged (scene);
  assert_true (is_seen (&scene->mounts, "/shards/00000/out/x"));
  assert_true (is_seen (&scene->mounts, "/shards/00001/out/y"));
  assert_false (is_seen (&scene->mounts, "/in/made"));
  assert_read_only (scene);
}

/* The list of the shard, forged, comes by the plan file: it is no door of its own. */
static int
stage_by_plan (struct scene *scene)
{
  assert_int_equal (fs_make_folders (scene->result_fd, RESULT_STATE, 0755, NULL), 0);
  assert_int_equal (
      fs_write_file (scene->result_fd, RESULT_PLAN, buffer_bytes (&scene->shard.atoms), NULL), 0);
  sum_atoms (&scene->shard);
  scene->shard.plan_offset = 0;
  scene->shard.plan_length = (int64_t) scene->shard.atoms.size;
  buffer_release (&scene->shard.atoms);
  return run_stage (scene);
}

static void
test_a_forged_plan_file_reads_nothing_else (void **state)
{
  struct scene *scene = *state;
  static const struct
  {
    uint32_t volume;
    const char *path;
    bool folder;
    const char *source;
  } atoms[] = {
    { 0, "../result/x", false, NULL },
    { 0, "sub/../../result", true, NULL },
    { 0, "/etc/passwd", false, NULL },
    { 0, "..", true, NULL },
    { 0, "link", false, NULL },
    { 0, "up/etc", true, NULL },
    { 0, "sub//a", false, NULL },
    { 1, "00000", true, "/etc" },
    { 1, "../in", true, "/.shoal/attempts/0/outputs" },
    { 7, "a", false, NULL },
    { UINT32_MAX, "a", false, NULL },
  };
  put_file (scene, "sub/a");
  assert_int_equal (symlinkat ("/etc/passwd", scene->volume_fd, "link"), 0);
  assert_int_equal (symlinkat ("/", scene->volume_fd, "up"), 0);
  for (size_t i = 0; i < sizeof atoms / sizeof atoms[0]; i++)
    {
      scene->shard.kind = atoms[i].source != NULL ? SHARD_REDUCE : SHARD_MAP;
      scene->shard.atom_count = 0;
      add_atom_of (scene, atoms[i].volume, atoms[i].path, atoms[i].folder, atoms[i].source);
      error_clear (&scene->err);
      if (stage_by_plan (scene) == 0)
        fail_msg ("taken: volume %u, %s", atoms[i].volume, atoms[i].path);
      mounts_release (&scene->mounts);
      auto_free char *in = xasprintf ("%s/in", scene->scratch);
      assert_int_equal (fs_remove_tree (AT_FDCWD, in, NULL), 0);
    }
}

static void
test_atoms_from_the_plan_file (void **state)
{
  struct scene *scene = *state;
  put_file (scene, "a");
  put_file (scene, "b");
  add_atom (scene, "a", false);
  size_t first = scene->shard.atoms.size;
  add_atom (scene, "b", false);
  assert_int_equal (fs_make_folders (scene->result_fd, RESULT_STATE, 0755, NULL), 0);
  assert_int_equal (
      fs_write_file (scene->result_fd, RESULT_PLAN, buffer_bytes (&scene->shard.atoms), NULL), 0);
  struct buffer second = { 0 };
  buffer_append (&second, scene->shard.atoms.data + first, scene->shard.atoms.size - first);
  buffer_release (&scene->shard.atoms);
  scene->shard.atoms = second;
  sum_atoms (&scene->shard);
  buffer_release (&scene->shard.atoms);
  scene->shard.plan_offset = (int64_t) first;
  scene->shard.plan_length = (int64_t) (first); /* both atoms are equally long */
  scene->shard.atom_count = 1;
  assert_int_equal (run_stage (scene), 0);
  assert_shows (scene, "b", true);
  assert_false (is_seen (&scene->mounts, "/in/a"));
  /* another range has another checksum; one beyond the end is refused before it is read */
  scene->shard.plan_offset = 0;
  assert_int_equal (run_stage (scene), -1);
  scene->shard.plan_length = INT64_MAX;
  assert_int_equal (run_stage (scene), -1);
}

static void
test_list_that_isnt_the_planned_one (void **state)
{
  struct scene *scene = *state;
  put_file (scene, "a");
  add_atom (scene, "a", false);
  assert_int_equal (run_stage (scene), -1);
  assert_int_equal (scene->err.class, ERROR_USER);
}

/* Each link, mkdir and write fails once: staging says so and blames the machine, until none fails
 * any more. */
static void
test_failing_calls (void **state)
{
  struct scene *scene = *state;
  put_file (scene, "a/1");
  put_file (scene, "b/2");
  add_atom (scene, "a/1", false);
  add_atom (scene, "b/2", false);
  static const enum sys_call calls[] = { SYS_LINK, SYS_MKDIR, SYS_WRITE };
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    for (unsigned int nth = 1;; nth++)
      {
        assert_int_equal (fs_remove_tree (AT_FDCWD, scene->scratch, NULL), 0);
        assert_int_equal (mkdir (scene->scratch, 0755), 0);
        mounts_release (&scene->mounts);
        sys_fail (calls[i], nth, ENOSPC);
        int result = stage_all (scene);
        sys_fail (calls[i], 0, 0);
        if (result == 0)
          {
            assert_true (nth > 1);
            break;
          }
        assert_int_equal (scene->err.class, ERROR_TRANSIENT);
      }
}

/* ---- into a folder that belongs to someone else ------------------------------------------ */

/* In a child: as another user, into scratch/. */
static int
copies_as_another (const struct scene *scene)
{
  struct error err = { 0 };
  auto_place struct place place = PLACE_INIT;
  int64_t bytes = 0;
  place.source_fd = scene->volume_fd;
  place.target_fd = open (scene->scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (place.target_fd < 0 || setgid (1000) != 0 || setuid (1000) != 0)
    return 98;
  int result = place_folder (&place, "", PLACE_COPY, NULL, &bytes, &err);
  if (result != 0)
    (void) fprintf (stderr, "%s\n", err.message);
  return result == 0 ? 0 : 1;
}

/* Those of a pod's volume are kubelet's. */
static void
test_another_users_folder (void **state)
{
  struct scene *scene = *state;
  struct stat status;
  int ended = -1;
  put_file (scene, "deep/a");
  assert_int_equal (fchmodat (scene->volume_fd, "deep", 0750, 0), 0);
  assert_int_equal (fchownat (scene->volume_fd, "deep", 1000, 1000, 0), 0);
  assert_int_equal (chmod (scene->scratch, 0777), 0);
  pid_t pid = fork ();
  assert_true (pid >= 0);
  if (pid == 0)
    _exit (copies_as_another (scene));
  assert_int_equal (waitpid (pid, &ended, 0), pid);
  assert_int_equal (ended, 0);
  auto_free char *deep = xasprintf ("%s/deep", scene->scratch);
  auto_free char *file = xasprintf ("%s/deep/a", scene->scratch);
  assert_int_equal (stat (deep, &status), 0);
  assert_int_equal (status.st_mode & 07777, 0750);
  assert_int_equal (stat (file, &status), 0);
  assert_int_equal (stat (scene->scratch, &status), 0);
  assert_int_equal (status.st_mode & 07777, 0777);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int
main (void)
{
  umask (022);
  const struct CMUnitTest tests[] = {
    TEST (test_any_name_is_linked),
    TEST (test_random_shards),
    TEST (test_vanished_atom_is_named),
    TEST (test_paths_out_of_the_volume_are_refused),
    TEST (test_symbolic_links),
    TEST (test_folders_are_mounted_whole),
    TEST (test_many_folders_are_linked),
    TEST (test_folders_hold_what_their_links_lead_to),
    TEST (test_folders_without_their_links),
    TEST (test_folders_with_links_that_lead_out),
    TEST (test_whole_volumes_and_links),
    TEST (test_files_behind_links),
    TEST (test_followed_links_obey_the_policy),
    TEST (test_files_that_changed_since_they_were_listed),
    TEST (test_volume_itself_is_the_atom),
    TEST (test_forced_copy),
    TEST (test_forced_copy_names_what_vanished),
    TEST (test_forced_bind),
    cmocka_unit_test (test_another_file_system),
    TEST (test_link_to_another_file_system),
    TEST (test_without_glob_volumes_are_whole),
    TEST (test_shared_and_empty_volumes),
    TEST (test_nested_mounts),
    TEST (test_mount_point_missing_in_the_users_folder),
    TEST (test_two_on_one_path),
    TEST (test_reduce_sees_the_shards_outputs),
    TEST (test_a_forged_reduce_list_reads_nothing_else),
    TEST (test_a_policy_is_asked_at_use),
    TEST (test_atoms_from_the_plan_file),
    TEST (test_a_forged_plan_file_reads_nothing_else),
    TEST (test_list_that_isnt_the_planned_one),
    TEST (test_failing_calls),
    TEST (test_another_users_folder),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}

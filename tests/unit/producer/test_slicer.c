/* From a job to its shards: upstream's vectors, then properties on random trees. */
#include "common/fs.h"
#include "common/memory.h"
#include "common/path.h"
#include "producer/glob.h"
#include "producer/slicer.h"
#include "producer/slicer_internal.h"
#include "schemas/codec.h"
#include "storage/listing.h"
#include "storage/storage_ops.h"
#include "tests/lib/file_tree.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* ---- helpers --------------------------------------------------------------------------- */

static void
add_volume (struct job *job, const char *source, const char *path, bool shared)
{
  job->volumes = xrealloc (job->volumes, job->volume_count + 1, sizeof *job->volumes);
  job->volumes[job->volume_count++] = (struct volume){
    .source = xstrdup (source),
    .path = xstrdup (path),
    .shared = shared,
  };
}

static void
start_job (struct job *job, const char *glob)
{
  job_init (job);
  job->id = xstrdup ("job-1");
  job->image = xstrdup ("image");
  job->glob = xstrdup (glob);
}

/* What a sink saw: the atoms' container paths, a newline behind each, "|" and a newline behind a
 * shard. */
struct seen
{
  const struct job *job;
  struct strlist atoms;
  struct buffer shards;
  int plan_fd;
  uint32_t count;
  uint8_t digest[DIGEST_SIZE]; /* of shard 0 */
  int64_t plan_length;         /* of shard 0 */
  int64_t known_count;         /* shard.count of the last one */
  int64_t sizes[64];           /* atoms of the first shards */
  int64_t bytes[64];
};

static void
seen_release (struct seen *seen)
{
  strlist_release (&seen->atoms);
  buffer_release (&seen->shards);
}

static struct buffer
atoms_of (const struct seen *seen, const struct shard *shard)
{
  struct buffer list = { 0 };
  if (shard->plan_length < 0)
    buffer_append (&list, shard->atoms.data, shard->atoms.size);
  else
    {
      assert_int_equal (shard->atoms.size, 0);
      size_t size = (size_t) shard->plan_length;
      assert_int_equal (
          pread (seen->plan_fd, buffer_reserve (&list, size), size, shard->plan_offset),
          shard->plan_length);
      list.size = size;
    }
  auto_digest struct digest *digest = digest_new ();
  uint8_t sum[DIGEST_SIZE];
  digest_add (digest, list.data, list.size);
  digest_finish (digest, sum);
  assert_memory_equal (sum, shard->digest, DIGEST_SIZE);
  return list;
}

static int
see_shard (void *context, const struct shard *shard, struct error *err)
{
  struct seen *seen = context;
  assert_int_equal (shard->index, seen->count);
  assert_int_equal (shard->generation, 1);
  assert_int_equal (shard->attempt, 1);
  assert_string_equal (shard->job_id, seen->job->id);
  auto_buffer struct buffer list = atoms_of (seen, shard);
  auto_atom_cursor struct atom_cursor cursor = atom_cursor_start (buffer_bytes (&list));
  struct atom atom = { 0 };
  int64_t atoms = 0;
  for (; atom_cursor_next (&cursor, &atom, err) == 1; atoms++)
    {
      auto_free char *path = slicer_atom_path (seen->job, &atom);
      strlist_addf (&seen->atoms, "%s%s", path, atom.folder ? "/" : "");
      buffer_printf (&seen->shards, "%s%s\n", path, atom.folder ? "/" : "");
    }
  assert_int_equal (atoms, shard->atom_count);
  buffer_puts (&seen->shards, "|\n");
  if (seen->count == 0)
    {
      memcpy (seen->digest, shard->digest, DIGEST_SIZE);
      seen->plan_length = shard->plan_length;
    }
  if (seen->count < 64)
    {
      seen->sizes[seen->count] = shard->atom_count;
      seen->bytes[seen->count] = shard->bytes;
    }
  seen->known_count = shard->count;
  seen->count++;
  return 0;
}

/* Checks and slices JOB into SEEN and PLAN: 0 or -1. */
static int
slice (struct job *job, struct seen *seen, struct plan *plan, struct error *err)
{
  seen->job = job;
  const struct slicer_sink sink = { .context = seen, .shard = see_shard, .plan_fd = seen->plan_fd };
  if (slicer_check (job, NULL, err) != 0)
    return -1;
  return slicer_run (job, &sink, plan, err);
}

static void
expect_shards (struct job *job, const char *expected)
{
  struct seen seen = { .plan_fd = -1 };
  struct plan plan = { 0 };
  struct error err = ERROR_INIT;
  if (slice (job, &seen, &plan, &err) != 0)
    fail_msg ("%s", err.message);
  assert_string_equal (seen.shards.data, expected);
  assert_int_equal (plan.shards, seen.count);
  assert_int_equal (plan.atoms, seen.atoms.count);
  seen_release (&seen);
}

static void
expect_error (struct job *job, const char *part)
{
  struct seen seen = { .plan_fd = -1 };
  struct plan plan = { 0 };
  struct error err = ERROR_INIT;
  assert_int_equal (slice (job, &seen, &plan, &err), -1);
  assert_int_equal (err.class, ERROR_USER);
  if (strstr (err.message, part) == NULL)
    fail_msg ("'%s' isn't in '%s'", part, err.message);
  seen_release (&seen);
}

/* ---- upstream's vectors ---------------------------------------------------------------- */

struct vector
{
  const char *name;
  const char *files; /* space-separated, "/" at the end: a folder */
  const char *path;  /* where the volume is mounted */
  const char *pattern;
  const char *base;
  const char *atoms; /* one a line, "/" at the end: a folder; NULL: no match */
};

static void
check_vector (const struct vector *vector)
{
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_free char *files = xstrdup (vector->files);
  char *rest = files;
  for (char *file = strsep (&rest, "|"); file != NULL; file = strsep (&rest, "|"))
    if (file[0] != '\0' && file[strlen (file) - 1] == '/')
      {
        file[strlen (file) - 1] = '\0';
        file_tree_make_folder (tree, file);
      }
    else if (file[0] != '\0')
      file_tree_put (tree, file, 1);
  auto_job struct job job;
  start_job (&job, vector->pattern);
  job.batch_size = 1000;
  job.base_path = xstrdup (vector->base);
  add_volume (&job, tree->folder, vector->path, false);
  print_message ("  %s\n", vector->name);
  if (vector->atoms == NULL)
    {
      expect_error (&job, "nothing below the base path");
      return;
    }
  auto_free char *expected = xasprintf ("%s|\n", vector->atoms);
  expect_shards (&job, expected);
}

#define S "a/file1.txt|a/file2.txt|b/file1.txt|b/file2.txt"
#define V                                                                                          \
  "Bird flying over the lake.mp4|Calm waves on a rocky sea gulf.mp4|Prominent Late Gothic styled " \
  "architecture.mp4"
#define V_ATOMS                                                                                    \
  "/inputs/Bird flying over the lake.mp4\n/inputs/Calm waves on a rocky sea gulf.mp4\n"            \
  "/inputs/Prominent Late Gothic styled architecture.mp4\n"
#define S_FILES "/a/file1.txt\n/a/file2.txt\n/b/file1.txt\n/b/file2.txt\n"
#define JPGS "image00001.jpg|image00002.jpg|image00010.jpg"
#define JPG_ATOMS                                                                                  \
  "/input_images/image00001.jpg\n/input_images/image00002.jpg\n/input_images/image00010.jpg\n"

/* Bacalhau's seven cases of ApplyGlobPattern. An empty base there meant: match the whole path;
 * that's base "/" here, and no base path at all means the volumes' own. Differs on purpose: case 2
 * gave folders and what is in them, so that each file was in two atoms; here the inside wins and it
 * is the four files. */
static void
test_upstream_cases (void **state)
{
  (void) state;
  static const struct vector vectors[] = {
    { "1 top level folders", S, "/", "/*", "/", "/a/\n/b/\n" },
    { "2 everything", S, "/", "/**/*", "/", S_FILES },
    { "3 only files in folders", S, "/", "/**/*.*", "/", S_FILES },
    { "4 base path", "file1.txt|file2.txt|file3.txt|file4.txt|apples.txt", "/a", "/file*.txt", "/a",
      "/a/file1.txt\n/a/file2.txt\n/a/file3.txt\n/a/file4.txt\n" },
    { "5 spaces in file names", V, "/inputs", "/inputs/*.mp4", "/", V_ATOMS },
    { "6 pattern without leading slash", V, "/inputs", "*.mp4", "/inputs", V_ATOMS },
    { "7 names without leading slash", V, "/inputs", "/*.mp4", "/inputs", V_ATOMS },
  };
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
    check_vector (&vectors[i]);
}

/* What followed from Bacalhau's rules, and where we differ on purpose:
 *   - a trailing slash on base or pattern changes nothing (there: no match);
 *   - a base path that is no prefix is an error, not ignored (there: full paths were matched);
 *   - `**` is files only (there: the base and the folders as well). */
static void
test_derived_cases (void **state)
{
  (void) state;
  static const struct vector vectors[] = {
    { "plain", JPGS, "/input_images", "image*.jpg", "/input_images", JPG_ATOMS },
    { "slash behind the base", JPGS, "/input_images", "image*.jpg", "/input_images/", JPG_ATOMS },
    { "base is the root", JPGS, "/input_images", "image*.jpg", "/", NULL },
    { "pattern has the volume's path", JPGS, "/input_images", "/input_images/image*.jpg", "/",
      JPG_ATOMS },
    { "deep", JPGS, "/input_images", "**", "/input_images", JPG_ATOMS },
    { "deep and any", JPGS, "/input_images", "**/*", "/input_images", JPG_ATOMS },
    { "any", JPGS, "/input_images", "*", "/input_images", JPG_ATOMS },
    { "deep inside a component", JPGS, "/input_images", "**.jpg", "/input_images", JPG_ATOMS },
    { "folders", "folder1/x|folder2/y", "/d", "folder*", "/d", "/d/folder1/\n/d/folder2/\n" },
    { "slash behind the pattern", "folder1/x|folder2/y", "/d", "folder*/", "/d",
      "/d/folder1/\n/d/folder2/\n" },
    { "files in folders", "folder1/x|folder2/y", "/d", "folder*/**", "/d",
      "/d/folder1/x\n/d/folder2/y\n" },
    { "two levels", "volume1/image1.jpg|volumeX/image2.jpg", "/i", "/volume*/image*.jpg", "/i",
      "/i/volume1/image1.jpg\n/i/volumeX/image2.jpg\n" },
    { "hidden files", ".hid|A.JPG|a.jpg", "/v", "*", "/v", "/v/.hid\n/v/A.JPG\n/v/a.jpg\n" },
    { "case matters", ".hid|A.JPG|a.jpg", "/v", "*.jpg", "/v", "/v/a.jpg\n" },
    { "no files at all", "", "/input", "/input/*", "/", NULL },
    { "an empty volume has no files", "", "/input", "**", "/input", NULL },
    { "the volume as one atom", JPGS, "/in", "/", "/in", "/in/\n" },
    { "base inside the volume", "a/b/x|a/b/y|a/z|c", "/v", "*", "/v/a/b", "/v/a/b/x\n/v/a/b/y\n" },
    { "base inside, as one atom", "a/b/x|a/b/y|a/z|c", "/v", "/", "/v/a/b", "/v/a/b/\n" },
    { "base that isn't there", "a/x", "/v", "**", "/v/b", NULL },
    { "cut at component borders", "in/x|input/y", "/v", "*", "/v/in", "/v/in/x\n" },
    { "git's order", "a.txt|a/b|a0", "/v", "{**,a}", "/v", "/v/a.txt\n/v/a/b\n/v/a0\n" },
    { "an empty folder is an atom where it's named", "d/|e/x", "/v", "**/*", "/v",
      "/v/d/\n/v/e/x\n" },
    { "inside wins, level by level", "d/e/x.jpg|d/f/y|g/z", "/v", "{*,*/*,**/*.jpg}", "/v",
      "/v/d/e/x.jpg\n/v/d/f/\n/v/g/z\n" },
  };
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
    check_vector (&vectors[i]);
}

/* Bacalhau exploded 10 folders × 10 files to 111 items; asked for by name they are 100 files. */
static void
test_order_is_depth_first_and_bytewise (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_buffer struct buffer expected = { 0 };
  for (int folder = 0; folder < 10; folder++)
    for (int file = 0; file < 10; file++)
      {
        auto_free char *path = xasprintf ("folder%d/%d.txt", folder, file);
        file_tree_put (tree, path, 0);
        buffer_printf (&expected, "/input/%s\n", path);
      }
  buffer_puts (&expected, "|\n");
  auto_job struct job job;
  start_job (&job, "**");
  job.batch_size = 111;
  add_volume (&job, tree->folder, "/input", false);
  expect_shards (&job, expected.data);
}

/* TestEndToEnd: 0..99.txt, all of /input, batch 10: 10 shards, in byte order. */
static void
test_batches (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  for (int file = 0; file < 100; file++)
    {
      auto_free char *path = xasprintf ("%d.txt", file);
      file_tree_put (tree, path, 0);
    }
  static const struct
  {
    int64_t batch, shards, last;
  } cases[] = { { 10, 10, 10 },  { 1, 100, 1 },    { 99, 2, 1 },
                { 100, 1, 100 }, { 1000, 1, 100 }, { 30, 4, 10 } };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
      auto_job struct job job;
      start_job (&job, "/input/*");
      job.base_path = xstrdup ("/");
      job.batch_size = cases[i].batch;
      add_volume (&job, tree->folder, "/input", false);
      struct seen seen = { .plan_fd = -1 };
      struct plan plan = { 0 };
      assert_int_equal (slice (&job, &seen, &plan, NULL), 0);
      assert_int_equal (plan.shards, cases[i].shards);
      assert_int_equal (plan.listed, 100);
      assert_int_equal (plan.bytes, -1);
      assert_int_equal (seen.known_count, -1);
      if (seen.count <= 64)
        assert_int_equal (seen.sizes[seen.count - 1], cases[i].last);
      assert_string_equal (seen.atoms.items[2], "/input/10.txt");
      seen_release (&seen);
    }
}

/* ---- several volumes ------------------------------------------------------------------- */

static void
test_volumes_in_flag_order (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *z = file_tree_new ();
  auto_file_tree struct file_tree *a = file_tree_new ();
  file_tree_put (z, "1", 0);
  file_tree_put (a, "2", 0);
  auto_job struct job job;
  start_job (&job, "*/*");
  job.batch_size = 10;
  add_volume (&job, z->folder, "/in/z", false);
  add_volume (&job, a->folder, "/in/a", false);
  expect_shards (&job, "/in/z/1\n/in/a/2\n|\n");
  assert_string_equal (job.base_path, "/in");
}

/* Upstream: volumes /inputs and /data, base /inputs, `*` gave /inputs/a and, as a surprise, /data.
 * Here it's an error; without a base path it is "/", and `*` means the two volumes themselves. */
static void
test_volume_outside_the_base (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  file_tree_put (tree, "a", 0);
  auto_job struct job job;
  start_job (&job, "*");
  job.batch_size = 10;
  add_volume (&job, tree->folder, "/inputs", false);
  add_volume (&job, tree->folder, "/data", false);
  job.base_path = xstrdup ("/inputs");
  expect_error (&job, "the volume /data is neither below nor above the base path /inputs");
  free (take (&job.base_path));
  expect_shards (&job, "/inputs/\n/data/\n|\n");
}

static void
test_nested_volume_hides (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *outer = file_tree_new ();
  auto_file_tree struct file_tree *inner = file_tree_new ();
  file_tree_put (outer, "a", 0);
  file_tree_put (outer, "d/hidden", 0);
  file_tree_put (outer, "d/sub/hidden", 0);
  file_tree_put (outer, "dx", 0);
  file_tree_put (inner, "seen", 0);
  auto_job struct job job;
  start_job (&job, "**");
  job.batch_size = 10;
  add_volume (&job, outer->folder, "/in", false);
  add_volume (&job, inner->folder, "/in/d", false);
  expect_shards (&job, "/in/a\n/in/dx\n/in/d/seen\n|\n");
  job.volumes[1].shared = true;
  expect_shards (&job, "/in/a\n/in/dx\n|\n");
}

static void
test_folder_atom_with_a_volume_in_it (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *outer = file_tree_new ();
  auto_file_tree struct file_tree *inner = file_tree_new ();
  file_tree_put (outer, "d/x", 0);
  file_tree_put (inner, "y", 0);
  auto_job struct job job;
  start_job (&job, "*");
  add_volume (&job, outer->folder, "/in", false);
  add_volume (&job, inner->folder, "/in/d/sub", false);
  expect_error (&job, "another volume is mounted in it at /in/d/sub");
}

/* ---- excludes -------------------------------------------------------------------------- */

static void
test_excludes (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  file_tree_put (tree, "a.jpg", 0);
  file_tree_put (tree, "a.tmp", 0);
  file_tree_put (tree, "raw/b.jpg", 0);
  file_tree_put (tree, "sub/c.jpg", 0);
  file_tree_put (tree, "only/d.tmp", 0);
  auto_job struct job job;
  start_job (&job, "**");
  job.batch_size = 10;
  add_volume (&job, tree->folder, "/in", false);
  strlist_add (&job.exclude, "**/*.tmp");
  strlist_add (&job.exclude, "/raw/");
  expect_shards (&job, "/in/a.jpg\n/in/sub/c.jpg\n|\n");

  /* A folder whose matches are all excluded isn't an atom itself: it would bring them back. */
  free (job.glob);
  job.glob = xstrdup ("**/*");
  expect_shards (&job, "/in/a.jpg\n/in/sub/c.jpg\n|\n");

  free (job.glob);
  job.glob = xstrdup ("*");
  expect_shards (&job, "/in/a.jpg\n/in/only/\n/in/sub/\n|\n");

  strlist_add (&job.exclude, "**");
  expect_error (&job, "matches, and --exclude leaves it out");
}

/* ---- sizes and counts ------------------------------------------------------------------ */

static void
test_batch_bytes (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  file_tree_put (tree, "a", 60);
  file_tree_put (tree, "b", 40);
  file_tree_put (tree, "c", 1);
  file_tree_put (tree, "d", 500); /* larger than a shard: alone */
  file_tree_put (tree, "e/1", 30);
  file_tree_put (tree, "e/f/2", 40);
  file_tree_put (tree, "g", 30);
  file_tree_put (tree, "h", 1);
  auto_job struct job job;
  start_job (&job, "*");
  job.batch_size = 10;
  job.batch_bytes = 100;
  add_volume (&job, tree->folder, "/in", false);
  expect_shards (&job, "/in/a\n/in/b\n|\n/in/c\n|\n/in/d\n|\n/in/e/\n/in/g\n|\n/in/h\n|\n");
  struct seen seen = { .plan_fd = -1 };
  struct plan plan = { 0 };
  assert_int_equal (slice (&job, &seen, &plan, NULL), 0);
  assert_int_equal (plan.bytes, 702);
  assert_int_equal (seen.bytes[0], 100);
  assert_int_equal (seen.bytes[3], 100);
  seen_release (&seen);
}

static void
test_fixed_number_of_shards (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  for (int i = 0; i < 10; i++)
    {
      auto_free char *path = xasprintf ("%d", i);
      file_tree_put (tree, path, 0);
    }
  static const struct
  {
    int64_t wanted, shards, sizes[10];
  } cases[] = { { 1, 1, { 10 } },
                { 3, 3, { 4, 3, 3 } },
                { 4, 4, { 3, 3, 2, 2 } },
                { 10, 10, { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 } },
                { 999, 10, { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 } } };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
      auto_job struct job job;
      start_job (&job, "**");
      job.shards = cases[i].wanted;
      add_volume (&job, tree->folder, "/in", false);
      struct seen seen = { .plan_fd = -1 };
      struct plan plan = { 0 };
      assert_int_equal (slice (&job, &seen, &plan, NULL), 0);
      assert_int_equal (plan.shards, cases[i].shards);
      assert_int_equal (seen.known_count, cases[i].shards);
      for (int64_t shard = 0; shard < cases[i].shards; shard++)
        assert_int_equal (seen.sizes[shard], cases[i].sizes[shard]);
      seen_release (&seen);
    }
}

static void
test_count_when_wanted (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  file_tree_put (tree, "a", 0);
  file_tree_put (tree, "b", 0);
  file_tree_put (tree, "c", 0);
  auto_job struct job job;
  start_job (&job, "**");
  job.batch_size = 2;
  job.needs_count = true;
  add_volume (&job, tree->folder, "/in", false);
  struct seen seen = { .plan_fd = -1 };
  struct plan plan = { 0 };
  assert_int_equal (slice (&job, &seen, &plan, NULL), 0);
  assert_int_equal (plan.shards, 2);
  assert_int_equal (seen.known_count, 2);
  seen_release (&seen);
}

/* Changes the tree when the first pass has been through it. */
struct meddler
{
  struct file_tree *tree;
  const char *path;
  int calls;
};

static int
meddle (void *context, struct error *err)
{
  (void) err;
  struct meddler *meddler = context;
  if (++meddler->calls == 1) /* at the end of the volume in the first pass */
    file_tree_put (meddler->tree, meddler->path, 0);
  return 0;
}

static int
take_any_shard (void *context, const struct shard *shard, struct error *err)
{
  (void) context;
  (void) shard;
  (void) err;
  return 0;
}

static void
test_inputs_that_change_between_the_passes (void **state)
{
  (void) state;
  static const char *const added[] = { "0", "b2", "z" };
  for (int fixed = 0; fixed < 2; fixed++)
    for (size_t i = 0; i < 3; i++)
      {
        auto_file_tree struct file_tree *tree = file_tree_new ();
        file_tree_put (tree, "a", 0);
        file_tree_put (tree, "b", 0);
        file_tree_put (tree, "c", 0);
        auto_job struct job job;
        start_job (&job, "**");
        job.shards = fixed == 1 ? 2 : -1;
        job.needs_count = fixed == 0;
        add_volume (&job, tree->folder, "/in", false);
        struct error err = ERROR_INIT;
        assert_int_equal (slicer_check (&job, NULL, &err), 0);
        struct meddler meddler = { .tree = tree, .path = added[i] };
        const struct slicer_sink sink = {
          .context = &meddler, .shard = take_any_shard, .plan_fd = -1, .alive = meddle
        };
        struct plan plan = { 0 };
        assert_int_equal (slicer_run (&job, &sink, &plan, &err), -1);
        assert_int_equal (err.class, ERROR_USER);
        assert_non_null (strstr (err.message, "changed while they were listed"));
      }
}

static int
end_with_seven (void *context, struct error *err)
{
  (void) context;
  (void) err;
  return 7;
}

static void
test_what_the_sink_returns_comes_back (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  file_tree_put (tree, "a", 0);
  auto_job struct job job;
  start_job (&job, "**");
  add_volume (&job, tree->folder, "/in", false);
  assert_int_equal (slicer_check (&job, NULL, NULL), 0);
  const struct slicer_sink sink = { .shard = take_any_shard,
                                    .plan_fd = -1,
                                    .alive = end_with_seven };
  struct plan plan = { 0 };
  assert_int_equal (slicer_run (&job, &sink, &plan, NULL), 7);
}

/* ---- large shards ---------------------------------------------------------------------- */

static void
test_large_shards_go_to_the_plan_file (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  char name[220];
  for (int i = 0; i < 6000; i++)
    {
      (void) snprintf (name, sizeof name, "%0200d", i);
      file_tree_put (tree, name, 0);
    }
  auto_fd int plan_fd = memfd_create ("plan", MFD_CLOEXEC);
  uint8_t digests[2][DIGEST_SIZE];
  uint8_t first[2][DIGEST_SIZE];
  for (int spilling = 0; spilling < 2; spilling++)
    {
      auto_job struct job job;
      start_job (&job, "**");
      job.batch_size = 5000;
      add_volume (&job, tree->folder, "/in", false);
      struct seen seen = { .plan_fd = spilling == 1 ? plan_fd : -1 };
      struct plan plan = { 0 };
      assert_int_equal (slice (&job, &seen, &plan, NULL), 0);
      assert_int_equal (seen.count, 2);
      assert_int_equal (seen.plan_length > 0, spilling);
      memcpy (digests[spilling], plan.digest, DIGEST_SIZE);
      memcpy (first[spilling], seen.digest, DIGEST_SIZE);
      seen_release (&seen);
    }
  assert_memory_equal (digests[0], digests[1], DIGEST_SIZE);
  assert_memory_equal (first[0], first[1], DIGEST_SIZE);
}

/* ---- a storage that is not there ------------------------------------------------------- */

enum
{
  INVENTED = 1000000,
};

static int
list_invented (struct storage *storage, const struct storage_visitor *visitor, struct error *err)
{
  (void) storage;
  if (!visitor->enter (visitor->context, "", 0))
    return 0;
  for (int i = 0; i < INVENTED; i++)
    {
      char path[32];
      size_t size = (size_t) snprintf (path, sizeof path, "%07d", i);
      const struct storage_entry entry = { .path = path, .path_size = size, .size = -1 };
      int result = visitor->entry (visitor->context, &entry, err);
      if (result != 0)
        return result;
    }
  return 0;
}

static void
close_invented (struct storage *storage)
{
  free (storage);
}

static struct storage *
open_invented (void *context, const struct job *job, size_t index, struct error *err)
{
  (void) context;
  (void) job;
  (void) index;
  (void) err;
  static const struct storage_ops ops = { .list = list_invented, .close = close_invented };
  struct storage *storage = xcalloc (1, sizeof *storage);
  storage->ops = &ops;
  return storage;
}

struct tally
{
  int64_t shards;
  int64_t atoms;
  size_t largest; /* inline bytes of a shard */
};

static int
count_shard (void *context, const struct shard *shard, struct error *err)
{
  (void) err;
  struct tally *tally = context;
  assert_int_equal (shard->index, tally->shards);
  tally->shards++;
  tally->atoms += shard->atom_count;
  if (shard->atoms.size > tally->largest)
    tally->largest = shard->atoms.size;
  return 0;
}

static void
test_a_million_atoms_as_a_stream (void **state)
{
  (void) state;
  auto_fd int plan_fd = memfd_create ("plan", MFD_CLOEXEC);
  static const int64_t batches[] = { 1, 1000, INVENTED };
  for (size_t i = 0; i < sizeof batches / sizeof *batches; i++)
    {
      auto_job struct job job;
      start_job (&job, "*");
      add_volume (&job, "/", "/in", false);
      job.batch_size = batches[i];
      assert_int_equal (slicer_check (&job, NULL, NULL), 0);
      struct tally tally = { 0 };
      struct plan plan = { 0 };
      const struct slicer_sources sources = { .open = open_invented };
      const struct slicer_sink sink = { .context = &tally,
                                        .shard = count_shard,
                                        .plan_fd = plan_fd };
      assert_int_equal (slicer_run_on (&job, &sources, &sink, &plan, NULL), 0);
      assert_int_equal (tally.shards, INVENTED / batches[i]);
      assert_int_equal (tally.atoms, INVENTED);
      assert_int_equal (plan.listed, INVENTED);
      assert_true (tally.largest <= SHARD_INLINE_MAX);
    }
}

/* ---- a file and a folder of one path ------------------------------------------------------ */

/* Visits PATHS, NULL at the end, in their order; those that end in "/" are folders. */
static int
list_paths (const char *const paths[], const struct storage_visitor *visitor, struct error *err)
{
  const char *skipped = NULL;
  if (!visitor->enter (visitor->context, "", 0))
    return 0;
  for (size_t i = 0; paths[i] != NULL; i++)
    {
      auto_free char *path = xstrdup (paths[i]);
      size_t size = strlen (path);
      bool folder = path[size - 1] == '/';
      if (skipped != NULL && strncmp (path, skipped, strlen (skipped)) == 0)
        continue;
      size -= folder;
      path[size] = '\0';
      const struct storage_entry entry = {
        .path = path, .path_size = size, .folder = folder, .size = folder ? -1 : 1
      };
      int result = visitor->entry (visitor->context, &entry, err);
      if (result != 0)
        return result;
      skipped = folder && !visitor->enter (visitor->context, path, size) ? paths[i] : skipped;
    }
  return 0;
}

/* "d/c" is a file and a folder, and so is "a"; "a-b" and "a.b" come between both. */
static int
list_clashing (struct storage *storage, const struct storage_visitor *visitor, struct error *err)
{
  static const char *const paths[] = { "a",    "a-b", "a-b.c", "a.b",  "a/",     "a/x",     "ab/",
                                       "ab/y", "d/",  "d/c",   "d/c/", "d/c/e/", "d/c/e/f", NULL };
  (void) storage;
  return list_paths (paths, visitor, err);
}

static struct storage *
open_clashing (void *context, const struct job *job, size_t index, struct error *err)
{
  static const struct storage_ops ops = { .list = list_clashing, .close = close_invented };
  struct storage *storage = open_invented (context, job, index, err);
  storage->ops = &ops;
  return storage;
}

static void
test_a_file_and_a_folder_of_one_path (void **state)
{
  (void) state;
  static const struct
  {
    const char *pattern;
    const char *exclude;
    const char *clash; /* NULL: none */
  } cases[] = {
    { "*", NULL, "/in/a is a file and a folder" },
    { "*", "a", NULL },
    { "a*", NULL, "/in/a is a file and a folder" },
    { "{a,ab}/*", NULL, NULL },
    { "a-*", NULL, NULL },
    { "{a,a/*}", NULL, "/in/a is a file and a folder" },
    { "d/*", NULL, "/in/d/c is a file and a folder" },
    { "d/c/**", NULL, "/in/d/c is a file and a folder" }, /* it matches d/c as well */
    { "d/c/*", NULL, NULL },
    { "d/**", NULL, "/in/d/c is a file and a folder" },
    { "{a,a-b,a-b.c,a.b,ab/*}", NULL, "/in/a is a file and a folder" },
    { "{a-b,a-b.c,a.b,ab}", NULL, NULL },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (int sizes = 0; sizes < 2; sizes++)
      {
        auto_job struct job job;
        start_job (&job, cases[i].pattern);
        add_volume (&job, "https://h/", "/in", false);
        if (cases[i].exclude != NULL)
          strlist_add (&job.exclude, cases[i].exclude);
        job.batch_size = 100;
        job.batch_bytes = sizes == 1 ? 1000 : -1;
        assert_int_equal (slicer_check (&job, NULL, NULL), 0);
        struct tally tally = { 0 };
        struct plan plan = { 0 };
        struct error err = ERROR_INIT;
        const struct slicer_sources sources = { .open = open_clashing };
        const struct slicer_sink sink = { .context = &tally, .shard = count_shard, .plan_fd = -1 };
        int result = slicer_run_on (&job, &sources, &sink, &plan, &err);
        const char *clash = cases[i].clash;
        if (clash == NULL ? result != 0 : result == 0 || strstr (err.message, clash) == NULL)
          fail_msg ("%s: %d: %s", cases[i].pattern, result, result == 0 ? "" : err.message);
      }
}

/* ---- no sharding, bad input ------------------------------------------------------------ */

static void
test_without_a_glob_one_shard (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_job struct job job;
  start_job (&job, "");
  free (take (&job.glob));
  add_volume (&job, tree->folder, "/a", false);
  add_volume (&job, tree->folder, "/b", false);
  expect_shards (&job, "|\n");
}

/* A pattern that matches nothing: one path as it sees it, and what is likely wrong. */
static void
test_no_match_is_explained (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_file_tree struct file_tree *empty = file_tree_new ();
  file_tree_put (tree, "2019/IMG_1.JPG", 0);
  file_tree_put (tree, "2019/notes.txt", 0);
  auto_free char *source = file_tree_path (tree, "2019");
  static const struct
  {
    const char *pattern;
    const char *cause;
  } cases[] = {
    { "*.jpg", "(2 paths scanned): 'IMG_1.JPG' differs in upper and lower case: "
               "--glob-ignore-case" },
    { "/data/in/*.JPG",
      ": the pattern repeats 'data/in' of the base path, to which it is relative" },
    { "in/*.txt", ": the pattern repeats 'in' of the base path, to which it is relative" },
    { "2019/*.txt", ": the pattern repeats '2019' of the volume's source; it sees 'notes.txt'" },
    { "/models/*.bin", ": /models is a shared volume, which every shard sees whole" },
    { "*.gif", "; the pattern is compared with paths like 'IMG_1.JPG'" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    {
      auto_job struct job job;
      start_job (&job, cases[i].pattern);
      add_volume (&job, source, "/data/in", false);
      add_volume (&job, empty->folder, "/models", true);
      expect_error (&job, cases[i].cause);
    }
  auto_job struct job deep;
  start_job (&deep, "*.JPG");
  add_volume (&deep, tree->folder, "/in", false);
  expect_error (&deep, ": '2019/IMG_1.JPG' lies deeper: '**/' before the pattern");
  auto_job struct job none;
  start_job (&none, "*.JPG");
  add_volume (&none, empty->folder, "/in", false);
  expect_error (&none, "(0 paths scanned): there is no file");
}

static void
test_case_is_ignored (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  file_tree_put (tree, "a.jpg", 0);
  file_tree_put (tree, "B.JPG", 0);
  file_tree_put (tree, "draft.JPG", 0);
  auto_job struct job job;
  start_job (&job, "*.Jpg");
  job.batch_size = 10;
  job.glob_ignore_case = true;
  strlist_add (&job.exclude, "DRAFT*");
  add_volume (&job, tree->folder, "/in", false);
  expect_shards (&job, "/in/B.JPG\n/in/a.jpg\n|\n");
}

static void
test_bad_input (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  file_tree_put (tree, "a", 0);
  auto_job struct job job;
  start_job (&job, "*.jpg");
  add_volume (&job, tree->folder, "/in", false);
  expect_error (&job, "nothing below the base path /in matches the pattern '*.jpg' (1 path scanned)"
                      "; the pattern is compared with paths like 'a'");
  job.batch_size = 0;
  expect_error (&job, "0 is out of range: expected 1 to 1000000000");
  job.batch_size = -5;
  expect_error (&job, "-5 is out of range");
  job.batch_size = 1;
  job.batch_bytes = 0;
  expect_error (&job, "0 is out of range: expected 1 to 9007199254740992");
  job.batch_bytes = -1;
  job.shards = 0;
  expect_error (&job, "0 is out of range");
  job.shards = -1;
  strlist_add (&job.exclude, "[");
  expect_error (&job, "exclude: pattern '[': position 1");
  strlist_release (&job.exclude);
  add_volume (&job, tree->folder, "/in/", false);
  expect_error (&job, "two volumes at the same path /in");
  free (job.volumes[1].path);
  job.volumes[1].path = xstrdup ("/other");
  free (job.base_path);
  job.base_path = xstrdup ("/");
  free (job.volumes[1].source);
  job.volumes[1].source = xstrdup ("/no/such/folder");
  expect_error (&job, "volume /other: /no/such/folder: No such file");
  free (job.volumes[1].source);
  job.volumes[1].source = file_tree_path (tree, "a");
  expect_error (&job, "a file, which can't be split");
  free (job.volumes[1].source);
  job.volumes[1].source = xstrdup ("ftp://host/x");
  expect_error (&job, "no storage is known for 'ftp:'");
  free (job.volumes[1].source);
  job.volumes[1].source = xstrdup (tree->folder);
  job.outputs = xcalloc (1, sizeof *job.outputs);
  job.outputs[job.output_count++] =
      (struct output){ .name = xstrdup ("results"), .path = xstrdup ("/in/out/") };
  expect_error (&job, "the output results:/in/out is inside the input volume /in");
  job.volumes[0].shared = job.volumes[1].shared = true;
  job.outputs[0].path[1] = 'o';
  expect_error (&job, "needs a volume");
  job.volumes[0].shared = false;
  free (job.base_path);
  job.base_path = xstrdup ("../x");
  expect_error (&job, "expected a path beginning with a slash");
  free (job.base_path);
  job.base_path = xstrdup ("/in/../x");
  expect_error (&job, "a path can't contain \"..\"");
}

/* ---- properties on random trees -------------------------------------------------------- */

static const char *const names[] = { "a",    "b",        "a.x", "b.x", "-a",
                                     "a\nb", "\xff\xfe", "é",   "a0",  "ab" };

static const char *
random_name (uint64_t *seed)
{
  return names[random_next (seed) % (sizeof names / sizeof *names)];
}

/* Everything in the tree, unordered: "path" or "path/". */
static void
fill_tree (uint64_t *seed, struct file_tree *tree, struct strlist *all, const char *folder,
           int depth)
{
  size_t count = random_next (seed) % 6;
  for (size_t i = 0; i < count; i++)
    {
      const char *slash = folder[0] == '\0' ? "" : "/";
      auto_free char *path = xasprintf ("%s%s%s", folder, slash, random_name (seed));
      auto_free char *as_folder = xasprintf ("%s/", path);
      if (strlist_has (all, path) || strlist_has (all, as_folder))
        continue;
      if (depth < 3 && random_next (seed) % 2 == 0)
        {
          file_tree_make_folder (tree, path);
          strlist_add (all, as_folder);
          fill_tree (seed, tree, all, path, depth + 1);
        }
      else
        {
          file_tree_put (tree, path, random_next (seed) % 50);
          strlist_add (all, path);
        }
    }
}

static int
compare_strings (const void *a, const void *b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

static bool
is_excluded (struct glob *const excludes[2], const char *path)
{
  for (size_t end = 1; path[end - 1] != '\0'; end++)
    if (path[end] == '/' || path[end] == '\0')
      for (int i = 0; i < 2; i++)
        if (glob_match (excludes[i], path, end))
          return true;
  return false;
}

/* The rule of selector.h, said over the whole set: an atom is a match that isn't excluded; a folder
 * only if nothing in it matches, and nothing excluded in it could. */
static bool
is_atom (const struct glob *glob, struct glob *const excludes[2], const struct strlist *all,
         const char *entry)
{
  size_t size = strlen (entry);
  bool folder = entry[size - 1] == '/';
  auto_free char *path = xstrndup (entry, size - folder);
  if (is_excluded (excludes, path))
    return false;
  if (!folder)
    return glob_match (glob, path, size);
  if (!glob_match_folder (glob, path, size - 1))
    return false;
  for (size_t i = 0; i < all->count; i++)
    {
      const char *other = all->items[i];
      if (strncmp (other, entry, size) != 0 || other[size] == '\0')
        continue;
      size_t length = strlen (other);
      bool inner = other[length - 1] == '/';
      length -= inner;
      auto_free char *inside = xstrndup (other, length);
      if (inner ? glob_match_folder (glob, inside, length)
                      || (is_excluded (excludes, inside)
                          && glob_may_match_below (glob, inside, length))
                : glob_match (glob, inside, length))
        return false;
    }
  return true;
}

static const char *const patterns[] = {
  "**",       "*",  "*/*",   "**/*",    "**/a*",        "{*,**/*.x}", "a/**",     "**/?", "{a,b}/*",
  "**/[!a]*", "a*", "*/a/*", "**/a/**", "{a,a/*,**/b}", "**/*.x",     "{,*/}*b*", "-*",   "*\n*"
};
static const char *const exclude_patterns[] = { "nothing", "nothing", "nothing", "**/*.x",  "a",
                                                "**/b/**", "*/*",     "**/a0",   "**/\xff*" };

static void
random_round (uint64_t *seed)
{
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_strlist struct strlist all = { 0 };
  fill_tree (seed, tree, &all, "", 0);
  auto_job struct job job;
  start_job (&job, patterns[random_next (seed) % (sizeof patterns / sizeof *patterns)]);
  add_volume (&job, tree->folder, "/in", false);
  job.batch_size = 1 + (int64_t) (random_next (seed) % 4);
  job.batch_bytes = random_next (seed) % 3 == 0 ? 60 : -1;
  job.needs_count = random_next (seed) % 3 == 0;
  struct glob *excludes[2];
  for (int i = 0; i < 2; i++)
    {
      strlist_add (&job.exclude,
                   exclude_patterns[random_next (seed)
                                    % (sizeof exclude_patterns / sizeof *exclude_patterns)]);
      excludes[i] = glob_compile (job.exclude.items[i], NULL);
    }
  auto_glob struct glob *glob = glob_compile (job.glob, NULL);

  auto_strlist struct strlist expected = { 0 };
  if (all.count > 0)
    qsort (all.items, all.count, sizeof *all.items, compare_strings);
  for (size_t i = 0; i < all.count; i++)
    if (is_atom (glob, excludes, &all, all.items[i]))
      strlist_addf (&expected, "/in/%s", all.items[i]);

  struct seen seen[2] = { { .plan_fd = -1 }, { .plan_fd = -1 } };
  struct plan plans[2] = { 0 };
  for (int i = 0; i < 2; i++)
    {
      struct error err = ERROR_INIT;
      int result = slice (&job, &seen[i], &plans[i], &err);
      if (expected.count == 0)
        {
          assert_int_equal (result, -1);
          assert_non_null (strstr (err.message, "nothing below"));
          continue;
        }
      if (result != 0)
        fail_msg ("%s", err.message);
      if (seen[i].atoms.count != expected.count)
        fail_msg ("pattern '%s': %zu atoms, expected %zu", job.glob, seen[i].atoms.count,
                  expected.count);
      for (size_t atom = 0; atom < expected.count; atom++)
        assert_string_equal (seen[i].atoms.items[atom], expected.items[atom]);
    }
  if (expected.count > 0)
    {
      assert_string_equal (seen[0].shards.data, seen[1].shards.data);
      assert_memory_equal (plans[0].digest, plans[1].digest, DIGEST_SIZE);
    }
  for (int i = 0; i < 2; i++)
    {
      seen_release (&seen[i]);
      glob_free (excludes[i]);
    }
}

static void
test_random_trees (void **state)
{
  (void) state;
  uint64_t seed = random_state (seed_of_test ());
  for (int round = 0; round < 400; round++)
    random_round (&seed);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_upstream_cases),
    cmocka_unit_test (test_derived_cases),
    cmocka_unit_test (test_order_is_depth_first_and_bytewise),
    cmocka_unit_test (test_batches),
    cmocka_unit_test (test_volumes_in_flag_order),
    cmocka_unit_test (test_volume_outside_the_base),
    cmocka_unit_test (test_nested_volume_hides),
    cmocka_unit_test (test_folder_atom_with_a_volume_in_it),
    cmocka_unit_test (test_excludes),
    cmocka_unit_test (test_batch_bytes),
    cmocka_unit_test (test_fixed_number_of_shards),
    cmocka_unit_test (test_count_when_wanted),
    cmocka_unit_test (test_inputs_that_change_between_the_passes),
    cmocka_unit_test (test_what_the_sink_returns_comes_back),
    cmocka_unit_test (test_large_shards_go_to_the_plan_file),
    cmocka_unit_test (test_a_million_atoms_as_a_stream),
    cmocka_unit_test (test_a_file_and_a_folder_of_one_path),
    cmocka_unit_test (test_without_a_glob_one_shard),
    cmocka_unit_test (test_bad_input),
    cmocka_unit_test (test_no_match_is_explained),
    cmocka_unit_test (test_case_is_ignored),
    cmocka_unit_test (test_random_trees),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}

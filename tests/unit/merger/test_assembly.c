/* Assembling: whatever the order in which shards finish, the same tree, as a slow and simple model
 * says it. */
#include "common/fs.h"
#include "common/memory.h"
#include "merger/assemble.h"
#include "result/result.h"
#include "tests/lib/bus_fixture.h"
#include "tests/lib/merge_scene.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum
{
  SHARDS_MAX = 6,
  FILES_MAX = 8,
};

static int
set_up (void **state)
{
  struct merge_scene *scene = xcalloc (1, sizeof *scene);
  merge_scene_set_up (scene);
  *state = scene;
  return 0;
}

static int
tear_down (void **state)
{
  struct merge_scene *scene = *state;
  merge_scene_tear_down (scene);
  free (scene);
  return 0;
}

static void
succeed (struct fold *fold, uint32_t index)
{
  auto_free char *folder = result_attempt_name (index, 1, 1, 1);
  const struct event event = { .kind = EVENT_FINISHED,
                               .index = index,
                               .generation = 1,
                               .attempt = 1,
                               .starts = 1,
                               .report = { .final = true, .folder = folder } };
  assert_int_equal (fold_apply (fold, &event), FOLD_SUCCEEDED);
}

/* ---- what came of it -------------------------------------------------------------------- */

struct assembled
{
  int settled;
  char *reason;
  struct strlist tree;  /* "path: content" or "path -> target" or "path/", sorted */
  struct buffer lines;  /* the manifest's */
  struct buffer listed; /* the manifest's conflicts */
};

static void
assembled_release (struct assembled *outcome)
{
  free (outcome->reason);
  strlist_release (&outcome->tree);
  buffer_release (&outcome->lines);
  buffer_release (&outcome->listed);
}

static int
compare_strings (const void *a, const void *b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

static void
flatten (int dirfd, const char *prefix, struct strlist *tree)
{
  int fd = openat (dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  auto_dir DIR *dir = fdopendir (fd);
  assert_non_null (dir);
  for (const struct dirent *entry = readdir (dir); entry != NULL; entry = readdir (dir))
    {
      const char *name = entry->d_name;
      if (strcmp (name, ".") == 0 || strcmp (name, "..") == 0)
        continue;
      auto_free char *path = xasprintf ("%s%s", prefix, name);
      char target[4096] = "";
      auto_fd int below = openat (dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (below >= 0)
        {
          auto_free char *deeper = xasprintf ("%s/", path);
          strlist_add (tree, deeper);
          flatten (below, deeper, tree);
        }
      else if (readlinkat (dirfd, name, target, sizeof target - 1) >= 0)
        strlist_addf (tree, "%s -> %s", path, target);
      else
        {
          auto_buffer struct buffer content = { 0 };
          assert_int_equal (fs_read_file (dirfd, name, 1 << 20, &content, NULL), 0);
          strlist_addf (tree, "%s: %s", path, content.data);
        }
    }
}

static void
sort_list (struct strlist *list)
{
  if (list->count > 0)
    qsort (list->items, list->count, sizeof *list->items, compare_strings);
}

/* Assembles COUNT shards that finish in ORDER. */
static void
assemble (const struct merge_scene *scene, const uint32_t *order, uint32_t count,
          enum on_conflict policy, struct assembled *outcome)
{
  struct error err = ERROR_INIT;
  *outcome = (struct assembled){ 0 };
  auto_fd int folder = result_open (scene->place, NULL);
  auto_fold struct fold *fold = fold_new ();
  const struct event planned = { .kind = EVENT_PLANNED, .shards = count };
  (void) fold_apply (fold, &planned);
  auto_assembly struct assembly *assembly = assembly_open (folder, &scene->job, NULL, &err);
  if (assembly == NULL)
    fail_msg ("%s", err.message);
  for (uint32_t i = 0; i < count; i++)
    {
      succeed (fold, order[i]);
      if (assembly_add (assembly, fold, order[i], &err) != 0
          || assembly_advance (assembly, fold, &err) != 0)
        fail_msg ("%s", err.message);
    }
  assert_false (assembly_is_stale (assembly, fold));
  outcome->settled = assembly_finish (assembly, fold, policy, &outcome->reason, &err);
  if (outcome->settled < 0)
    fail_msg ("%s", err.message);
  auto_fd int outputs = openat (assembly_fd (assembly), "outputs/o", O_RDONLY | O_CLOEXEC);
  assert_int_equal (outputs >= 0, outcome->settled == 1);
  if (outputs >= 0)
    flatten (outputs, "", &outcome->tree);
  sort_list (&outcome->tree);
  json_t *listed = conflicts_json (assembly_conflicts (assembly));
  auto_free char *text = json_dumps (listed, JSON_COMPACT);
  json_decref (listed);
  buffer_puts (&outcome->listed, text);
  buffer_puts (&outcome->lines, "");
  auto_fd int lines = open ("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  assert_true (lines >= 0);
  assert_int_equal (assembly_write_lines (assembly, fold, lines, &err), 0);
  auto_free char *path = xasprintf ("/proc/self/fd/%d", lines);
  assert_int_equal (fs_read_file (AT_FDCWD, path, 1 << 20, &outcome->lines, NULL), 0);
}

static void
expect_same (const struct assembled *a, const struct assembled *b)
{
  assert_int_equal (a->settled, b->settled);
  if (a->reason != NULL || b->reason != NULL)
    assert_string_equal (a->reason, b->reason);
  assert_string_equal (a->listed.data, b->listed.data);
  if (a->settled == 1)
    assert_string_equal (a->lines.data, b->lines.data);
  assert_int_equal (a->tree.count, b->tree.count);
  for (size_t i = 0; i < a->tree.count; i++)
    assert_string_equal (a->tree.items[i], b->tree.items[i]);
}

/* ---- the model -------------------------------------------------------------------------- */

static const char *const names[] = {
  "a",         "b.jpg",      "d/a",        "d/b.tar.gz", "d/e/.hidden", "d/e/x",
  "new\nline", "\xff\xfe.b", "space name", "-rf",        "q\"uote\\",   "d/<&>",
};

enum
{
  NAMES = sizeof names / sizeof *names,
};

/* What each shard wrote: content of names[k], or NULL. */
struct model
{
  char *content[SHARDS_MAX][NAMES];
  uint32_t shards;
};

static void
make_model (struct model *model, unsigned int *seed)
{
  *model = (struct model){ .shards = 1 + (uint32_t) rand_r (seed) % SHARDS_MAX };
  for (uint32_t i = 0; i < model->shards; i++)
    for (int k = 0; k < NAMES; k++)
      if (rand_r (seed) % 3 == 0)
        model->content[i][k] = xasprintf ("<%u>", rand_r (seed) % 3 == 0 ? 9 : i);
}

static void
free_model (struct model *model)
{
  for (uint32_t i = 0; i < model->shards; i++)
    for (int k = 0; k < NAMES; k++)
      free (model->content[i][k]);
}

static void
make_attempts (const struct merge_scene *scene, const struct model *model)
{
  for (uint32_t i = 0; i < model->shards; i++)
    {
      struct made_file files[NAMES + 1] = { 0 };
      int count = 0;
      for (int k = 0; k < NAMES; k++)
        if (model->content[i][k] != NULL)
          files[count++] = (struct made_file){ names[k], model->content[i][k] };
      merge_scene_attempt (scene, i, 1, 1, OUTCOME_SUCCEEDED, files);
    }
}

static char *
renamed (const char *name, uint32_t index)
{
  const char *slash = strrchr (name, '/');
  const char *base = slash == NULL ? name : slash + 1;
  const char *dot = strrchr (base, '.');
  if (dot == NULL || dot == base)
    dot = base + strlen (base);
  return xasprintf ("%.*s.shard-%05u%s", (int) (dot - name), name, index, dot);
}

/* The files (not the folders) that must be there; false: the policy can't. */
static bool
expect_files (const struct model *model, enum on_conflict policy, struct strlist *files)
{
  bool clean = true;
  for (int k = 0; k < NAMES; k++)
    {
      auto_buffer struct buffer all = { 0 };
      const char *first = NULL;
      const char *last = NULL;
      int owners = 0;
      for (uint32_t i = 0; i < model->shards; i++)
        {
          const char *content = model->content[i][k];
          if (content == NULL)
            continue;
          auto_free char *other = renamed (names[k], i);
          if (owners++ > 0 && policy == CONFLICT_RENAME)
            strlist_addf (files, "%s: %s", other, content);
          first = first == NULL ? content : first;
          last = content;
          buffer_puts (&all, content);
        }
      clean = clean && owners < 2;
      if (owners > 0)
        strlist_addf (files, "%s: %s", names[k],
                      policy == CONFLICT_LAST     ? last
                      : policy == CONFLICT_CONCAT ? all.data
                                                  : first);
    }
  sort_list (files);
  return clean || policy != CONFLICT_FAIL;
}

static void
shuffle (uint32_t *order, uint32_t count, unsigned int *seed)
{
  for (uint32_t i = 0; i < count; i++)
    order[i] = i;
  for (uint32_t i = count; i > 1; i--)
    {
      uint32_t other = (uint32_t) rand_r (seed) % i;
      uint32_t kept = order[i - 1];
      order[i - 1] = order[other];
      order[other] = kept;
    }
}

static void
expect_model (const struct assembled *outcome, const struct strlist *files)
{
  size_t at = 0;
  for (size_t i = 0; i < outcome->tree.count; i++)
    {
      const char *entry = outcome->tree.items[i];
      if (entry[strlen (entry) - 1] == '/')
        continue;
      assert_true (at < files->count);
      assert_string_equal (entry, files->items[at]);
      at++;
    }
  assert_int_equal (at, files->count);
}

/* Each file of the tree has its line, with its size and the right checksum's length, and nothing
 * else has one. */
static void
expect_lines (const struct assembled *outcome, size_t files)
{
  auto_free char *text = xasprintf ("[%s]", outcome->lines.data);
  json_t *array = json_loads (text, 0, NULL);
  assert_non_null (array);
  assert_int_equal (json_array_size (array), files);
  json_decref (array);
}

static void
test_every_order_gives_what_the_model_says (void **state)
{
  (void) state;
  unsigned int seed = seed_of_test ();
  for (int round = 0; round < 40; round++)
    {
      struct merge_scene scene;
      struct model model;
      merge_scene_set_up (&scene);
      make_model (&model, &seed);
      make_attempts (&scene, &model);
      for (int policy = CONFLICT_FAIL; policy <= CONFLICT_CONCAT; policy++)
        {
          auto_strlist struct strlist files = { 0 };
          bool possible = expect_files (&model, (enum on_conflict) policy, &files);
          struct assembled first AUTO (assembled_release) = { 0 };
          for (int again = 0; again < 4; again++)
            {
              uint32_t order[SHARDS_MAX];
              struct assembled outcome AUTO (assembled_release) = { 0 };
              shuffle (order, model.shards, &seed);
              assemble (&scene, order, model.shards, (enum on_conflict) policy, &outcome);
              assert_int_equal (outcome.settled, possible);
              if (possible)
                {
                  expect_model (&outcome, &files);
                  expect_lines (&outcome, files.count);
                }
              if (again > 0)
                expect_same (&first, &outcome);
              else
                {
                  first = outcome;
                  outcome = (struct assembled){ 0 };
                }
            }
        }
      free_model (&model);
      merge_scene_tear_down (&scene);
    }
}

/* ---- collisions ------------------------------------------------------------------------- */

static void
test_a_file_where_another_has_a_folder (void **state)
{
  const struct merge_scene *scene = *state;
  /* x is a file of 0, a folder of 1 and 2; x/y is a file of 1, a folder of 2; both of 3 and 4 wrote
   * z */
  const struct made_file zero[] = { { "x", "0" }, { NULL, NULL } };
  const struct made_file one[] = { { "x/y", "1" }, { NULL, NULL } };
  const struct made_file two[] = { { "x/y/w", "2" }, { NULL, NULL } };
  const struct made_file three[] = { { "z", "3" }, { "link", "->x" }, { NULL, NULL } };
  const struct made_file four[] = { { "z", "4" }, { "link/in", "4" }, { NULL, NULL } };
  const struct made_file *const files[] = { zero, one, two, three, four };
  for (uint32_t i = 0; i < 5; i++)
    merge_scene_attempt (scene, i, 1, 1, OUTCOME_SUCCEEDED, files[i]);
  unsigned int seed = seed_of_test ();
  for (int policy = CONFLICT_FAIL; policy <= CONFLICT_CONCAT; policy++)
    for (int again = 0; again < 12; again++)
      {
        uint32_t order[5];
        struct assembled outcome AUTO (assembled_release) = { 0 };
        shuffle (order, 5, &seed);
        assemble (scene, order, 5, (enum on_conflict) policy, &outcome);
        assert_int_equal (outcome.settled, 0);
        assert_string_equal (
            outcome.reason,
            "outputs/o/link was written by shard 3 and by shard 4 (and 1 more paths): "
            "a file in one, a folder in the other");
        assert_string_equal (
            outcome.listed.data,
            "[{\"output\":\"o\",\"path\":\"link\",\"shards\":[3,4],\"collision\":true},"
            "{\"output\":\"o\",\"path\":\"x\",\"shards\":[0,1,2],\"collision\":true}]");
      }
}

static void
test_an_empty_folder_where_another_has_a_file (void **state)
{
  const struct merge_scene *scene = *state;
  const struct made_file zero[] = { { "x", NULL }, { NULL, NULL } };
  const struct made_file one[] = { { "x", "1" }, { NULL, NULL } };
  merge_scene_attempt (scene, 0, 1, 1, OUTCOME_SUCCEEDED, zero);
  merge_scene_attempt (scene, 1, 1, 1, OUTCOME_SUCCEEDED, one);
  for (uint32_t first = 0; first < 2; first++)
    {
      const uint32_t order[] = { first, 1 - first };
      struct assembled outcome AUTO (assembled_release) = { 0 };
      assemble (scene, order, 2, CONFLICT_LAST, &outcome);
      assert_int_equal (outcome.settled, 0);
      assert_non_null (
          strstr (outcome.reason, "outputs/o/x was written by shard 1 and by shard 0"));
    }
}

/* ---- links, names, depth ---------------------------------------------------------------- */

static void
test_links_stay_links (void **state)
{
  const struct merge_scene *scene = *state;
  const struct made_file zero[] = { { "out", "->../../../etc/passwd" },
                                    { "both", "->nowhere" },
                                    { NULL, NULL } };
  const struct made_file one[] = { { "both", "a file" }, { NULL, NULL } };
  merge_scene_attempt (scene, 0, 1, 1, OUTCOME_SUCCEEDED, zero);
  merge_scene_attempt (scene, 1, 1, 1, OUTCOME_SUCCEEDED, one);
  const uint32_t order[] = { 1, 0 };
  struct assembled renamed_links AUTO (assembled_release) = { 0 };
  assemble (scene, order, 2, CONFLICT_RENAME, &renamed_links);
  assert_int_equal (renamed_links.tree.count, 3);
  assert_string_equal (renamed_links.tree.items[0], "both -> nowhere");
  assert_string_equal (renamed_links.tree.items[1], "both.shard-00001: a file");
  assert_string_equal (renamed_links.tree.items[2], "out -> ../../../etc/passwd");
  struct assembled joined AUTO (assembled_release) = { 0 };
  assemble (scene, order, 2, CONFLICT_CONCAT, &joined);
  assert_int_equal (joined.settled, 0);
  assert_non_null (strstr (joined.reason, "links can't be concatenated"));
}

static void
test_a_renamed_file_finds_a_free_and_short_enough_name (void **state)
{
  const struct merge_scene *scene = *state;
  char wide[256] = "";
  memset (wide, 'w', 251);
  (void) strcpy (wide + 251, ".jpg");
  const struct made_file zero[] = {
    { "a.txt", "0" }, { "a.shard-00001.txt", "mine" }, { wide, "0" }, { NULL, NULL }
  };
  const struct made_file one[] = { { "a.txt", "1" }, { wide, "1" }, { NULL, NULL } };
  merge_scene_attempt (scene, 0, 1, 1, OUTCOME_SUCCEEDED, zero);
  merge_scene_attempt (scene, 1, 1, 1, OUTCOME_SUCCEEDED, one);
  const uint32_t order[] = { 0, 1 };
  struct assembled outcome AUTO (assembled_release) = { 0 };
  assemble (scene, order, 2, CONFLICT_RENAME, &outcome);
  assert_int_equal (outcome.settled, 1);
  assert_string_equal (outcome.tree.items[0], "a.shard-00001.1.txt: 1");
  assert_string_equal (outcome.tree.items[1], "a.shard-00001.txt: mine");
  assert_string_equal (outcome.tree.items[2], "a.txt: 0");
  assert_non_null (strstr (outcome.tree.items[3], ".shard-00001.jpg: 1"));
  assert_int_equal (strlen (outcome.tree.items[3]), 255 + 3);
}

static void
test_two_hundred_levels (void **state)
{
  const struct merge_scene *scene = *state;
  auto_buffer struct buffer deep = { 0 };
  for (int i = 0; i < 200; i++)
    buffer_puts (&deep, "level/");
  buffer_puts (&deep, "bottom");
  const struct made_file zero[] = { { deep.data, "0" }, { NULL, NULL } };
  merge_scene_attempt (scene, 0, 1, 1, OUTCOME_SUCCEEDED, zero);
  merge_scene_attempt (scene, 1, 1, 1, OUTCOME_SUCCEEDED, zero);
  const uint32_t order[] = { 1, 0 };
  struct assembled outcome AUTO (assembled_release) = { 0 };
  assemble (scene, order, 2, CONFLICT_CONCAT, &outcome);
  assert_int_equal (outcome.settled, 1);
  assert_int_equal (outcome.tree.count, 201);
  assert_non_null (strstr (outcome.tree.items[200], "bottom: 00"));
}

static void
test_dead_mergers_trees_are_removed_and_living_ones_stay (void **state)
{
  const struct merge_scene *scene = *state;
  auto_fd int folder = result_open (scene->place, NULL);
  assert_int_equal (fs_make_folders (folder, ".shoal/build.1.0/outputs/o", 0755, NULL), 0);
  auto_assembly struct assembly *first = assembly_open (folder, &scene->job, NULL, NULL);
  assert_non_null (first);
  assert_false (fs_exists (folder, ".shoal/build.1.0"));
  auto_assembly struct assembly *second = assembly_open (folder, &scene->job, NULL, NULL);
  assert_non_null (second);
  assert_true (fs_exists (folder, assembly_name (first)));
  assert_string_not_equal (assembly_name (first), assembly_name (second));
}

/* ---- files that somebody changed ---------------------------------------------------------- */

static void
write_over (int dirfd, const char *path, const char *content)
{
  auto_fd int fd = openat (dirfd, path, O_WRONLY | O_TRUNC | O_CLOEXEC);
  assert_true (fd >= 0);
  assert_int_equal (write (fd, content, strlen (content)), (ssize_t) strlen (content));
}

static void
do_nothing (int dirfd, const char *path)
{
  (void) dirfd, (void) path;
}

static void
touch (int dirfd, const char *path)
{
  const struct timespec times[2] = { { .tv_sec = 1000 }, { .tv_sec = 2000 } };
  assert_int_equal (utimensat (dirfd, path, times, 0), 0);
}

static void
change_bytes (int dirfd, const char *path)
{
  write_over (dirfd, path, "xyz");
}

static void
make_longer (int dirfd, const char *path)
{
  write_over (dirfd, path, "abcd");
}

static void
remove_it (int dirfd, const char *path)
{
  assert_int_equal (unlinkat (dirfd, path, 0), 0);
}

static void
make_a_link (int dirfd, const char *path)
{
  remove_it (dirfd, path);
  assert_int_equal (symlinkat ("/etc/passwd", dirfd, path), 0);
}

/* What a sum says must be so, whatever became of the file since it was collected. */
static void
test_a_changed_file_is_found (void **state)
{
  (void) state;
  static const struct
  {
    void (*change) (int dirfd, const char *path);
    bool found;
  } changes[] = { { do_nothing, false }, { touch, false },    { change_bytes, true },
                  { make_longer, true }, { remove_it, true }, { make_a_link, true } };
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
    {
      struct merge_scene scene;
      struct assembled outcome;
      const uint32_t order[] = { 0, 1 };
      merge_scene_set_up (&scene);
      merge_scene_attempt (&scene, 0, 1, 1, OUTCOME_SUCCEEDED,
                           (struct made_file[]){ { "first", "abc" }, { 0 } });
      merge_scene_attempt (&scene, 1, 1, 1, OUTCOME_SUCCEEDED,
                           (struct made_file[]){ { "a/b", "abc" }, { 0 } });
      auto_fd int folder = result_open (scene.place, NULL);
      changes[i].change (folder, RESULT_ATTEMPTS "/00001.g1.a1.s1/outputs/o/a/b");
      assemble (&scene, order, 2, CONFLICT_FAIL, &outcome);
      if (outcome.settled != !changes[i].found)
        fail_msg ("change %zu: settled is %d: %s", i, outcome.settled,
                  outcome.reason == NULL ? "" : outcome.reason);
      if (changes[i].found)
        assert_non_null (strstr (outcome.reason,
                                 "outputs/o/a/b isn't what attempt 00001.g1.a1.s1 wrote any more"));
      else
        assert_null (strstr (outcome.lines.data, "mtime_ns"));
      if (changes[i].found)
        assert_non_null (strstr (outcome.reason, "`shoal retry --shard 1`"));
      assembled_release (&outcome);
      merge_scene_tear_down (&scene);
    }
}

int
main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_every_order_gives_what_the_model_says),
    TEST (test_a_file_where_another_has_a_folder),
    TEST (test_an_empty_folder_where_another_has_a_file),
    TEST (test_links_stay_links),
    TEST (test_a_renamed_file_finds_a_free_and_short_enough_name),
    TEST (test_two_hundred_levels),
    cmocka_unit_test (test_a_changed_file_is_found),
    TEST (test_dead_mergers_trees_are_removed_and_living_ones_stay),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}

/* Which users a user namespace has: as the option says, or as the files of subordinate users do. */
#include "worker/userns.h"

#include "common/memory.h"
#include "tests/lib/file_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void
a_range_or_none_is_taken (void **state)
{
  (void) state;
  struct userns_ids ids = { 1, 1, 1 };
  assert_int_equal (userns_choose ("none", &ids, NULL), 0);
  assert_int_equal (ids.count, 0);
  assert_int_equal (userns_choose ("200000:70000", &ids, NULL), 0);
  assert_int_equal (ids.first_uid, 200000);
  assert_int_equal (ids.first_gid, 200000);
  assert_int_equal (ids.count, 70000);
  assert_int_equal (userns_choose ("4294901759:65536", &ids, NULL), 0);
}

static void
everything_else_is_refused (void **state)
{
  (void) state;
  static const char *const wrong[] = { "",
                                       "yes",
                                       "0:65536",
                                       "100000",
                                       "100000:",
                                       "100000:65535",
                                       ":65536",
                                       "-1:65536",
                                       "1:65536 ",
                                       "4294901760:65536",
                                       "100000:99999999999",
                                       "1:65536:1" };
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    {
      struct userns_ids ids;
      struct error err = ERROR_INIT;
      assert_int_equal (userns_choose (wrong[i], &ids, &err), -1);
      assert_int_equal (err.class, ERROR_USER);
      assert_non_null (strstr (err.message, "expected auto, none, or FIRST:COUNT"));
    }
}

static void
write_text (const char *path, const char *text)
{
  auto_file FILE *file = fopen (path, "we");
  assert_non_null (file);
  assert_true (fputs (text, file) >= 0);
}

static void
the_range_of_the_user_shoal_is_found (void **state)
{
  (void) state;
  static const struct
  {
    const char *uids;
    const char *gids;
    struct userns_ids ids;
  } cases[] = {
    { "root:100000:65536\nshoal:200000:65536\n",
      "shoal:300000:80000\n",
      { 200000, 300000, 65536 } },
    { "shoal:200000:65536\n", "root:300000:65536\n", { 0 } },
    { "shoal:200000:1000\nshoal:400000:65536\n", "shoal:400000:65536", { 400000, 400000, 65536 } },
    { "shoals:200000:65536\n", "shoal:200000:65536\n", { 0 } },
    { "shoal:0:65536\n", "shoal:200000:65536\n", { 0 } },
    { "", "", { 0 } },
  };
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_free char *uids = file_tree_path (tree, "subuid");
  auto_free char *gids = file_tree_path (tree, "subgid");
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    {
      struct userns_ids ids = { 1, 1, 1 };
      write_text (uids, cases[i].uids);
      write_text (gids, cases[i].gids);
      assert_int_equal (userns_find (uids, gids, &ids), 0);
      assert_int_equal (ids.count, cases[i].ids.count);
      if (ids.count > 0)
        {
          assert_int_equal (ids.first_uid, cases[i].ids.first_uid);
          assert_int_equal (ids.first_gid, cases[i].ids.first_gid);
        }
    }
}

static void
files_that_are_not_there_mean_none (void **state)
{
  (void) state;
  struct userns_ids ids = { 1, 1, 1 };
  assert_int_equal (userns_find ("/nonexistent/subuid", "/nonexistent/subgid", &ids), 0);
  assert_int_equal (ids.count, 0);
}

static void
a_range_is_had_or_refused (void **state)
{
  (void) state;
  static const struct
  {
    const char *choice;
    bool rootless;
    bool crun;
    const char *why; /* NULL: taken */
  } cases[] = {
    { NULL, false, false, NULL },
    { "auto", false, false, NULL },
    { "none", true, false, NULL },
    { "200000:70000", false, true, NULL },
    { "200000:70000", false, false, "needs crun" },
    { "200000:70000", true, true, "ranges are for root" },
    { "200000:70000", true, false, "ranges are for root" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    {
      struct error err = ERROR_INIT;
      int result = userns_check (cases[i].choice, cases[i].rootless, cases[i].crun, &err);
      assert_int_equal (result, cases[i].why == NULL ? 0 : -1);
      if (cases[i].why != NULL)
        assert_non_null (strstr (err.message, cases[i].why));
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (a_range_or_none_is_taken),
    cmocka_unit_test (everything_else_is_refused),
    cmocka_unit_test (a_range_is_had_or_refused),
    cmocka_unit_test (the_range_of_the_user_shoal_is_found),
    cmocka_unit_test (files_that_are_not_there_mean_none),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}

/* What an image says about running it, and what a job makes of it: as docker run. */
#include "worker/image_config.h"

#include "common/memory.h"
#include "tests/lib/file_tree.h"
#include "worker/image_ref.h"
#include "worker/image_user.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define IMAGE                                                                                      \
  "{\"config\":{\"Entrypoint\":[\"/run\",\"-x\"],\"Cmd\":[\"a\",\"b\"],"                           \
  "\"Env\":[\"PATH=/bin\",\"A=1\"],\"WorkingDir\":\"/w\",\"User\":\"daemon\"}}"

static struct image_config
parse (const char *json)
{
  struct image_config config = { 0 };
  struct error err = ERROR_INIT;
  if (image_config_parse ((struct bytes){ json, strlen (json) }, &config, &err) != 0)
    fail_msg ("%s", err.message);
  return config;
}

static void
refuse (const char *json, size_t size)
{
  struct image_config config = { 0 };
  struct error err = ERROR_INIT;
  assert_int_equal (image_config_parse ((struct bytes){ json, size }, &config, &err), -1);
  assert_int_equal (err.class, ERROR_USER);
  assert_null (config.entrypoint.items);
  assert_null (config.user);
}

/* LIST is WORDS, separated by single spaces. */
static void
assert_words (const struct strlist *list, const char *words)
{
  auto_buffer struct buffer text = { 0 };
  for (size_t i = 0; i < list->count; i++)
    buffer_printf (&text, "%s%s", i == 0 ? "" : " ", list->items[i]);
  assert_string_equal (text.size == 0 ? "" : text.data, words);
}

static void
test_working_folders_are_normal (void **state)
{
  (void) state;
  static const char *const paths[][2] = {
    { "/w", "/w" }, { "app", "/app" }, { "/a//b/./c/", "/a/b/c" }, { "/", "/" }
  };
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
    {
      auto_free char *json = xasprintf ("{\"config\":{\"WorkingDir\":\"%s\"}}", paths[i][0]);
      auto_image_config struct image_config config = parse (json);
      assert_string_equal (config.workdir, paths[i][1]);
    }
  static const char *const outside[] = { "..", "/..", "/../../var", "/w/../../x", "w/.." };
  for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++)
    {
      auto_free char *json =
          xasprintf ("{\"config\":{\"User\":\"u\",\"WorkingDir\":\"%s\"}}", outside[i]);
      refuse (json, strlen (json));
    }
}

static void
test_stop_signals (void **state)
{
  (void) state;
  auto_image_config struct image_config named =
      parse ("{\"config\":{\"StopSignal\":\"SIGRTMIN+3\"}}");
  auto_image_config struct image_config numbered = parse ("{\"config\":{\"StopSignal\":\"3\"}}");
  auto_image_config struct image_config none = parse ("{\"config\":{\"StopSignal\":\"\"}}");
  assert_int_equal (named.stop_signal, SIGRTMIN + 3);
  assert_int_equal (numbered.stop_signal, SIGQUIT);
  assert_int_equal (none.stop_signal, 0);
}

static void
test_parse (void **state)
{
  (void) state;
  auto_image_config struct image_config config = parse (IMAGE);
  assert_words (&config.entrypoint, "/run -x");
  assert_words (&config.cmd, "a b");
  assert_words (&config.env, "PATH=/bin A=1");
  assert_string_equal (config.workdir, "/w");
  assert_string_equal (config.user, "daemon");

  auto_image_config struct image_config nulls =
      parse ("{\"config\":{\"Entrypoint\":null,\"Cmd\":[],\"WorkingDir\":\"\",\"User\":null}}");
  assert_int_equal (nulls.entrypoint.count + nulls.cmd.count + nulls.env.count, 0);
  assert_null (nulls.workdir);
  assert_null (nulls.user);
  auto_image_config struct image_config empty = parse ("{}");
  assert_int_equal (empty.entrypoint.count, 0);
}

static void
test_refused (void **state)
{
  (void) state;
  static const char *const bad[] = {
    "",
    "[]",
    "{",
    "{\"config\":3}",
    "{\"config\":{\"Entrypoint\":\"sh\"}}",
    "{\"config\":{\"Entrypoint\":[\"sh\"],\"Cmd\":[1]}}",
    "{\"config\":{\"Entrypoint\":[\"sh\"],\"User\":0}}",
    "{\"config\":{\"Cmd\":[\"a\\u0000b\"]}}",
    "{\"config\":{\"StopSignal\":\"SIGNONE\"}}",
    "{\"config\":{\"StopSignal\":9}}",
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    refuse (bad[i], strlen (bad[i]));
  auto_free char *large = xcalloc (1, IMAGE_CONFIG_MAX + 1);
  memset (large, ' ', IMAGE_CONFIG_MAX + 1);
  memcpy (large, "{}", 2);
  refuse (large, IMAGE_CONFIG_MAX + 1);
}

static void
split (const char *words, struct strlist *list)
{
  auto_free char *copy = xstrdup (words);
  char *rest = copy;
  for (char *word = strsep (&rest, " "); word != NULL; word = strsep (&rest, " "))
    if (*word != '\0')
      strlist_add (list, word);
}

static void
test_command (void **state)
{
  (void) state;
  static const struct
  {
    const char *image_entrypoint;
    const char *image_cmd;
    const char *job_entrypoint; /* NULL: not given */
    const char *command;
    const char *runs; /* NULL: refused */
  } table[] = {
    { "e x", "c", NULL, "", "e x c" }, { "e x", "c", NULL, "1 2", "e x 1 2" },
    { "e x", "c", "f y", "", "f y" },  { "e x", "c", "f y", "1", "f y 1" },
    { "e x", "c", "", "1 2", "1 2" },  { "e x", "c", "", "", NULL },
    { "", "c d", NULL, "", "c d" },    { "", "c d", NULL, "1", "1" },
    { "", "", NULL, "1", "1" },        { "", "", NULL, "", NULL },
    { "e", "", NULL, "", "e" },        { "", "c", "f", "", "f" },
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    {
      auto_image_config struct image_config config = { 0 };
      auto_strlist struct strlist command = { 0 };
      auto_strlist struct strlist argv = { 0 };
      struct job job = { .has_entrypoint = table[i].job_entrypoint != NULL };
      split (table[i].image_entrypoint, &config.entrypoint);
      split (table[i].image_cmd, &config.cmd);
      split (table[i].command, &command);
      if (job.has_entrypoint)
        split (table[i].job_entrypoint, &job.entrypoint);
      struct error err = ERROR_INIT;
      int result = image_config_command (&config, &job, &command, &argv, &err);
      strlist_release (&job.entrypoint);
      assert_int_equal (result, table[i].runs == NULL ? -1 : 0);
      assert_int_equal (err.class, table[i].runs == NULL ? ERROR_USER : ERROR_NONE);
      assert_words (&argv, table[i].runs == NULL ? "" : table[i].runs);
    }
}

static void
test_env (void **state)
{
  (void) state;
  auto_image_config struct image_config config = { 0 };
  auto_strlist struct strlist env = { 0 };
  auto_strlist struct strlist extra = { 0 };
  struct job job = { 0 };
  split ("A=image AB=image B=image", &config.env);
  split ("B=job C=job=x C=last", &job.env);
  split ("C=extra D=", &extra);
  image_config_env (&config, &job, &extra, &env);
  assert_words (&env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "
                      "A=image AB=image B=job C=extra D=");
  strlist_release (&job.env);

  auto_strlist struct strlist own = { 0 };
  strlist_add (&config.env, "PATH=/mine");
  image_config_env (&config, &job, &extra, &own);
  assert_string_equal (own.items[0], "PATH=/mine");

  /* Found by fuzzing: a name alone took the variable away. */
  auto_strlist struct strlist bare = { 0 };
  strlist_add (&config.env, "PATH");
  strlist_add (&config.env, "ALONE");
  image_config_env (&config, &job, &extra, &bare);
  assert_string_equal (bare.items[0], "PATH=/mine");
  for (size_t i = 0; i < bare.count; i++)
    assert_string_not_equal (bare.items[i], "ALONE");
}

/* ---- users ------------------------------------------------------------------------------ */

static void
put_text (const struct file_tree *tree, const char *path, const char *text)
{
  auto_fd int fd = openat (tree->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  assert_true (fd >= 0);
  assert_int_equal (write (fd, text, strlen (text)), strlen (text));
}

static int
who (const struct file_tree *tree, const char *image, const char *asked, struct image_user *user,
     struct error *err)
{
  struct image_config config = { .user = (char *) (uintptr_t) image };
  struct job job = { .user = (char *) (uintptr_t) asked };
  *err = (struct error) ERROR_INIT;
  return image_config_user (&config, &job, tree->folder, user, err);
}

static void
assert_user (const struct file_tree *tree, const char *image, const char *asked, uid_t uid,
             gid_t gid)
{
  auto_image_user struct image_user user = { 0 };
  struct error err;
  if (who (tree, image, asked, &user, &err) != 0)
    fail_msg ("%s", err.message);
  assert_int_equal (user.uid, uid);
  assert_int_equal (user.gid, gid);
}

static void
assert_nobody (const struct file_tree *tree, const char *asked, const char *message)
{
  auto_image_user struct image_user user = { 0 };
  struct error err;
  assert_int_equal (who (tree, NULL, asked, &user, &err), -1);
  assert_int_equal (err.class, ERROR_USER);
  assert_non_null (strstr (err.message, message));
}

static void
test_user (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  assert_user (tree, NULL, NULL, 0, 0);
  assert_user (tree, NULL, "12:34", 12, 34);
  assert_user (tree, NULL, "12", 12, 0);
  assert_nobody (tree, "daemon", "\"daemon\" isn't in the image's /etc/passwd");

  file_tree_make_folder (tree, "etc");
  put_text (tree, "etc/passwd",
            "root:x:0:0:root:/:/bin/sh\n\nnonsense\ndaemon:x:1:11::/:\nodd:x:-1:0::/:");
  put_text (tree, "etc/group", "staff:x:50:daemon\nhuge:x:4294967295:\n");
  assert_user (tree, "daemon", NULL, 1, 11);
  assert_user (tree, "daemon", "7:8", 7, 8);
  assert_user (tree, NULL, "daemon:staff", 1, 50);
  assert_user (tree, NULL, "daemon:3", 1, 3);
  assert_user (tree, NULL, "1", 1, 11);
  assert_user (tree, NULL, "5", 5, 0);
  assert_user (tree, NULL, ":staff", 0, 50);
  assert_user (tree, NULL, "5:staff", 5, 50);
  assert_nobody (tree, "daem", "isn't in the image's /etc/passwd");
  assert_nobody (tree, "4294967295", "isn't in the image's /etc/passwd");
  assert_nobody (tree, "5:nobody", "isn't in the image's /etc/group");
  assert_nobody (tree, "odd", "bad line");
  assert_nobody (tree, "5:huge", "bad line");
}

/* GROUPS are numbers, separated by single spaces. */
static void
assert_groups (const struct file_tree *tree, const char *asked, const char *more,
               const char *groups, const char *home)
{
  struct image_config config = { 0 };
  struct job job = { .user = (char *) (uintptr_t) asked };
  auto_image_user struct image_user user = { 0 };
  auto_buffer struct buffer text = { 0 };
  struct error err = ERROR_INIT;
  if (more != NULL)
    strlist_add (&job.groups, more);
  int result = image_config_user (&config, &job, tree->folder, &user, &err);
  strlist_release (&job.groups);
  if (result != 0)
    fail_msg ("%s", err.message);
  for (size_t i = 0; i < user.group_count; i++)
    buffer_printf (&text, "%s%u", i == 0 ? "" : " ", user.groups[i]);
  assert_string_equal (text.data, groups);
  assert_string_equal (user.home, home);
}

static void
test_groups_and_home (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  assert_groups (tree, NULL, NULL, "0", "/");
  assert_groups (tree, "12:34", "7", "34 7", "/");
  file_tree_make_folder (tree, "etc");
  put_text (tree, "etc/passwd",
            "root:x:0:0::/root:/bin/sh\nann:x:1000:100::/home/ann:\nodd:x:7:7::relative:\n");
  put_text (tree, "etc/group",
            "root:x:0:\nusers:x:100:\naudio:x:29:bo,ann\nvideo:x:44:ann\nstaff:x:50:root,annie\n"
            "bad:x:-1:ann\n");
  assert_groups (tree, NULL, NULL, "0 50", "/root");
  assert_groups (tree, "ann", NULL, "100 29 44", "/home/ann");
  assert_groups (tree, "1000", NULL, "100 29 44", "/home/ann");
  assert_groups (tree, "ann:video", NULL, "44", "/home/ann");
  assert_groups (tree, "ann", "staff", "100 29 44 50", "/home/ann");
  assert_groups (tree, "ann", "29", "100 29 44", "/home/ann");
  assert_groups (tree, "5", NULL, "0", "/");
  assert_groups (tree, "odd", NULL, "7", "/");
  struct image_config config = { 0 };
  struct job job = { 0 };
  struct error err = ERROR_INIT;
  auto_image_user struct image_user user = { 0 };
  strlist_add (&job.groups, "nobody");
  int result = image_config_user (&config, &job, tree->folder, &user, &err);
  strlist_release (&job.groups);
  assert_int_equal (result, -1);
  assert_int_equal (err.class, ERROR_USER);
  assert_non_null (strstr (err.message, "--group-add: group \"nobody\" isn't in"));
}

/* An image can't make us read, or wait for, a file of the host. */
static void
test_user_from_outside (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  file_tree_make_folder (tree, "etc");
  file_tree_link (tree, "/etc/passwd", "etc/passwd");
  assert_int_equal (mkfifoat (tree->fd, "etc/group", 0644), 0);
  assert_nobody (tree, "daemon", "etc/passwd");
  assert_nobody (tree, "1:daemon", "isn't a file");
  assert_user (tree, NULL, "1", 1, 0);
}

/* ---- names ------------------------------------------------------------------------------ */

static void
test_ref (void **state)
{
  (void) state;
  static const char *const table[][3] = {
    { "busybox", "busybox:latest", "busybox:latest" },
    { "a/b:1", "a/b:1", "a%2fb:1" },
    { "host:5000/a", "host:5000/a:latest", "host:5000%2fa:latest" },
    { ".x%", ".x%:latest", "%2ex%25:latest" },
    { "h/a@sha256:0", "h/a@sha256:0", "h%2fa@sha256:0" },
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    {
      auto_free char *ref = image_ref_normal (table[i][0], NULL);
      assert_non_null (ref);
      assert_string_equal (ref, table[i][1]);
      auto_free char *file = image_ref_encode (ref);
      assert_string_equal (file, table[i][2]);
      auto_free char *back = image_ref_decode (file);
      assert_string_equal (back, ref);
    }
  assert_null (image_ref_decode ("a/b"));
  assert_null (image_ref_decode ("a%2"));
  assert_null (image_ref_decode ("a%61"));
  auto_free char *large = xcalloc (1, 300);
  memset (large, 'a', 299);
  const char *const bad[] = { "", ":x", "a:", "a/", large };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    {
      struct error err = ERROR_INIT;
      assert_null (image_ref_normal (bad[i], &err));
      assert_int_equal (err.class, ERROR_USER);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_stop_signals),
    cmocka_unit_test (test_parse),
    cmocka_unit_test (test_working_folders_are_normal),
    cmocka_unit_test (test_refused),
    cmocka_unit_test (test_command),
    cmocka_unit_test (test_env),
    cmocka_unit_test (test_user),
    cmocka_unit_test (test_groups_and_home),
    cmocka_unit_test (test_user_from_outside),
    cmocka_unit_test (test_ref),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}

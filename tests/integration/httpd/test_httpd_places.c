/* Where a server listens: nothing that isn't a dead server's socket is removed for it, and at the
 * end nothing but its own. */
#include "httpd/httpd.h"
#include "httpd/probes.h"

#include "common/auto.h"
#include "common/memory.h"
#include "tests/lib/file_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct scene
{
  struct file_tree *tree;
  struct health *health;
  struct http_route routes[PROBE_ROUTES];
};

static int
set_up (void **state)
{
  struct scene *scene = xcalloc (1, sizeof *scene);
  scene->tree = file_tree_new ();
  scene->health = health_new ();
  probes_routes (scene->health, scene->routes);
  *state = scene;
  return 0;
}

static int
tear_down (void **state)
{
  struct scene *scene = *state;
  health_free (scene->health);
  file_tree_free (scene->tree);
  free (scene);
  return 0;
}

static struct httpd *
start (struct scene *scene, const char *name, struct error *err)
{
  auto_free char *path = file_tree_path (scene->tree, name);
  auto_free char *address = xasprintf ("unix:%s", path);
  const struct httpd_options options = {
    .address = address, .routes = scene->routes, .route_count = PROBE_ROUTES, .body_max = 1 << 20
  };
  return httpd_start (&options, err);
}

/* A socket at NAME as a killed server leaves it; with SERVED one that somebody listens on, whose
 * descriptor is returned. */
static int
leave_socket (const struct scene *scene, const char *name, bool served)
{
  auto_free char *path = file_tree_path (scene->tree, name);
  struct sockaddr_un place = { .sun_family = AF_UNIX };
  assert_true (strlen (path) < sizeof place.sun_path);
  memcpy (place.sun_path, path, strlen (path));
  auto_fd int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal (bind (fd, (struct sockaddr *) &place, sizeof place), 0);
  if (!served)
    return -1;
  assert_int_equal (listen (fd, 0), 0);
  return take_fd (&fd);
}

static void
expect_refusal (struct scene *scene, const char *name, const char *said)
{
  struct error err = ERROR_INIT;
  struct stat before;
  struct stat after;
  assert_int_equal (fstatat (scene->tree->fd, name, &before, AT_SYMLINK_NOFOLLOW), 0);
  if (start (scene, name, &err) != NULL)
    fail_msg ("%s was taken for a socket", name);
  if (strstr (err.message, said) == NULL || strstr (err.message, name) == NULL
      || err.class != ERROR_USER)
    fail_msg ("%s: %s", name, err.message);
  if (fstatat (scene->tree->fd, name, &after, AT_SYMLINK_NOFOLLOW) != 0
      || after.st_ino != before.st_ino || after.st_size != before.st_size)
    fail_msg ("%s was removed or changed", name);
}

static void
what_is_no_socket_stays (void **state)
{
  struct scene *scene = *state;
  file_tree_put (scene->tree, "thesis.odt", 1000);
  file_tree_make_folder (scene->tree, "folder");
  file_tree_put (scene->tree, "target", 10);
  file_tree_link (scene->tree, "target", "link");
  file_tree_link (scene->tree, "nowhere", "dangling");
  assert_int_equal (mkfifoat (scene->tree->fd, "pipe", 0600), 0);
  expect_refusal (scene, "thesis.odt", "is a file, not a socket");
  expect_refusal (scene, "folder", "is a folder, not a socket");
  expect_refusal (scene, "link", "is a symbolic link, not a socket");
  expect_refusal (scene, "dangling", "is a symbolic link, not a socket");
  expect_refusal (scene, "pipe", "is a pipe, not a socket");
}

static void
a_dead_servers_socket_is_replaced (void **state)
{
  struct scene *scene = *state;
  struct error err = ERROR_INIT;
  struct stat there;
  (void) leave_socket (scene, "old", false);
  struct httpd *httpd = start (scene, "old", &err);
  if (httpd == NULL)
    fail_msg ("%s", err.message);
  assert_int_equal (fstatat (scene->tree->fd, "old", &there, AT_SYMLINK_NOFOLLOW), 0);
  httpd_close (httpd);
  assert_int_not_equal (fstatat (scene->tree->fd, "old", &there, AT_SYMLINK_NOFOLLOW), 0);
}

static void
a_living_servers_socket_stays (void **state)
{
  struct scene *scene = *state;
  auto_fd int served = leave_socket (scene, "served", true);
  (void) served;
  expect_refusal (scene, "served", "Address already in use");
  /* Its queue is full: connecting would wait. */
  expect_refusal (scene, "served", "Address already in use");
  auto_fd int datagrams = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  auto_free char *path = file_tree_path (scene->tree, "log");
  struct sockaddr_un place = { .sun_family = AF_UNIX };
  memcpy (place.sun_path, path, strlen (path));
  assert_int_equal (bind (datagrams, (struct sockaddr *) &place, sizeof place), 0);
  expect_refusal (scene, "log", "Address already in use");
}

static void
another_users_socket_stays (void **state)
{
  struct scene *scene = *state;
  if (geteuid () != 0)
    {
      print_message ("SKIPPED: only root can make another user's socket\n");
      skip ();
    }
  (void) leave_socket (scene, "theirs", false);
  assert_int_equal (fchownat (scene->tree->fd, "theirs", 65534, 65534, 0), 0);
  expect_refusal (scene, "theirs", "is a socket of another user (65534)");
}

static void
at_the_end_only_our_own_is_removed (void **state)
{
  struct scene *scene = *state;
  struct error err = ERROR_INIT;
  struct stat there;
  struct httpd *httpd = start (scene, "mine", &err);
  assert_non_null (httpd);
  assert_int_equal (unlinkat (scene->tree->fd, "mine", 0), 0);
  file_tree_put (scene->tree, "mine", 10);
  httpd_close (httpd);
  assert_int_equal (fstatat (scene->tree->fd, "mine", &there, AT_SYMLINK_NOFOLLOW), 0);

  httpd = start (scene, "ours", &err);
  assert_non_null (httpd);
  assert_int_equal (unlinkat (scene->tree->fd, "ours", 0), 0);
  auto_fd int next = leave_socket (scene, "ours", true);
  (void) next;
  httpd_close (httpd);
  assert_int_equal (fstatat (scene->tree->fd, "ours", &there, AT_SYMLINK_NOFOLLOW), 0);
}

int
main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
    TEST (what_is_no_socket_stays),
    TEST (a_dead_servers_socket_is_replaced),
    TEST (a_living_servers_socket_stays),
    TEST (another_users_socket_stays),
    TEST (at_the_end_only_our_own_is_removed),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}

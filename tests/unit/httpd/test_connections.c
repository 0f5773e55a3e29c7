/* Who must go when there are too many connections: by address, by age, and never who has the
 * token. */
#include "httpd/connections.h"

#include "common/auto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>
#include <sys/un.h>

struct scene
{
  struct connections all;
  int next_fd;
  int last_ended; /* its fd */
  int ended;
};

static void
end (void *context, struct connection *connection, const char *reason)
{
  struct scene *scene = context;
  assert_non_null (reason);
  scene->ended++;
  scene->last_ended = connection->fd;
  if (connection->phase == PHASE_SERVED)
    connection->phase = PHASE_ENDED;
  else
    connections_drop (&scene->all, connection);
}

static void
scene_end (struct scene *scene)
{
  while (scene->all.first != NULL)
    connections_drop (&scene->all, scene->all.first);
}
#define auto_scene AUTO (scene_end)

static struct connection *
add (struct scene *scene, const char *text)
{
  struct sockaddr_in v4 = { .sin_family = AF_INET };
  struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
  const struct sockaddr_un local = { .sun_family = AF_UNIX };
  int fd = ++scene->next_fd;
  if (inet_pton (AF_INET, text, &v4.sin_addr) == 1)
    return connections_add (&scene->all, fd, (struct sockaddr *) &v4, sizeof v4, end, scene);
  if (inet_pton (AF_INET6, text, &v6.sin6_addr) == 1)
    return connections_add (&scene->all, fd, (struct sockaddr *) &v6, sizeof v6, end, scene);
  return connections_add (&scene->all, fd, (const struct sockaddr *) &local, sizeof local, end,
                          scene);
}

static bool
serve (struct scene *scene, struct connection *connection, bool probe)
{
  return connections_serve (&scene->all, connection, probe, end, scene);
}

static void
an_address_has_so_many (void **state)
{
  (void) state;
  static const char *const addresses[][2] = {
    { "8.8.8.8", "8.8.8.8" },
    { "8.8.8.8", "::ffff:8.8.8.8" },
    { "2606:4700::1", "2606:4700::2:0:0:1" }, /* one network */
    { "10.0.0.1", "10.0.0.1" },
  };
  for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++)
    {
      auto_scene struct scene scene = { .all = { .per_address = 4 } };
      int first = add (&scene, addresses[i][0])->fd;
      for (int k = 0; k < 3; k++)
        assert_non_null (add (&scene, addresses[i][k % 2]));
      assert_int_equal (scene.ended, 0);
      assert_non_null (add (&scene, addresses[i][1]));
      assert_int_equal (scene.ended, 1);
      assert_int_equal (scene.last_ended, first);
      assert_non_null (add (&scene, "9.9.9.9"));
      assert_non_null (add (&scene, "2606:4700:0:1::1"));
      assert_int_equal (scene.ended, 1);
    }
}

static void
this_machine_isnt_counted (void **state)
{
  (void) state;
  static const char *const own[] = { "127.0.0.1", "::1", "::ffff:127.0.0.1", "unix" };
  for (size_t i = 0; i < sizeof own / sizeof *own; i++)
    {
      auto_scene struct scene scene = { .all = { .per_address = 4 } };
      for (int k = 0; k < WAITING_MAX; k++)
        assert_non_null (add (&scene, own[i]));
      assert_int_equal (scene.ended, 0);
    }
}

static void
who_has_the_token_keeps_the_places_of_his_address (void **state)
{
  (void) state;
  auto_scene struct scene scene = { .all = { .per_address = 2 } };
  for (int i = 0; i < 2; i++)
    {
      struct connection *one = add (&scene, "8.8.8.8");
      assert_true (serve (&scene, one, false));
      one->trusted = true;
    }
  assert_null (add (&scene, "8.8.8.8"));
  assert_int_equal (scene.ended, 0);
}

/* Whoever has most connections loses one, not who came first. */
static void
a_crowd_of_one_address_pays_itself (void **state)
{
  (void) state;
  auto_scene struct scene scene = { 0 };
  int other = add (&scene, "9.9.9.9")->fd;
  for (int i = 0; i < 1000; i++)
    {
      assert_non_null (add (&scene, "8.8.8.8"));
      assert_int_not_equal (scene.last_ended, other);
    }
  assert_int_equal (scene.ended, 1001 - WAITING_MAX);
}

static void
the_oldest_without_a_token_gives_its_place (void **state)
{
  (void) state;
  auto_scene struct scene scene = { 0 };
  int fds[SERVED_MAX];
  for (int i = 0; i < SERVED_MAX; i++)
    {
      struct connection *one = add (&scene, "8.8.8.8");
      fds[i] = one->fd;
      assert_true (serve (&scene, one, false));
      one->trusted = i < 3;
      one->busy = i == 3;
    }
  assert_true (serve (&scene, add (&scene, "8.8.8.8"), false));
  assert_int_equal (scene.last_ended, fds[4]);
  assert_int_equal (connections_served (&scene.all), SERVED_MAX);
  for (struct connection *one = scene.all.first; one != NULL; one = one->next)
    one->trusted = true;
  assert_false (serve (&scene, add (&scene, "8.8.8.8"), false));
  for (int i = 0; i < 3 * PROBES_MAX; i++)
    assert_true (serve (&scene, add (&scene, "8.8.8.8"), true));
  assert_int_equal (connections_served (&scene.all), SERVED_MAX + PROBES_MAX);
}

static void
deadlines_end (void **state)
{
  (void) state;
  auto_scene struct scene scene = { 0 };
  add (&scene, "8.8.8.8")->deadline = 100;
  struct connection *served = add (&scene, "8.8.8.8");
  assert_true (serve (&scene, served, false));
  served->deadline = 200;
  add (&scene, "8.8.8.8")->deadline = 0;
  assert_int_equal (connections_expire (&scene.all, 99, end, &scene), 100);
  assert_int_equal (scene.ended, 0);
  assert_int_equal (connections_expire (&scene.all, 100, end, &scene), 200);
  assert_int_equal (scene.ended, 1);
  assert_int_equal (connections_expire (&scene.all, 300, end, &scene), -1);
  assert_int_equal (scene.ended, 2);
  assert_int_equal (connections_expire (&scene.all, 400, end, &scene), -1);
  assert_int_equal (scene.ended, 2);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (an_address_has_so_many),
    cmocka_unit_test (this_machine_isnt_counted),
    cmocka_unit_test (who_has_the_token_keeps_the_places_of_his_address),
    cmocka_unit_test (a_crowd_of_one_address_pays_itself),
    cmocka_unit_test (the_oldest_without_a_token_gives_its_place),
    cmocka_unit_test (deadlines_end),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}

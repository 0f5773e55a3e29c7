/* What a worker and its slots say to each other: whole, in pieces, and broken. */
#include "worker/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct scene
{
  int ours;
  struct frame_reader reader;
  struct error err;
};

static int
set_up (void **state)
{
  static struct scene scene;
  int ends[2];
  assert_int_equal (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  scene = (struct scene){ .ours = ends[0], .reader = { .fd = ends[1] } };
  *state = &scene;
  return 0;
}

static int
tear_down (void **state)
{
  struct scene *scene = *state;
  (void) close (scene->reader.fd);
  frame_reader_release (&scene->reader);
  auto_fd_ (&scene->ours);
  return 0;
}

static void
test_fields_come_through (void **state)
{
  struct scene *scene = *state;
  auto_buffer struct buffer payload = { 0 };
  frame_put_number (&payload, 7);
  frame_put_text (&payload, "worker");
  frame_put_text (&payload, NULL);
  frame_put_text (&payload, "");
  frame_put_bytes (&payload, (struct bytes){ "a\0b", 3 });
  assert_int_equal (frame_send (scene->ours, FRAME_RUN, buffer_bytes (&payload), NULL), 0);
  assert_int_equal (frame_send (scene->ours, FRAME_STOP, (struct bytes){ 0 }, NULL), 0);
  enum frame_kind kind;
  struct bytes got;
  assert_int_equal (frame_receive (&scene->reader, true, &kind, &got, NULL), 1);
  assert_int_equal (kind, FRAME_RUN);
  uint32_t number = 0;
  auto_free char *text = NULL;
  auto_free char *none = NULL;
  auto_free char *empty = NULL;
  struct bytes bytes;
  assert_int_equal (frame_get_number (&got, &number, NULL), 0);
  assert_int_equal (frame_get_text (&got, &text, NULL), 0);
  assert_int_equal (frame_get_text (&got, &none, NULL), 0);
  assert_int_equal (frame_get_text (&got, &empty, NULL), 0);
  assert_int_equal (frame_get_bytes (&got, &bytes, NULL), 0);
  assert_int_equal (number, 7);
  assert_string_equal (text, "worker");
  assert_null (none);
  assert_string_equal (empty, "");
  assert_int_equal (bytes.size, 3);
  assert_memory_equal (bytes.data, "a\0b", 3);
  assert_int_equal (got.size, 0);
  assert_int_equal (frame_receive (&scene->reader, true, &kind, &got, NULL), 1);
  assert_int_equal (kind, FRAME_STOP);
  assert_int_equal (frame_receive (&scene->reader, false, &kind, &got, NULL), 0);
}

static void
test_a_frame_in_pieces (void **state)
{
  struct scene *scene = *state;
  static const char whole[] = "\x03\0\0\0\x05xyz\x00\0\0\0\x03";
  enum frame_kind kind;
  struct bytes got;
  for (size_t i = 0; i < sizeof whole - 1; i++)
    {
      assert_int_equal (write (scene->ours, whole + i, 1), 1);
      int complete = frame_receive (&scene->reader, false, &kind, &got, NULL);
      assert_int_equal (complete, i == 7 || i == 12);
      if (i == 7)
        assert_memory_equal (got.data, "xyz", 3);
    }
  assert_int_equal (kind, FRAME_STOP);
}

static void
test_a_size_beyond_the_limit (void **state)
{
  struct scene *scene = *state;
  enum frame_kind kind;
  struct bytes got;
  assert_int_equal (write (scene->ours, "\xff\xff\xff\xff\x02", 5), 5);
  assert_int_equal (frame_receive (&scene->reader, true, &kind, &got, &scene->err), -1);
  assert_non_null (strstr (scene->err.message, "too large"));
}

static void
test_the_other_end_is_gone (void **state)
{
  struct scene *scene = *state;
  enum frame_kind kind;
  struct bytes got;
  assert_int_equal (write (scene->ours, "\x03\0\0\0\x05x", 6), 6);
  auto_fd_ (&scene->ours);
  scene->ours = -1;
  assert_int_equal (frame_receive (&scene->reader, true, &kind, &got, &scene->err), -1);
}

static void
test_fields_that_are_cut (void **state)
{
  (void) state;
  auto_buffer struct buffer payload = { 0 };
  frame_put_text (&payload, "worker");
  for (size_t size = 0; size < payload.size; size++)
    {
      char *text = NULL;
      struct bytes bytes = { payload.data, size };
      assert_int_equal (frame_get_text (&bytes, &text, NULL), -1);
      assert_null (text);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    TEST (test_fields_come_through),     TEST (test_a_frame_in_pieces),
    TEST (test_a_size_beyond_the_limit), TEST (test_the_other_end_is_gone),
    TEST (test_fields_that_are_cut),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}

/* Our side of a schema registry against a real one, and against Confluent's own client
 * (lib/registry_peer.py). */
#include "common/fs.h"
#include "common/memory.h"
#include "common/spawn.h"
#include "schemas/avsc.h"
#include "schemas/codec.h"
#include "schemas/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const records[] = { "Control", "Event", "Job", "JobStatus", "Shard" };

enum
{
  RECORDS = sizeof records / sizeof records[0],
  THREADS = 4,
  ROUNDS = 20,
};

/* The registry of this run. */
static struct scene
{
  char folder[64];
  char *url;
  char *tls;
} scene;

/* ---- what the tests share --------------------------------------------------------------- */

/* What follows NAME= on a line of TEXT; the caller frees. */
static char *
value_of (const char *text, const char *name)
{
  const char *at = strstr (text, name);
  assert_non_null (at);
  at += strlen (name);
  return xstrndup (at, strcspn (at, "\n"));
}

static void
start_registry (void)
{
  auto_buffer struct buffer out = { 0 };
  struct error err = ERROR_INIT;
  char *argv[] = { (char[]){ "bash" }, (char[]){ "../deploy/kafka/registry.sh" },
                   (char[]){ "start" }, scene.folder, NULL };
  if (spawn_run (argv, &out, &err) != 0)
    fail_msg ("%s", err.message);
  free (scene.url);
  free (scene.tls);
  scene.url = value_of (out.data, "REGISTRY=");
  scene.tls = value_of (out.data, "REGISTRY_TLS=");
}

static void
stop_registry (void)
{
  struct error err = ERROR_INIT;
  char *argv[] = { (char[]){ "bash" }, (char[]){ "../deploy/kafka/registry.sh" },
                   (char[]){ "stop" }, scene.folder, NULL };
  if (spawn_run (argv, NULL, &err) != 0)
    fail_msg ("%s", err.message);
}

/* Runs lib/registry_peer.py VERB with the scene's folder. */
static void
peer (const char *verb)
{
  const char *cache = getenv ("XDG_CACHE_HOME");
  auto_free char *python = cache != NULL
                               ? xasprintf ("%s/shoal/venv/bin/python", cache)
                               : xasprintf ("%s/.cache/shoal/venv/bin/python", getenv ("HOME"));
  auto_free char *command = xstrdup (verb);
  struct error err = ERROR_INIT;
  char *argv[] = { python, (char[]){ "lib/registry_peer.py" }, command, scene.url, scene.folder,
                   NULL };
  if (!fs_exists (AT_FDCWD, python))
    fail_msg ("%s isn't there: tools/install.sh python", python);
  if (spawn_run (argv, NULL, &err) != 0)
    fail_msg ("%s", err.message);
}

/* A handle with the folder CACHE (below the scene's; NULL: none). */
static struct registry *
open_registry (const char *url, const char *cache)
{
  struct error err = ERROR_INIT;
  auto_free char *folder = cache == NULL ? NULL : xasprintf ("%s/%s", scene.folder, cache);
  struct registry_options options = { .url = url, .cache_folder = folder, .patience_ms = 500 };
  struct registry *registry = registry_open (&options, &err);
  if (registry == NULL)
    fail_msg ("%s", err.message);
  return registry;
}

static struct buffer
read_file (const char *folder, const char *name, const char *ending)
{
  auto_free char *path = xasprintf ("%s/%s.%s", folder, name, ending);
  struct buffer content = { 0 };
  struct error err = ERROR_INIT;
  if (fs_read_file (AT_FDCWD, path, MESSAGE_SIZE_MAX, &content, &err) != 0)
    fail_msg ("%s (tests run in tests/)", err.message);
  return content;
}

/* A small message, packed under SUBJECT. */
static int
pack_control (struct registry *registry, const char *subject, struct buffer *message,
              struct error *err)
{
  struct control control = { .kind = CONTROL_CANCEL, .job_id = (char[]){ "j" }, .time = 5 };
  buffer_clear (message);
  assert_int_equal (codec_encode_control (&control, message, NULL), 0);
  return wire_pack (registry, subject, message, err);
}

static void
must_pack (struct registry *registry, const char *subject, struct buffer *message)
{
  struct error err = ERROR_INIT;
  if (pack_control (registry, subject, message, &err) != 0)
    fail_msg ("%s", err.message);
  assert_int_equal (message->data[0], 0);
}

static void
must_unpack (struct registry *registry, const struct buffer *message)
{
  auto_buffer struct buffer own = { 0 };
  auto_control struct control control = { 0 };
  struct bytes bytes = buffer_bytes (message);
  struct error err = ERROR_INIT;
  if (wire_unpack (registry, &bytes, &own, &err) != 0
      || codec_decode_control (bytes, &control, &err) != 0)
    fail_msg ("%s", err.message);
  assert_string_equal (control.job_id, "j");
}

/* ---- the tests -------------------------------------------------------------------------- */

/* BYTES, a RECORD in single-object encoding, read and written again: null and a default are one
 * thing to us. */
static struct buffer
as_we_write_it (const char *record, struct bytes bytes)
{
  struct buffer out = { 0 };
  auto_control struct control control = { 0 };
  auto_event struct event event = { 0 };
  auto_job struct job job = { 0 };
  auto_job_status struct job_status status = { 0 };
  auto_shard struct shard shard = { 0 };
  int outcome = -1;
  if (strcmp (record, "Control") == 0)
    outcome =
        codec_decode_control (bytes, &control, NULL) || codec_encode_control (&control, &out, NULL);
  else if (strcmp (record, "Event") == 0)
    outcome = codec_decode_event (bytes, &event, NULL) || codec_encode_event (&event, &out, NULL);
  else if (strcmp (record, "Job") == 0)
    outcome = codec_decode_job (bytes, &job, NULL) || codec_encode_job (&job, &out, NULL);
  else if (strcmp (record, "JobStatus") == 0)
    outcome =
        codec_decode_status (bytes, &status, NULL) || codec_encode_status (&status, &out, NULL);
  else
    outcome = codec_decode_shard (bytes, &shard, NULL) || codec_encode_shard (&shard, &out, NULL);
  if (outcome != 0)
    fail_msg ("a %s that can't be read", record);
  return out;
}

static void
we_read_what_confluents_client_writes (void **state)
{
  (void) state;
  static const char *const ways[] = { "client", "hand", "older", "newer" };
  peer ("write");
  auto_registry struct registry *registry = open_registry (scene.url, NULL);
  for (size_t i = 0; i < RECORDS; i++)
    for (size_t j = 0; j < sizeof ways / sizeof ways[0]; j++)
      {
        auto_free char *name = xasprintf ("%s.%s", records[i], ways[j]);
        auto_buffer struct buffer message = read_file (scene.folder, records[i], ways[j]);
        auto_buffer struct buffer wanted = read_file (scene.folder, name, "expected");
        auto_buffer struct buffer own = { 0 };
        struct bytes bytes = buffer_bytes (&message);
        struct error err = ERROR_INIT;
        if (wire_unpack (registry, &bytes, &own, &err) != 0)
          fail_msg ("%s: %s", name, err.message);
        auto_buffer struct buffer got = as_we_write_it (records[i], bytes);
        auto_buffer struct buffer normal = as_we_write_it (records[i], buffer_bytes (&wanted));
        if (got.size != normal.size || memcmp (got.data, normal.data, normal.size) != 0)
          fail_msg ("%s isn't read as fastavro reads it", name);
      }
}

static void
confluents_client_reads_what_we_write (void **state)
{
  (void) state;
  auto_registry struct registry *registry = open_registry (scene.url, NULL);
  for (size_t i = 0; i < RECORDS; i++)
    {
      auto_buffer struct buffer message = read_file ("golden", records[i], "avro");
      auto_free char *subject = xasprintf ("ours-%s-value", records[i]);
      auto_free char *path = xasprintf ("%s/%s.ours", scene.folder, records[i]);
      struct error err = ERROR_INIT;
      if (wire_pack (registry, subject, &message, &err) != 0
          || fs_write_file (AT_FDCWD, path, buffer_bytes (&message), &err) != 0)
        fail_msg ("%s", err.message);
    }
  auto_buffer struct buffer job = read_file ("golden", "Job", "avro");
  assert_int_equal (wire_pack (registry, "backward-value", &job, NULL), 0);
  peer ("read");
}

static void
an_incompatible_schema_is_named (void **state)
{
  (void) state;
  auto_registry struct registry *registry = open_registry (scene.url, NULL);
  auto_buffer struct buffer job = read_file ("golden", "Job", "avro");
  size_t size = job.size;
  struct error err = ERROR_INIT;
  assert_int_equal (wire_pack (registry, "stubborn-value", &job, &err), -1);
  assert_int_equal (err.class, ERROR_FATAL);
  assert_non_null (strstr (err.message, "stubborn-value"));
  assert_non_null (strstr (err.message, "409"));
  assert_int_equal (job.size, size);
}

static void
an_id_that_nobody_gave_is_the_messages_fault (void **state)
{
  (void) state;
  auto_registry struct registry *registry = open_registry (scene.url, NULL);
  static const char *const messages[] = { "\x00\x7f\xff\xff\xff\x02j",
                                          "\x00\xff\xff\xff\xff\x02j" };
  for (size_t i = 0; i < 2; i++)
    {
      auto_buffer struct buffer own = { 0 };
      struct bytes bytes = { messages[i], 7 };
      struct error err = ERROR_INIT;
      assert_int_equal (wire_unpack (registry, &bytes, &own, &err), -1);
      assert_int_equal (err.class, ERROR_USER);
      assert_non_null (strstr (err.message, i == 0 ? "2147483647" : "-1"));
    }
}

static void
https_needs_the_right_authority (void **state)
{
  (void) state;
  auto_free char *ca = xasprintf ("%s/ca.pem", scene.folder);
  struct registry_options options = { .url = scene.tls, .ca_file = ca, .patience_ms = 500 };
  struct error err = ERROR_INIT;
  auto_buffer struct buffer message = { 0 };
  auto_registry struct registry *trusting = registry_open (&options, NULL);
  assert_non_null (trusting);
  must_pack (trusting, "tls-value", &message);
  must_unpack (trusting, &message);

  options.ca_file = NULL;
  auto_registry struct registry *doubting = registry_open (&options, NULL);
  assert_non_null (doubting);
  assert_int_equal (pack_control (doubting, "tls-value", &message, &err), -1);
  assert_int_equal (err.class, ERROR_FATAL);
  assert_non_null (strstr (err.message, "certificate"));
}

static void *
pack_and_unpack (void *context)
{
  size_t *failures = context;
  for (int i = 0; i < ROUNDS; i++)
    {
      struct error err = ERROR_INIT;
      auto_free char *folder = xasprintf ("%s/shared", scene.folder);
      struct registry_options options = { .url = scene.url, .cache_folder = folder };
      auto_registry struct registry *registry = registry_open (&options, &err);
      auto_buffer struct buffer message = { 0 };
      auto_buffer struct buffer own = { 0 };
      struct control control = { .kind = CONTROL_CANCEL, .job_id = (char[]){ "j" } };
      struct bytes bytes = { 0 };
      if (registry == NULL || codec_encode_control (&control, &message, &err) != 0
          || wire_pack (registry, "shared-value", &message, &err) != 0)
        (*failures)++;
      bytes = buffer_bytes (&message);
      if (registry == NULL || wire_unpack (registry, &bytes, &own, &err) != 0)
        (*failures)++;
      if (error_is_set (&err))
        print_message ("%s\n", err.message);
    }
  return NULL;
}

static void
handles_of_several_threads_share_a_folder (void **state)
{
  (void) state;
  pthread_t threads[THREADS];
  size_t failures[THREADS] = { 0 };
  for (size_t i = 0; i < THREADS; i++)
    assert_int_equal (pthread_create (&threads[i], NULL, pack_and_unpack, &failures[i]), 0);
  for (size_t i = 0; i < THREADS; i++)
    {
      assert_int_equal (pthread_join (threads[i], NULL), 0);
      assert_int_equal (failures[i], 0);
    }
}

/* Empties every file of CACHE, as a full disk and a crash may. */
static void
damage (const char *cache)
{
  struct error err = ERROR_INIT;
  auto_free char *folder = xasprintf ("%s/%s", scene.folder, cache);
  char *argv[] = { (char[]){ "find" },  folder,
                   (char[]){ "-type" }, (char[]){ "f" },
                   (char[]){ "-exec" }, (char[]){ "truncate" },
                   (char[]){ "-s3" },   (char[]){ "{}" },
                   (char[]){ "+" },     NULL };
  if (spawn_run (argv, NULL, &err) != 0)
    fail_msg ("%s", err.message);
}

/* The registry is away, then back, with nothing of what it knew: its ids mean other schemas now. */
static void
a_folder_stands_in_for_a_registry_that_is_away (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  auto_buffer struct buffer first = { 0 };
  auto_buffer struct buffer second = { 0 };
  auto_registry struct registry *before = open_registry (scene.url, "warm");
  auto_registry struct registry *damaged = open_registry (scene.url, "damaged");
  must_pack (before, "away-value", &first);
  must_pack (damaged, "away-value", &second);
  damage ("damaged");
  stop_registry ();

  auto_registry struct registry *warm = open_registry (scene.url, "warm");
  must_pack (warm, "away-value", &second);
  assert_int_equal (second.size, first.size);
  assert_memory_equal (second.data, first.data, first.size);
  must_unpack (warm, &first);

  static const char *const colds[] = { "cold", "damaged" };
  for (size_t i = 0; i < 2; i++)
    {
      auto_registry struct registry *cold = open_registry (scene.url, colds[i]);
      auto_buffer struct buffer own = { 0 };
      struct bytes bytes = buffer_bytes (&first);
      assert_int_equal (pack_control (cold, "away-value", &second, &err), -1);
      assert_int_equal (err.class, ERROR_TRANSIENT);
      assert_non_null (strstr (err.message, scene.url));
      assert_non_null (strstr (err.message, "away-value"));
      assert_null (strchr (err.message, '\n'));
      assert_int_equal (wire_unpack (cold, &bytes, &own, &err), -1);
      assert_int_equal (err.class, ERROR_TRANSIENT);
    }

  start_registry ();
  auto_registry struct registry *other = open_registry (scene.url, NULL);
  auto_buffer struct buffer job = read_file ("golden", "Job", "avro");
  assert_int_equal (wire_pack (other, "filler-value", &job, NULL), 0);
  auto_registry struct registry *after = open_registry (scene.url, "warm");
  must_pack (after, "away-value", &second);
  must_unpack (after, &second);
  auto_registry struct registry *fresh = open_registry (scene.url, NULL);
  must_unpack (fresh, &second);
  auto_buffer struct buffer own = { 0 };
  struct bytes old = buffer_bytes (&first);
  assert_memory_not_equal (first.data, second.data, 5);
  assert_int_equal (wire_unpack (after, &old, &own, &err), -1);
  assert_int_equal (err.class, ERROR_USER);
}

/* ---- the group -------------------------------------------------------------------------- */

static int
set_up (void **state)
{
  (void) state;
  (void) snprintf (scene.folder, sizeof scene.folder, "/tmp/shoal-registry-XXXXXX");
  if (mkdtemp (scene.folder) == NULL)
    return -1;
  start_registry ();
  return 0;
}

static int
tear_down (void **state)
{
  (void) state;
  stop_registry ();
  free (scene.url);
  free (scene.tls);
  return fs_remove_tree (AT_FDCWD, scene.folder, NULL);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (we_read_what_confluents_client_writes),
    cmocka_unit_test (confluents_client_reads_what_we_write),
    cmocka_unit_test (an_incompatible_schema_is_named),
    cmocka_unit_test (an_id_that_nobody_gave_is_the_messages_fault),
    cmocka_unit_test (https_needs_the_right_authority),
    cmocka_unit_test (handles_of_several_threads_share_a_folder),
    cmocka_unit_test (a_folder_stands_in_for_a_registry_that_is_away),
  };
  return cmocka_run_group_tests (tests, set_up, tear_down);
}

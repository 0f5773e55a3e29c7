/* Messages to bytes and back; damaged bytes are refused without harm. */
#include "common/memory.h"
#include "schemas/avsc.h"
#include "schemas/codec.h"
#include "schemas/codec_internal.h"
#include "schemas/fingerprint.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <avro.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* A job in which no field has its default. */
static void
full_job (struct job *job)
{
  job_init (job);
  job->id = xstrdup ("j-1");
  job->submitted = 1700000000123;
  job->results = xstrdup ("/r/j-1");
  job->image = xstrdup ("imagemagick:7");
  strlist_add (&job->command, "-resize");
  strlist_add (&job->command, "");
  job->has_entrypoint = true;
  strlist_add (&job->entrypoint, "mogrify");
  strlist_add (&job->env, "A=b=c");
  job->workdir = xstrdup ("/w");
  job->user = xstrdup ("1:2");
  job->network = NETWORK_HOST;
  job->read_only = true;
  strlist_add (&job->tmpfs, "/t:size=1m");
  job->volume_count = 2;
  job->volumes = xcalloc (2, sizeof *job->volumes);
  job->volumes[0] = (struct volume){ xstrdup ("/p"), xstrdup ("/in"), false };
  job->volumes[1] = (struct volume){ xstrdup ("s3://b/k"), xstrdup ("/ref"), true };
  job->output_count = 1;
  job->outputs = xcalloc (1, sizeof *job->outputs);
  job->outputs[0] = (struct output){ xstrdup ("results"), xstrdup ("/out") };
  job->glob = xstrdup ("**/*.jpg");
  job->base_path = xstrdup ("/in");
  strlist_add (&job->exclude, "tmp/**");
  job->batch_size = 1000;
  job->batch_bytes = 5;
  job->shards = 7;
  job->needs_count = true;
  job->symlinks = SYMLINKS_SKIP;
  job->stage = STAGE_BIND;
  job->memory = (int64_t) 1 << 40;
  job->cpus = 1500;
  job->pids = 3;
  job->timeout_ms = 4;
  job->job_timeout_ms = 5;
  job->log_limit = 6;
  job->retries = 9;
  job->fail_on.has[3] = true;
  job->success_codes.has[255] = true;
  job->min_success = 9500;
  job->max_failures = 2;
  job->max_failures_bp = 100;
  job->on_conflict = CONFLICT_CONCAT;
  job->reduce_image = xstrdup ("reducer");
  strlist_add (&job->reduce_command, "cat");
  free (job->queue);
  job->queue = xstrdup ("gpu");
  job->webhook = xstrdup ("https://h/x");
  job->stage_timeout_ms = 10;
  job->collect_timeout_ms = 11;
  job->max_output_bytes = 12;
  job->max_output_files = 13;
  job->credentials = xstrdup ("team-a");
  job->image_id =
      xstrdup ("sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
  job->reduce_image_id =
      xstrdup ("sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff");
  job->init = false;
  job->stop_signal = xstrdup ("INT");
  job->stop_timeout_ms = 0;
  job->output_links = OUTPUT_LINKS_KEEP;
  job->hostname = xstrdup ("h");
  strlist_add (&job->groups, "44");
  strlist_add (&job->cap_drop, "CHOWN");
  strlist_add (&job->ulimits, "core=0");
  job->shm_size = 14;
  job->glob_ignore_case = true;
  job->retry_memory = 200;
  job->retry_memory_max = 15;
  job->platform = xstrdup ("linux/amd64");
  strlist_add (&job->quarantined, "/in/\xff\n");
  strlist_add (&job->earlier_images, "sha256:0123");
  strlist_add (&job->devices, "vendor.com/class=name");
  job->pilot = 5;
  job->max_parallel = 40;
  job->priority = -10;
  job->order = ORDER_SIZE;
}

static void
assert_same_list (const struct strlist *a, const struct strlist *b)
{
  assert_int_equal (a->count, b->count);
  for (size_t i = 0; i < a->count; i++)
    assert_string_equal (a->items[i], b->items[i]);
}

static void
assert_same_job (const struct job *a, const struct job *b)
{
  assert_string_equal (a->id, b->id);
  assert_int_equal (a->submitted, b->submitted);
  assert_string_equal (a->results, b->results);
  assert_string_equal (a->image, b->image);
  assert_same_list (&a->command, &b->command);
  assert_int_equal (a->has_entrypoint, b->has_entrypoint);
  assert_same_list (&a->entrypoint, &b->entrypoint);
  assert_same_list (&a->env, &b->env);
  assert_string_equal (a->workdir, b->workdir);
  assert_string_equal (a->user, b->user);
  assert_int_equal (a->network, b->network);
  assert_int_equal (a->read_only, b->read_only);
  assert_same_list (&a->tmpfs, &b->tmpfs);
  assert_string_equal (a->runtime, b->runtime);
  assert_string_equal (a->queue, b->queue);
  assert_string_equal (a->webhook, b->webhook);
  assert_string_equal (a->credentials, b->credentials);
  assert_string_equal (a->image_id, b->image_id);
  assert_string_equal (a->reduce_image_id, b->reduce_image_id);
  assert_int_equal (a->init, b->init);
  assert_string_equal (a->stop_signal, b->stop_signal);
  assert_int_equal (a->stop_timeout_ms, b->stop_timeout_ms);
  assert_int_equal (a->output_links, b->output_links);
  assert_string_equal (a->hostname, b->hostname);
  assert_same_list (&a->groups, &b->groups);
  assert_same_list (&a->cap_drop, &b->cap_drop);
  assert_same_list (&a->ulimits, &b->ulimits);
  assert_int_equal (a->shm_size, b->shm_size);
  assert_int_equal (a->glob_ignore_case, b->glob_ignore_case);
  assert_int_equal (a->retry_memory, b->retry_memory);
  assert_int_equal (a->retry_memory_max, b->retry_memory_max);
  assert_string_equal (a->platform, b->platform);
  assert_same_list (&a->quarantined, &b->quarantined);
  assert_same_list (&a->earlier_images, &b->earlier_images);
  assert_same_list (&a->devices, &b->devices);
  assert_int_equal (a->pilot, b->pilot);
  assert_int_equal (a->max_parallel, b->max_parallel);
  assert_int_equal (a->priority, b->priority);
  assert_int_equal (a->order, b->order);
  assert_int_equal (a->stage_timeout_ms, b->stage_timeout_ms);
  assert_int_equal (a->collect_timeout_ms, b->collect_timeout_ms);
  assert_int_equal (a->max_output_bytes, b->max_output_bytes);
  assert_int_equal (a->max_output_files, b->max_output_files);
  assert_int_equal (a->volume_count, b->volume_count);
  for (size_t i = 0; i < a->volume_count; i++)
    {
      assert_string_equal (a->volumes[i].source, b->volumes[i].source);
      assert_string_equal (a->volumes[i].path, b->volumes[i].path);
      assert_int_equal (a->volumes[i].shared, b->volumes[i].shared);
    }
  assert_int_equal (a->output_count, b->output_count);
  assert_string_equal (a->outputs[0].name, b->outputs[0].name);
  assert_string_equal (a->outputs[0].path, b->outputs[0].path);
  assert_string_equal (a->glob, b->glob);
  assert_string_equal (a->base_path, b->base_path);
  assert_same_list (&a->exclude, &b->exclude);
  assert_int_equal (a->batch_size, b->batch_size);
  assert_int_equal (a->batch_bytes, b->batch_bytes);
  assert_int_equal (a->shards, b->shards);
  assert_int_equal (a->needs_count, b->needs_count);
  assert_int_equal (a->symlinks, b->symlinks);
  assert_int_equal (a->stage, b->stage);
  assert_int_equal (a->memory, b->memory);
  assert_int_equal (a->cpus, b->cpus);
  assert_int_equal (a->pids, b->pids);
  assert_int_equal (a->timeout_ms, b->timeout_ms);
  assert_int_equal (a->job_timeout_ms, b->job_timeout_ms);
  assert_int_equal (a->log_limit, b->log_limit);
  assert_int_equal (a->retries, b->retries);
  assert_memory_equal (&a->fail_on, &b->fail_on, sizeof a->fail_on);
  assert_memory_equal (&a->success_codes, &b->success_codes, sizeof a->success_codes);
  assert_int_equal (a->min_success, b->min_success);
  assert_int_equal (a->max_failures, b->max_failures);
  assert_int_equal (a->max_failures_bp, b->max_failures_bp);
  assert_int_equal (a->on_conflict, b->on_conflict);
  assert_string_equal (a->reduce_image, b->reduce_image);
  assert_same_list (&a->reduce_command, &b->reduce_command);
}

static void
a_job_comes_back_whole (void **state)
{
  (void) state;
  auto_job struct job job;
  full_job (&job);
  auto_buffer struct buffer bytes = { 0 };
  assert_int_equal (codec_encode_job (&job, &bytes, NULL), 0);
  auto_job struct job back = { 0 };
  assert_int_equal (codec_decode_job (buffer_bytes (&bytes), &back, NULL), 0);
  assert_same_job (&job, &back);
  auto_job struct job copy = { 0 };
  job_copy (&copy, &job);
  assert_same_job (&job, &copy);
}

static void
a_plain_job_keeps_its_defaults (void **state)
{
  (void) state;
  auto_job struct job job;
  job_init (&job);
  job.id = xstrdup ("j");
  job.results = xstrdup ("/r");
  job.image = xstrdup ("i");
  auto_buffer struct buffer bytes = { 0 };
  assert_int_equal (codec_encode_job (&job, &bytes, NULL), 0);
  auto_job struct job back = { 0 };
  assert_int_equal (codec_decode_job (buffer_bytes (&bytes), &back, NULL), 0);
  assert_null (back.glob);
  assert_null (back.reduce_image);
  assert_false (back.has_entrypoint);
  assert_int_equal (back.batch_bytes, -1);
  assert_int_equal (back.memory, -1);
  assert_int_equal (back.cpus, -1);
  assert_int_equal (back.max_failures_bp, -1);
  assert_true (back.success_codes.has[0]);
  assert_string_equal (back.runtime, "oci");
  assert_true (back.init);
  assert_null (back.stop_signal);
  assert_int_equal (back.stop_timeout_ms, -1);
  assert_int_equal (back.output_links, OUTPUT_LINKS_FOLLOW);
  assert_null (back.hostname);
  assert_int_equal (
      back.groups.count + back.cap_drop.count + back.ulimits.count + back.devices.count, 0);
  assert_int_equal (back.shm_size, -1);
  assert_null (back.platform);
}

static void
shards_come_back_whole (void **state)
{
  (void) state;
  for (int in_file = 0; in_file < 2; in_file++)
    {
      auto_shard struct shard shard = { .job_id = xstrdup ("j"),
                                        .kind = SHARD_REDUCE,
                                        .generation = 2,
                                        .index = 42,
                                        .count = -1,
                                        .attempt = 3,
                                        .failures = 1,
                                        .infra = 4,
                                        .not_before = 99,
                                        .atom_count = 5,
                                        .bytes = 1234567890123,
                                        .memory = in_file ? 16 : -1,
                                        .plan_offset = in_file ? 7 : -1,
                                        .plan_length = in_file ? 8 : -1 };
      memset (shard.digest, 0xab, sizeof shard.digest);
      strlist_add (&shard.volume_pins, "");
      strlist_add (&shard.volume_pins, "5-6-7");
      if (!in_file)
        buffer_append (&shard.atoms, "a\0b", 3);
      auto_buffer struct buffer bytes = { 0 };
      assert_int_equal (codec_encode_shard (&shard, &bytes, NULL), 0);
      auto_shard struct shard back = { 0 };
      assert_int_equal (codec_decode_shard (buffer_bytes (&bytes), &back, NULL), 0);
      assert_string_equal (back.job_id, "j");
      assert_int_equal (back.kind, SHARD_REDUCE);
      assert_int_equal (back.generation, 2);
      assert_int_equal (back.index, 42);
      assert_int_equal (back.count, -1);
      assert_int_equal (back.attempt, 3);
      assert_int_equal (back.failures, 1);
      assert_int_equal (back.infra, 4);
      assert_int_equal (back.not_before, 99);
      assert_int_equal (back.atom_count, 5);
      assert_int_equal (back.bytes, 1234567890123);
      assert_memory_equal (back.digest, shard.digest, DIGEST_SIZE);
      assert_int_equal (back.atoms.size, in_file ? 0 : 3);
      assert_int_equal (back.memory, in_file ? 16 : -1);
      assert_int_equal (back.plan_offset, in_file ? 7 : -1);
      assert_int_equal (back.plan_length, in_file ? 8 : -1);
      assert_null (shard_volume_pin (&back, 0));
      assert_string_equal (shard_volume_pin (&back, 1), "5-6-7");
      assert_null (shard_volume_pin (&back, 2));
      auto_shard struct shard copy = { 0 };
      shard_copy (&copy, &back);
      assert_true (strlist_same (&copy.volume_pins, &shard.volume_pins));
    }
}

static void
events_come_back_whole (void **state)
{
  (void) state;
  for (int kind = EVENT_PLANNED; kind <= EVENT_REMERGE; kind++)
    {
      auto_event struct event event = { .kind = (enum event_kind) kind,
                                        .job_id = xstrdup ("j"),
                                        .time = 5,
                                        .writer = xstrdup ("w"),
                                        .generation = 2,
                                        .index = 3,
                                        .shard_kind = SHARD_REDUCE,
                                        .attempt = 4,
                                        .starts = 6,
                                        .shards = 10,
                                        .atoms = 11,
                                        .bytes = 12,
                                        .on_conflict = CONFLICT_RENAME,
                                        .reason = xstrdup ("r"),
                                        .class_name = xstrdup ("user") };
      event.report = (struct attempt_report){ .outcome = OUTCOME_OOM,
                                              .final = true,
                                              .exit_code = 137,
                                              .signal = 9,
                                              .folder = xstrdup ("00003.g2.a4.s6"),
                                              .reason = xstrdup ("too big"),
                                              .started = 1,
                                              .ended = 2,
                                              .cpu_us = -1,
                                              .peak_memory = 3,
                                              .bytes_in = 4,
                                              .bytes_out = 5,
                                              .files_out = 6 };
      event.index_count = 2;
      event.indexes = xcalloc (2, sizeof *event.indexes);
      event.indexes[1] = 77;
      strlist_add (&event.volume_pins, "5-6-7");
      auto_buffer struct buffer bytes = { 0 };
      assert_int_equal (codec_encode_event (&event, &bytes, NULL), 0);
      auto_event struct event back = { 0 };
      assert_int_equal (codec_decode_event (buffer_bytes (&bytes), &back, NULL), 0);
      assert_int_equal (back.kind, kind);
      assert_string_equal (back.writer, "w");
      assert_int_equal (back.shard_kind, SHARD_REDUCE);
      assert_int_equal (back.starts, 6);
      assert_int_equal (back.shards, kind == EVENT_PLANNED ? 10 : -1);
      assert_int_equal (back.index_count, 2);
      assert_int_equal (back.indexes[1], 77);
      assert_int_equal (back.on_conflict, CONFLICT_RENAME);
      assert_string_equal (back.reason, "r");
      assert_true (strlist_same (&back.volume_pins, &event.volume_pins));
      if (kind != EVENT_FINISHED)
        continue;
      assert_int_equal (back.report.outcome, OUTCOME_OOM);
      assert_true (back.report.final);
      assert_int_equal (back.report.exit_code, 137);
      assert_int_equal (back.report.signal, 9);
      assert_string_equal (back.report.folder, "00003.g2.a4.s6");
      assert_int_equal (back.report.cpu_us, -1);
      assert_int_equal (back.report.peak_memory, 3);
      assert_int_equal (back.report.files_out, 6);
    }
}

static void
control_and_status_come_back_whole (void **state)
{
  (void) state;
  auto_control struct control control = {
    .kind = CONTROL_CANCEL, .job_id = xstrdup ("j"), .time = 3, .reason = NULL
  };
  auto_buffer struct buffer bytes = { 0 };
  assert_int_equal (codec_encode_control (&control, &bytes, NULL), 0);
  auto_control struct control control_back = { 0 };
  assert_int_equal (codec_decode_control (buffer_bytes (&bytes), &control_back, NULL), 0);
  assert_int_equal (control_back.kind, CONTROL_CANCEL);
  assert_null (control_back.reason);
  for (int round = 0; round < 4; round++)
    {
      const struct control set = { .kind = CONTROL_SET,
                                   .job_id = control.job_id,
                                   .priority = round == 0 ? -1 : CONTROL_KEPT,
                                   .max_parallel = round == 1 ? 0 : CONTROL_KEPT,
                                   .paused = round == 2 ? 0 : CONTROL_KEPT };
      auto_buffer struct buffer message = { 0 };
      auto_control struct control back = { 0 };
      assert_int_equal (codec_encode_control (&set, &message, NULL), 0);
      assert_int_equal (codec_decode_control (buffer_bytes (&message), &back, NULL), 0);
      assert_int_equal (back.kind, CONTROL_SET);
      assert_int_equal (back.priority, set.priority);
      assert_int_equal (back.max_parallel, set.max_parallel);
      assert_int_equal (back.paused, set.paused);
    }
  for (int job_state = JOB_QUEUED; job_state <= JOB_CANCELLED; job_state++)
    {
      auto_job_status struct job_status status = { .job_id = xstrdup ("j"),
                                                   .state = (enum job_state) job_state,
                                                   .shards = -1,
                                                   .atoms = 9,
                                                   .succeeded = 1,
                                                   .failed = 2,
                                                   .running = 3,
                                                   .atoms_done = 4,
                                                   .generation = 5,
                                                   .result = xstrdup ("/r") };
      buffer_clear (&bytes);
      assert_int_equal (codec_encode_status (&status, &bytes, NULL), 0);
      auto_job_status struct job_status back = { 0 };
      assert_int_equal (codec_decode_status (buffer_bytes (&bytes), &back, NULL), 0);
      assert_int_equal (back.state, job_state);
      assert_int_equal (back.shards, -1);
      assert_int_equal (back.atoms, 9);
      assert_int_equal (back.atoms_done, 4);
      assert_int_equal (back.generation, 5);
      assert_string_equal (back.result, "/r");
      assert_null (back.reason);
    }
}

/* Each prefix of a message, and each message with one byte changed, is refused or read, without a
 * crash or a leak. */
static void
damaged_messages_do_no_harm (void **state)
{
  (void) state;
  auto_job struct job job;
  full_job (&job);
  auto_buffer struct buffer bytes = { 0 };
  assert_int_equal (codec_encode_job (&job, &bytes, NULL), 0);
  for (size_t size = 0; size < bytes.size; size++)
    {
      auto_job struct job back = { 0 };
      struct error err = ERROR_INIT;
      auto_free char *part = xmemdup (bytes.data, size);
      assert_int_equal (codec_decode_job ((struct bytes){ part, size }, &back, &err), -1);
      assert_int_equal (err.class, ERROR_USER);
    }
  unsigned int seed = seed_of_test ();
  for (int round = 0; round < 20000; round++)
    {
      auto_free char *damaged = xmemdup (bytes.data, bytes.size);
      size_t at = 10 + (size_t) rand_r (&seed) % (bytes.size - 10);
      damaged[at] = (char) rand_r (&seed);
      auto_job struct job back = { 0 };
      (void) codec_decode_job ((struct bytes){ damaged, bytes.size }, &back, NULL);
    }
}

/* A message of one kind isn't one of another, and a version that nobody knows is named. */
static void
strange_messages_are_refused_by_name (void **state)
{
  (void) state;
  auto_control struct control control = { .kind = CONTROL_CANCEL, .job_id = xstrdup ("j") };
  auto_buffer struct buffer bytes = { 0 };
  assert_int_equal (codec_encode_control (&control, &bytes, NULL), 0);
  auto_shard struct shard shard = { 0 };
  struct error err = ERROR_INIT;
  assert_int_equal (codec_decode_shard (buffer_bytes (&bytes), &shard, &err), -1);
  char wanted[64];
  (void) snprintf (wanted, sizeof wanted, "%016llx",
                   (unsigned long long) codec_fingerprint (MESSAGE_CONTROL));
  assert_non_null (strstr (err.message, wanted));
}

/* The hand-written atom list against avro-c, both ways. */
static void
atoms_are_avro (void **state)
{
  (void) state;
  avro_schema_t schema = NULL;
  assert_int_equal (avro_schema_from_json_length (avsc_Atom, strlen (avsc_Atom), &schema), 0);
  avro_value_iface_t *iface = avro_generic_class_from_schema (schema);
  const struct atom atoms[] = {
    { .volume = 0, .size = -1, .path = "a.jpg", .path_size = 5 },
    { .volume = 300, .folder = true, .size = 0, .path = "", .path_size = 0 },
    { .volume = 1, .size = INT64_MAX, .path = "new\nline\xff", .path_size = 9, .source = "/s p" },
    { .volume = 2, .size = 7, .path = "b", .path_size = 1, .version = "\"an ETag\"" },
    { .size = 1, .path = "c", .path_size = 1, .version = "v", .source = "https://h/c?d" },
  };
  const size_t count = sizeof atoms / sizeof *atoms;
  auto_buffer struct buffer list = { 0 };
  for (size_t i = 0; i < count; i++)
    atom_append (&list, &atoms[i]);

  avro_reader_t reader = avro_reader_memory (list.data, (int64_t) list.size);
  char again[256];
  avro_writer_t writer = avro_writer_memory (again, sizeof again);
  for (size_t i = 0; i < count; i++)
    {
      struct record record = { 0 };
      assert_int_equal (avro_generic_value_new (iface, &record.value), 0);
      assert_int_equal (avro_value_read (reader, &record.value), 0);
      assert_int_equal (record_long (&record, "volume", -1), atoms[i].volume);
      assert_int_equal (record_bool (&record, "folder", false), atoms[i].folder);
      assert_int_equal (record_long (&record, "size", -7), atoms[i].size);
      struct bytes path = record_bytes (&record, "path");
      assert_int_equal (path.size, atoms[i].path_size);
      assert_int_equal (avro_value_write (writer, &record.value), 0);
      avro_value_decref (&record.value);
    }
  assert_int_equal (avro_writer_tell (writer), list.size);
  assert_memory_equal (again, list.data, list.size);

  auto_atom_cursor struct atom_cursor cursor =
      atom_cursor_start ((struct bytes){ again, list.size });
  for (size_t i = 0; i < count; i++)
    {
      struct atom atom = { 0 };
      assert_int_equal (atom_cursor_next (&cursor, &atom, NULL), 1);
      assert_int_equal (atom.volume, atoms[i].volume);
      assert_int_equal (atom.folder, atoms[i].folder);
      assert_int_equal (atom.size, atoms[i].size);
      assert_int_equal (atom.path_size, atoms[i].path_size);
      assert_memory_equal (atom.path, atoms[i].path, atom.path_size);
      assert_int_equal (atom.source != NULL, atoms[i].source != NULL);
      assert_int_equal (atom.version != NULL, atoms[i].version != NULL);
      if (atom.version != NULL)
        assert_string_equal (atom.version, atoms[i].version);
    }
  struct atom atom = { 0 };
  assert_int_equal (atom_cursor_next (&cursor, &atom, NULL), 0);
  avro_reader_free (reader);
  avro_writer_free (writer);
  avro_value_iface_decref (iface);
  avro_schema_decref (schema);
}

/* Vectors of the Avro project's own test suite (share/test/data/schema-tests.txt). */
static void
fingerprints_are_those_of_the_standard (void **state)
{
  (void) state;
  static const struct
  {
    const char *json;
    const char *canonical;
    int64_t fingerprint;
  } vectors[] = {
    { "\"null\"", "\"null\"", 7195948357588979594 },
    { "{\"type\":\"null\"}", "\"null\"", 7195948357588979594 },
    { "\"boolean\"", "\"boolean\"", -6970731678124411036 },
    { "[ \"int\"  ]", "[\"int\"]", -5232228896498058493 },
    { "{\"fields\":[], \"type\":\"record\", \"name\":\"foo\", \"doc\":\"Useful info\"}",
      "{\"name\":\"foo\",\"type\":\"record\",\"fields\":[]}", -4824392279771201922 },
    { "{\"type\":\"enum\", \"name\":\"foo\", \"symbols\":[\"A1\"]}",
      "{\"name\":\"foo\",\"type\":\"enum\",\"symbols\":[\"A1\"]}", -6342190197741309591 },
    { "{ \"items\":{\"type\":\"null\"}, \"type\":\"array\"}",
      "{\"type\":\"array\",\"items\":\"null\"}", -589620603366471059 },
  };
  for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
    {
      auto_buffer struct buffer canonical = { 0 };
      uint64_t fingerprint = 0;
      assert_int_equal (fingerprint_canonical (vectors[i].json, &canonical, NULL), 0);
      assert_string_equal (canonical.data, vectors[i].canonical);
      assert_int_equal (fingerprint_of (vectors[i].json, &fingerprint, NULL), 0);
      assert_int_equal (fingerprint, (uint64_t) vectors[i].fingerprint);
    }
}

/* As some libraries write fingerprints by default. */
static void
a_fingerprint_in_the_wrong_order_is_named (void **state)
{
  (void) state;
  auto_buffer struct buffer message = { 0 };
  char id[] = "j";
  const struct control control = { .kind = CONTROL_CANCEL, .job_id = id };
  assert_int_equal (codec_encode_control (&control, &message, NULL), 0);
  for (int i = 0; i < 4; i++)
    {
      char byte = message.data[2 + i];
      message.data[2 + i] = message.data[9 - i];
      message.data[9 - i] = byte;
    }
  struct error err = ERROR_INIT;
  auto_control struct control read = { 0 };
  assert_int_equal (codec_decode_control (buffer_bytes (&message), &read, &err), -1);
  assert_int_equal (err.class, ERROR_USER);
  assert_non_null (strstr (err.message, "fingerprint is in big-endian order"));
}

/* The text is parsed by jansson, and its fields compared with what went in. */
static void
a_message_is_told_as_json (void **state)
{
  (void) state;
  auto_buffer struct buffer message = { 0 };
  char id[] = "job \"one\"";
  char reason[] = "\xe2\x82\xac\n";
  const struct control control = { .kind = CONTROL_CANCEL, .job_id = id, .reason = reason };
  assert_int_equal (codec_encode_control (&control, &message, NULL), 0);
  const char *name = NULL;
  auto_free char *json = NULL;
  assert_int_equal (codec_to_json (buffer_bytes (&message), &name, &json, NULL), 0);
  assert_string_equal (name, "Control");
  assert_null (strchr (json, '\n'));
  json_t *value = json_loads (json, 0, NULL);
  assert_string_equal (json_string_value (json_object_get (value, "job_id")), id);
  assert_string_equal (
      json_string_value (json_object_get (json_object_get (value, "reason"), "string")), reason);
  json_decref (value);

  /* Cut at each place, and with bytes that aren't text. */
  for (size_t size = 0; size < message.size; size++)
    assert_int_equal (
        codec_to_json ((struct bytes){ message.data, size }, &name, &(char *){ NULL }, NULL), -1);
  buffer_clear (&message);
  reason[0] = '\xff';
  assert_int_equal (codec_encode_control (&control, &message, NULL), 0);
  struct error err = ERROR_INIT;
  assert_int_equal (codec_to_json (buffer_bytes (&message), &name, &(char *){ NULL }, &err), -1);
  assert_string_equal (err.message, "a control record with text that isn't UTF-8");
}

/* What no worker writes: a lease for ever, or one before it began. Added to a clock it would
 * overflow. */
static void
a_claim_for_ever_is_none (void **state)
{
  (void) state;
  static const struct
  {
    int64_t lease_ms;
    int expected;
  } leases[] = {
    { 0, 0 },
    { 30000, 0 },
    { CLAIM_LEASE_MAX_MS, 0 },
    { CLAIM_LEASE_MAX_MS + 1, -1 },
    { INT64_MAX, -1 },
    { INT64_MIN, -1 },
    { -1, -1 },
  };
  for (size_t i = 0; i < sizeof leases / sizeof *leases; i++)
    {
      auto_buffer struct buffer message = { 0 };
      auto_claim struct claim read = { 0 };
      char writer[] = "worker-1";
      const struct claim claim = {
        .kind = CLAIM_CLAIM, .writer = writer, .starts = 1, .lease_ms = leases[i].lease_ms
      };
      assert_int_equal (codec_encode_claim (&claim, &message, NULL), 0);
      assert_int_equal (codec_decode_claim (buffer_bytes (&message), &read, NULL),
                        leases[i].expected);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (a_claim_for_ever_is_none),
    cmocka_unit_test (a_fingerprint_in_the_wrong_order_is_named),
    cmocka_unit_test (a_message_is_told_as_json),
    cmocka_unit_test (a_job_comes_back_whole),
    cmocka_unit_test (a_plain_job_keeps_its_defaults),
    cmocka_unit_test (shards_come_back_whole),
    cmocka_unit_test (events_come_back_whole),
    cmocka_unit_test (control_and_status_come_back_whole),
    cmocka_unit_test (damaged_messages_do_no_harm),
    cmocka_unit_test (strange_messages_are_refused_by_name),
    cmocka_unit_test (atoms_are_avro),
    cmocka_unit_test (fingerprints_are_those_of_the_standard),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}

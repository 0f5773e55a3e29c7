/* Metrics: what is counted is what is written, from any number of threads, and another program can
 * read it. */
#include "common/clock.h"
#include "common/fs.h"
#include "common/health.h"
#include "common/memory.h"
#include "common/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NASTY "a \"b\" \\ c\nd"

/* The exposition of METRICS; the caller frees. */
static char *
exposition (struct metrics *metrics)
{
  auto_buffer struct buffer text = { 0 };
  metrics_write (metrics, &text);
  return buffer_take (&text);
}

static void
assert_line (const char *text, const char *line)
{
  auto_free char *whole = xasprintf ("\n%s\n", line);
  if (strstr (text, whole) == NULL)
    fail_msg ("no line \"%s\" in:\n%s", line, text);
}

static void
a_series_is_made_once (void **state)
{
  (void) state;
  auto_metrics struct metrics *metrics = metrics_new ();
  struct metric *one = metrics_counter (metrics, "a_total", "A.", LABELS ("x", "1"));
  struct metric *two = metrics_counter (metrics, "a_total", "A.", LABELS ("x", "2"));
  assert_ptr_not_equal (one, two);
  assert_ptr_equal (one, metrics_counter (metrics, "a_total", "A.", LABELS ("x", "1")));
  metric_add (one, 1);
  metric_add (two, 2);
  metric_add (one, 40);
  auto_free char *text = exposition (metrics);
  assert_line (text, "a_total{x=\"1\"} 41");
  assert_line (text, "a_total{x=\"2\"} 2");
}

static void
nobody_counts (void **state)
{
  (void) state;
  assert_null (metrics_counter (NULL, "a_total", "A.", NULL));
  metric_add (NULL, 1);
  metric_set (NULL, 1);
  metric_observe (NULL, 1);
  assert_int_equal (metric_value (NULL), 0);
  auto_buffer struct buffer text = { 0 };
  metrics_write (NULL, &text);
  assert_int_equal (text.size, 0);
  health_turn (NULL);
  health_bus (NULL, true);
  health_bus_error (NULL);
  health_draining (NULL);
  assert_null (health_metrics (NULL));
  assert_false (health_is_ready (NULL, NULL));
  assert_true (health_is_good (NULL, clock_boot_ms (), NULL));
}

/* The border belongs to the bucket; what is longer than all of them is in +Inf only. */
static void
observations_fall_into_buckets (void **state)
{
  (void) state;
  auto_metrics struct metrics *metrics = metrics_new ();
  struct metric *metric = metrics_seconds (metrics, "t_seconds", "T.", LABELS ("q", "d"));
  const int64_t ms[] = { 0, 5, 6, 1000, 1001, 86400001, -3 };
  for (size_t i = 0; i < sizeof ms / sizeof ms[0]; i++)
    metric_observe (metric, ms[i]);
  auto_free char *text = exposition (metrics);
  assert_line (text, "t_seconds_bucket{q=\"d\",le=\"0.005\"} 3");
  assert_line (text, "t_seconds_bucket{q=\"d\",le=\"0.010\"} 4");
  assert_line (text, "t_seconds_bucket{q=\"d\",le=\"1.000\"} 5");
  assert_line (text, "t_seconds_bucket{q=\"d\",le=\"2.500\"} 6");
  assert_line (text, "t_seconds_bucket{q=\"d\",le=\"86400.000\"} 6");
  assert_line (text, "t_seconds_bucket{q=\"d\",le=\"+Inf\"} 7");
  assert_line (text, "t_seconds_sum{q=\"d\"} 86402.013");
  assert_line (text, "t_seconds_count{q=\"d\"} 7");
}

static void
an_age_grows_by_itself (void **state)
{
  (void) state;
  auto_metrics struct metrics *metrics = metrics_new ();
  struct metric *metric = metrics_age (metrics, "age_seconds", "Age.", NULL);
  auto_free char *unset = exposition (metrics);
  assert_line (unset, "age_seconds 0.000");
  metric_set (metric, clock_boot_ms () - 3600000);
  auto_free char *set = exposition (metrics);
  assert_non_null (strstr (set, "\nage_seconds 36"));
}

enum
{
  THREADS = 4,
  UPDATES = 50000,
};

static void *
hammer (void *context)
{
  struct metrics *metrics = context;
  for (int i = 0; i < UPDATES; i++)
    {
      metric_add (metrics_counter (metrics, "n_total", "N.", LABELS ("t", i % 2 ? "a" : "b")), 1);
      metric_observe (metrics_seconds (metrics, "s_seconds", "S.", NULL), i % 100);
    }
  return NULL;
}

static void
no_update_is_lost (void **state)
{
  (void) state;
  auto_metrics struct metrics *metrics = metrics_new ();
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++)
    assert_int_equal (pthread_create (&threads[i], NULL, hammer, metrics), 0);
  for (int i = 0; i < 20; i++)
    free (exposition (metrics));
  for (int i = 0; i < THREADS; i++)
    assert_int_equal (pthread_join (threads[i], NULL), 0);
  int64_t each = (int64_t) THREADS * UPDATES / 2;
  assert_int_equal (metric_value (metrics_counter (metrics, "n_total", "N.", LABELS ("t", "a"))),
                    each);
  assert_int_equal (metric_value (metrics_counter (metrics, "n_total", "N.", LABELS ("t", "b"))),
                    each);
  assert_int_equal (metric_value (metrics_seconds (metrics, "s_seconds", "S.", NULL)), 2 * each);
}

/* The parser of Prometheus' own Python client must find the same names, labels and values. */
static const char reader[] =
    "import sys\n"
    "from prometheus_client.parser import text_fd_to_metric_families\n"
    "found = {f.name: f for f in text_fd_to_metric_families (open (sys.argv[1]))}\n"
    "assert found['a'].type == 'counter' and found['a'].documentation == 'A thing.', found\n"
    "assert {tuple(sorted(s.labels.items())): s.value for s in found['a'].samples} == {\n"
    "    (('x', 'a \"b\" \\\\ c\\nd'), ('y', '')): 3, (('x', 'plain'), ('y', 'z')): 2**53}, found\n"
    "assert found['g'].type == 'gauge' and found['g'].samples[0].value == -7, found\n"
    "h = found['h_seconds']\n"
    "assert h.type == 'histogram', h\n"
    "buckets = [(float(s.labels['le']), s.value) for s in h.samples if "
    "s.name.endswith('_bucket')]\n"
    "assert buckets == sorted(buckets) and buckets[-1] == (float('inf'), 2), buckets\n"
    "assert [v for le, v in buckets if le == 60] == [1], buckets\n"
    "assert {s.name: s.value for s in h.samples}['h_seconds_sum'] == 120.25, h\n"
    "assert len(found) == 3, found\n";

static void
another_program_reads_them (void **state)
{
  (void) state;
  auto_metrics struct metrics *metrics = metrics_new ();
  metric_add (metrics_counter (metrics, "a_total", "A thing.", LABELS ("x", NASTY, "y", "")), 3);
  metric_add (metrics_counter (metrics, "a_total", "A thing.", LABELS ("x", "plain", "y", "z")),
              (int64_t) 1 << 53);
  metric_set (metrics_gauge (metrics, "g", "G.", NULL), -7);
  struct metric *seconds = metrics_seconds (metrics, "h_seconds", "H.", NULL);
  metric_observe (seconds, 250);
  metric_observe (seconds, 120000);
  auto_buffer struct buffer text = { 0 };
  metrics_write (metrics, &text);

  char folder[] = "/tmp/shoal-metrics-XXXXXX";
  assert_non_null (mkdtemp (folder));
  auto_fd int dirfd = fs_open_folder (AT_FDCWD, folder, NULL);
  struct error err = ERROR_INIT;
  const struct bytes script = { reader, strlen (reader) };
  if (fs_write_file (dirfd, "text", buffer_bytes (&text), &err) != 0
      || fs_write_file (dirfd, "reader.py", script, &err) != 0)
    fail_msg ("%s", err.message);
  auto_free char *command =
      xasprintf ("env -u LD_PRELOAD /usr/bin/python3 %s/reader.py %s/text", folder, folder);
  assert_int_equal (system (command), 0);
  assert_int_equal (fs_remove_tree (AT_FDCWD, folder, NULL), 0);
}

static void
a_service_hangs_only_after_it_has_turned (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  auto_health struct health *health = health_new ();
  int64_t now = clock_boot_ms ();
  assert_false (health_is_ready (health, NULL));
  assert_true (health_is_good (health, now + 10 * HEALTH_STUCK_MS, NULL));
  health_bus (health, true);
  health_turn (health);
  assert_true (health_is_ready (health, NULL));
  assert_true (health_is_good (health, now + HEALTH_STUCK_MS - 1, NULL));
  assert_false (health_is_good (health, clock_boot_ms () + HEALTH_STUCK_MS, &err));
  assert_non_null (strstr (err.message, "60 s"));
  health_draining (health);
  assert_true (health_is_ready (health, NULL));
  health_bus (health, false);
  assert_false (health_is_ready (health, NULL));
  health_bus_error (health);
  auto_free char *text = exposition (health_metrics (health));
  assert_line (text, "shoal_draining 1");
  assert_line (text, "shoal_bus_errors_total 1");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (a_series_is_made_once),
    cmocka_unit_test (nobody_counts),
    cmocka_unit_test (observations_fall_into_buckets),
    cmocka_unit_test (an_age_grows_by_itself),
    cmocka_unit_test (no_update_is_lost),
    cmocka_unit_test (another_program_reads_them),
    cmocka_unit_test (a_service_hangs_only_after_it_has_turned),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}

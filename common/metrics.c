#include "common/metrics.h"

#include "common/clock.h"
#include "common/memory.h"
#include "common/text.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

/* Upper bounds in ms; what is longer counts in +Inf only. */
static const int64_t bounds[] = { 5,      10,     25,      50,      100,     250,      500,
                                  1000,   2500,   5000,    10000,   30000,   60000,    120000,
                                  300000, 600000, 1800000, 3600000, 7200000, 21600000, 86400000 };

enum
{
  BOUNDS = sizeof bounds / sizeof bounds[0]
};

enum kind
{
  KIND_COUNTER,
  KIND_GAUGE,
  KIND_AGE,
  KIND_SECONDS,
};

struct metric
{
  struct metric *next; /* of the same name */
  enum kind kind;
  char *labels;              /* "queue=\"default\",outcome=\"oom\"", or "" */
  _Atomic int64_t value;     /* KIND_SECONDS: the sum in ms */
  _Atomic int64_t buckets[]; /* KIND_SECONDS: BOUNDS + 1, each without those before it */
};

struct family
{
  struct family *next;
  const char *name;
  const char *help;
  enum kind kind;
  struct metric *first;
};

struct metrics
{
  pthread_mutex_t lock; /* for the lists; what they hold stays where it is */
  struct family *first;
};

/* ---- making ----------------------------------------------------------------------------- */

struct metrics *
metrics_new (void)
{
  struct metrics *metrics = xcalloc (1, sizeof *metrics);
  (void) pthread_mutex_init (&metrics->lock, NULL);
  return metrics;
}

void
metrics_free (struct metrics *metrics)
{
  if (metrics == NULL)
    return;
  for (struct family *family = metrics->first; family != NULL;)
    {
      for (struct metric *metric = family->first; metric != NULL;)
        {
          struct metric *next = metric->next;
          free (metric->labels);
          free (metric);
          metric = next;
        }
      struct family *next = family->next;
      free (family);
      family = next;
    }
  (void) pthread_mutex_destroy (&metrics->lock);
  free (metrics);
}

/* A label's value as the format wants it: UTF-8, with newlines and quotes escaped. */
static void
append_escaped (struct buffer *out, const char *text)
{
  for (;;)
    {
      size_t length = strcspn (text, "\n");
      auto_free char *line = xstrndup (text, length);
      auto_free char *shown = text_shown (line);
      for (const char *at = shown; *at != '\0'; at++)
        {
          if (*at == '"' || *at == '\\')
            buffer_putc (out, '\\');
          buffer_putc (out, *at);
        }
      if (text[length] == '\0')
        return;
      buffer_puts (out, "\\n");
      text += length + 1;
    }
}

static char *
format_labels (const char *const *labels)
{
  auto_buffer struct buffer text = { 0 };
  for (size_t i = 0; labels != NULL && labels[i] != NULL; i += 2)
    {
      buffer_printf (&text, "%s%s=\"", i == 0 ? "" : ",", labels[i]);
      append_escaped (&text, labels[i + 1]);
      buffer_putc (&text, '"');
    }
  return buffer_take (&text);
}

static struct family *
find_family (struct metrics *metrics, enum kind kind, const char *name, const char *help)
{
  struct family **at = &metrics->first;
  for (; *at != NULL; at = &(*at)->next)
    if (strcmp ((*at)->name, name) == 0)
      {
        if ((*at)->kind != kind)
          abort ();
        return *at;
      }
  struct family *family = xcalloc (1, sizeof *family);
  *family = (struct family){ .name = name, .help = help, .kind = kind };
  *at = family;
  return family;
}

static struct metric *
find_metric (struct family *family, const char *labels)
{
  struct metric **at = &family->first;
  for (; *at != NULL; at = &(*at)->next)
    if (strcmp ((*at)->labels, labels) == 0)
      return *at;
  size_t buckets = family->kind == KIND_SECONDS ? BOUNDS + 1 : 0;
  struct metric *metric = xcalloc (1, sizeof *metric + buckets * sizeof metric->buckets[0]);
  metric->kind = family->kind;
  metric->labels = xstrdup (labels);
  *at = metric;
  return metric;
}

static struct metric *
metrics_find (struct metrics *metrics, enum kind kind, const char *name, const char *help,
              const char *const *labels)
{
  if (metrics == NULL)
    return NULL;
  auto_free char *text = format_labels (labels);
  (void) pthread_mutex_lock (&metrics->lock);
  struct metric *metric = find_metric (find_family (metrics, kind, name, help), text);
  (void) pthread_mutex_unlock (&metrics->lock);
  return metric;
}

struct metric *
metrics_counter (struct metrics *metrics, const char *name, const char *help,
                 const char *const *labels)
{
  return metrics_find (metrics, KIND_COUNTER, name, help, labels);
}

struct metric *
metrics_gauge (struct metrics *metrics, const char *name, const char *help,
               const char *const *labels)
{
  return metrics_find (metrics, KIND_GAUGE, name, help, labels);
}

struct metric *
metrics_age (struct metrics *metrics, const char *name, const char *help, const char *const *labels)
{
  return metrics_find (metrics, KIND_AGE, name, help, labels);
}

struct metric *
metrics_seconds (struct metrics *metrics, const char *name, const char *help,
                 const char *const *labels)
{
  return metrics_find (metrics, KIND_SECONDS, name, help, labels);
}

/* ---- updating --------------------------------------------------------------------------- */

static void
metrics_add (_Atomic int64_t *value, int64_t n)
{
  (void) atomic_fetch_add_explicit (value, n, memory_order_relaxed);
}

static int64_t
metrics_load (const _Atomic int64_t *value)
{
  return atomic_load_explicit (value, memory_order_relaxed);
}

void
metric_add (struct metric *metric, int64_t n)
{
  if (metric != NULL)
    metrics_add (&metric->value, n);
}

void
metric_set (struct metric *metric, int64_t value)
{
  if (metric != NULL)
    atomic_store_explicit (&metric->value, value, memory_order_relaxed);
}

void
metric_observe (struct metric *metric, int64_t ms)
{
  if (metric == NULL)
    return;
  size_t bucket = 0;
  while (bucket < BOUNDS && ms > bounds[bucket])
    bucket++;
  metrics_add (&metric->buckets[bucket], 1);
  metrics_add (&metric->value, ms > 0 ? ms : 0);
}

int64_t
metric_value (const struct metric *metric)
{
  if (metric == NULL)
    return 0;
  if (metric->kind != KIND_SECONDS)
    return metrics_load (&metric->value);
  int64_t count = 0;
  for (size_t i = 0; i <= BOUNDS; i++)
    count += metrics_load (&metric->buckets[i]);
  return count;
}

/* ---- writing ---------------------------------------------------------------------------- */

static void
write_seconds (struct buffer *out, int64_t ms)
{
  buffer_printf (out, "%" PRId64 ".%03d", ms / 1000, (int) (ms % 1000));
}

static void
write_series (struct buffer *out, const char *name, const char *suffix, const char *labels)
{
  buffer_printf (out, "%s%s", name, suffix);
  if (labels[0] != '\0')
    buffer_printf (out, "{%s}", labels);
  buffer_putc (out, ' ');
}

/* The count is that of the buckets as they were read, so that the two always agree. */
static void
write_histogram (struct buffer *out, const char *name, const struct metric *metric)
{
  const char *comma = metric->labels[0] == '\0' ? "" : ",";
  int64_t count = 0;
  for (size_t i = 0; i <= BOUNDS; i++)
    {
      count += metrics_load (&metric->buckets[i]);
      buffer_printf (out, "%s_bucket{%s%sle=\"", name, metric->labels, comma);
      if (i < BOUNDS)
        write_seconds (out, bounds[i]);
      else
        buffer_puts (out, "+Inf");
      buffer_printf (out, "\"} %" PRId64 "\n", count);
    }
  write_series (out, name, "_sum", metric->labels);
  write_seconds (out, metrics_load (&metric->value));
  buffer_putc (out, '\n');
  write_series (out, name, "_count", metric->labels);
  buffer_printf (out, "%" PRId64 "\n", count);
}

static void
write_metric (struct buffer *out, const char *name, const struct metric *metric)
{
  if (metric->kind == KIND_SECONDS)
    {
      write_histogram (out, name, metric);
      return;
    }
  int64_t value = metrics_load (&metric->value);
  if (value == METRIC_UNKNOWN)
    return;
  write_series (out, name, "", metric->labels);
  if (metric->kind == KIND_AGE)
    {
      int64_t age = value == 0 ? 0 : clock_boot_ms () - value;
      write_seconds (out, age > 0 ? age : 0);
    }
  else
    buffer_printf (out, "%" PRId64, value);
  buffer_putc (out, '\n');
}

void
metrics_write (struct metrics *metrics, struct buffer *out)
{
  static const char *const types[] = { [KIND_COUNTER] = "counter",
                                       [KIND_GAUGE] = "gauge",
                                       [KIND_AGE] = "gauge",
                                       [KIND_SECONDS] = "histogram" };
  if (metrics == NULL)
    return;
  (void) pthread_mutex_lock (&metrics->lock);
  for (const struct family *family = metrics->first; family != NULL; family = family->next)
    {
      buffer_printf (out, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help, family->name,
                     types[family->kind]);
      for (const struct metric *metric = family->first; metric != NULL; metric = metric->next)
        write_metric (out, family->name, metric);
    }
  (void) pthread_mutex_unlock (&metrics->lock);
}

#include "worker/counts.h"

#include "bus/bus.h"
#include "bus/dead_letter.h"

void
counts_init (struct counts *counts, struct metrics *metrics)
{
  *counts = (struct counts){ 0 };
  if (metrics == NULL)
    return;
  counts->metrics = metrics;
  for (int outcome = 0; outcome <= OUTCOME_INFRA; outcome++)
    counts->attempts[outcome] =
        metrics_counter (metrics, "shoal_attempts_total", "Finished attempts by outcome.",
                         LABELS ("outcome", outcome_name ((enum outcome) outcome)));
  counts->seconds =
      metrics_seconds (metrics, "shoal_attempt_seconds",
                       "Duration of attempts, from staging inputs to collecting outputs.", NULL);
  counts->waited =
      metrics_seconds (metrics, "shoal_schedule_to_start_seconds",
                       "Time between a shard becoming runnable and this worker starting it.", NULL);
  counts->retries = metrics_counter (metrics, "shoal_retries_total",
                                     "Failed attempts that are followed by a retry.", NULL);
  counts->lost = metrics_counter (
      metrics, "shoal_leases_lost_total",
      "Shards that another worker took over because this one's lease expired.", NULL);
  static const char name[] = "shoal_slots";
  static const char help[] = "Slots of this worker by state.";
  counts->busy = metrics_gauge (metrics, name, help, LABELS ("state", "busy"));
  counts->free = metrics_gauge (metrics, name, help, LABELS ("state", "free"));
  counts->oldest = metrics_age (metrics, "shoal_oldest_running_seconds",
                                "Age of the longest-running shard.", NULL);
}

void
counts_take (const struct counts *counts, int64_t waited_ms)
{
  if (waited_ms >= 0)
    metric_observe (counts->waited, waited_ms);
}

void
counts_settle (const struct counts *counts, const struct attempt_report *report, bool again)
{
  metric_add (counts->attempts[report->outcome], 1);
  metric_observe (counts->seconds, report->ended - report->started);
  bool well = report->outcome == OUTCOME_SUCCEEDED || report->outcome == OUTCOME_CANCELLED;
  if (again)
    metric_add (counts->retries, 1);
  else if (!well)
    dead_letter_count (counts->metrics, outcome_name (report->outcome));
}

void
counts_lose (const struct counts *counts)
{
  metric_add (counts->lost, 1);
}

void
counts_fetch (const struct counts *counts,
              const struct storage_totals fetched[static STORAGE_KINDS])
{
  for (int kind = 0; kind < STORAGE_KINDS; kind++)
    {
      const struct storage_totals *totals = &fetched[kind];
      const char *const *scheme = LABELS ("scheme", storage_kind_name ((enum storage_kind) kind));
      const struct
      {
        const char *name;
        const char *help;
        int64_t more;
      } series[] = {
        { "shoal_storage_files_total", "Input files downloaded.", totals->files },
        { "shoal_storage_bytes_total", "Bytes of input downloaded from servers.", totals->bytes },
        { "shoal_storage_requests_total", "Requests for input files.", totals->requests },
        { "shoal_storage_retries_total", "Requests for input files that were retried.",
          totals->retries },
        { "shoal_storage_cache_hits_total", "Input files found in the cache.", totals->cached },
      };
      if (totals->requests == 0 && totals->cached == 0 && totals->bytes == 0)
        continue;
      for (size_t i = 0; i < sizeof series / sizeof series[0]; i++)
        metric_add (metrics_counter (counts->metrics, series[i].name, series[i].help, scheme),
                    series[i].more);
    }
}

void
counts_slots (const struct counts *counts, int busy, int slots, int64_t oldest)
{
  metric_set (counts->busy, busy);
  metric_set (counts->free, slots - busy);
  metric_set (counts->oldest, oldest);
}

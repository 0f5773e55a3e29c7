#include "worker/worker.h"

#include "bus/bus.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"
#include "worker/cgroup.h"
#include "worker/container.h"
#include "worker/lane.h"
#include "worker/workplace.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum
{
  LEASE_DEFAULT_MS = 30000,
  MAX_LOST_DEFAULT = 3,
  IDLE_POLL_MS = 200, /* retries become due without anybody saying so */
  BUSY_POLL_MS = 1000,
  STATUS_MS = 1000, /* how often the jobs of running attempts are looked at */
  TROUBLE_MS = 500, /* pause after an error of the bus */
  SWEPT_MAX = 64,   /* results that are remembered as swept */
  GROUPS_MS = 100,  /* between two looks at what dead slots left */
  END_MS = 1000,    /* for containers of slots that were killed to vanish */
};

struct worker
{
  const struct worker_options *options;
  struct crew crew;
  struct lane *lanes;
  struct pollfd *fds;
  int count;       /* of lanes */
  int slots;       /* containers at a time: fewer, when inputs are fetched ahead */
  int64_t control; /* position in the control records */
  int64_t keep_every;
  int64_t keep_at;
  int64_t status_at;
  int64_t groups_at;     /* control groups of dead slots aren't looked at before */
  int64_t trouble_until; /* no taking and settling before */
  int64_t drain_until;   /* INT64_MAX: no end to it */
  bool draining;
  struct strlist swept; /* results */
};

/* ---- odds and ends ---------------------------------------------------------------------- */

static bool
is_busy (const struct worker *worker)
{
  for (int i = 0; i < worker->count; i++)
    if (worker->lanes[i].state != LANE_IDLE)
      return true;
  return false;
}

static bool
has_idle (const struct worker *worker)
{
  for (int i = 0; i < worker->count; i++)
    if (worker->lanes[i].state == LANE_IDLE)
      return true;
  return false;
}

static bool
is_in_trouble (const struct worker *worker)
{
  return clock_boot_ms () < worker->trouble_until;
}

/* An error of the bus that may pass: says so and pauses. One that won't ends the worker. */
static int
bear (struct worker *worker, const char *what, const struct error *err)
{
  if (err->class == ERROR_FATAL)
    return -1;
  vitals_bus_error (worker->options->vitals);
  auto_free char *text = text_log (err->message);
  log_warn ("bus_error", "operation=%s error=%s", what, text);
  worker->trouble_until = clock_boot_ms () + TROUBLE_MS;
  return 0;
}

/* What dead workers left in a result: swept when we come to it for the first time, and when we
 * leave, for those that died meanwhile. */
static void
sweep (const struct worker *worker, const char *results)
{
  int swept = workplace_sweep (results, worker->options->scratch);
  auto_free char *place = text_log (results);
  if (swept > 0)
    log_info ("stale_attempts_removed", "results=%s folders=%d", place, swept);
}

static void
sweep_all (struct worker *worker)
{
  for (size_t i = 0; i < worker->swept.count; i++)
    sweep (worker, worker->swept.items[i]);
  strlist_release (&worker->swept);
}

static void
sweep_once (struct worker *worker, const char *results)
{
  if (strlist_has (&worker->swept, results))
    return;
  if (worker->swept.count >= SWEPT_MAX)
    sweep_all (worker);
  strlist_add (&worker->swept, results);
  sweep (worker, results);
}

/* The control groups of slots that died, as soon as nothing is left in them. */
static void
sweep_groups (struct worker *worker)
{
  bool unswept = false;
  for (int i = 0; i < worker->count; i++)
    unswept |= worker->lanes[i].unswept;
  if (!unswept || clock_boot_ms () < worker->groups_at)
    return;
  worker->groups_at = clock_boot_ms () + GROUPS_MS;
  bool swept = cgroup_sweep (0);
  for (int i = 0; i < worker->count; i++)
    worker->lanes[i].unswept &= !swept;
}

/* ---- stopping --------------------------------------------------------------------------- */

static void
end_all (struct worker *worker, const char *job_id, enum lane_ending ending)
{
  for (int i = 0; i < worker->count; i++)
    {
      struct lane *lane = &worker->lanes[i];
      if (lane->state == LANE_RUNNING
          && (job_id == NULL || strcmp (lane->delivery->shard.job_id, job_id) == 0))
        lane_end (lane, ending);
    }
}

static void
read_stop (struct worker *worker)
{
  int stop = worker->options->stop == NULL ? 0 : (int) *worker->options->stop;
  int64_t now = clock_boot_ms ();
  if (stop >= 1 && !worker->draining)
    {
      worker->draining = true;
      bus_quiesce (worker->crew.bus);
      vitals_draining (worker->options->vitals);
      int64_t drain = worker->options->drain_ms;
      worker->drain_until = drain < 0 ? INT64_MAX : now + drain;
      log_info ("draining", "drain_ms=%lld", (long long) drain);
    }
  for (int i = 0; worker->draining && i < worker->count; i++)
    if (worker->lanes[i].ahead)
      lane_end (&worker->lanes[i], ENDING_RELEASE);
  if (stop >= 2 || (worker->draining && now >= worker->drain_until))
    end_all (worker, NULL, ENDING_RELEASE);
}

static int
read_controls (struct worker *worker, struct error *err)
{
  for (;;)
    {
      auto_control struct control control = { 0 };
      int got = bus_next_control (worker->crew.bus, &worker->control, &control, err);
      if (got <= 0)
        return got == 0 ? 0 : bear (worker, "control", err);
      if (control.kind == CONTROL_CANCEL)
        end_all (worker, control.job_id, ENDING_CANCEL);
    }
}

/* 1 when the job's state is terminal, as far as it knows of GENERATION; 0, or -1. */
static int
is_over (struct worker *worker, const char *job_id, uint32_t generation, struct error *err)
{
  auto_job_status struct job_status status = { 0 };
  int got = bus_get_status (worker->crew.bus, job_id, &status, err);
  if (got < 0)
    return bear (worker, "status", err);
  return got == 1 && job_state_is_terminal (status.state) && status.generation >= generation;
}

/* Jobs that ended without a cancel: their limits were passed, or somebody else's attempt won. */
static int
check_jobs (struct worker *worker, struct error *err)
{
  if (clock_boot_ms () < worker->status_at)
    return 0;
  worker->status_at = clock_boot_ms () + STATUS_MS;
  for (int i = 0; i < worker->count && !is_in_trouble (worker); i++)
    {
      struct lane *lane = &worker->lanes[i];
      if (lane->state != LANE_RUNNING || lane->ending != ENDING_NONE)
        continue;
      const struct shard *shard = &lane->delivery->shard;
      int over = is_over (worker, shard->job_id, shard->generation, err);
      if (over < 0)
        return -1;
      if (over == 1)
        lane_end (lane, ENDING_CANCEL);
    }
  return 0;
}

/* ---- a step ----------------------------------------------------------------------------- */

static void
keep_leases (struct worker *worker)
{
  if (clock_boot_ms () < worker->keep_at)
    return;
  worker->keep_at = clock_boot_ms () + worker->keep_every;
  for (int i = 0; i < worker->count; i++)
    lane_keep (&worker->lanes[i], &worker->crew);
}

/* Whoever had the shard before may have been dying when its result was looked at; once it is
 * settled nobody comes there again. */
static void
sweep_before (const struct worker *worker, const struct lane *lane)
{
  if (lane->state == LANE_ENDED && !lane->settling && lane->delivery->starts > 1)
    sweep (worker, lane->delivery->job->results);
}

static int
settle_ended (struct worker *worker, struct error *err)
{
  for (int i = 0; i < worker->count; i++)
    {
      struct lane *lane = &worker->lanes[i];
      lane_look (lane, &worker->crew);
      if (is_in_trouble (worker))
        continue;
      sweep_before (worker, lane);
      if (lane_settle (lane, &worker->crew, err) == 0)
        continue;
      bool in_a_hurry = worker->options->stop != NULL && *worker->options->stop >= 2;
      if (in_a_hurry || bear (worker, "settle", err) != 0)
        return -1;
    }
  return 0;
}

/* How many containers run or have just ended; and into *AHEAD the bytes of inputs that were fetched
 * for others. */
static int
count_places (const struct worker *worker, int64_t *ahead)
{
  int busy = 0;
  *ahead = 0;
  for (int i = 0; i < worker->count; i++)
    {
      const struct lane *lane = &worker->lanes[i];
      if (lane->state == LANE_IDLE)
        continue;
      busy += lane->ahead ? 0 : 1;
      int64_t bytes = lane->delivery->shard.bytes;
      if (lane->ahead)
        *ahead += bytes < 0 ? worker->options->prefetch_bytes : bytes;
    }
  return busy;
}

static struct lane *
find_ahead (const struct worker *worker)
{
  struct lane *oldest = NULL;
  for (int i = 0; i < worker->count; i++)
    {
      struct lane *lane = &worker->lanes[i];
      if (lane->ahead && lane->state == LANE_RUNNING && lane->ending == ENDING_NONE
          && (oldest == NULL || lane->since < oldest->since))
        oldest = lane;
    }
  return oldest;
}

/* Places that became free go to those whose inputs are fetched first. */
static void
give_places (const struct worker *worker)
{
  int64_t bytes = 0;
  for (int busy = count_places (worker, &bytes); busy < worker->slots; busy++)
    {
      struct lane *lane = find_ahead (worker);
      if (lane == NULL)
        return;
      lane_go (lane, &worker->crew);
    }
}

/* Fills the idle lanes: how many shards were taken, or -1. */
static int
take_shards (struct worker *worker, struct error *err)
{
  if (worker->draining || is_in_trouble (worker))
    return 0;
  int taken = 0;
  give_places (worker);
  for (int i = 0; i < worker->count; i++)
    {
      struct lane *lane = &worker->lanes[i];
      if (lane->state != LANE_IDLE)
        continue;
      int64_t bytes = 0;
      bool ahead = count_places (worker, &bytes) >= worker->slots;
      if (ahead && bytes >= worker->options->prefetch_bytes)
        break;
      int got = lane_take (lane, &worker->crew, ahead, err);
      if (got < 0)
        return bear (worker, "take", err) == 0 ? taken : -1;
      if (got == 0)
        break;
      taken++;
      if (lane->delivery != NULL && lane->state == LANE_RUNNING)
        sweep_once (worker, lane->delivery->job->results);
    }
  return taken;
}

/* 1 when there is nothing left for this worker; 0, or -1. */
static int
is_done (struct worker *worker, struct error *err)
{
  if (is_busy (worker))
    return 0;
  if (worker->draining)
    return 1;
  if (worker->options->job_id == NULL)
    return 0;
  return is_over (worker, worker->options->job_id, worker->crew.generation, err);
}

/* Milliseconds until something has to be done without anybody saying so. */
static int
wait_ms (const struct worker *worker)
{
  int64_t now = clock_boot_ms ();
  bool may_take = !worker->draining && has_idle (worker);
  int64_t wait = may_take ? IDLE_POLL_MS : BUSY_POLL_MS;
  int64_t next[] = { worker->keep_at, worker->draining ? worker->drain_until : INT64_MAX,
                     worker->trouble_until > now ? worker->trouble_until : INT64_MAX };
  for (size_t i = 0; i < sizeof next / sizeof *next; i++)
    if (next[i] != INT64_MAX && next[i] - now < wait)
      wait = next[i] > now ? next[i] - now : 0;
  return (int) wait;
}

static void
wait_for_news (struct worker *worker)
{
  nfds_t count = 0;
  bool unsettled = false;
  for (int i = 0; i < worker->count; i++)
    {
      const struct lane *lane = &worker->lanes[i];
      unsettled |= lane->state == LANE_ENDED && !lane->settling;
      if (lane->state == LANE_RUNNING || (lane->state == LANE_IDLE && lane->slot.pid > 0))
        worker->fds[count++] = (struct pollfd){ .fd = lane->slot.reader.fd, .events = POLLIN };
    }
  bool in_trouble = is_in_trouble (worker);
  if (unsettled && !in_trouble)
    return;
  if (!in_trouble)
    {
      (void) bus_poll (worker->crew.bus, worker->fds, count, wait_ms (worker));
      return;
    }
  (void) poll (worker->fds, count,
               wait_ms (worker)); /* a bus that fails may claim to have news all the time */
  (void) bus_poll (worker->crew.bus, NULL, 0, 0);
}

/* What others see of the slots. */
static void
show_slots (struct worker *worker)
{
  int busy = 0;
  int64_t oldest = 0;
  for (int i = 0; i < worker->count; i++)
    {
      const struct lane *lane = &worker->lanes[i];
      if (lane->state == LANE_IDLE || lane->ahead)
        continue;
      busy++;
      if (oldest == 0 || lane->since < oldest)
        oldest = lane->since;
    }
  counts_slots (&worker->crew.counts, busy, worker->slots, oldest);
}

/* 1 when the worker is done, 0, or -1. */
static int
step (struct worker *worker, struct error *err)
{
  vitals_turn (worker->options->vitals);
  vitals_bus (worker->options->vitals, !bus_is_away (worker->crew.bus));
  read_stop (worker);
  keep_leases (worker);
  /* A question to brokers that have no leader may take many seconds; no two are asked without a
   * look at the leases between them. */
  if (!is_in_trouble (worker) && read_controls (worker, err) != 0)
    return -1;
  keep_leases (worker);
  if (check_jobs (worker, err) != 0)
    return -1;
  keep_leases (worker);
  if (settle_ended (worker, err) != 0)
    return -1;
  keep_leases (worker);
  sweep_groups (worker);
  int taken = take_shards (worker, err);
  if (taken < 0)
    return -1;
  if (taken == 0)
    {
      int done = is_done (worker, err);
      if (done != 0)
        return done;
    }
  show_slots (worker);
  wait_for_news (worker);
  return 0;
}

/* ---- life ------------------------------------------------------------------------------- */

static int
slot_count (const struct worker_options *options)
{
  if (options->slots > 0)
    return options->slots;
  long cores = sysconf (_SC_NPROCESSORS_ONLN);
  return cores > 0 ? (int) cores : 1;
}

/* Each slot can have another shard's inputs ready. */
static int
lane_count (const struct worker_options *options)
{
  return slot_count (options) * (options->prefetch_bytes > 0 ? 2 : 1);
}

static void
init (struct worker *worker, const struct worker_options *options)
{
  int64_t lease = options->lease_ms > 0 ? options->lease_ms : LEASE_DEFAULT_MS;
  worker->options = options;
  worker->crew.options = options;
  counts_init (&worker->crew.counts, vitals_metrics (options->vitals));
  worker->crew.limits = (struct retry_limits){
    .max_infra = options->max_infra > 0 ? options->max_infra : RETRY_INFRA_DEFAULT,
    .backoff_ms = options->backoff_ms > 0 ? options->backoff_ms : RETRY_BACKOFF_DEFAULT_MS,
  };
  worker->crew.max_lost = options->max_lost > 0 ? options->max_lost : MAX_LOST_DEFAULT;
  worker->keep_every = lease / 3 > 0 ? lease / 3 : 1;
  worker->keep_at = clock_boot_ms () + worker->keep_every;
  worker->drain_until = INT64_MAX;
  worker->count = lane_count (options);
  worker->slots = slot_count (options);
  worker->lanes = xcalloc ((size_t) worker->count, sizeof *worker->lanes);
  worker->fds = xcalloc ((size_t) worker->count, sizeof *worker->fds);
  for (int i = 0; i < worker->count; i++)
    worker->lanes[i] = (struct lane){ .number = i, .slot = { .pid = -1, .reader = { .fd = -1 } } };
}

int
worker_run (const struct worker_options *options, struct error *err)
{
  struct worker worker = { 0 };
  char digest[POLICY_DIGEST_SIZE];
  const char *config = options->policy == NULL || options->job_id != NULL
                           ? NULL
                           : policy_digest (options->policy, digest);
  const struct bus_options bus_options = { .config = config,
                                           .client = "worker",
                                           .part = BUS_PART_WORKER,
                                           .lease_ms = options->lease_ms,
                                           .slots = lane_count (options),
                                           .patience_ms = -1,
                                           .stop = options->stop,
                                           .properties = options->bus_properties,
                                           .queues = options->queues,
                                           .metrics = vitals_metrics (options->vitals) };
  auto_bus struct bus *bus = bus_open (options->bus_url, &bus_options, err);
  if (bus == NULL)
    return options->stop != NULL && *options->stop != 0 ? 0 : error_wrap (err, "worker");
  init (&worker, options);
  worker.crew.bus = bus;
  worker_sweep (); /* what a machine's dead workers left */
  log_info ("worker_ready", "writer=%s slots=%d", bus_writer (bus), worker.slots);
  int result = 0;
  while (result == 0)
    result = step (&worker, err);
  for (int i = 0; i < worker.count; i++)
    lane_release (&worker.lanes[i]);
  free (worker.lanes);
  free (worker.fds);
  sweep_all (&worker);
  worker_sweep ();
  log_info ("worker_stopped", "writer=%s", bus_writer (bus));
  return result > 0 ? 0 : error_wrap (err, "worker");
}

void
worker_sweep (void)
{
  (void) cgroup_sweep (END_MS);
}

int
worker_probe (const struct worker_options *options, char **line, struct error *err)
{
  auto_free char *slot = xasprintf ("%d-probe", (int) getpid ());
  const struct container_runtime_options runtime_options = { .images = options->images,
                                                             .oci_program = options->oci_program,
                                                             .userns = options->userns,
                                                             .slot_name = slot };
  auto_container_runtime struct container_runtime *runtime =
      container_runtime_open ("oci", &runtime_options, err);
  if (runtime == NULL)
    return -1;
  *line = xstrdup (container_runtime_describe (runtime));
  return 0;
}

#include "worker/worker.h"

#include "bus/bus.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"
#include "worker/cgroup.h"
#include "worker/cpus.h"
#include "worker/fitness.h"
#include "worker/pod_cost.h"
#include "worker/slot.h"
#include "worker/swept.h"

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
  GROUPS_MS = 100,  /* between two looks at what dead slots left; doubled while nothing is known */
  GROUPS_MAX_MS = 60 * 1000,
  END_MS = 1000, /* for containers of slots that were killed to vanish */
};

/* How a time on the bus ends, beside -1. */
enum
{
  WORKER_DONE = 1,
  WORKER_UNFIT, /* nothing can be run here any more, until it can again */
};

struct worker
{
  const struct worker_options *options;
  struct slots_shared shared;
  struct slot *slots;
  struct pollfd *fds;
  struct pod_cost *cost; /* NULL: nobody is told */
  int count;             /* of slots */
  int running_max;       /* containers at a time: fewer, when inputs are fetched ahead */
  const char *slots_by;  /* what decided that */
  int64_t control;       /* position in the control records */
  int64_t keep_every;
  int64_t keep_at;
  int64_t status_at;
  int64_t groups_at; /* control groups of dead slots aren't looked at before */
  int64_t groups_wait;
  int64_t fit_at;        /* whether commands can be run isn't looked at before */
  bool unfit;            /* they can't: what was fetched ahead goes elsewhere */
  int64_t trouble_until; /* no taking and settling before */
  int64_t drain_until;   /* INT64_MAX: no end to it */
  bool draining;
  int64_t started;    /* shards whose container got its place */
  int64_t idle_since; /* boot ms since which there was nothing to do, as far as the bus told */
  struct swept swept;
};

/* ---- odds and ends ---------------------------------------------------------------------- */

static int
idle_slots (const struct worker *worker)
{
  int idle = 0;
  for (int i = 0; i < worker->count; i++)
    idle += worker->slots[i].state == SLOT_IDLE;
  return idle;
}

static bool
is_in_trouble (const struct worker *worker)
{
  return clock_boot_ms () < worker->trouble_until;
}

/* An error of the bus that may pass: says so and pauses. One that won't ends the worker. */
static int
worker_tolerate (struct worker *worker, const char *what, const struct error *err)
{
  if (err->class == ERROR_FATAL)
    return -1;
  health_bus_error (worker->options->health);
  auto_free char *text = text_log (err->message);
  log_warn ("bus_error", "operation=%s error=%s", what, text);
  worker->trouble_until = clock_boot_ms () + TROUBLE_MS;
  return 0;
}

/* The control groups of slots that died, as soon as nothing is left in them. Those of another
 * worker that was killed may be held by its dying slots when this one starts, and nobody says when
 * they aren't any more: looked at again, ever less often. */
static void
sweep_groups (struct worker *worker)
{
  int64_t now = clock_boot_ms ();
  bool unswept = false;
  for (int i = 0; i < worker->count; i++)
    unswept |= worker->slots[i].unswept;
  if (unswept && worker->groups_wait > GROUPS_MS)
    worker->groups_at = now;
  if (now < worker->groups_at)
    return;
  bool swept = cgroup_sweep (0);
  for (int i = 0; i < worker->count; i++)
    worker->slots[i].unswept &= !swept;
  int64_t wait = unswept ? GROUPS_MS : 2 * worker->groups_wait;
  worker->groups_wait = wait < GROUPS_MAX_MS ? wait : GROUPS_MAX_MS;
  worker->groups_at = now + worker->groups_wait;
}

/* ---- stopping --------------------------------------------------------------------------- */

/* JOB_ID NULL: of all. AHEAD_ONLY: those whose containers don't run yet. */
static void
end_all (struct worker *worker, const char *job_id, bool ahead_only, enum slot_ending ending)
{
  for (int i = 0; i < worker->count; i++)
    {
      struct slot *slot = &worker->slots[i];
      if (slot->state == SLOT_RUNNING && (!ahead_only || slot->ahead)
          && (job_id == NULL || strcmp (slot->delivery->shard.job_id, job_id) == 0))
        slot_end (slot, ending);
    }
}

/* Nothing more is taken. */
static void
begin_draining (struct worker *worker, const char *why, const char *limit)
{
  if (!worker->draining)
    bus_quiesce (worker->shared.bus);
  worker->draining = true;
  health_draining (worker->options->health);
  log_info ("draining", "why=%s drain_timeout=%s", why, limit);
}

static void
read_stop (struct worker *worker)
{
  int stop = worker->options->stop == NULL ? 0 : (int) *worker->options->stop;
  int64_t now = clock_boot_ms ();
  if (stop >= 1 && !worker->shared.leaving)
    {
      int64_t drain = worker->options->drain_ms;
      worker->drain_until = drain < 0 ? INT64_MAX : now + drain;
      worker->shared.leaving = true;
      for (int i = 0; i < worker->count; i++)
        slot_publish_leaving (&worker->slots[i], &worker->shared);
      auto_free char *limit =
          drain < 0 ? xstrdup ("unlimited") : xasprintf ("%lldms", (long long) drain);
      begin_draining (worker, "stopped", limit);
    }
  if (worker->draining)
    end_all (worker, NULL, true, ENDING_RELEASE);
  if (stop >= 2 || (worker->draining && now >= worker->drain_until))
    end_all (worker, NULL, false, ENDING_RELEASE);
}

static int
read_controls (struct worker *worker, struct error *err)
{
  for (;;)
    {
      auto_control struct control control = { 0 };
      int got = bus_next_control (worker->shared.bus, &worker->control, &control, err);
      if (got <= 0)
        return got == 0 ? 0 : worker_tolerate (worker, "control", err);
      if (control.kind == CONTROL_CANCEL)
        end_all (worker, control.job_id, false, ENDING_CANCEL);
      if (control.kind == CONTROL_SET && control.paused == 1)
        end_all (worker, control.job_id, true, ENDING_RELEASE);
    }
}

/* 1 when the job's state is terminal, as far as it knows of GENERATION; 0, or -1. */
static int
worker_is_over (struct worker *worker, const char *job_id, uint32_t generation, struct error *err)
{
  auto_job_status struct job_status status = { 0 };
  int got = bus_get_status (worker->shared.bus, job_id, &status, err);
  if (got < 0)
    return worker_tolerate (worker, "status", err);
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
      struct slot *slot = &worker->slots[i];
      if (slot->state != SLOT_RUNNING || slot->ending != ENDING_NONE)
        continue;
      const struct shard *shard = &slot->delivery->shard;
      int over = worker_is_over (worker, shard->job_id, shard->generation, err);
      if (over < 0)
        return -1;
      if (over == 1)
        slot_end (slot, ENDING_CANCEL);
    }
  return 0;
}

/* ---- a step ----------------------------------------------------------------------------- */

static void
keep_leases (void *context)
{
  struct worker *worker = context;
  if (clock_boot_ms () < worker->keep_at)
    return;
  worker->keep_at = clock_boot_ms () + worker->keep_every;
  for (int i = 0; i < worker->count; i++)
    slot_keep (&worker->slots[i], &worker->shared);
}

/* Whoever had the shard before may have been dying when its result was looked at; once it is
 * settled nobody comes there again. */
static void
sweep_before (const struct worker *worker, const struct slot *slot)
{
  if (slot->state == SLOT_ENDED && !slot->settling && slot->delivery->starts > 1)
    swept_look (worker->options->scratch, slot->delivery->job->results);
}

static int
settle_ended (struct worker *worker, struct error *err)
{
  for (int i = 0; i < worker->count; i++)
    {
      struct slot *slot = &worker->slots[i];
      slot_check (slot, &worker->shared);
      if (is_in_trouble (worker))
        continue;
      sweep_before (worker, slot);
      if (slot_settle (slot, &worker->shared, err) == 0)
        continue;
      bool in_a_hurry = worker->options->stop != NULL && *worker->options->stop >= 2;
      if (in_a_hurry || worker_tolerate (worker, "settle", err) != 0)
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
      const struct slot *slot = &worker->slots[i];
      if (slot->state == SLOT_IDLE)
        continue;
      busy += slot->ahead ? 0 : 1;
      int64_t bytes = slot->delivery->shard.bytes;
      if (slot->ahead)
        *ahead += bytes < 0 ? worker->options->prefetch_bytes : bytes;
    }
  return busy;
}

static struct slot *
find_ahead (const struct worker *worker)
{
  struct slot *oldest = NULL;
  for (int i = 0; i < worker->count; i++)
    {
      struct slot *slot = &worker->slots[i];
      if (slot->ahead && slot->state == SLOT_RUNNING && slot->ending == ENDING_NONE
          && (oldest == NULL || slot->since < oldest->since))
        oldest = slot;
    }
  return oldest;
}

/* Whether it has run as many shards as it shall. */
static bool
has_started_all (const struct worker *worker)
{
  return worker->options->max_shards > 0 && worker->started >= worker->options->max_shards;
}

/* Places that became free go to those whose inputs are fetched first. */
static void
give_places (struct worker *worker)
{
  int64_t bytes = 0;
  for (int busy = count_places (worker, &bytes); busy < worker->running_max; busy++)
    {
      struct slot *slot = find_ahead (worker);
      if (slot == NULL || has_started_all (worker))
        return;
      slot_go (slot, &worker->shared);
      worker->started++;
    }
}

/* Fills the idle slots: how many shards were taken, or -1. */
static int
take_shards (struct worker *worker, struct error *err)
{
  if (worker->draining || worker->unfit || is_in_trouble (worker))
    return 0;
  int taken = 0;
  give_places (worker);
  for (int i = 0; i < worker->count; i++)
    {
      struct slot *slot = &worker->slots[i];
      if (slot->state != SLOT_IDLE)
        continue;
      if (has_started_all (worker))
        break;
      int64_t bytes = 0;
      bool ahead = count_places (worker, &bytes) >= worker->running_max;
      if (ahead && bytes >= worker->options->prefetch_bytes)
        break;
      int got = slot_take (slot, &worker->shared, ahead, err);
      if (got < 0)
        return worker_tolerate (worker, "take", err) == 0 ? taken : -1;
      if (got == 0)
        break;
      taken++;
      worker->started += ahead ? 0 : 1;
      if (slot->delivery != NULL && slot->state == SLOT_RUNNING)
        swept_once (&worker->swept, worker->options->scratch, slot->delivery->job->results);
    }
  return taken;
}

/* A worker that has nothing to do, or has done what it shall, needs no order to end. A bus that is
 * away doesn't say that there is nothing to do. */
static void
end_by_itself (struct worker *worker)
{
  int64_t now = clock_boot_ms ();
  int64_t idle_ms = worker->options->idle_ms;
  if (idle_slots (worker) < worker->count || is_in_trouble (worker)
      || bus_is_away (worker->shared.bus))
    worker->idle_since = now;
  if (worker->draining)
    return;
  if (has_started_all (worker))
    begin_draining (worker, "max-shards", "unlimited");
  else if (idle_ms > 0 && now - worker->idle_since >= idle_ms)
    begin_draining (worker, "idle", "unlimited");
}

/* 1 when there is nothing left for this worker; 0, or -1. */
static int
is_done (struct worker *worker, struct error *err)
{
  if (idle_slots (worker) < worker->count)
    return 0;
  if (worker->draining)
    return 1;
  if (worker->options->job_id == NULL)
    return 0;
  return worker_is_over (worker, worker->options->job_id, worker->shared.generation, err);
}

/* Milliseconds until something has to be done without anybody saying so. */
static int
worker_wait_ms (const struct worker *worker)
{
  int64_t now = clock_boot_ms ();
  bool may_take = !worker->draining && idle_slots (worker) > 0;
  int64_t wait = may_take ? IDLE_POLL_MS : BUSY_POLL_MS;
  int64_t next[] = { worker->keep_at, worker->draining ? worker->drain_until : INT64_MAX,
                     worker->trouble_until > now ? worker->trouble_until : INT64_MAX };
  for (size_t i = 0; i < sizeof next / sizeof *next; i++)
    if (next[i] != INT64_MAX && next[i] - now < wait)
      wait = next[i] > now ? next[i] - now : 0;
  return (int) wait;
}

static void
worker_wait_for_news (struct worker *worker)
{
  nfds_t count = 0;
  bool unsettled = false;
  for (int i = 0; i < worker->count; i++)
    {
      const struct slot *slot = &worker->slots[i];
      unsettled |= slot->state == SLOT_ENDED && !slot->settling;
      if (slot->state == SLOT_RUNNING || (slot->state == SLOT_IDLE && slot->process.pid > 0))
        worker->fds[count++] = (struct pollfd){ .fd = slot->process.reader.fd, .events = POLLIN };
    }
  bool in_trouble = is_in_trouble (worker);
  if (unsettled && !in_trouble)
    return;
  if (!in_trouble)
    {
      (void) bus_poll (worker->shared.bus, worker->fds, count, worker_wait_ms (worker));
      return;
    }
  (void) poll (worker->fds, count,
               worker_wait_ms (worker)); /* a bus that fails may claim to have news all the time */
  (void) bus_poll (worker->shared.bus, NULL, 0, 0);
}

/* What others see of the slots. */
static void
show_slots (struct worker *worker)
{
  int busy = 0;
  int64_t oldest = 0;
  for (int i = 0; i < worker->count; i++)
    {
      const struct slot *slot = &worker->slots[i];
      if (slot->state == SLOT_IDLE || slot->ahead)
        continue;
      busy++;
      if (oldest == 0 || slot->since < oldest)
        oldest = slot->since;
    }
  counts_slots (&worker->shared.counts, busy, worker->running_max, oldest);
  pod_cost_set (worker->cost, busy > 0);
}

/* Whether commands can't be run here any more, and nothing of the bus's is left. */
static bool
worker_is_unfit (struct worker *worker)
{
  int64_t ahead = 0;
  if (count_places (worker, &ahead) > 0)
    worker->fit_at = 0; /* what runs may end with its container: looked at before the next */
  else if (!worker->draining)
    worker->unfit |= fitness_is_lost (worker->options, &worker->fit_at);
  if (worker->unfit)
    end_all (worker, NULL, true, ENDING_RELEASE);
  return worker->unfit && idle_slots (worker) == worker->count;
}

/* WORKER_DONE, WORKER_UNFIT, 0, or -1. */
static int
worker_step (struct worker *worker, struct error *err)
{
  health_turn (worker->options->health);
  health_bus (worker->options->health, !bus_is_away (worker->shared.bus));
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
  if (worker_is_unfit (worker))
    return WORKER_UNFIT;
  int taken = take_shards (worker, err);
  if (taken < 0)
    return -1;
  end_by_itself (worker);
  if (taken == 0)
    {
      int done = is_done (worker, err);
      if (done != 0)
        return done;
    }
  show_slots (worker);
  worker_wait_for_news (worker);
  return 0;
}

/* ---- life ------------------------------------------------------------------------------- */

static int
containers_at_once (const struct worker_options *options, const char **why)
{
  *why = "option";
  return options->slots > 0 ? options->slots : cpus_usable (why);
}

/* Each slot can have another shard's inputs ready. */
static int
slot_count (const struct worker_options *options)
{
  const char *why = NULL;
  return containers_at_once (options, &why) * (options->prefetch_bytes > 0 ? 2 : 1);
}

static void
init (struct worker *worker, const struct worker_options *options)
{
  int64_t lease = options->lease_ms > 0 ? options->lease_ms : LEASE_DEFAULT_MS;
  worker->options = options;
  worker->shared.options = options;
  counts_init (&worker->shared.counts, health_metrics (options->health));
  worker->shared.limits = (struct retry_limits){
    .max_infra = options->max_infra > 0 ? options->max_infra : RETRY_INFRA_DEFAULT,
    .backoff_ms = options->backoff_ms > 0 ? options->backoff_ms : RETRY_BACKOFF_DEFAULT_MS,
  };
  worker->shared.max_lost = options->max_lost > 0 ? options->max_lost : MAX_LOST_DEFAULT;
  worker->keep_every = lease / 3 > 0 ? lease / 3 : 1;
  worker->keep_at = clock_boot_ms () + worker->keep_every;
  worker->groups_wait = GROUPS_MS;
  worker->groups_at = clock_boot_ms () + GROUPS_MS;
  worker->drain_until = INT64_MAX;
  worker->idle_since = clock_boot_ms ();
  worker->shared.meanwhile = keep_leases;
  worker->shared.meanwhile_context = worker;
  worker->count = slot_count (options);
  worker->running_max = containers_at_once (options, &worker->slots_by);
  worker->slots = xcalloc ((size_t) worker->count, sizeof *worker->slots);
  worker->fds = xcalloc ((size_t) worker->count, sizeof *worker->fds);
  for (int i = 0; i < worker->count; i++)
    worker->slots[i] =
        (struct slot){ .number = i, .process = { .pid = -1, .reader = { .fd = -1 } } };
}

/* A time on the bus, from the first command that can be run to WORKER_DONE or WORKER_UNFIT; 0 when
 * it is stopped before, or -1. *STARTED: of all such times. */
static int
worker_serve (const struct worker_options *options, struct pod_cost *cost, int64_t *started,
              struct error *err)
{
  struct worker worker = { .cost = cost, .started = *started };
  auto_fitness struct fitness fitness = { 0 };
  char digest[POLICY_DIGEST_SIZE];
  const char *config = options->policy == NULL || options->job_id != NULL
                           ? NULL
                           : policy_digest (options->policy, digest);
  const struct bus_options bus_options = { .config = config,
                                           .client = "worker",
                                           .role = BUS_ROLE_WORKER,
                                           .lease_ms = options->lease_ms,
                                           .slots = slot_count (options),
                                           .patience_ms = -1,
                                           .stop = options->stop,
                                           .properties = options->bus_properties,
                                           .queues = options->queues,
                                           .metrics = health_metrics (options->health) };
  int fit = options->job_id == NULL ? fitness_await (options, &fitness, err) : 1;
  if (fit <= 0)
    return fit;
  auto_bus struct bus *bus = bus_open (options->bus_url, &bus_options, err);
  if (bus == NULL)
    return options->stop != NULL && *options->stop != 0 ? 0 : -1;
  init (&worker, options);
  worker.shared.bus = bus;
  worker_sweep (); /* what a machine's dead workers left */
  log_info ("worker_ready", "writer=%s slots=%d slots_by=%s%s", bus_writer (bus),
            worker.running_max, worker.slots_by,
            fitness.description != NULL ? fitness.description : "");
  int result = 0;
  while (result == 0)
    result = worker_step (&worker, err);
  for (int i = 0; i < worker.count; i++)
    slot_release (&worker.slots[i]);
  free (worker.slots);
  free (worker.fds);
  swept_all (&worker.swept, options->scratch);
  worker_sweep ();
  health_rest (options->health);
  counts_slots (&worker.shared.counts, 0, 0, 0);
  pod_cost_set (cost, false);
  *started = worker.started;
  log_info (result == WORKER_UNFIT ? "worker_unfit" : "worker_stopped", "writer=%s",
            bus_writer (bus));
  return result;
}

int
worker_run (const struct worker_options *options, struct error *err)
{
  auto_pod_cost struct pod_cost *cost = NULL;
  int64_t started = 0;
  int result = WORKER_UNFIT;
  if (options->pod_cost != NULL && (cost = pod_cost_start (options->pod_cost, err)) == NULL)
    return error_wrap (err, "worker");
  while (result == WORKER_UNFIT)
    result = worker_serve (options, cost, &started, err);
  return result >= 0 ? 0 : error_wrap (err, "worker");
}

void
worker_sweep (void)
{
  (void) cgroup_sweep (END_MS);
}

/* shoal producer, worker, merger: the three parts as processes of their own, on one bus; and slot,
 * the worker's child. */
#include "bus/bus.h"
#include "cli/bus_options.h"
#include "cli/commands.h"
#include "cli/listening.h"
#include "cli/log_options.h"
#include "cli/notify.h"
#include "cli/pod_options.h"
#include "cli/policy_options.h"
#include "cli/probing.h"
#include "cli/run_options.h"
#include "cli/stopping.h"
#include "cli/storage_options.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/signals.h"
#include "common/spawn.h"
#include "common/text.h"
#include "common/units.h"
#include "merger/merger.h"
#include "producer/producer.h"
#include "schemas/job_check.h"
#include "storage/storage.h"
#include "worker/userns.h"
#include "worker/worker.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum
{
  SLOT_FD = 3,  /* where a slot process finds its worker … */
  METER_FD = 3, /* … and a worker what `shoal run` reads its bytes from */
  TOPICS_STEP_MS = 100,
  TOPICS_ROUND_MS = 2000, /* between two looks for a bus that isn't set up */
  TOPICS_SAY_ROUNDS = 15, /* between two words about it */
};

/* Set by signals only, read by the parts: the one thing that a signal handler can reach. */
static volatile sig_atomic_t stop_flag;

static void
on_stop (int number)
{
  int stop = number == SIGQUIT || number == SIGHUP || stop_flag > 0 ? 2 : 1;
  __atomic_store_n (&stop_flag, stop, __ATOMIC_RELAXED); /* other threads look at it */
}

static void
catch_unless_ignored (int number, const struct sigaction *action)
{
  if (!signal_is_ignored (number))
    (void) sigaction (number, action, NULL);
}

/* SIGTERM and SIGINT: run out, the second time stop; SIGQUIT and SIGHUP: stop. A supervisor's child
 * leaves Ctrl-C and the terminal's end to it. */
static void
catch_signals (bool supervised)
{
  struct sigaction action = { .sa_handler = on_stop };
  (void) sigaction (SIGTERM, &action, NULL);
  catch_unless_ignored (SIGQUIT, &action);
  if (supervised)
    action.sa_handler = SIG_IGN;
  catch_unless_ignored (SIGINT, &action);
  catch_unless_ignored (SIGHUP, &action);
  (void) signal (SIGPIPE, SIG_IGN);
}

struct service_args
{
  struct bus_args bus;
  struct listening_args listening;
  struct notify_args notify;
  struct policy_args policies;
  struct policy policy;
  struct strlist queues;
  const char *job;
  int64_t parent; /* 0: nobody supervises us */
  bool probe;
  bool json; /* … with it */
  bool webhook_private;
  bool has_drain;
  struct worker_options worker;
  struct pod_args pod; /* … and its pod */
  int64_t window;      /* of a producer */
};

static void
service_args_release (struct service_args *args)
{
  bus_args_release (&args->bus);
  policy_args_release (&args->policies);
  policy_release (&args->policy);
  pod_args_release (&args->pod);
  strlist_release (&args->queues);
  free (args->notify.address);
}

#define auto_service_args AUTO (service_args_release)

#define SETTER(name) static int set_##name (void *context, const char *value, struct error *err)

#define ARGS(context) ((struct service_args *) (context))

SETTER (job)
{
  (void) err;
  ARGS (context)->job = value;
  return 0;
}

SETTER (parent) { return units_parse_number (value, 1, INT32_MAX, &ARGS (context)->parent, err); }

SETTER (jobs)
{
  int64_t number = 0;
  int result = units_parse_number (value, 1, 4096, &number, err);
  ARGS (context)->worker.slots = (int) number;
  return result;
}

SETTER (prefetch) { return prefetch_parse (value, &ARGS (context)->worker.prefetch_bytes, err); }

SETTER (queue)
{
  strlist_add (&ARGS (context)->queues, value);
  return job_check_queue (value, err);
}

SETTER (images)
{
  (void) err;
  ARGS (context)->worker.images = value;
  return 0;
}

SETTER (oci_runtime)
{
  if (strcmp (value, "crun") != 0 && strcmp (value, "runc") != 0)
    return error_set (err, ERROR_USER, "\"%s\" is none of crun, runc", value);
  ARGS (context)->worker.oci_program = value;
  return 0;
}

SETTER (userns)
{
  struct userns_ids ids;
  ARGS (context)->worker.userns = value;
  return userns_choose (value, &ids, err);
}

SETTER (cdi)
{
  (void) err;
  ARGS (context)->worker.cdi = value;
  return 0;
}

SETTER (scratch) { return scratch_parse (value, &ARGS (context)->worker.scratch, err); }

SETTER (lease)
{
  int64_t *lease_ms = &ARGS (context)->worker.lease_ms;
  if (units_parse_duration (value, lease_ms, err) != 0)
    return -1;
  return *lease_ms <= CLAIM_LEASE_MAX_MS
             ? 0
             : error_set (err, ERROR_USER, "\"%s\" is longer than a day", value);
}

SETTER (drain)
{
  ARGS (context)->has_drain = true;
  return stopping_parse (value, &ARGS (context)->worker.drain_ms, err);
}

SETTER (idle) { return units_parse_duration (value, &ARGS (context)->worker.idle_ms, err); }

SETTER (max_shards)
{
  return units_parse_number (value, 1, INT64_MAX, &ARGS (context)->worker.max_shards, err);
}

SETTER (backoff) { return units_parse_duration (value, &ARGS (context)->worker.backoff_ms, err); }

SETTER (max_lost)
{
  int64_t number = 0;
  int result = units_parse_number (value, 1, 1000, &number, err);
  ARGS (context)->worker.max_lost = (int32_t) number;
  return result;
}

SETTER (max_infra)
{
  int64_t number = 0;
  int result = units_parse_number (value, 1, 1000, &number, err);
  ARGS (context)->worker.max_infra = (int32_t) number;
  return result;
}

SETTER (window) { return units_parse_number (value, 1, UINT32_MAX, &ARGS (context)->window, err); }

SETTER (probe)
{
  (void) value;
  (void) err;
  ARGS (context)->probe = true;
  return 0;
}

SETTER (json)
{
  (void) value;
  (void) err;
  ARGS (context)->json = true;
  return 0;
}

SETTER (webhook_private)
{
  (void) value;
  (void) err;
  ARGS (context)->webhook_private = true;
  return 0;
}

/* Its page stays for good. */
SETTER (meter)
{
  (void) value;
  void *page = mmap (NULL, sizeof (int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, METER_FD, 0);
  if (page == MAP_FAILED)
    return error_errno (err, errno, "--meter: descriptor %d", METER_FD);
  (void) close (METER_FD);
  ARGS (context)->worker.coming = page;
  return 0;
}

static const struct option_spec service_options[] = {
  { 0, "job", NULL, "ID", "process only this job and exit when it ends", GROUP_OTHER, false,
    set_job },
  { 0, "lease", NULL, "DURATION",
    "heartbeat timeout: a silent worker loses its shards (default 30s)", GROUP_OTHER, false,
    set_lease },
  { 0, "parent", NULL, "PID", NULL, GROUP_OTHER, false, set_parent },
  { 0 },
};

static const struct option_spec worker_options[] = {
  { 'j', "jobs", "slots", "N", "number of shards to run in parallel (default: usable CPUs)",
    GROUP_OTHER, false, set_jobs },
  { 0, "prefetch-bytes", NULL, "SIZE",
    "bytes of upcoming shards' inputs to download ahead (default 0: off)", GROUP_OTHER, false,
    set_prefetch },
  { 0, "queue", NULL, "NAME",
    "queue to consume, most preferred first; repeatable (default: default)", GROUP_OTHER, false,
    set_queue },
  { 0, "images", NULL, "DIR", "directory of the image store (default SHOAL_IMAGES)", GROUP_OTHER,
    false, set_images },
  { 0, "oci-runtime", NULL, "crun|runc", "OCI runtime (default: crun, else runc)", GROUP_OTHER,
    false, set_oci_runtime },
  { 0, "userns", NULL, "auto|none|FIRST:COUNT",
    "user namespace of root's containers (default auto: by /etc/subuid)", GROUP_OTHER, false,
    set_userns },
  { 0, "cdi-spec-dir", NULL, "DIR",
    "directories of CDI specifications (default /etc/cdi:/var/run/cdi)", GROUP_OTHER, true,
    set_cdi },
  { 0, "scratch", NULL, "DIR",
    "directory for staged inputs and containers (default: in the result)", GROUP_OTHER, false,
    set_scratch },
  { 0, "drain-timeout", NULL, "TIME",
    "time for shards to end after SIGTERM, or unlimited (default 25s)", GROUP_OTHER, false,
    set_drain },
  { 0, "idle-timeout", NULL, "DURATION", "exit after this time without work (default unlimited)",
    GROUP_OTHER, false, set_idle },
  { 0, "max-shards", NULL, "N", "exit after N shards (default unlimited)", GROUP_OTHER, false,
    set_max_shards },
  { 0, "backoff", NULL, "DURATION", "delay before the first retry of a shard (default 1s)",
    GROUP_OTHER, false, set_backoff },
  { 0, "max-lost", NULL, "N", "give up on a shard after N lost workers (default 3)", GROUP_OTHER,
    true, set_max_lost },
  { 0, "max-infra", NULL, "N", "give up on a shard after N infrastructure errors (default 5)",
    GROUP_OTHER, true, set_max_infra },
  { 0, "meter", NULL, NULL, NULL, GROUP_OTHER, false, set_meter },
  { 0, "probe", NULL, NULL, "run a command in each runtime, print what works, and exit",
    GROUP_OTHER, false, set_probe },
  { 0, "json", NULL, NULL, "print what --probe finds as JSON", GROUP_OTHER, true, set_json },
  { 0 },
};

static const struct option_spec producer_options[] = {
  { 0, "window", NULL, "N", "unsettled shards of a job to publish at once (default: all)",
    GROUP_OTHER, false, set_window },
  { 0 },
};

static const struct option_spec merger_options[] = {
  { 0, "webhook-private", NULL, NULL, "allow webhooks to loopback and private addresses",
    GROUP_OTHER, false, set_webhook_private },
  { 0 },
};

static void *
services_last_context (struct service_args *args, const struct command *command)
{
  if (command == &command_merger)
    return &args->policies;
  return command == &command_worker ? (void *) &args->pod : (void *) args;
}

/* Reads the options of a service; 0, OPTIONS_HELP or -1. */
static int
services_parse (struct service_args *args, const struct command *command, int argc, char **argv,
                struct error *err)
{
  *args = (struct service_args){ .worker = { .drain_ms = STOPPING_UNLIMITED } };
  bus_args_init (&args->bus);
  if (notify_read (&args->notify, err) != 0)
    return -1;
  const struct option_set sets[] = {
    { bus_options, &args->bus },
    { command->options[1], args },
    { command->options[2], &args->listening },
    { command->options[3], NULL },
    { command->options[4], command == &command_worker ? (void *) args : (void *) &args->listening },
    { command->options[5], command == &command_merger ? (void *) args : (void *) &args->policies },
    { log_options, NULL },
    { command->options[7], services_last_context (args, command) },
  };
  size_t tables = command->options[7] != NULL ? 8 : 7;
  int first = options_operands (sets, tables, argc, argv, 0, 0, command->synopsis, err);
  if (first < 0)
    return first;
  if (args->json && !args->probe)
    return error_set (err, ERROR_USER, "--json is for worker --probe");
  if (pod_args_finish (&args->pod, &args->worker, err) != 0)
    return -1;
  if (args->probe)
    return policy_args_load (&args->policies, &args->policy, err);
  if (bus_args_need (&args->bus, err) != 0
      || policy_args_load (&args->policies, &args->policy, err) != 0)
    return -1;
  if (args->parent == 0
      && (log_options_finish (err) != 0
          || (!args->has_drain && stopping_default (&args->worker.drain_ms, err) != 0)))
    return -1;
  catch_signals (args->parent > 0);
  return args->parent > 0 ? spawn_die_with_parent ((pid_t) args->parent, err) : 0;
}

/* Whether the service is to be tried again: the bus isn't set up yet, and somebody may be about to
 * do so. Says so, and waits. */
static bool
services_wait_for_topics (const struct service_args *args, int *rounds, struct error *err)
{
  if (err->code != BUS_UNMADE || args->parent > 0)
    return false;
  if ((*rounds)++ % TOPICS_SAY_ROUNDS == 0)
    log_failure (LOG_WARN, "waiting_for_topics", err, NULL);
  error_clear (err);
  for (int ms = 0; ms < TOPICS_ROUND_MS && stop_flag == 0; ms += TOPICS_STEP_MS)
    (void) poll (NULL, 0, TOPICS_STEP_MS);
  return true;
}

static int
call_producer (const void *options, struct error *err)
{
  return producer_run (options, err);
}

static int
call_merger (const void *options, struct error *err)
{
  return merger_run (options, err);
}

static int
call_worker (const void *options, struct error *err)
{
  return worker_run (options, err);
}

/* Serves what is asked by HTTP; who is asked by systemd alone has a health as well. */
static int
services_listen (struct service_args *args, struct listening *listening, bool takes_jobs,
                 struct error *err)
{
  if (listening_start (listening, &args->listening, takes_jobs ? &args->bus : NULL,
                       takes_jobs ? &args->policy : NULL, err)
      != 0)
    return -1;
  if (listening->health == NULL && args->notify.address != NULL)
    listening->health = health_new ();
  return 0;
}

/* The service NAME, with QUEUES (NULL: none), from its first line in the log to its end. */
static int
services_run (const struct service_args *args, const char *name, const struct strlist *queues,
              struct health *health, int (*call) (const void *options, struct error *err),
              const void *options, struct error *err)
{
  int rounds = 0;
  int result = 0;
  auto_notify struct notify *notify = NULL;
  if (args->notify.address != NULL && args->parent == 0)
    {
      notify = notify_start (&args->notify, health, &stop_flag, err);
      if (notify == NULL)
        return -1;
    }
  log_service_start (name, args->bus.url, queues);
  do
    result = stop_flag == 0 ? call (options, err) : 0;
  while (result != 0 && services_wait_for_topics (args, &rounds, err));
  return result;
}

static int
run_producer (int argc, char **argv, struct error *err)
{
  auto_service_args struct service_args args;
  int parsed = services_parse (&args, &command_producer, argc, argv, err);
  if (parsed != 0)
    return parsed;
  auto_listening struct listening listening = { 0 };
  if (services_listen (&args, &listening, true, err) != 0)
    return -1;
  const struct producer_options options = { .bus_url = args.bus.url,
                                            .lease_ms = args.worker.lease_ms,
                                            .bus_properties = &args.bus.properties,
                                            .policy = &args.policy,
                                            .window = args.window,
                                            .job_id = args.job,
                                            .takes_jobs = listening.takes_jobs,
                                            .health = listening.health,
                                            .stop = &stop_flag };
  return services_run (&args, "producer", NULL, listening.health, call_producer, &options, err);
}

/* What becomes of a job mustn't depend on which merger takes it up. The caller frees. */
static char *
merger_settings (const struct service_args *args)
{
  const char *server = getenv ("AWS_ENDPOINT_URL_S3");
  server = server == NULL ? getenv ("AWS_ENDPOINT_URL") : server;
  auto_free char *shown = server == NULL ? xstrdup ("Amazon's") : storage_shown (server);
  auto_free char *lease = args->worker.lease_ms == 0
                              ? xstrdup ("default")
                              : xasprintf ("%lldms", (long long) args->worker.lease_ms);
  char digest[POLICY_DIGEST_SIZE];
  return xasprintf (
      "version=%s lease=%s keep-attempts=%s webhook-private=%s s3-endpoint=%s policy=%s",
      SHOAL_VERSION, lease, getenv ("SHOAL_KEEP_ATTEMPTS") == NULL ? "no" : "yes",
      args->webhook_private ? "yes" : "no", shown, policy_digest (&args->policy, digest));
}

static int
run_merger (int argc, char **argv, struct error *err)
{
  auto_service_args struct service_args args;
  int parsed = services_parse (&args, &command_merger, argc, argv, err);
  if (parsed != 0)
    return parsed;
  auto_listening struct listening listening = { 0 };
  if (services_listen (&args, &listening, false, err) != 0)
    return -1;
  /* Its jobs wait for each other: one whose storage is away is set back soon, and comes again
   * later. */
  if (args.job == NULL)
    (void) setenv ("SHOAL_HTTP_TRIES", "4", 0);
  auto_free char *settings = merger_settings (&args);
  const struct merger_options options = { .bus_url = args.bus.url,
                                          .lease_ms = args.worker.lease_ms,
                                          .bus_properties = &args.bus.properties,
                                          .policy = &args.policy,
                                          .settings = settings,
                                          .job_id = args.job,
                                          .webhook_private = args.webhook_private,
                                          .health = listening.health,
                                          .stop = &stop_flag };
  return services_run (&args, "merger", NULL, listening.health, call_merger, &options, err);
}

static int
run_worker (int argc, char **argv, struct error *err)
{
  auto_service_args struct service_args args;
  int parsed = services_parse (&args, &command_worker, argc, argv, err);
  if (parsed != 0)
    return parsed;
  args.worker.bus_url = args.bus.url;
  args.worker.bus_properties = &args.bus.properties;
  args.worker.queues = &args.queues;
  args.worker.policy = &args.policy;
  args.worker.job_id = args.job;
  args.worker.stop = &stop_flag;
  if (args.probe)
    return probing_print (&args.worker, args.json, err);
  auto_listening struct listening listening = { 0 };
  if (services_listen (&args, &listening, false, err) != 0)
    return -1;
  args.worker.health = listening.health;
  return services_run (&args, "worker", &args.queues, listening.health, call_worker, &args.worker,
                       err);
}

static int
run_slot (int argc, char **argv, struct error *err)
{
  (void) argc;
  (void) argv;
  (void) err;
  const struct worker_options options = { 0 };
  return slot_main (SLOT_FD, &options);
}

const struct command command_producer = {
  .name = "producer",
  .synopsis = "producer --bus URL [options]",
  .summary = "run the producer service, which splits jobs into shards",
  .help = "SIGTERM stops it.\n"
          "\n"
          "  shoal producer --bus sqlite:work.db\n",
  .options = { bus_options, service_options, listen_options, storage_options, job_api_options,
               policy_options, log_options, producer_options },
  .run = run_producer,
};

const struct command command_worker = {
  .name = "worker",
  .synopsis = "worker --bus URL [options] | worker --probe [--json]",
  .summary = "run the worker service, which runs shards in containers",
  .help =
      "SIGTERM drains it. A second SIGTERM, SIGQUIT or SIGHUP returns its shards to the queue.\n"
      "\n"
      "  shoal worker --bus sqlite:work.db --jobs 4\n",
  .options = { bus_options, service_options, listen_options, storage_options, worker_options,
               policy_options, log_options, pod_option_specs },
  .run = run_worker,
};

const struct command command_merger = {
  .name = "merger",
  .synopsis = "merger --bus URL [options]",
  .summary = "run the merger service, which assembles results",
  .help = "SIGTERM stops it.\n"
          "\n"
          "  shoal merger --bus sqlite:work.db\n",
  .options = { bus_options, service_options, listen_options, storage_options, keep_options,
               merger_options, log_options, policy_options },
  .run = run_merger,
};

const struct command command_slot = {
  .name = "slot",
  .synopsis = "slot",
  .summary = "internal: process of a worker that runs one container at a time",
  .help = "",
  .hidden = true,
  .run = run_slot,
};

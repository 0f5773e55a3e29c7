#include "cli/listening.h"

#include "cli/job_api.h"
#include "cli/queue_api.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/units.h"
#include "httpd/probes.h"
#include "result/result.h"
#include "result/result_store.h"

enum
{
  BODY_MAX = 1 << 20, /* bytes of a job */
  API_ROUTES = INTAKE_ROUTES + QUEUE_ROUTES,
  PER_ADDRESS = 32,
};

#define SETTER(name) static int set_##name (void *context, const char *value, struct error *err)

#define ARGS(context) ((struct listening_args *) (context))

SETTER (listen)
{
  (void) err;
  ARGS (context)->address = value;
  return 0;
}

SETTER (per_address)
{
  int64_t number = 0;
  if (units_parse_number (value, 0, INT32_MAX, &number, err) != 0)
    return -1;
  ARGS (context)->per_address = (int) number;
  ARGS (context)->has_per_address = true;
  return 0;
}

SETTER (token_file)
{
  (void) err;
  ARGS (context)->token_file = value;
  return 0;
}

SETTER (results)
{
  (void) err;
  ARGS (context)->results = value;
  return 0;
}

const struct option_spec listen_options[] = {
  { 0, "listen", NULL, "HOST:PORT", "serve /metrics, /healthz and /readyz; :PORT binds to loopback",
    GROUP_OTHER, false, set_listen },
  { 0, "per-address", NULL, "N", "connection limit per client address; 0: unlimited (default 32)",
    GROUP_OTHER, false, set_per_address },
  { 0 },
};

const struct option_spec job_api_options[] = {
  { 0, "token-file", NULL, "FILE",
    "file with the bearer token of the job API, instead of SHOAL_TOKEN", GROUP_OTHER, false,
    set_token_file },
  { 0, "results", NULL, "DIR",
    "base directory or URL for results of submitted jobs (default: current)", GROUP_OTHER, false,
    set_results },
  { 0 },
};

/* Each is looked at, whichever it is. */
static int
listening_find_token (const void *context, const uint8_t sum[static 32])
{
  const struct policy *policy = context;
  int found = 0;
  for (size_t i = 0; i < policy->token_count; i++)
    {
      unsigned int difference = 0;
      for (size_t j = 0; j < sizeof policy->tokens[i].sha256; j++)
        difference |= (unsigned int) (sum[j] ^ policy->tokens[i].sha256[j]);
      found = difference == 0 ? (int) i + 1 : found;
    }
  return found;
}

/* Who says where results of sent jobs stand lets them stand there. */
static void
add_results (struct policy *policy, const char *location)
{
  strlist_add (result_is_remote (location) ? &policy->here.urls : &policy->here.folders, location);
}

int
listening_start (struct listening *listening, const struct listening_args *args,
                 const struct bus_args *bus, struct policy *policy, struct error *err)
{
  static struct http_route routes[PROBE_ROUTES + API_ROUTES]; /* a process listens once */
  if (args->address == NULL)
    return 0;
  struct error why = ERROR_INIT;
  auto_free char *token = httpd_read_token (args->token_file, &why);
  const char *results = args->results == NULL ? "." : args->results;
  auto_free char *here =
      result_is_remote (results) ? result_location (results, err) : realpath (results, NULL);
  if (here == NULL && error_is_set (err))
    return error_wrap (err, "--results");
  if (error_is_set (&why))
    return error_set (err, ERROR_USER, "--token-file: %s", why.message);
  if (here == NULL)
    return error_set (err, ERROR_USER, "--results: %s: no such folder", args->results);
  listening->health = health_new ();
  probes_routes (listening->health, routes);
  if (bus != NULL)
    {
      listening->takes_jobs = token != NULL;
      add_results (policy, here);
      listening->api = job_api_new (bus, here, policy);
      job_api_routes (listening->api, routes + PROBE_ROUTES);
      listening->queues = queue_api_new (bus, policy);
      queue_api_routes (listening->queues, routes + PROBE_ROUTES + INTAKE_ROUTES);
    }
  const struct httpd_options options = {
    .address = args->address,
    .token = token,
    .who = bus != NULL && policy->token_count > 0 ? listening_find_token : NULL,
    .who_context = policy,
    .routes = routes,
    .route_count = PROBE_ROUTES + (bus == NULL ? 0 : API_ROUTES),
    .body_max = BODY_MAX,
    .per_address = args->has_per_address ? args->per_address : PER_ADDRESS,
    .metrics = health_metrics (listening->health)
  };
  listening->httpd = httpd_start (&options, err);
  if (listening->httpd == NULL)
    return error_wrap (err, "--listen %s", args->address);
  /* Most who ask are elsewhere: probes of a kubelet, Prometheus. */
  log_info ("listening", "address=%s%s", httpd_address (listening->httpd),
            args->address[0] == ':' ? " note=\"loopback only; [::]:PORT or 0.0.0.0:PORT serves "
                                      "other machines and a pod's probes\""
                                    : "");
  return 0;
}

void
listening_close (struct listening *listening)
{
  httpd_close (take (&listening->httpd));
  job_api_free (take (&listening->api));
  queue_api_free (take (&listening->queues));
  health_free (take (&listening->health));
}

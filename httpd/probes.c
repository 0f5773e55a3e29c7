#include "httpd/probes.h"

#include "common/clock.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

static void
probes_answer_text (struct http_answer *answer, unsigned int status, const char *text)
{
  answer->status = status;
  answer->type = "text/plain; charset=utf-8";
  buffer_printf (&answer->body, "%s\n", text);
}

/* Resident memory and the processor's time of this process, under the names that everybody's
 * programs have. */
static void
append_process (struct buffer *out)
{
  long pages = 0;
  long unused = 0;
  auto_file FILE *file = fopen ("/proc/self/statm", "re");
  if (file != NULL && fscanf (file, "%ld %ld", &unused, &pages) == 2)
    buffer_printf (out,
                   "# HELP process_resident_memory_bytes Resident memory in bytes.\n"
                   "# TYPE process_resident_memory_bytes gauge\n"
                   "process_resident_memory_bytes %lld\n",
                   (long long) pages * sysconf (_SC_PAGESIZE));
  struct timespec used;
  if (clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &used) == 0)
    buffer_printf (out,
                   "# HELP process_cpu_seconds_total CPU time in seconds, without slots.\n"
                   "# TYPE process_cpu_seconds_total counter\n"
                   "process_cpu_seconds_total %lld.%03ld\n",
                   (long long) used.tv_sec, used.tv_nsec / 1000000);
}

static void
get_metrics (void *context, const struct http_request *request, struct http_answer *answer)
{
  (void) request;
  answer->status = 200;
  answer->type = "text/plain; version=0.0.4; charset=utf-8";
  metrics_write (health_metrics (context), &answer->body);
  append_process (&answer->body);
}

static void
get_health (void *context, const struct http_request *request, struct http_answer *answer)
{
  struct error err = ERROR_INIT;
  (void) request;
  bool good = health_is_good (context, clock_boot_ms (), &err);
  probes_answer_text (answer, good ? 200 : 503, good ? "ok" : err.message);
}

static void
get_ready (void *context, const struct http_request *request, struct http_answer *answer)
{
  struct error err = ERROR_INIT;
  (void) request;
  bool ready = health_is_ready (context, &err);
  probes_answer_text (answer, ready ? 200 : 503, ready ? "ok" : err.message);
}

void
probes_routes (struct health *health, struct http_route routes[static PROBE_ROUTES])
{
  routes[0] = (struct http_route){
    .method = "GET", .path = "/metrics", .handle = get_metrics, .context = health
  };
  routes[1] = (struct http_route){
    .method = "GET", .path = "/healthz", .handle = get_health, .context = health
  };
  routes[2] = (struct http_route){
    .method = "GET", .path = "/readyz", .handle = get_ready, .context = health
  };
}

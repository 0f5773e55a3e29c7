#include "cli/probing.h"

#include "cli/command.h"
#include "cli/json_text.h"
#include "common/memory.h"
#include "common/text.h"
#include "worker/oci_version.h"
#include "worker/probe.h"

#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum
{
  PROBING_TRIES = 2,
};

static void
probing_print_failure (const struct runtime_probe *probe, const char *what, const struct error *why)
{
  if (!error_is_set (why))
    return;
  auto_free char *text = text_shown (why->message);
  (void) printf ("%s: %sfails: %s\n", probe->runtime, what, text);
}

static void
probing_print_text (const struct runtime_probe *probe)
{
  auto_free char *text = text_shown (probe->description != NULL ? probe->description : "");
  probing_print_failure (probe, "", &probe->failure);
  if (probe_works (probe))
    (void) printf ("%s: works: %s\n", probe->runtime, text);
  probing_print_failure (probe, "with limits: ", &probe->limits);
  probing_print_failure (probe, "as another user: ", &probe->users);
}

static void
probing_set_failure (json_t *object, const char *key, const struct error *why)
{
  json_set_text (object, key, error_is_set (why) ? why->message : NULL);
}

static json_t *
probing_json (const struct runtime_probe *probe)
{
  json_t *object = json_object ();
  json_set_text (object, "name", probe->runtime);
  (void) json_object_set_new (object, "allowed", json_boolean (probe->allowed));
  (void) json_object_set_new (object, "works", json_boolean (probe_works (probe)));
  json_set_text (object, "description", probe->description);
  probing_set_failure (object, "error", &probe->failure);
  probing_set_failure (object, "limits_error", &probe->limits);
  probing_set_failure (object, "users_error", &probe->users);
  return object;
}

int
probing_print (const struct worker_options *options, bool json, struct error *err)
{
  struct runtime_probe probes[PROBE_RUNTIMES];
  bool works = false;
  json_t *runtimes = json_array ();
  size_t count = probe_all (options, probes);
  for (size_t i = 0; i < count; i++)
    {
      works |= probes[i].allowed && probe_works (&probes[i]);
      if (json)
        (void) json_array_append_new (runtimes, probing_json (&probes[i]));
      else
        probing_print_text (&probes[i]);
      probe_release (&probes[i]);
    }
  if (json)
    json_put_line (json_pack ("{s:b, s:O}", "works", works, "runtimes", runtimes), stdout);
  json_decref (runtimes);
  return works ? EXIT_DONE
               : error_set (err, ERROR_TRANSIENT, "no runtime that the policy allows works here");
}

/* Whether JOB asks for something that only a trial can tell. */
static bool
probing_asks_for_more (const struct job *job)
{
  return job->memory >= 0 || job->cpus >= 0 || job->pids >= 0 || job->shm_size >= 0
         || job->user != NULL || job->hostname != NULL || job->network != NETWORK_NONE
         || job->read_only || job->tmpfs.count > 0 || job->groups.count > 0
         || job->cap_drop.count > 0 || job->ulimits.count > 0 || job->devices.count > 0;
}

/* Whether this is a machine as most are: root with all its rights, and crun or runc. A trial would
 * tell nothing new, and costs what three shards do. */
static bool
probing_is_usual (const struct job *job)
{
  struct error err = ERROR_INIT;
  auto_free char *version = NULL;
  return geteuid () == 0 && prctl (PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) == 1
         && (strcmp (job->runtime, "oci") != 0 || oci_version_of ("crun", &version, &err) > 0);
}

int
probing_check_job (const struct job *job, const struct run_options *options, struct error *err)
{
  const struct worker_options worker = { .images = options->images,
                                         .oci_program = options->oci_runtime,
                                         .userns = options->userns,
                                         .cdi = options->cdi,
                                         .scratch = options->scratch };
  if (strcmp (job->runtime, "process") == 0
      && (options->oci_runtime != NULL || options->userns != NULL))
    return error_set (err, ERROR_USER,
                      "--oci-runtime and --userns are for containers, and --runtime process makes "
                      "none: leave them out");
  bool given = options->oci_runtime != NULL || options->userns != NULL || options->scratch != NULL;
  if (!given && !probing_asks_for_more (job) && probing_is_usual (job))
    return 0;
  for (int tries = 1; probe_job (&worker, job, NULL, err) != 0; tries++)
    {
      /* What was killed, or ran into a full machine, is no reason yet. */
      if (err->class != ERROR_TRANSIENT || tries == PROBING_TRIES)
        return error_wrap (err, "trying a container as the job has it");
      error_clear (err);
    }
  return 0;
}

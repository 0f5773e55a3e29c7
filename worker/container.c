/* The seam itself: finds the implementation by its name and passes every call on. */
#include "worker/container.h"

#include "common/signals.h"
#include "worker/container_runtimes.h"

#include <signal.h>
#include <string.h>

struct container_runtime *
container_runtime_open (const char *name, const struct container_runtime_options *options,
                        struct error *err)
{
  if (strcmp (name, "oci") == 0)
    return options->pod != NULL ? pod_runtime_open (options, err) : oci_runtime_open (options, err);
  if (strcmp (name, "process") == 0 && options->pod != NULL)
    {
      (void) error_set (err, ERROR_TRANSIENT,
                        "--runtime process: this worker runs commands in its pod's other container "
                        "only");
      return NULL;
    }
  if (strcmp (name, "process") == 0)
    return process_runtime_open (options, err);
  (void) error_set (err, ERROR_USER, "unknown runtime \"%s\": expected oci or process", name);
  return NULL;
}

const char *
container_runtime_describe (const struct container_runtime *runtime)
{
  return runtime->ops->describe (runtime);
}

const struct container_user *
container_user_of (const struct container_runtime *runtime)
{
  return &runtime->user;
}

const char *
container_image_id (const struct container_runtime *runtime)
{
  return runtime->ops->image_id == NULL ? NULL : runtime->ops->image_id (runtime);
}

int
container_prepare (struct container_runtime *runtime, const struct container *container,
                   struct error *err)
{
  return runtime->ops->prepare (runtime, container, err);
}

int
container_start (struct container_runtime *runtime, const struct container *container,
                 struct error *err)
{
  return runtime->ops->start (runtime, container, err);
}

void
container_signal (struct container_runtime *runtime, int signal)
{
  runtime->ops->signal (runtime, signal);
}

int
container_stop_signal (const struct container_runtime *runtime, const struct job *job)
{
  int number = job->stop_signal != NULL ? signal_parse (job->stop_signal, NULL) : 0;
  if (number <= 0 && runtime->ops->stop_signal != NULL)
    number = runtime->ops->stop_signal (runtime);
  return number > 0 ? number : SIGTERM;
}

int
container_wait (struct container_runtime *runtime, struct container_exit *exit, struct error *err)
{
  return runtime->ops->wait (runtime, exit, err);
}

void
container_runtime_close (struct container_runtime *runtime)
{
  if (runtime != NULL)
    runtime->ops->close (runtime);
}

/* The seam itself: finds the implementation by its name and passes every call on. */
#include "worker/container.h"

#include "worker/container_runtimes.h"

#include <string.h>

struct container_runtime *
container_runtime_open (const char *name, const struct container_runtime_options *options,
                        struct error *err)
{
  if (strcmp (name, "oci") == 0)
    return oci_runtime_open (options, err);
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

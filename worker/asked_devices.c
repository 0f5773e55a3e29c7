#include "worker/asked_devices.h"

#include "schemas/device.h"
#include "worker/cdi.h"

static int
asked_devices_add (struct devices *devices, const char *text, const char *folders,
                   struct error *err)
{
  auto_device struct device device;
  if (device_parse (text, &device, err) != 0)
    return -1;
  return device.kind != NULL ? cdi_add (devices, &device, folders, err)
                             : devices_add_node (devices, device.source, device.path, device.read,
                                                 device.written, err);
}

int
asked_devices_find (struct devices *devices, const struct job *job, const char *folders,
                    struct error *err)
{
  for (size_t i = 0; i < job->devices.count; i++)
    if (asked_devices_add (devices, job->devices.items[i], folders, err) != 0)
      {
        (void) error_wrap (err, "--device %s", job->devices.items[i]);
        return error_blame_machine (err);
      }
  return 0;
}

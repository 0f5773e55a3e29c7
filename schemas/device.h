/* device.h — a device that a job asks for, as docker's --device has it: a node of the worker's
 * machine, "/dev/x[:/dev/y][:rwm]", or what that machine's CDI specifications say of a name,
 * "vendor.com/class=name". */
#ifndef SHOAL_SCHEMAS_DEVICE_H
#define SHOAL_SCHEMAS_DEVICE_H

#include "common/auto.h"
#include "common/error.h"

#include <stdbool.h>

struct device
{
  char *kind;   /* "vendor.com/class"; NULL: a node … */
  char *name;   /* … else what it is called there */
  char *source; /* … at this path of the machine … */
  char *path;   /* … and at this one, below /dev, of the container; both are normal */
  bool read;
  bool written;
};

void device_release (struct device *device);
#define auto_device AUTO (device_release)

/* Reads TEXT into DEVICE, to be released in either case. ERROR_USER. */
int device_parse (const char *text, struct device *device, struct error *err);

/* Whether PATH, which is normal, is one below /dev. */
bool device_path_is_good (const char *path);

/* Reads some of "rwm" for what may be done with a node; false for anything else, and for what lets
 * nothing be read or written: no container makes nodes. */
bool device_access_parse (const char *text, bool *read, bool *written);

#endif

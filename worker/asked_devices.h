/* asked_devices.h — the devices that a job asks for, found on this machine. */
#ifndef SHOAL_WORKER_ASKED_DEVICES_H
#define SHOAL_WORKER_ASKED_DEVICES_H

#include "worker/devices.h"

/* Fills the zeroed DEVICES with what JOB asks for, by the specifications in FOLDERS (cdi.h). What
 * this machine doesn't have, or can't give, is ERROR_TRANSIENT: another one may. */
int asked_devices_find (struct devices *devices, const struct job *job, const char *folders,
                        struct error *err);

#endif

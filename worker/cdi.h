/* cdi.h — the Container Device Interface: what this machine's specifications say a container needs
 * for a device.
 *
 *     /etc/cdi/vendor.json   {"cdiVersion": "0.6.0", "kind": "vendor.com/class",
 *                             "devices": [{"name": "0", "containerEdits": {…}}, …],
 *                             "containerEdits": {…}}
 *
 * Of the edits, variables, device nodes, mounts and groups are made; what asks for anything else,
 * hooks above all, is refused by its name: nothing is left out without a word.
 */
#ifndef SHOAL_WORKER_CDI_H
#define SHOAL_WORKER_CDI_H

#include "common/error.h"
#include "schemas/device.h"
#include "worker/devices.h"

/* Adds to DEVICES what the specifications (*.json, *.yaml) in FOLDERS, separated by colons, say of
 * DEVICE, which has a kind. Of several folders that have it the last counts. FOLDERS NULL: the
 * usual ones. ERROR_USER. */
int cdi_add (struct devices *devices, const struct device *device, const char *folders,
             struct error *err);

#endif

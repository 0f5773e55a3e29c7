/* null_device.h — a null device that nothing else uses.
 *
 * crun gives what a container reads from to the container's user, whatever it is (version 1.8.1):
 * with the host's /dev/null, that user could close it to the whole host.
 */
#ifndef SHOAL_WORKER_NULL_DEVICE_H
#define SHOAL_WORKER_NULL_DEVICE_H

/* A file system for null devices that is mounted nowhere, gone with its last descriptor, which the
 * caller closes; -1 with errno. A mount takes ten times as long as a device: one serves many. */
int null_device_mount (void);

/* A descriptor to read nothing from, which the caller closes: a new null device of MOUNT, gone with
 * the last descriptor; where no device may be made, or MOUNT is -1, an empty file. -1 with errno.
 */
int null_device_open (int mount);

#endif

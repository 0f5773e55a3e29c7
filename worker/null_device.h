/* null_device.h — a null device that nothing else uses.
 *
 * crun gives what a container reads from to the container's user, whatever it is (version 1.8.1):
 * with the host's /dev/null, that user could close it to the whole host.
 */
#ifndef SHOAL_WORKER_NULL_DEVICE_H
#define SHOAL_WORKER_NULL_DEVICE_H

/* A descriptor to read nothing from, which the caller closes: a null device in a file system of its
 * own, gone with the last descriptor; where no device may be made, an empty file. -1 with errno. */
int null_device_open (void);

#endif

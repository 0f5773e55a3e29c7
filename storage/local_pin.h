/* local_pin.h — what a file of this machine was when it was listed: its size, its time in
 * nanoseconds and its inode, "5-1764478000123456789-4711".
 *
 * The device isn't part of it: one file system has other numbers on other machines, and after a
 * restart. For the same reason only size and time decide whether a file is still the one that was
 * listed; the inode tells one from another where plans are compared. */
#ifndef SHOAL_STORAGE_LOCAL_PIN_H
#define SHOAL_STORAGE_LOCAL_PIN_H

#include "common/error.h"
#include "storage/listing.h"
#include "storage/storage.h"

#include <stdbool.h>
#include <sys/stat.h>

#define LOCAL_PIN_SIZE STORAGE_PIN_SIZE

/* Writes STATUS' pin into TEXT; returns TEXT. */
const char *local_pin_format (const struct stat *status, char text[static LOCAL_PIN_SIZE]);

/* The same of the file PATH. 0 or -1. */
int local_pin_take (const char *path, char text[static LOCAL_PIN_SIZE], struct error *err);

/* The time in PIN, ns; 0 when it is none of ours. */
int64_t local_pin_time_ns (const char *pin);

/* Whether two pins are of what local_pin_check takes for one file. */
bool local_pin_same (const char *one, const char *other);

/* Whether the file of STATUS is the one that PIN (NULL: any) was taken of: 0, or ERROR_USER that
 * names PATH. */
int local_pin_check (const char *pin, const struct stat *status, const char *path,
                     struct error *err);

#endif

/* clock.h — the two clocks: one for people, one for leases.
 *
 * Times that a person or a message sees are UTC milliseconds since 1970. Leases and waits use
 * milliseconds since boot (suspend included), which never jump and which all processes of a
 * machine share.
 */
#ifndef SHOAL_COMMON_CLOCK_H
#define SHOAL_COMMON_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t clock_wall_ms (void);
int64_t clock_boot_ms (void);
int64_t clock_boot_us (void); /* for measuring */

/* Milliseconds that this machine has run since its boot, suspend excluded. Not every kernel tells
 * the others without a system call, this one it does: for what is asked very often. */
int64_t clock_run_ms (void);

/* "2026-11-23T15:06:07.123Z" into TEXT; returns TEXT. */
#define CLOCK_TEXT_SIZE 32
const char *clock_format (int64_t wall_ms, char text[static CLOCK_TEXT_SIZE]);

#endif

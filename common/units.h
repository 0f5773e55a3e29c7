/* units.h — numbers as people write them on a command line.
 *
 * Each parser takes the whole of TEXT (no spaces, no rest), returns 0, or -1 with ERROR_USER that
 * names the text and what was expected.
 */
#ifndef SHOAL_COMMON_UNITS_H
#define SHOAL_COMMON_UNITS_H

#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

/* "10", "512k", "1.5g", "2GiB": bytes, powers of 1,024 as docker run reads them; above zero. */
int units_parse_size (const char *text, int64_t *bytes, struct error *err);

/* "30" (seconds), "250ms", "5m", "1h30m", "2d": milliseconds, above zero. */
int units_parse_duration (const char *text, int64_t *ms, struct error *err);

/* A whole number from MIN to MAX. */
int units_parse_number (const char *text, int64_t min, int64_t max, int64_t *number,
                        struct error *err);

/* The whole number above zero that the environment's variable NAME is, else OTHERWISE. */
int64_t units_from_env (const char *name, int64_t otherwise);

/* "95%" or "99.5%", 0 to 100: hundredths of a percent (9500). */
int units_parse_percent (const char *text, int32_t *basis_points, struct error *err);

/* "1.5": thousandths of a CPU (1500), above zero. */
int units_parse_cpus (const char *text, int32_t *milli, struct error *err);

/* "2x", "1.5x", above 1: hundredths (200). */
int units_parse_factor (const char *text, int32_t *hundredths, struct error *err);

/* A set of exit codes. */
struct codes
{
  bool has[256];
};

/* "1,3-5,77": exit codes 0 to 255, added to CODES. */
int units_parse_codes (const char *text, struct codes *codes, struct error *err);

/* "1.5 GiB", "512 B" into TEXT; returns TEXT. */
#define UNITS_TEXT_SIZE 32
const char *units_format_size (int64_t bytes, char text[static UNITS_TEXT_SIZE]);

/* "850ms", "3.2s", "5m07s", "2h03m", "1d04h" into TEXT; returns TEXT. */
const char *units_format_duration (int64_t ms, char text[static UNITS_TEXT_SIZE]);

#endif

/* words.h — words of a command line, and numbers as people read and write them. */
#ifndef SHOAL_CLI_WORDS_H
#define SHOAL_CLI_WORDS_H

#include "common/error.h"
#include "common/strlist.h"

#include <stddef.h>
#include <stdint.h>

/* Splits TEXT into words as a shell does: white space, '…', "…", $'…', \x; no expansion of any
 * kind. The words are added to WORDS. ERROR_USER for a quote that isn't closed. */
int words_split (const char *text, struct strlist *words, struct error *err);

/* 12,345 into TEXT; returns TEXT. */
#define WORDS_COUNT_SIZE 32
const char *words_count (int64_t number, char text[static WORDS_COUNT_SIZE]);

/* "1 shard", "1,000 shards". The caller frees. */
char *words_plural (int64_t number, const char *noun);

/* TIME, UTC ms, as "2026-11-23 15:06:07 UTC". The caller frees. */
char *words_time (int64_t time);

/* "3,5-9" added to *NUMBERS (COUNT of them, the caller frees); ERROR_USER. */
int words_ranges (const char *text, uint32_t **numbers, size_t *count, struct error *err);

#endif

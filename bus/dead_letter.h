/* dead_letter.h — a message that can't be read or followed, as it came, with where it was and why.
 */
#ifndef SHOAL_BUS_DEAD_LETTER_H
#define SHOAL_BUS_DEAD_LETTER_H

#include "common/error.h"
#include "common/metrics.h"
#include "schemas/messages.h"

#define DEAD_LETTER_UNDECODABLE "undecodable"
#define DEAD_LETTER_CONFLICT "conflict" /* another job under an id that is taken */
#define DEAD_LETTER_UNSIGNED "unsigned" /* on a bus whose records are signed */
#define DEAD_LETTER_BAD_SIGNATURE "bad_signature"

struct bus;

struct dead_letter
{
  char *name;       /* "TOPIC/PARTITION/OFFSET": where it was */
  int64_t position; /* the bus's own name for it */
  char *topic;
  int32_t partition;
  int64_t time;          /* UTC ms when it was sent */
  char *key;             /* "": none */
  char *reason;          /* one of the above */
  char *error;           /* the same in words */
  struct buffer payload; /* as it came */
};

void dead_letter_release (struct dead_letter *letter);

/* Counts a letter in METRICS, whoever wrote it: REASON is one of the above, or the outcome of a
 * shard that failed for good. */
void dead_letter_count (struct metrics *metrics, const char *reason);

/* Calls EACH for every letter, oldest first, until it returns non-zero, which is returned. A bus
 * whose messages are only ours has none. */
int bus_list_dead_letters (struct bus *bus,
                           int (*each) (void *context, const struct dead_letter *letter),
                           void *context, struct error *err);

/* Sends LETTER again to where it was; it is no letter any more then. */
int bus_replay_dead_letter (struct bus *bus, const struct dead_letter *letter, struct error *err);

#endif

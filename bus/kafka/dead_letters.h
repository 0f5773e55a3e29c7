/* dead_letters.h — records that nobody can read or follow, as they came, with where they were and
 * why.
 */
#ifndef SHOAL_BUS_KAFKA_DEAD_LETTERS_H
#define SHOAL_BUS_KAFKA_DEAD_LETTERS_H

#include "bus/bus.h"
#include "bus/kafka/reader.h"

#include <sys/queue.h>

struct kafka_bus;

struct unconfirmed;
TAILQ_HEAD (unconfirmed_list, unconfirmed);

/* Makes a dead letter of MESSAGE, which CURSOR has just read and nobody can: with where it was and
 * WHY as headers. What wasn't signed as it must be is a dead letter for that. */
void dead_letter_write (struct kafka_bus *bus, const struct cursor *cursor,
                        const rd_kafka_message_t *message, const struct error *why);

/* The same for another REASON (DEAD_LETTER_…) than that it can't be read. */
void dead_letter_write_as (struct kafka_bus *bus, const struct cursor *cursor,
                           const rd_kafka_message_t *message, const char *reason,
                           const struct error *why);
/* Whether the brokers have all dead letters, so that what was committed may pass them. Those that
 * they refused are written again, now and then. */
bool dead_letters_are_safe (struct kafka_bus *bus);
void dead_letters_forget (struct kafka_bus *bus);

/* Only says so. */
void kafka_log_skipped (const struct cursor *cursor, const rd_kafka_message_t *message,
                        const struct error *why);

/* For records that everybody reads: one kind of reader makes dead letters of them, all others only
 * say so. */
void kafka_pass_by (struct kafka_bus *bus, const struct cursor *cursor,
                    const rd_kafka_message_t *message, const struct error *why);

/* dead_letter_write for the record at OFFSET: 1, 0 when it is gone, -1. */
int dead_letter_write_at (struct kafka_bus *bus, int topic, int32_t partition, int64_t offset,
                          const struct error *why, struct error *err);
int kafka_list_dead_letters (struct bus *bus,
                             int (*each) (void *context, const struct dead_letter *letter),
                             void *context, struct error *err);
int kafka_replay_dead_letter (struct bus *bus, const struct dead_letter *letter, struct error *err);

#endif

/* dead_letters.h — records that nobody can read or follow, as they came, with where they were and
 * why.
 */
#ifndef SHOAL_BUS_KAFKA_DEAD_LETTERS_H
#define SHOAL_BUS_KAFKA_DEAD_LETTERS_H

#include "bus/bus.h"
#include "bus/kafka/queues.h"
#include "bus/kafka/reader.h"

#include <sys/queue.h>

/* What the names of the headers begin with that tell where it was and why. */
#define DEAD_LETTER_HEADER "shoal-"

struct unconfirmed;
TAILQ_HEAD (unconfirmed_list, unconfirmed);

struct kafka_dead_letters
{
  struct kafka_producer *producer;
  struct kafka_queues *queues;
  struct kafka_reader *reader;
  struct delivery_report report;       /* commits wait for these … */
  struct unconfirmed_list unconfirmed; /* … which the brokers may not have yet */
  int64_t written_again;               /* boot ms */
  /* as a member of a group does: events, statuses and control records that nobody can read are
     kept */
  bool keeps;
};

/* Makes a dead letter of MESSAGE, which CURSOR has just read and nobody can: with where it was and
 * WHY as headers. What wasn't signed as it must be is a dead letter for that. */
void dead_letter_write (struct kafka_dead_letters *letters, const struct cursor *cursor,
                        const rd_kafka_message_t *message, const struct error *why);

/* The same for another REASON (DEAD_LETTER_…) than that it can't be read. */
void dead_letter_write_as (struct kafka_dead_letters *letters, const struct cursor *cursor,
                           const rd_kafka_message_t *message, const char *reason,
                           const struct error *why);
/* Whether the brokers have all dead letters, so that what was committed may pass them. Those that
 * they refused are written again, now and then. */
bool dead_letters_are_safe (struct kafka_dead_letters *letters);
void dead_letters_forget (struct kafka_dead_letters *letters);

/* Only says so. */
void kafka_log_skipped (const struct cursor *cursor, const rd_kafka_message_t *message,
                        const struct error *why);

/* For records that everybody reads: one kind of reader makes dead letters of them, all others only
 * say so. */
void kafka_pass_by (struct kafka_dead_letters *letters, const struct cursor *cursor,
                    const rd_kafka_message_t *message, const struct error *why);

/* dead_letter_write for the record at OFFSET: 1, 0 when it is gone, -1. */
int dead_letter_write_at (struct kafka_dead_letters *letters, int topic, int32_t partition,
                          int64_t offset, const struct error *why, struct error *err);

#endif

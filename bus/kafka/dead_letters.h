/* dead_letters.h — records that nobody can read or follow, as they came, with where they were and
 * why.
 */
#ifndef SHOAL_BUS_KAFKA_DEAD_LETTERS_H
#define SHOAL_BUS_KAFKA_DEAD_LETTERS_H

#include "bus/bus.h"
#include "bus/dead_letter.h"
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
  bool follows;                        /* this handle is a member of a group that follows events */
  bool judges_jobs;                    /* it takes jobs: … */
  int64_t jobs_from; /* … below this offset of theirs all has been judged before */
};

/* MESSAGE, which CURSOR has just read, can't be decoded, for WHY. Many read the same record, and
 * one kind of reader makes a dead letter of it; all others only say so:
 *
 *     shards, claims            whoever takes shards: nobody else reads them on and on
 *     jobs, leases              whoever takes jobs
 *     events, status, control   members of a group that follows events
 *
 * What isn't signed as it must be is a dead letter for that, whatever WHY says. */
void dead_letters_refuse (struct kafka_dead_letters *letters, const struct cursor *cursor,
                          const rd_kafka_message_t *message, const struct error *why);

/* MESSAGE is a job with the id of another one: a dead letter as well, by whoever takes jobs. */
void dead_letters_refuse_conflict (struct kafka_dead_letters *letters, const struct cursor *cursor,
                                   const rd_kafka_message_t *message, const struct error *why);

/* The record at OFFSET, for WHY, whatever its topic: 1, 0 when it is gone, -1. */
int dead_letters_refuse_at (struct kafka_dead_letters *letters, int topic, int32_t partition,
                            int64_t offset, const struct error *why, struct error *err);

/* Whether a job's record at OFFSET is to be judged by this handle. */
bool dead_letters_judge_job (const struct kafka_dead_letters *letters, int64_t offset);

/* Whether the brokers have all dead letters, so that what was committed may pass them. Those that
 * they refused are written again, now and then. */
bool dead_letters_are_safe (struct kafka_dead_letters *letters);
void dead_letters_forget (struct kafka_dead_letters *letters);

#endif

/* known.h — what a handle on Kafka knows of a job.
 *
 * Entries belong to the tables (tables.h) and live as long as the job's record or status is in its
 * topic; a job that runs stays in any case. Not thread-safe.
 */
#ifndef SHOAL_BUS_KAFKA_KNOWN_H
#define SHOAL_BUS_KAFKA_KNOWN_H

#include "bus/kafka/reader.h"
#include "schemas/messages.h"

#include <sys/queue.h>

struct kafka_tables;

struct kafka_job
{
  const char *id;        /* in `text` */
  int64_t offset;        /* of its record; -1: there is none, and it isn't in the list */
  int64_t time;          /* of its record, on the broker's clock, ms */
  int64_t status_offset; /* of its last status that counts; -1: there is none */
  uint32_t generation;
  uint32_t closed;       /* shards up to this generation are not delivered */
  uint32_t paused;       /* likewise until it goes on; 0: it isn't paused */
  bool ended;            /* a generation that has ended stays so … */
  bool hidden;           /* … but the last word in the log is of somebody who was late */
  bool recent;           /* in the ring of those that ended or were asked for last */
  struct buffer *record; /* NULL: let go, or there is none */
  struct buffer *status;
  TAILQ_ENTRY (kafka_job) links; /* in order of offset */
  char text[];
};

void known_release (struct kafka_tables *tables);

/* What is known of ID, be it no more than a status; NULL: nothing. */
struct kafka_job *known_find (struct kafka_tables *tables, const char *id);
struct kafka_job *known_need (struct kafka_tables *tables, const char *id);

/* JOB's record, from what CURSOR has just read as MESSAGE and is DECODED; and its last status. */
void known_set_record (struct kafka_job *job, const struct cursor *cursor,
                       const rd_kafka_message_t *message, struct job *decoded);
void known_set_status (struct kafka_job *job, struct bytes payload);

/* JOB has ended, or was asked for: its records are kept until as many others have. */
void known_keep (struct kafka_tables *tables, struct kafka_job *job);

/* Reads again what was let go of JOB, and of those behind it in the list, which are likely to be
 * asked for next: up to COUNT jobs. What is gone from its topic stays NULL. 0 or -1. */
int known_recall (struct kafka_tables *tables, struct kafka_job *job, size_t count,
                  struct error *err);

/* Now and then: lets go of what retention has deleted. */
void known_forget (struct kafka_tables *tables);

#endif

/* tables.h — jobs, statuses and control records, as every handle has them from their topics. */
#ifndef SHOAL_BUS_KAFKA_TABLES_H
#define SHOAL_BUS_KAFKA_TABLES_H

#include "bus/bus.h"
#include "bus/kafka/dead_letters.h"
#include "bus/kafka/queues.h"
#include "bus/kafka/reader.h"

#include <sys/queue.h>

struct kafka_job; /* known.h */

enum
{
  RECENT_JOBS = 256,
};

struct kafka_tables
{
  struct kafka_producer *producer;
  struct kafka_reader *reader; /* of the tables and the leases */
  struct kafka_queues *queues;
  struct kafka_dead_letters *dead_letters;
  struct cursor jobs;
  struct cursor *statuses; /* one a partition */
  struct cursor control;
  void *tree; /* of jobs by id, tsearch(3) */
  TAILQ_HEAD (kafka_jobs, kafka_job) list;
  struct kafka_job *recent[RECENT_JOBS]; /* those that have ended keep their records while here */
  size_t recent_next;
  int64_t forgot_at; /* boot ms: what retention deleted was looked for */
  struct control *controls;
  size_t control_count;
  size_t paused_count; /* jobs */
};

void tables_init (struct kafka_tables *tables);
void tables_release (struct kafka_tables *tables);

/* Takes in what has come, without waiting; opens nothing. */
void tables_pump (struct kafka_tables *tables);

/* NULL with *ERR unset when there is no such job. */
const struct kafka_job *tables_job (struct kafka_tables *tables, const char *id, struct error *err);

/* Whether shards of GENERATION are still delivered, as far as known. */
bool tables_is_live (struct kafka_tables *tables, const char *job_id, uint32_t generation);

/* Whether these wait, as far as known, until the job goes on. Those that aren't delivered any more
 * don't: nothing would settle them, and others wait behind them. */
bool tables_is_paused (struct kafka_tables *tables, const char *job_id, uint32_t generation);

/* The jobs, read to their end: 0 or -1. Whoever takes jobs calls it: records at offset FROM or
 * later that are no job, or contradict one, are made dead letters. */
int tables_judge_jobs (struct kafka_tables *tables, int64_t from, struct error *err);

/* The tables that tell which shards are alive, read to their ends: 0 or -1. */
int tables_need_liveness (struct kafka_tables *tables, struct error *err);

/* The job ID where its record was read; NULL: it wasn't, or isn't there. */
struct kafka_job *tables_find_job (struct kafka_tables *tables, const char *id);

/* Each reads to the end as it is now, the first time from the start: 0 or -1. */
int tables_sync_jobs (struct kafka_tables *tables, struct error *err);
int tables_sync_control (struct kafka_tables *tables, struct error *err);
int tables_sync_status (struct kafka_tables *tables, int32_t partition, struct error *err);

/* Takes in what has come by CURSOR, which is one of the tables'. */
void tables_pump_cursor (struct kafka_tables *tables, struct cursor *cursor);

#endif

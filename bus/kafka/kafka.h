/* kafka.h — the bus on Apache Kafka, between its own files.
 *
 *     kafka.c         opening, closing, waiting, errors
 *     topics.c        the topics: names, creating, checking
 *     queues.c        the queues: their topics, who serves them
 *     config.c        what services should have in common, and who hasn't
 *     producer.c      the producer: records and their receipts
 *     access.c        what the brokers' access control lets us do
 *     trust.c         signatures of records (keyring.h)
 *     reader.c        reading one partition
 *     tables.c        what every handle knows by heart: jobs, statuses, control records
 *     claims.c        who runs what, as a fold
 *     partition.c     one partition of work: its messages and the claims on them
 *     partitions.c    all lots of a queue: opening, committing
 *     inflight.c      what this handle has claimed, up to its end
 *     work.c          take, keep, settle, release
 *     leases.c        claims on jobs and on groups' partitions
 *     follow.c        followers of the events
 *     plan.c          shards published, found again, replayed
 *     dead_letters.c  what nobody can read
 *     metrics.c       what is counted for others
 *
 * No consumer groups: what is read and what may be started is decided by the claims alone
 * (docs/claims.md), so there is no rebalance that could disturb anything.
 */
#ifndef SHOAL_BUS_KAFKA_KAFKA_H
#define SHOAL_BUS_KAFKA_KAFKA_H

#include "bus/bus_ops.h"
#include "bus/kafka/claims.h"
#include "schemas/wire.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>

enum topic
{
  TOPIC_JOBS,
  TOPIC_SHARDS,
  TOPIC_CLAIMS, /* of shards, partition by partition */
  TOPIC_LEASES, /* claims on jobs, and on the partitions that groups follow */
  TOPIC_EVENTS,
  TOPIC_CONTROL,
  TOPIC_STATUS,
  TOPIC_DEAD,
  TOPICS,
};

/* Bytes. A letter is a record with headers of ours; the producer's limit, message.max.bytes, is the
 * larger one. */
enum
{
  RECORD_MAX = 9000000,
  LETTER_MAX = 10000000,
};

enum
{
  QUEUES_MAX = 32,
  TOPICS_MAX = TOPICS + 2 * QUEUES_MAX, /* TOPICS, then two for each further queue */
};

/* Shards are in queues, each with topics of its own: TOPIC_SHARDS and TOPIC_CLAIMS are those of
 * "default". */
struct kafka_queue
{
  char *name;
  int shards; /* the topics, as indexes of names and partitions */
  int claims;
  int64_t
      served; /* UTC ms by the broker's clock when a worker last said that it serves it; 0: never */
  int64_t lease_ms; /* that worker's */
  int64_t say_at;   /* boot ms when it is on us to say so */
};

/* What became of some records. Filled while the producer is polled, which may be long after those
 * who sent them have given up waiting: so it lives on the heap, or as long as the bus. */
struct receipt
{
  int pending; /* records that aren't acknowledged yet */
  int failed;
  rd_kafka_resp_err_t why;
  int topic;      /* of the last one that failed */
  int64_t offset; /* of the last one */
  bool left;      /* nobody asks any more: goes with the last word on a record */
};

struct cursor
{
  struct kafka_reader *reader;
  int topic;
  int32_t partition;
  rd_kafka_queue_t *queue;
  int64_t next;         /* offset of what is read next, as far as known */
  int64_t end;          /* what was the end when it was looked for */
  struct bytes payload; /* of the record read last, in single-object encoding; until the next one */
  struct buffer unpacked;
  bool denied;         /* the brokers said last that we mayn't read it */
  int64_t stuck_until; /* boot ms: a record can't be read before the schema registry is back */
  struct error
      refused;  /* set: the record read last isn't signed as it must be, and `payload` is empty */
  int64_t skew; /* of claims: the broker's clock minus ours, by our own records, ms */
};

/* A consumer handle: a partition is read once by each. */
struct kafka_reader
{
  struct kafka_bus *bus;
  rd_kafka_t *handle;
  rd_kafka_topic_t *topics[TOPICS_MAX];
};

struct kafka_job
{
  const char *id;
  int64_t offset;
  int64_t time; /* of its record, on the broker's clock, ms */
  struct buffer payload;
  TAILQ_ENTRY (kafka_job) links;
};

struct kafka_status
{
  const char *id;
  uint32_t generation;
  uint32_t closed; /* shards up to this generation are not delivered */
  bool ended;      /* a generation that has ended stays so … */
  bool hidden;     /* … but the last word in the log is of somebody who was late */
  struct buffer payload;
};

struct kafka_tables
{
  struct cursor jobs;
  bool judges_jobs; /* from CONFLICTS_FROM on, what contradicts a job is made a letter */
  int64_t conflicts_from;
  struct cursor *statuses; /* one a partition */
  struct cursor control;
  void *job_tree;
  TAILQ_HEAD (kafka_jobs, kafka_job) job_list;
  void *status_tree;
  struct control *controls;
  size_t control_count;
};

struct lot;

struct kafka_work
{
  struct kafka_bus *bus;
  enum bus_queue queue;
  int messages; /* the topic of … and that of the claims on them */
  int claims;
  struct lot **lots;
  int lot_count;
  int turn;       /* the lot that is looked at first */
  int64_t looked; /* boot ms of … */
  int64_t committed_at;
};

struct holding;
TAILQ_HEAD (holdings, holding);

/* A job whose shards are left to others for a while. */
struct shunned
{
  char *job_id;
  int64_t until; /* boot ms */
};

struct scan; /* plan.c */

struct burial;
TAILQ_HEAD (burials, burial);

struct kafka_bus
{
  struct bus bus;
  char *brokers;
  char *prefix;
  char *url; /* for messages */
  char *writer;
  int64_t lease_ms;
  int slots;
  struct strlist properties; /* librdkafka's: name, value, … */
  bool resting;
  /* a member of a group makes letters of events, statuses and control records that nobody can
     read */
  bool buries;
  bool more;   /* something was left unread: don't wait */
  int wake_fd; /* written by librdkafka when there is something to read */

  int topic_count;
  char *names[TOPICS_MAX];
  int32_t partitions[TOPICS_MAX];
  struct kafka_queue queues[QUEUES_MAX]; /* those that were needed so far; the first is "default" */
  int queue_count;
  struct registry *registry; /* of schemas; NULL: none */
  struct keyring *keyring;   /* that signs and verifies records; NULL: none is signed, all count */
  bool others_sign;          /* without a keyring: there are signed records */
  rd_kafka_t *producer;
  rd_kafka_queue_t *receipts; /* the producer's main queue */
  rd_kafka_topic_t *outgoing[TOPICS_MAX];
  bool unwritable;             /* the producer was given up because we mayn't write to any topic */
  struct receipt published;    /* shards and events between two flushes */
  struct receipt quiet;        /* records that nobody waits for */
  struct receipt letters;      /* commits wait for these … */
  struct burials burials;      /* … which the brokers may not have yet */
  int64_t buried_again;        /* boot ms */
  struct kafka_reader *reader; /* of the tables and the leases */
  struct kafka_reader *work_reader; /* of work; NULL until something is taken */

  struct metrics *metrics; /* NULL: nobody counts */
  char *settings;          /* of members of groups; NULL: nothing is compared */
  char *config;            /* what all services should have in common; NULL: none is a service */
  int64_t config_say_at;   /* boot ms */
  struct strlist config_told;
  struct kafka_tables tables;
  struct claims *leases;
  struct cursor leases_cursor;
  struct kafka_work jobs;
  struct kafka_work
      shards[QUEUES_MAX]; /* of the queues that this handle serves, in order of preference */
  int served_count;
  struct kafka_queue *served[QUEUES_MAX];
  int64_t partitions_at; /* boot ms: new partitions were looked for */
  unsigned int turns;    /* shards that were looked for */
  char *placed_job;      /* whose queue was looked up last … */
  int placed_queue;      /* … and its index */
  struct holdings holdings;
  struct shunned *shunned;
  size_t shunned_count;
  int64_t next_ticket;
  int64_t pace_ms; /* how long the caller has a delivery, on average; -1: not known */
  struct scan *scan;

  bool away;        /* the brokers were asked, and none answered */
  int64_t asked_at; /* boot ms */
  int64_t complained_at;

  pthread_mutex_t lock; /* of what librdkafka's threads write: */
  char trouble[1024];   /* the last error, "" when all is well */
  int64_t trouble_at;   /* boot ms of it; 0: never */
  int told;             /* how much it tells; 0: it is no known one */
  bool doubted; /* whether anybody answers: something took too long, or all connections are down */
  bool refused; /* it is one that waiting doesn't mend */
};

/* How long a question may take at most: MOST, but whoever holds leases must get back to renewing
 * them. */
int64_t kafka_at_most (const struct kafka_bus *bus, int64_t most);

/* ---- trouble.c */

/* ERROR_TRANSIENT: WHAT took too long; says what the brokers' last trouble was. */
int kafka_timeout (struct kafka_bus *bus, const char *what, struct error *err);
int kafka_error (struct kafka_bus *bus, rd_kafka_resp_err_t code, const char *what,
                 struct error *err);
int64_t kafka_trouble_at (struct kafka_bus *bus);

/* Whether the last trouble was a password, a certificate or the like: somebody must do something
 * about it. */
bool kafka_is_refused (struct kafka_bus *bus);

/* Whether it is worth asking if anybody is there. */
bool kafka_is_doubted (struct kafka_bus *bus);

/* An answer came: what was before it is over. */
void kafka_answered (struct kafka_bus *bus);

/* librdkafka's callbacks; OPAQUE is the bus. Any thread. */
void kafka_on_error (rd_kafka_t *handle, int code, const char *reason, void *opaque);
void kafka_on_log (const rd_kafka_t *handle, int level, const char *facility, const char *text);

/* ---- kafka.c */

/* What a handle needs that only talks to the brokers: URL, properties, topics' names, the lock.
 * REST is what stands behind the scheme. */
int kafka_names_init (struct kafka_bus *bus, const char *rest, const struct bus_options *options,
                      struct error *err);
void kafka_names_release (struct kafka_bus *bus);
int64_t kafka_patience (const struct bus_options *options); /* ms, -1: for ever */

/* Replaces a producer that librdkafka has given up; what was on its way counts as not sent. */
void kafka_renew_producer (struct kafka_bus *bus);

/* A handle of TYPE with our settings; EXTRA: name, value, …, NULL. NULL with ERR. */
rd_kafka_t *kafka_handle (struct kafka_bus *bus, rd_kafka_type_t type, const char *const *extra,
                          struct error *err);

/* The same for a handle that only asks something: EXTRA goes before the user's properties, and what
 * it says of its troubles counts for nothing. Deliveries are events. */
rd_kafka_t *kafka_asker (struct kafka_bus *bus, rd_kafka_type_t type, const char *const *extra,
                         struct error *err);

/* ---- topics.c */

char *kafka_topic_name (const char *prefix, enum topic topic);

/* TOPIC itself, or TOPIC_SHARDS or TOPIC_CLAIMS for those of further queues. */
enum topic kafka_topic_kind (int topic);

/* Reads the numbers of partitions; ERROR_USER when a topic is missing, ERROR_TRANSIENT when nobody
 * answers within TIMEOUT_MS. */
int kafka_look_up_topics (struct kafka_bus *bus, int timeout_ms, struct error *err);

/* The partition of an event or a status: by its job, always the same. */
int32_t kafka_partition_of_job (const struct kafka_bus *bus, int topic, const char *job_id);

/* ---- queues.c */

/* Names the topics of a further queue, without looking whether they are there; NULL with ERR when
 * there are too many. */
struct kafka_queue *queues_add (struct kafka_bus *bus, const char *name, struct error *err);
struct kafka_queue *queues_find (struct kafka_bus *bus, const char *name);

/* The queue NAME, whose topics are looked up when it wasn't needed before. NULL with ERR:
 * ERROR_USER when it has none. */
struct kafka_queue *queues_need (struct kafka_bus *bus, const char *name, struct error *err);

/* The queue of the job; "default" when there is no such job. NULL with ERR. */
struct kafka_queue *queues_of_job (struct kafka_bus *bus, const char *job_id, struct error *err);

/* A record of the leases, which may be word of somebody who serves a queue. */
void queues_take_in (struct kafka_bus *bus, const char *key, const struct claim *claim,
                     int64_t time);

/* Says of each queue that this handle serves that it does, when nobody else did so lately. */
void queues_pump (struct kafka_bus *bus);
int kafka_queue_served (struct bus *bus, const char *queue, int64_t *since, struct error *err);

/* ---- config.c */

/* A record of the leases, which may be word of what others have. */
void config_take_in (struct kafka_bus *bus, const char *key, const struct claim *claim,
                     int64_t time);

/* Says what we have, when nobody with the same did so lately. */
void config_pump (struct kafka_bus *bus);

/* ---- producer.c */

struct receipt *receipt_new (void);

/* Nobody asks any more. NULL is fine. */
void receipt_leave (struct receipt *receipt);

static inline void
auto_receipt_ (struct receipt **receipt)
{
  receipt_leave (*receipt);
}
#define auto_receipt AUTO (auto_receipt_)

/* What librdkafka calls (dr_msg_cb). */
void receipt_note (rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque);

/* Hands a record over. Waits while the local queue is full, but not for as long as brokers are
 * away. */
int kafka_send (struct kafka_bus *bus, int topic, int32_t partition, const char *key,
                const struct buffer *payload, struct receipt *receipt, struct error *err);

/* The same without a frame; PAYLOAD without data is a tombstone. */
int kafka_send_as_is (struct kafka_bus *bus, int topic, int32_t partition, const char *key,
                      struct bytes payload, struct receipt *receipt, struct error *err);

/* Waits for RECEIPT and resets it: 0, or -1. What took too long is still on its way. */
int kafka_await (struct kafka_bus *bus, struct receipt *receipt, const char *what,
                 struct error *err);

/* Calls librdkafka's callbacks. */
void kafka_serve (struct kafka_bus *bus, int timeout_ms);

/* ---- trust.c */

#define SIGNATURE_SIZE 72 /* KEYRING_TEXT_SIZE */

/* Reads the file that SHOAL_JOB_KEY names, where it names one. */
int trust_init (struct kafka_bus *bus, struct error *err);
void trust_release (struct kafka_bus *bus);

/* What goes into a record's header, in TEXT; NULL: this one isn't signed. */
const char *trust_sign (const struct kafka_bus *bus, int topic, struct bytes key,
                        struct bytes value, char text[static SIGNATURE_SIZE]);

/* Whether MESSAGE, which CURSOR has just read, counts; else says why in `cursor->refused`. */
bool trust_judge (struct cursor *cursor, const rd_kafka_message_t *message);

/* ERROR_USER where others sign and we can't: WHAT ("a job") would be refused by all of them. */
int trust_need_key (const struct kafka_bus *bus, const char *what, struct error *err);

/* ---- reader.c */

enum
{
  FROM_START = 0,
  FROM_END = -1,
};

struct kafka_reader *kafka_reader_open (struct kafka_bus *bus, const char *group,
                                        struct error *err);
void kafka_reader_close (struct kafka_reader *reader);

/* Starts reading PARTITION at offset FROM (at the oldest there is when that is gone). */
int cursor_open (struct cursor *cursor, struct kafka_reader *reader, int topic, int32_t partition,
                 int64_t from, struct error *err);
void cursor_close (struct cursor *cursor);
bool cursor_is_open (const struct cursor *cursor);

/* The next record: 1, the caller destroys it; 0 when there is none now. What it holds is the
 * cursor's `payload`. */
int cursor_next (struct cursor *cursor, rd_kafka_message_t **message);

/* As cursor_next, but waits until the end that was last looked for is reached: 0 means that nothing
 * is left before it. */
int cursor_next_before_end (struct cursor *cursor, rd_kafka_message_t **message, struct error *err);

/* Asks any broker who leads TOPIC's partitions; false when none answers. */
bool kafka_look_for_leaders (struct kafka_bus *bus, int topic, int timeout_ms);

/* Looks where the partition ends now. */
int cursor_look_for_end (struct cursor *cursor, struct error *err);

static inline bool
cursor_is_at_end (const struct cursor *cursor)
{
  return cursor->next >= cursor->end;
}

/* One record, read by itself. Its payload is `cursor.payload`. */
struct record
{
  struct cursor cursor;
  struct kafka_reader
      *own; /* of a topic that the tables read: a partition is read once by each reader */
  rd_kafka_message_t *message;
};

/* Reads the record at OFFSET into zeroed RECORD: 1, or 0 when it is gone. */
int record_read (struct record *record, struct kafka_bus *bus, int topic, int32_t partition,
                 int64_t offset, struct error *err);
void record_release (struct record *record);
#define auto_record AUTO (record_release)

/* The first offset at TIME (broker's clock, ms) or later; the end when there is none; -1. */
int64_t cursor_find_time (struct kafka_reader *reader, int topic, int32_t partition, int64_t time,
                          struct error *err);

/* Fills in what the reader's group committed. */
rd_kafka_resp_err_t kafka_committed (struct kafka_reader *reader,
                                     rd_kafka_topic_partition_list_t *list);

/* Commits LIST for the reader's group, and waits for the brokers' word for up to WAIT_MS; 0:
 * doesn't. */
rd_kafka_resp_err_t kafka_commit (struct kafka_reader *reader,
                                  rd_kafka_topic_partition_list_t *list, int wait_ms);

/* Whether records of TOPIC travel in a schema registry's frame, where there is one: claims are ours
 * alone, what is dead stays as it was. */
bool kafka_is_packed (int topic);

/* Whether CODE is of those that pass by themselves: a leader or a coordinator that is just
 * changing. */
bool kafka_may_pass (rd_kafka_resp_err_t code);

/* The record's key as a string, "" when there is none. The caller frees. */
char *message_key (const rd_kafka_message_t *message);
int64_t message_time (const rd_kafka_message_t *message);

static inline void
auto_message_ (rd_kafka_message_t **message)
{
  if (*message != NULL)
    rd_kafka_message_destroy (*message);
}
#define auto_message AUTO (auto_message_)

/* ---- tables.c */

void tables_init (struct kafka_bus *bus);
void tables_release (struct kafka_bus *bus);

/* Takes in what has come, without waiting; opens nothing. */
void tables_pump (struct kafka_bus *bus);

/* NULL with *ERR unset when there is no such job. */
const struct kafka_job *tables_job (struct kafka_bus *bus, const char *id, struct error *err);

/* Whether shards of GENERATION are still delivered, as far as known. */
bool tables_is_live (struct kafka_bus *bus, const char *job_id, uint32_t generation);

/* The jobs, read to their end: 0 or -1. Whoever takes jobs calls it: records at offset FROM or
 * later that contradict a job are made letters. */
int tables_judge_jobs (struct kafka_bus *bus, int64_t from, struct error *err);

/* The tables that tell which shards are alive, read to their ends: 0 or -1. */
int tables_need_liveness (struct kafka_bus *bus, struct error *err);

int kafka_submit (struct bus *bus, const struct job *job, struct error *err);
int kafka_get_job (struct bus *bus, const char *id, struct job *job, struct error *err);
int kafka_list_jobs (struct bus *bus, const char *after,
                     int (*each) (void *context, const struct job *job), void *context,
                     struct error *err);
int kafka_publish_control (struct bus *bus, const struct control *control, struct error *err);
int kafka_next_control (struct bus *bus, int64_t *position, struct control *control,
                        struct error *err);
int kafka_put_status (struct bus *bus, const struct job_status *status, struct error *err);
int kafka_get_status (struct bus *bus, const char *job_id, struct job_status *status,
                      struct error *err);

/* ---- work.c */

void work_init (struct kafka_bus *bus);

/* Names the queues that are served, in order of preference; NULL: "default". */
int work_serve (struct kafka_bus *bus, const struct strlist *queues, struct error *err);
void work_release (struct kafka_bus *bus); /* gives back what is held */
void work_pump (struct kafka_bus *bus);

/* Waits for what was settled to be published. */
int work_flush (struct kafka_bus *bus, struct error *err);
int kafka_take (struct bus *bus, enum bus_queue queue, const char *job_id,
                struct delivery **delivery, struct error *err);
int kafka_keep (struct bus *bus, struct delivery *delivery, struct error *err);
int kafka_settle (struct bus *bus, struct delivery *delivery, const struct event *event,
                  const struct shard *retry, struct error *err);
int kafka_give_back (struct bus *bus, struct delivery *delivery, struct error *err);
void kafka_rest (struct bus *bus);
void kafka_shun (struct bus *bus, const char *job_id, int64_t ms);
bool work_is_shunned (struct kafka_bus *bus, const char *job_id);

/* ---- leases: leases.c */

/* The claims on jobs and groups, read to their end as it is now. */
int leases_sync (struct kafka_bus *bus, struct error *err);
void leases_pump (struct kafka_bus *bus);

/* The same, with the log's clock moved to now. */
int leases_ask_time (struct kafka_bus *bus, struct error *err);

/* ---- follow.c */

struct follower *kafka_follow (struct bus *bus, const char *group, const char *job_id,
                               struct error *err);

/* ---- dead_letters.c */

/* Makes a dead letter of MESSAGE, which CURSOR has just read and nobody can: with where it was and
 * WHY as headers. What wasn't signed as it must be is a letter for that. */
void kafka_bury (struct kafka_bus *bus, const struct cursor *cursor,
                 const rd_kafka_message_t *message, const struct error *why);

/* The same for another REASON (LETTER_…) than that it can't be read. */
void kafka_bury_as (struct kafka_bus *bus, const struct cursor *cursor,
                    const rd_kafka_message_t *message, const char *reason, const struct error *why);
/* Whether the brokers have all letters, so that what was committed may pass them. Those that they
 * refused are written again, now and then. */
bool kafka_buried (struct kafka_bus *bus);
void burials_release (struct kafka_bus *bus);

/* Only says so. */
void kafka_log_skipped (const struct cursor *cursor, const rd_kafka_message_t *message,
                        const struct error *why);

/* For records that everybody reads: one kind of reader makes letters of them, all others only say
 * so. */
void kafka_pass_by (struct kafka_bus *bus, const struct cursor *cursor,
                    const rd_kafka_message_t *message, const struct error *why);

/* kafka_bury for the record at OFFSET: 1, 0 when it is gone, -1. */
int kafka_bury_at (struct kafka_bus *bus, int topic, int32_t partition, int64_t offset,
                   const struct error *why, struct error *err);
int kafka_list_letters (struct bus *bus, int (*each) (void *context, const struct letter *letter),
                        void *context, struct error *err);
int kafka_replay_letter (struct bus *bus, const struct letter *letter, struct error *err);

/* ---- plan.c */

/* "JOB/map/1/42/1": under which a shard's message and its claims stand. The caller frees. */
char *shard_key (const struct shard *shard);

/* The parts of KEY; false when it is no such key. JOB is its first *JOB_SIZE bytes. */
bool shard_key_parse (const char *key, size_t *job_size, uint32_t *generation, uint32_t *attempt);

int kafka_publish_shard (struct bus *bus, const struct shard *shard, struct error *err);
int kafka_publish_event (struct bus *bus, const struct event *event, struct error *err);
int kafka_flush (struct bus *bus, struct error *err);
int kafka_get_shard (struct bus *bus, const char *job_id, uint32_t index, struct shard *shard,
                     struct error *err);
int kafka_replay (struct bus *bus, const char *job_id, uint32_t generation, const uint32_t *indexes,
                  size_t count, struct error *err);
void scan_free (struct scan *scan);

#endif

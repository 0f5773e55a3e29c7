/* bus.h — what carries jobs, shards, claims and events between the three parts.
 *
 *  submit ─► JOBS ─take─► producer ─publish─► SHARDS ─take─► worker ─settle─► events ─► merger
 *                                                              ▲ control           status ◄─put─┘
 *
 * The bus speaks in deliveries, not in topics. Work is taken, kept (renewed) while it runs, and
 * settled or released; events are followed from a position. How a bus remembers who runs what is
 * its own business: rows with leases in SQLite, offsets and a claims topic on Kafka.
 *
 * Guarantees that every implementation gives (tests/lib/bus_conformance*.c hold them to it):
 *   - everything has a deterministic name: publishing the same job, shard or plan again is no
 *     second one;
 *   - a delivery is held by one taker at a time; one whose taker died, or didn't keep it for a
 *     lease, is delivered again with `starts` one higher;
 *   - settling writes the completion event, the retry and the end of the delivery so that no crash
 *     can separate them, and writes nothing when the delivery isn't ours any more;
 *   - all followers see the events of one job in the same order. After a crash an event may stand
 *     there twice, word for word.
 *
 * A bus handle belongs to one thread; processes and threads open their own. Functions return 0 (or
 * a count) or -1 with ERR: ERROR_TRANSIENT where waiting may help, ERROR_FATAL where not.
 */
#ifndef SHOAL_BUS_BUS_H
#define SHOAL_BUS_BUS_H

#include "bus/delivery.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>

/* The `code` of an ERROR_TRANSIENT whose cause is the bus itself: its servers don't answer. */
#define BUS_AWAY EHOSTDOWN
#define BUS_UNMADE ENODATA /* of bus_open's ERROR_USER: no topics, the bus was never set up */

struct bus;

/* What a handle is opened for: a bus that can tells at opening what it hasn't got for that, and not
 * in the middle of the work. */
enum bus_role
{
  BUS_ROLE_NONE, /* a command: it hears it when it asks */
  BUS_ROLE_PRODUCER,
  BUS_ROLE_API, /* a producer that takes jobs by HTTP */
  BUS_ROLE_WORKER,
  BUS_ROLE_MERGER,
};

enum bus_access
{
  BUS_MAKES,  /* a bus of one machine that isn't there is made */
  BUS_WRITES, /* it must be there */
  /* … and nothing is written to it; it may be another user's, or on storage that can't be written
     to */
  BUS_READS,
};

struct bus_options
{
  const char *client; /* "worker", "merger" …: the writer's name with host and process id */
  enum bus_role role;
  enum bus_access access;
  int64_t lease_ms; /* 0: 30 s */
  const struct strlist
      *queues; /* whose shards are taken, in order of preference; NULL: "default" */
  int slots;   /* deliveries that the caller can hold at once; 0: 1 */
  /* how long a server that doesn't answer is tried at opening; 0: 10 s, -1: for ever */
  int64_t patience_ms;
  const volatile sig_atomic_t *stop; /* opening is given up when it becomes non-zero; NULL: never */
  const struct strlist *properties; /* of the server's client library: name, value, …; NULL: none */
  struct metrics *metrics; /* what the bus counts; outlives the handle; NULL: nobody asks */
  /* what all members of a group should have in common: those that differ are told; NULL: nothing */
  const char *settings;
  /* what all services of a bus should have in common, a word of A-Z, a-z, 0-9, '.', '_', '-',
     likewise: "config_mismatch" in their logs */
  const char *config;
};

/* URL: "sqlite:FILE" or "kafka://HOST:PORT[,…][/PREFIX]" (topics must be there). NULL with ERR; a
 * scheme that isn't known, or a FILE that should be there and isn't, is ERROR_USER. */
struct bus *bus_open (const char *url, const struct bus_options *options, struct error *err);
void bus_close (struct bus *bus);

static inline void
auto_bus_ (struct bus **bus)
{
  bus_close (*bus);
}
#define auto_bus AUTO (auto_bus_)

/* This handle's name in claims and events, e.g. "worker-host-4711". */
const char *bus_writer (const struct bus *bus);

/* Whether nobody answers any more; bus_poll finds it out, and says so in the log as long as it
 * lasts. */
bool bus_is_away (const struct bus *bus);

/* As poll(2) over FDS (may be NULL, 0), but returns as soon as the bus may have something new as
 * well. Returns what poll does. TIMEOUT_MS as there. */
int bus_poll (struct bus *bus, struct pollfd *fds, nfds_t count, int timeout_ms);

/* ---- jobs */

/* Submits JOB: 1 when it is new; 0 when a job of this id was there already (which stays as it is);
 * BUS_UNREAD, taken, but on Kafka behind a transaction that another client holds open. */
#define BUS_UNREAD 2
int bus_submit (struct bus *bus, const struct job *job, struct error *err);

/* Reads the job ID into zeroed JOB: 1, or 0 when there is none. */
int bus_get_job (struct bus *bus, const char *id, struct job *job, struct error *err);

/* Calls EACH for every job behind the job AFTER (NULL: all), oldest first, until it returns
 * non-zero, which is returned. AFTER isn't there: ERROR_USER. */
int bus_list_jobs (struct bus *bus, const char *after,
                   int (*each) (void *context, const struct job *job), void *context,
                   struct error *err);

/* ---- plan: idempotent by (job, generation, index, attempt) */

/* May be held back until bus_flush. */
int bus_publish_shard (struct bus *bus, const struct shard *shard, struct error *err);
int bus_publish_event (struct bus *bus, const struct event *event, struct error *err);

/* Returns when all that was published is safe with the bus. */
int bus_flush (struct bus *bus, struct error *err);

/* The shard INDEX of the job as its plan has it, first published: 1, 0 when there is none. */
int bus_get_shard (struct bus *bus, const char *job_id, uint32_t index, struct shard *shard,
                   struct error *err);

/* Runs shards again: publishes INDEXES with GENERATION (attempt 1, at once) together with the
 * REOPENED event. Doing it twice is doing it once; unknown indexes are ERROR_USER and nothing is
 * written. With no INDEXES the job is only reopened: what its merger publishes then (the reduce
 * shard) is delivered. */
int bus_replay (struct bus *bus, const char *job_id, uint32_t generation, const uint32_t *indexes,
                size_t count, struct error *err);

/* ---- work */

/* Whether a worker serves QUEUE: 1; or 0, and *SINCE is when one was last heard of, UTC ms, 0:
 * never. */
int bus_queue_served (struct bus *bus, const char *queue, int64_t *since, struct error *err);

/* Takes what is due: 1 and a new delivery, 0 when there is nothing now. JOB_ID restricts it to one
 * job (NULL: any). Shards come in order of publishing, retries when they are due. A shard of a job
 * that is cancelled or terminal isn't delivered, and one of a paused job only when that goes on. */
int bus_take (struct bus *bus, enum bus_queue queue, const char *job_id, struct delivery **delivery,
              struct error *err);

/* Renews the lease: 1, or 0 when the delivery isn't ours any more (its work must be stopped and not
 * be settled). Call it at least every third of the lease. */
int bus_keep (struct bus *bus, struct delivery *delivery, struct error *err);

/* Ends the delivery: EVENT and RETRY (may be NULL) are published and the delivery is done, all or
 * nothing. 1, or 0 when it isn't ours any more and nothing was written; or BUS_PENDING: whether it
 * is ours has to be asked, to be called again with the same arguments when bus_poll has returned.
 * After 1 it may still be on its way, as what is published is: bus_flush and bus_close wait for it.
 * The caller still frees DELIVERY. */
enum
{
  BUS_PENDING = 2
};

int bus_settle (struct bus *bus, struct delivery *delivery, const struct event *event,
                const struct shard *retry, struct error *err);

/* The same for a caller with nothing else to do: returns when it is done. */
int bus_settle_wait (struct bus *bus, struct delivery *delivery, const struct event *event,
                     const struct shard *retry, struct error *err);

/* Gives it back at once; the start doesn't count. 1 or 0 as above. */
int bus_release (struct bus *bus, struct delivery *delivery, struct error *err);

/* All that had taken shards of JOB_ID has ended with this machine or run: `lost` of deliveries
 * begins at 0 again. A bus of several machines can't know that, and goes on counting. */
int bus_forget_losses (struct bus *bus, const char *job_id, struct error *err);

/* Nothing of JOB_ID is taken through this handle for MS: its shards are left to others. A bus on
 * one machine has no others, and gives them all the same. */
void bus_back_off (struct bus *bus, const char *job_id, int64_t ms);

/* Nothing is taken by this handle any more: what the bus held ready for it goes to others. */
void bus_quiesce (struct bus *bus);

/* ---- control, status (events: follower.h; dead letters: dead_letter.h) */

/* Control records are few and read by everybody. */
int bus_publish_control (struct bus *bus, const struct control *control, struct error *err);

/* The first control record above *POSITION (0: from the start) into zeroed CONTROL; *POSITION moves
 * on. 1 or 0. */
int bus_next_control (struct bus *bus, int64_t *position, struct control *control,
                      struct error *err);

/* The last status of each job stays. */
int bus_put_status (struct bus *bus, const struct job_status *status, struct error *err);
int bus_get_status (struct bus *bus, const char *job_id, struct job_status *status,
                    struct error *err);

#endif

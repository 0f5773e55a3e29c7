/* The seam itself: finds the implementation by the URL's scheme and passes every call on. */
#include "bus/bus.h"

#include "bus/amend.h"
#include "bus/bus_ops.h"
#include "bus/dead_letter.h"
#include "bus/follower.h"
#include "bus/hold.h"
#include "bus/queue_list.h"
#include "bus/records.h"
#include "bus/replan.h"

#include <stdlib.h>
#include <string.h>

struct bus *
bus_open (const char *url, const struct bus_options *options, struct error *err)
{
  static const char sqlite[] = "sqlite:";
  static const char kafka[] = "kafka://";
  if (strncmp (url, sqlite, sizeof sqlite - 1) == 0 && url[sizeof sqlite - 1] != '\0')
    return sqlite_bus_open (url + sizeof sqlite - 1, options, err);
  if (strncmp (url, kafka, sizeof kafka - 1) == 0)
    return kafka_bus_open (url + sizeof kafka - 1, options, err);
  (void) error_set (err, ERROR_USER,
                    "%s: not a bus this program knows: expected sqlite:FILE or "
                    "kafka://HOST:PORT[,…][/PREFIX]",
                    url);
  return NULL;
}

void
bus_close (struct bus *bus)
{
  if (bus != NULL)
    bus->ops->close (bus);
}

const char *
bus_writer (const struct bus *bus)
{
  return bus->ops->writer (bus);
}

bool
bus_is_away (const struct bus *bus)
{
  return bus->ops->is_away != NULL && bus->ops->is_away (bus);
}

int
bus_poll (struct bus *bus, struct pollfd *fds, nfds_t count, int timeout_ms)
{
  return bus->ops->poll (bus, fds, count, timeout_ms);
}

int
bus_submit (struct bus *bus, const struct job *job, struct error *err)
{
  return bus->ops->submit (bus, job, err);
}

int
bus_get_job (struct bus *bus, const char *id, struct job *job, struct error *err)
{
  return bus->ops->get_job (bus, id, job, err);
}

static int
bus_refuse_to_amend (struct error *err)
{
  return error_set (err, ERROR_USER,
                    "a job on a fleet keeps its limits and environment: submit it again with "
                    "another --id and --results");
}

int
bus_amend_job (struct bus *bus, const struct job *job, struct error *err)
{
  return bus->ops->amend_job == NULL ? bus_refuse_to_amend (err)
                                     : bus->ops->amend_job (bus, job, err);
}

int
bus_amend_replay (struct bus *bus, const struct job *job, uint32_t generation,
                  const uint32_t *indexes, size_t count, struct error *err)
{
  return bus->ops->amend_replay == NULL
             ? bus_refuse_to_amend (err)
             : bus->ops->amend_replay (bus, job, generation, indexes, count, err);
}

int
bus_replan (struct bus *bus, const struct job *job, uint32_t generation,
            int (*fill) (void *context, struct error *err), void *context, struct error *err)
{
  if (bus->ops->replan == NULL)
    return error_set (err, ERROR_USER,
                      "a job on a fleet keeps its plan: submit it again with another --batch-size, "
                      "--id and --results");
  return bus->ops->replan (bus, job, generation, fill, context, err);
}

int
bus_list_jobs (struct bus *bus, const char *after,
               int (*each) (void *context, const struct job *job), void *context, struct error *err)
{
  return bus->ops->list_jobs (bus, after, each, context, err);
}

int
bus_publish_shard (struct bus *bus, const struct shard *shard, struct error *err)
{
  return bus->ops->publish_shard (bus, shard, err);
}

int
bus_publish_event (struct bus *bus, const struct event *event, struct error *err)
{
  return bus->ops->publish_event (bus, event, err);
}

int
bus_flush (struct bus *bus, struct error *err)
{
  return bus->ops->flush (bus, err);
}

int
bus_get_shard (struct bus *bus, const char *job_id, uint32_t index, struct shard *shard,
               struct error *err)
{
  return bus->ops->get_shard (bus, job_id, index, shard, err);
}

int
bus_list_shards (struct bus *bus, const char *job_id, void (*each) (void *context, uint32_t index),
                 void *context, struct error *err)
{
  return bus->ops->list_shards (bus, job_id, each, context, err);
}

int
bus_replay (struct bus *bus, const char *job_id, uint32_t generation, const uint32_t *indexes,
            size_t count, struct error *err)
{
  return bus->ops->replay (bus, job_id, generation, indexes, count, err);
}

int
bus_list_dead_letters (struct bus *bus,
                       int (*each) (void *context, const struct dead_letter *letter), void *context,
                       struct error *err)
{
  return bus->ops->list_dead_letters == NULL
             ? 0
             : bus->ops->list_dead_letters (bus, each, context, err);
}

int
bus_tail_records (struct bus *bus, const struct bus_tail *tail,
                  int (*each) (void *context, const struct bus_record *record), void *context,
                  struct error *err)
{
  if (bus->ops->tail_records == NULL)
    return error_set (err, ERROR_USER, "this bus has no topics: expected kafka://HOST:PORT");
  return bus->ops->tail_records (bus, tail, each, context, err);
}

int
bus_replay_dead_letter (struct bus *bus, const struct dead_letter *letter, struct error *err)
{
  if (bus->ops->replay_dead_letter == NULL)
    return error_set (err, ERROR_USER, "this bus has no dead letters");
  return bus->ops->replay_dead_letter (bus, letter, err);
}

int
bus_list_queues (struct bus *bus, struct strlist *queues, struct error *err)
{
  return bus->ops->list_queues (bus, queues, err);
}

int
bus_queue_served (struct bus *bus, const char *queue, int64_t *since, struct error *err)
{
  *since = 0;
  return bus->ops->queue_served == NULL ? 1 : bus->ops->queue_served (bus, queue, since, err);
}

int
bus_take (struct bus *bus, enum bus_queue queue, const char *job_id, struct delivery **delivery,
          struct error *err)
{
  return bus->ops->take_due (bus, queue, job_id, delivery, err);
}

int
bus_keep (struct bus *bus, struct delivery *delivery, struct error *err)
{
  return bus->ops->keep (bus, delivery, err);
}

int
bus_settle (struct bus *bus, struct delivery *delivery, const struct event *event,
            const struct shard *retry, struct error *err)
{
  return bus->ops->settle (bus, delivery, event, retry, err);
}

int
bus_settle_wait (struct bus *bus, struct delivery *delivery, const struct event *event,
                 const struct shard *retry, struct error *err)
{
  enum
  {
    LOOK_MS = 100
  };
  int outcome = bus_settle (bus, delivery, event, retry, err);
  while (outcome == BUS_PENDING)
    {
      (void) bus_poll (bus, NULL, 0, LOOK_MS);
      outcome = bus_settle (bus, delivery, event, retry, err);
    }
  return outcome == 1 && bus_flush (bus, err) != 0 ? -1 : outcome;
}

int
bus_release (struct bus *bus, struct delivery *delivery, struct error *err)
{
  return bus->ops->release (bus, delivery, err);
}

int
bus_forget_losses (struct bus *bus, const char *job_id, struct error *err)
{
  return bus->ops->forget_losses == NULL ? 0 : bus->ops->forget_losses (bus, job_id, err);
}

int
bus_let_go (struct bus *bus, const char *job_id, const uint32_t *indexes, size_t count,
            struct error *err)
{
  if (bus->ops->let_go == NULL)
    return error_set (err, ERROR_USER, "a bus of a fleet holds no shards back");
  return bus->ops->let_go (bus, job_id, indexes, count, err);
}

void
bus_back_off (struct bus *bus, const char *job_id, int64_t ms)
{
  if (bus->ops->back_off != NULL)
    bus->ops->back_off (bus, job_id, ms);
}

void
bus_quiesce (struct bus *bus)
{
  if (bus->ops->quiesce != NULL)
    bus->ops->quiesce (bus);
}

struct follower *
bus_follow (struct bus *bus, const char *group, const char *job_id, struct error *err)
{
  return bus->ops->follow (bus, group, job_id, err);
}

int
follower_next (struct follower *follower, struct event *event, struct error *err)
{
  return follower->ops->next (follower, event, err);
}

bool
follower_holds (struct follower *follower, const char *job_id, struct error *err)
{
  return follower->ops->holds (follower, job_id, err);
}

void
follower_rewind (struct follower *follower)
{
  follower->ops->rewind (follower);
}

int
follower_commit (struct follower *follower, const int64_t *positions, size_t count,
                 struct error *err)
{
  return follower->ops->commit (follower, positions, count, err);
}

void
follower_close (struct follower *follower)
{
  if (follower != NULL)
    follower->ops->close (follower);
}

int
bus_publish_control (struct bus *bus, const struct control *control, struct error *err)
{
  return bus->ops->publish_control (bus, control, err);
}

int
bus_next_control (struct bus *bus, int64_t *position, struct control *control, struct error *err)
{
  return bus->ops->next_control (bus, position, control, err);
}

int
bus_put_status (struct bus *bus, const struct job_status *status, struct error *err)
{
  return bus->ops->put_status (bus, status, err);
}

int
bus_get_status (struct bus *bus, const char *job_id, struct job_status *status, struct error *err)
{
  return bus->ops->get_status (bus, job_id, status, err);
}

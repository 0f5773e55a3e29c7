/* bus_ops.h — what an implementation of the bus provides; bus.h says what each does. */
#ifndef SHOAL_BUS_BUS_OPS_H
#define SHOAL_BUS_BUS_OPS_H

#include "bus/bus.h"
#include "bus/dead_letter.h"
#include "bus/follower.h"
#include "bus/queue_list.h"
#include "bus/records.h"
#include "bus/shard_list.h"

struct bus_ops
{
  void (*close) (struct bus *bus);
  const char *(*writer) (const struct bus *bus);
  bool (*is_away) (const struct bus *bus); /* NULL: never */
  int (*poll) (struct bus *bus, struct pollfd *fds, nfds_t count, int timeout_ms);

  int (*submit) (struct bus *bus, const struct job *job, struct error *err);
  int (*get_job) (struct bus *bus, const char *id, struct job *job, struct error *err);
  int (*amend_job) (struct bus *bus, const struct job *job, struct error *err); /* NULL: never */
  int (*amend_replay) (struct bus *bus, const struct job *job, uint32_t generation,
                       const uint32_t *indexes, size_t count, struct error *err); /* NULL: never */
  int (*replan) (struct bus *bus, const struct job *job, uint32_t generation,
                 int (*fill) (void *context, struct error *err), void *context,
                 struct error *err); /* NULL: never */
  int (*list_jobs) (struct bus *bus, const char *after,
                    int (*each) (void *context, const struct job *job), void *context,
                    struct error *err);

  int (*publish_shard) (struct bus *bus, const struct shard *shard, struct error *err);
  int (*publish_event) (struct bus *bus, const struct event *event, struct error *err);
  int (*flush) (struct bus *bus, struct error *err);
  int (*get_shard) (struct bus *bus, const char *job_id, uint32_t index, struct shard *shard,
                    struct error *err);
  int (*list_shards) (struct bus *bus, const char *job_id,
                      void (*each) (void *context, uint32_t index), void *context,
                      struct error *err);
  int (*replay) (struct bus *bus, const char *job_id, uint32_t generation, const uint32_t *indexes,
                 size_t count, struct error *err);

  /* NULL: none */
  int (*list_dead_letters) (struct bus *bus,
                            int (*each) (void *context, const struct dead_letter *letter),
                            void *context, struct error *err);
  int (*replay_dead_letter) (struct bus *bus, const struct dead_letter *letter, struct error *err);

  int (*tail_records) (struct bus *bus, const struct bus_tail *tail,
                       int (*each) (void *context, const struct bus_record *record), void *context,
                       struct error *err); /* NULL: it has no topics */

  int (*list_queues) (struct bus *bus, struct strlist *queues, struct error *err);
  /* NULL: they always are */
  int (*queue_served) (struct bus *bus, const char *queue, int64_t *since, struct error *err);
  int (*take_due) (struct bus *bus, enum bus_queue queue, const char *job_id,
                   struct delivery **delivery, struct error *err);
  int (*keep) (struct bus *bus, struct delivery *delivery, struct error *err);
  int (*settle) (struct bus *bus, struct delivery *delivery, const struct event *event,
                 const struct shard *retry, struct error *err);
  int (*release) (struct bus *bus, struct delivery *delivery, struct error *err);
  int (*forget_losses) (struct bus *bus, const char *job_id, struct error *err); /* NULL: never */
  int (*let_go) (struct bus *bus, const char *job_id, const uint32_t *indexes, size_t count,
                 struct error *err);                                  /* NULL: nothing is held */
  void (*back_off) (struct bus *bus, const char *job_id, int64_t ms); /* NULL: for nobody */
  void (*quiesce) (struct bus *bus); /* NULL: nothing is held ready */

  struct follower *(*follow) (struct bus *bus, const char *group, const char *job_id,
                              struct error *err);
  int (*publish_control) (struct bus *bus, const struct control *control, struct error *err);
  int (*next_control) (struct bus *bus, int64_t *position, struct control *control,
                       struct error *err);
  int (*put_status) (struct bus *bus, const struct job_status *status, struct error *err);
  int (*get_status) (struct bus *bus, const char *job_id, struct job_status *status,
                     struct error *err);
};

/* The first member of an implementation's own struct. */
struct bus
{
  const struct bus_ops *ops;
};

struct follower_ops
{
  int (*next) (struct follower *follower, struct event *event, struct error *err);
  bool (*holds) (struct follower *follower, const char *job_id, struct error *err);
  void (*rewind) (struct follower *follower);
  int (*commit) (struct follower *follower, const int64_t *positions, size_t count,
                 struct error *err);
  void (*close) (struct follower *follower);
};

struct follower
{
  const struct follower_ops *ops;
};

/* The implementations. PATH is what stands behind the scheme. */
struct bus *sqlite_bus_open (const char *path, const struct bus_options *options,
                             struct error *err);
struct bus *kafka_bus_open (const char *rest, const struct bus_options *options, struct error *err);

#endif

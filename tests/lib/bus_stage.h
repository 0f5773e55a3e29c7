/* bus_stage.h — what each conformance test stands on: an empty bus with one handle open. */
#ifndef SHOAL_TESTS_LIB_BUS_STAGE_H
#define SHOAL_TESTS_LIB_BUS_STAGE_H

#include "bus/bus.h"
#include "tests/lib/bus_conformance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum
{
  LONG_LEASE_MS = 30000,
  SHORT_LEASE_MS = 300,
  COMING_MS = 20000, /* for what must come */
  SOON_MS = 3000,    /* far below the long lease, far above a slow machine's pause */
};

struct stage
{
  const struct bus_place *place;
  char *url;
  struct bus *bus;
  struct error err;
};

/* cmocka's setup and teardown: *STATE is the place before, the stage after. */
int stage_set_up (void **state);
int stage_tear_down (void **state);

struct bus *stage_open (const char *url, int64_t lease_ms);

/* One that takes shards of QUEUES; there is one of the name "gpu" beside the default. */
struct bus *stage_open_for (const char *url, int64_t lease_ms, const struct strlist *queues);

/* bus_take of what is on its way, however slow the machine is. */
int stage_take_from (struct stage *stage, struct bus *bus, enum bus_queue queue, const char *job_id,
                     struct delivery **delivery);

/* The next shard's index, -1 when there is none. It is the caller's. */
int stage_take (struct stage *stage, struct bus *bus, struct delivery **delivery);

/* There is nothing to take, and there comes nothing while the place needs patience. */
void stage_take_none (struct stage *stage, struct bus *bus, enum bus_queue queue,
                      const char *job_id);

/* A lease for those who are going to die: long where that is noticed at once. */
int64_t stage_mortal_lease (const struct stage *stage);

/* Takes until something comes, for at most TIMEOUT_MS. */
int stage_await (struct stage *stage, struct bus *bus, struct delivery **delivery, int timeout_ms);

/* The next shard must be WANTED (-1: none), and is settled. */
void stage_settle_next (struct stage *stage, struct bus *bus, int wanted);

/* The next COUNT shards, in any order, are settled. */
void stage_settle_any (struct stage *stage, struct bus *bus, int count);

/* Events of KIND in the whole log. */
int stage_count_events (struct stage *stage, enum event_kind kind);

/* A call that must give WANTED; else the error is shown. */
#define expect(stage, wanted, call)                                                                \
  do                                                                                               \
    {                                                                                              \
      error_clear (&(stage)->err);                                                                 \
      int got_ = (call);                                                                           \
      if (got_ != (wanted))                                                                        \
        fail_msg ("%s gave %d, not %d: %s", #call, got_, (wanted), (stage)->err.message);          \
    }                                                                                              \
  while (0)

#endif

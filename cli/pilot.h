/* pilot.h — `run --pilot`: lets a job's shards go, those of the pilot first (merger/pilot.h), and
 * tells what the whole job will need, by what these needed.
 *
 * State: none that matters. What is held is on the bus, how the pilot goes is read from the events.
 */
#ifndef SHOAL_CLI_PILOT_H
#define SHOAL_CLI_PILOT_H

#include "bus/bus.h"
#include "cli/counters.h"

struct pilot;

/* JOB outlives it. */
struct pilot *pilot_new (const struct job *job);
void pilot_free (struct pilot *pilot);

/* Takes EVENT in. */
void pilot_add (struct pilot *pilot, const struct event *event);

/* Lets go on BUS what may run by now, as FOLD has it: 1 when the pilot has succeeded just now and
 * others follow, 0, or -1. */
int pilot_tend (struct pilot *pilot, struct bus *bus, const struct fold *fold, struct error *err);

/* Lines for people: what the job of COUNTERS will need with SLOTS shards at a time, as ranges from
 * the pilot's shard that needed least to the one that needed most. What isn't known is said to be
 * unknown. The caller releases LINES. */
void pilot_tell (const struct pilot *pilot, const struct counters *counters, int64_t slots,
                 struct strlist *lines);

#endif

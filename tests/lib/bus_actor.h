/* bus_actor.h — other processes on a bus, which a test tells what to do.
 *
 * An actor is the test program itself, started again (never only forked: no handle may cross a
 * fork), with one bus handle. It reads a command a line and answers with a line; so the test
 * decides the order in which processes act, and may stop and kill them in between.
 */
#ifndef SHOAL_TESTS_LIB_BUS_ACTOR_H
#define SHOAL_TESTS_LIB_BUS_ACTOR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct actor
{
  pid_t pid;
  FILE *commands;
  FILE *answers;
  char answer[256];
};

/* Ends the program as an actor when its arguments say so; a test's main calls it first. */
void actor_main (int argc, char **argv);

/* Starts an actor and waits until it has opened the bus. */
void actor_start (struct actor *actor, const char *url, int64_t lease_ms);

/* The same in two steps. */
void actor_launch (struct actor *actor, const char *url, int64_t lease_ms);
void actor_await (struct actor *actor);

/* Sends COMMAND and waits for the answer, which is valid until the next one.
 *
 *   take JOB|-    "shard INDEX GENERATION ATTEMPT STARTS", "none" or "error …"
 *   keep          "1", "0"
 *   settle        "1", "0"; with the FINISHED event of a success
 *   release       "1", "0"
 *   next GROUP    the group's next event: "event POSITION INDEX", "none"
 *   holds         "1", "0"
 *   rewind        "0"
 *   commit N      "0"
 */
const char *actor_ask (struct actor *actor, const char *command);

/* Only sends it: for an actor that shall be killed meanwhile.
 *
 *   publish JOB N         publishes N shards of the job and the end of its plan, then exits
 *   work JOB SEED N       takes, keeps, retries, releases and settles at random until N shards are
 *                         final, exits
 */
void actor_tell (struct actor *actor, const char *command);

void actor_kill (struct actor *actor); /* kill -9, and waits for its end */

/* Its exit status, or -1 when it still runs after TIMEOUT_MS. */
int actor_wait (struct actor *actor, int timeout_ms);

#endif

#include "tests/lib/bus_actor.h"

#include "bus/follower.h"
#include "common/auto.h"
#include "common/clock.h"
#include "common/memory.h"
#include "common/spawn.h"
#include "tests/lib/bus_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

/* ---- the actor's side ------------------------------------------------------------------- */

struct part /* what an actor has in its hands */
{
  struct bus *bus;
  struct delivery *delivery;
  struct follower *follower;
  struct error err;
};

static void
answer (const struct part *part, int outcome)
{
  if (outcome < 0)
    printf ("error %s\n", part->err.message);
  else
    printf ("%d\n", outcome);
}

static void
act_take (struct part *part, const char *job_id)
{
  delivery_free (take (&part->delivery));
  int outcome = bus_take (part->bus, BUS_SHARDS, strcmp (job_id, "-") == 0 ? NULL : job_id,
                          &part->delivery, &part->err);
  if (outcome < 0)
    answer (part, outcome);
  else if (outcome == 0)
    printf ("none\n");
  else
    printf ("shard %u %u %u %u\n", part->delivery->shard.index, part->delivery->shard.generation,
            part->delivery->shard.attempt, part->delivery->starts);
}

static void
act_next (struct part *part, const char *group)
{
  if (part->follower == NULL)
    part->follower = bus_follow (part->bus, group, NULL, &part->err);
  auto_event struct event event = { 0 };
  int outcome = part->follower == NULL ? -1 : follower_next (part->follower, &event, &part->err);
  if (outcome < 0)
    answer (part, outcome);
  else if (outcome == 0)
    printf ("none\n");
  else
    printf ("event %lld %u\n", (long long) event.position, event.index);
}

static void
act_commit (struct part *part, int64_t needed)
{
  answer (part, follower_commit (part->follower, &needed, 1, &part->err));
}

/* Publishing again after a kill must end in the same plan. */
static int
publish (struct part *part, const char *job_id, uint32_t count)
{
  return fixture_submit (part->bus, job_id, &part->err) < 0
                 || fixture_publish (part->bus, job_id, 0, count, &part->err) < 0
                 || fixture_plan_end (part->bus, job_id, count, &part->err) < 0
             ? -1
             : 0;
}

/* As all services do: a bus that is away, with leases as short as these for a tenth of a second, is
 * waited for. */
static int
bear (struct part *part, int outcome)
{
  if (outcome >= 0 || part->err.code != BUS_AWAY)
    return outcome;
  error_clear (&part->err);
  return 0;
}

/* How many shards have a final event; SEEN says which. The same event may come twice. */
static int
count_final (struct part *part, bool *seen, uint32_t count, uint32_t *final)
{
  for (;;)
    {
      auto_event struct event event = { 0 };
      int outcome = bear (part, follower_next (part->follower, &event, &part->err));
      if (outcome <= 0)
        return outcome;
      if (event.kind != EVENT_FINISHED || !event.report.final || event.index >= count
          || seen[event.index])
        continue;
      seen[event.index] = true;
      (*final)++;
    }
}

static int
work_on (struct part *part, unsigned int *seed)
{
  int dice = rand_r (seed) % 8;
  (void) poll (NULL, 0, rand_r (seed) % 4); /* the work itself, during which one may be killed */
  if (dice < 2 && bus_keep (part->bus, part->delivery, &part->err) < 0)
    return -1;
  if (dice == 3)
    return bus_release (part->bus, part->delivery, &part->err);
  bool again = dice == 4 && part->delivery->shard.attempt < 4;
  return fixture_settle (part->bus, part->delivery, again ? rand_r (seed) % 20 : -1, &part->err);
}

static int
work (struct part *part, const char *job_id, unsigned int seed, uint32_t count)
{
  uint32_t final = 0;
  auto_free bool *seen = xcalloc (count, sizeof *seen);
  part->follower = bus_follow (part->bus, NULL, job_id, &part->err);
  while (part->follower != NULL && final < count)
    {
      int got = bear (part, bus_take (part->bus, BUS_SHARDS, job_id, &part->delivery, &part->err));
      if (got < 0 || (got > 0 && work_on (part, &seed) < 0)
          || count_final (part, seen, count, &final) < 0)
        return -1;
      if (got == 0 && final < count)
        (void) bus_poll (part->bus, NULL, 0, 50);
      delivery_free (take (&part->delivery));
    }
  return part->follower == NULL ? -1 : 0;
}

/* Runs one command; true when the actor's part is over with EXIT_CODE. */
static bool
act (struct part *part, char *line, int *exit_code)
{
  char *rest = NULL;
  const char *verb = strtok_r (line, " \n", &rest);
  const char *first = strtok_r (NULL, " \n", &rest);
  const char *second = strtok_r (NULL, " \n", &rest);
  const char *third = strtok_r (NULL, " \n", &rest);
  unsigned long number = second == NULL ? 0 : strtoul (second, NULL, 10);
  if (strcmp (verb, "take") == 0)
    act_take (part, first);
  else if (strcmp (verb, "keep") == 0)
    answer (part, bus_keep (part->bus, part->delivery, &part->err));
  else if (strcmp (verb, "settle") == 0)
    answer (part, fixture_settle (part->bus, part->delivery, -1, &part->err));
  else if (strcmp (verb, "release") == 0)
    answer (part, bus_release (part->bus, part->delivery, &part->err));
  else if (strcmp (verb, "next") == 0)
    act_next (part, first);
  else if (strcmp (verb, "holds") == 0)
    answer (part, follower_holds (part->follower, NULL, &part->err) ? 1 : 0);
  else if (strcmp (verb, "rewind") == 0)
    {
      follower_rewind (part->follower);
      answer (part, 0);
    }
  else if (strcmp (verb, "commit") == 0)
    act_commit (part, strtol (first, NULL, 10));
  else
    {
      int outcome = strcmp (verb, "publish") == 0
                        ? publish (part, first, (uint32_t) number)
                        : work (part, first, (unsigned int) number,
                                (uint32_t) strtoul (third == NULL ? "0" : third, NULL, 10));
      if (outcome < 0)
        fprintf (stderr, "actor: %s: %s\n", verb, part->err.message);
      *exit_code = outcome < 0 ? 1 : 0;
      return true;
    }
  (void) fflush (stdout);
  return false;
}

static int
play (const char *url, int64_t lease_ms)
{
  struct part part = { 0 };
  struct bus_options options = { .client = "actor", .lease_ms = lease_ms };
  part.bus = bus_open (url, &options, &part.err);
  if (part.bus == NULL)
    {
      printf ("error %s\n", part.err.message);
      return 1;
    }
  printf ("ready\n");
  (void) fflush (stdout);
  char line[256];
  int exit_code = 0;
  while (fgets (line, sizeof line, stdin) != NULL && !act (&part, line, &exit_code))
    ;
  delivery_free (part.delivery);
  follower_close (part.follower);
  bus_close (part.bus);
  return exit_code;
}

void
actor_main (int argc, char **argv)
{
  if (argc == 4 && strcmp (argv[1], "--actor") == 0)
    exit (play (argv[2], strtol (argv[3], NULL, 10)));
}

/* ---- the test's side -------------------------------------------------------------------- */

static void
give_up (const char *what)
{
  fprintf (stderr, "actor: %s: %s\n", what, strerror (errno));
  abort ();
}

static const char *
read_answer (struct actor *actor)
{
  enum
  {
    ANSWER_MS = 60000
  };
  struct pollfd fd = { .fd = fileno (actor->answers), .events = POLLIN };
  if (poll (&fd, 1, ANSWER_MS) != 1
      || fgets (actor->answer, sizeof actor->answer, actor->answers) == NULL)
    give_up ("no answer");
  actor->answer[strcspn (actor->answer, "\n")] = '\0';
  return actor->answer;
}

void
actor_launch (struct actor *actor, const char *url, int64_t lease_ms)
{
  int in[2];
  int out[2];
  if (pipe2 (in, O_CLOEXEC) != 0 || pipe2 (out, O_CLOEXEC) != 0)
    give_up ("pipe");
  auto_free char *self = spawn_self (NULL);
  auto_free char *lease = xasprintf ("%lld", (long long) lease_ms);
  char *argv[] = { self, (char *) (uintptr_t) "--actor", (char *) (uintptr_t) url, lease, NULL };
  struct spawn_options options = SPAWN_DEFAULT;
  options.stdin_fd = in[0];
  options.stdout_fd = out[1];
  actor->pid = spawn (argv, &options, NULL);
  (void) close (in[0]);
  (void) close (out[1]);
  actor->commands = fdopen (in[1], "we");
  actor->answers = fdopen (out[0], "re");
  if (actor->pid < 0 || actor->commands == NULL || actor->answers == NULL)
    give_up ("start");
}

void
actor_await (struct actor *actor)
{
  if (strcmp (read_answer (actor), "ready") != 0)
    give_up (actor->answer);
}

void
actor_start (struct actor *actor, const char *url, int64_t lease_ms)
{
  actor_launch (actor, url, lease_ms);
  actor_await (actor);
}

void
actor_tell (struct actor *actor, const char *command)
{
  if (fprintf (actor->commands, "%s\n", command) < 0 || fflush (actor->commands) != 0)
    give_up (command);
}

const char *
actor_ask (struct actor *actor, const char *command)
{
  actor_tell (actor, command);
  return read_answer (actor);
}

static void
let_go (struct actor *actor)
{
  (void) fclose (actor->commands);
  (void) fclose (actor->answers);
  *actor = (struct actor){ 0 };
}

void
actor_kill (struct actor *actor)
{
  (void) kill (actor->pid, SIGKILL);
  (void) waitpid (actor->pid, NULL, 0);
  let_go (actor);
}

int
actor_wait (struct actor *actor, int timeout_ms)
{
  int status = 0;
  for (int64_t end = clock_boot_ms () + timeout_ms;;)
    {
      pid_t ended = waitpid (actor->pid, &status, WNOHANG);
      if (ended == actor->pid)
        break;
      if (clock_boot_ms () >= end)
        return -1;
      (void) poll (NULL, 0, 1);
    }
  let_go (actor);
  return status;
}

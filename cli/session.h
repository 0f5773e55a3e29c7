/* session.h — a job in a command's hands: its bus, its result.
 *
 * On one machine a job is known by its result, which holds its bus. On a fleet it is known by its
 * id, and its result may stand where this machine doesn't see it.
 *
 * Belongs to one thread. The folder may be renamed meanwhile: what is reached, is reached by
 * descriptor.
 */
#ifndef SHOAL_CLI_SESSION_H
#define SHOAL_CLI_SESSION_H

#include "bus/bus.h"
#include "cli/bus_options.h"
#include "common/error.h"

#include <sys/types.h>

struct session
{
  char *location; /* of the result */
  int folder_fd;  /* -1: it isn't there, or not to be seen from here */
  bool fleet;
  int lock_fd; /* -1: not ours */
  enum bus_access access;
  struct bus *bus;
  struct job job;
};

#define SESSION_INIT                                                                               \
  {                                                                                                \
    .folder_fd = -1, .lock_fd = -1, .access = BUS_WRITES                                           \
  }

/* Of a command that only looks. */
#define SESSION_READER                                                                             \
  {                                                                                                \
    .folder_fd = -1, .lock_fd = -1, .access = BUS_READS                                            \
  }

/* Opens the result that NAME (as a person gives it) is the place of; or, where BUS (NULL: none)
 * names a fleet, the job of that id (with SHOAL_BUS a result that is there goes before a job).
 * ERROR_USER when there is none. */
int session_open (struct session *session, const char *name, const struct bus_args *bus,
                  struct error *err);

/* The same when it is known where it stands (result_location); a folder without a job is fine:
 * job.id is NULL then. Where ACCESS says so its bus is made. */
int session_open_location (struct session *session, const char *location, struct error *err);

/* Takes the result for this process, to work on its job: ERROR_USER that names the process that has
 * it, or what is wrong with the job in it. */
int session_lock (struct session *session, struct error *err);

/* The process that works on the result, 0 when none does. Disturbs nobody. */
pid_t session_owner (const struct session *session);

/* Whether somebody works on the job: on a fleet, always. */
bool session_is_attended (const struct session *session);

/* What a person calls the job by. */
const char *session_name (const struct session *session);

/* The credentials that the job names, where this machine has such (--credentials-dir): `shoal
 * run`'s parts use them; else NULL, our own. */
const char *session_credentials (const struct session *session);

/* The URL of the bus as it stands now; the caller frees. NULL with ERR. */
char *session_bus_url (const struct session *session, struct error *err);

/* The job's status; JOB_QUEUED when nothing was said of it yet. */
int session_status (const struct session *session, struct job_status *status, struct error *err);

/* Calls EACH for the job's events so far, in their order. 0 or -1. */
int session_each_event (const struct session *session,
                        void (*each) (void *context, const struct event *event), void *context,
                        struct error *err);

/* Closes the bus and removes the result's folder on this machine. */
int session_remove (struct session *session, struct error *err);

void session_release (struct session *session);
#define auto_session AUTO (session_release)

#endif

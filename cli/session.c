#include "cli/session.h"

#include "bus/follower.h"
#include "common/fs.h"
#include "common/lock.h"
#include "common/memory.h"
#include "result/result.h"
#include "schemas/job_check.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static int
keep_job (void *context, const struct job *job)
{
  job_copy (context, job);
  return 1;
}

char *
session_bus_url (const struct session *session, struct error *err)
{
  auto_free char *folder = result_folder (session->location, err);
  return folder == NULL ? NULL : xasprintf ("sqlite:%s/" RESULT_BUS, folder);
}

int
session_open_location (struct session *session, const char *location, struct error *err)
{
  const struct bus_options options = { .client = "cli", .access = session->access };
  session->location = xstrdup (location);
  session->folder_fd = result_open (location, err);
  if (session->folder_fd < 0)
    return -1;
  auto_free char *url = session_bus_url (session, err);
  session->bus = url == NULL ? NULL : bus_open (url, &options, err);
  if (session->bus == NULL)
    return -1;
  return bus_list_jobs (session->bus, NULL, keep_job, &session->job, err) < 0 ? -1 : 0;
}

static int
session_open_result (struct session *session, const char *location, struct error *err)
{
  auto_free char *absolute = result_location (location, err);
  if (absolute == NULL)
    return -1;
  if (result_state (absolute) == RESULT_PARTIAL || result_state (absolute) == RESULT_COMPLETE)
    {
      if (session_open_location (session, absolute, err) != 0)
        return -1;
      if (session->job.id != NULL)
        return 0;
      return error_set (err, ERROR_USER,
                        "%s: no job has been submitted to it yet: run its original command again",
                        location);
    }
  /* Says what it is instead. */
  auto_free char *folder = result_folder (absolute, err);
  return folder == NULL ? -1 : error_set (err, ERROR_TRANSIENT, "%s has just been created", folder);
}

static int
open_job (struct session *session, const char *id, const struct bus_args *bus, struct error *err)
{
  struct bus_options options = bus_args_options (bus, "cli");
  options.access = session->access;
  session->fleet = true;
  session->bus = bus_open (bus->url, &options, err);
  if (session->bus == NULL)
    return -1;
  int found = bus_get_job (session->bus, id, &session->job, err);
  if (found <= 0)
    return found < 0 ? -1 : error_set (err, ERROR_USER, "%s: no job %s", bus->url, id);
  session->location = xstrdup (session->job.results);
  struct error away = ERROR_INIT;
  session->folder_fd = result_open (session->location, &away);
  return 0;
}

/* Whether BUS can be read and has the job ID. */
static bool
bus_has_job (const struct bus_args *bus, const char *id)
{
  struct bus_options options = bus_args_options (bus, "cli");
  options.access = BUS_READS;
  auto_bus struct bus *handle = bus_open (bus->url, &options, NULL);
  auto_job struct job job = { 0 };
  return handle != NULL && bus_get_job (handle, id, &job, NULL) > 0;
}

/* *HERE: NAME is the place of a result. The job's id when it was run by a fleet: there is no bus in
 * it. The caller frees. */
static char *
job_of_fleet (const char *name, bool *here)
{
  auto_free char *location = result_location (name, NULL);
  enum result_state state = location == NULL ? RESULT_ABSENT : result_state (location);
  *here = state == RESULT_PARTIAL || state == RESULT_COMPLETE;
  auto_fd int folder = *here ? result_open (location, NULL) : -1;
  if (folder < 0 || faccessat (folder, RESULT_BUS, F_OK, 0) == 0)
    return NULL;
  return result_job (folder);
}

int
session_open (struct session *session, const char *name, const struct bus_args *bus,
              struct error *err)
{
  bool known = bus != NULL && bus->url != NULL;
  bool named = known && bus->named;
  bool here = false;
  auto_free char *job = named ? NULL : job_of_fleet (name, &here);
  if (!here && (named || (known && bus_args_is_fleet (bus))))
    return open_job (session, name, bus, err);
  /* A job of this machine's bus has no result folder before its producer took it. */
  if (!here && known && bus_has_job (bus, name))
    return open_job (session, name, bus, err);
  if (job == NULL)
    return session_open_result (session, name, err);
  return known ? open_job (session, job, bus, err)
               : error_set (err, ERROR_USER,
                            "%s: result of job %s on a fleet: name its bus with --bus or SHOAL_BUS",
                            name, job);
}

int
session_lock (struct session *session, struct error *err)
{
  const char *field = NULL;
  session->lock_fd = result_lock (session->folder_fd, err);
  if (session->lock_fd < 0)
    return error_wrap (err, "%s", session->location);
  if (session->job.id == NULL || job_check (&session->job, &field, err) == 0)
    return 0;
  return error_wrap (err, "%s: the job in it: %s", session->location, field);
}

pid_t
session_owner (const struct session *session)
{
  return lock_holder (session->folder_fd, RESULT_LOCK);
}

bool
session_is_attended (const struct session *session)
{
  return session->fleet || session_owner (session) > 0;
}

const char *
session_name (const struct session *session)
{
  return session->fleet ? session->job.id : session->location;
}

int
session_status (const struct session *session, struct job_status *status, struct error *err)
{
  int found = bus_get_status (session->bus, session->job.id, status, err);
  if (found < 0)
    return -1;
  if (found == 0)
    *status = (struct job_status){
      .job_id = xstrdup (session->job.id), .shards = -1, .atoms = -1, .generation = 1
    };
  return 0;
}

int
session_each_event (const struct session *session,
                    void (*each) (void *context, const struct event *event), void *context,
                    struct error *err)
{
  auto_follower struct follower *events = bus_follow (session->bus, NULL, session->job.id, err);
  if (events == NULL)
    return -1;
  for (;;)
    {
      auto_event struct event event = { 0 };
      int got = follower_next (events, &event, err);
      if (got <= 0)
        return got;
      each (context, &event);
    }
}

const char *
session_credentials (const struct session *session)
{
  const char *folder = getenv ("SHOAL_CREDENTIALS_DIR");
  return folder == NULL || folder[0] == '\0' ? NULL : session->job.credentials;
}

int
session_remove (struct session *session, struct error *err)
{
  auto_free char *folder = result_folder (session->location, err);
  bus_close (take (&session->bus));
  return folder == NULL ? -1 : fs_remove_tree (AT_FDCWD, folder, err);
}

void
session_release (struct session *session)
{
  bus_close (session->bus);
  auto_fd_ (&session->lock_fd);
  auto_fd_ (&session->folder_fd);
  job_release (&session->job);
  free (session->location);
  *session = (struct session) SESSION_INIT;
}

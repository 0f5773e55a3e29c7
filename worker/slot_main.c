/* The inside of a slot process: one shard after the other, until its worker is gone. */
#include "worker/worker.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/spawn.h"
#include "common/text.h"
#include "schemas/codec.h"
#include "worker/attempt.h"
#include "worker/frame.h"
#include "worker/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum
{
  TELL_MS = 200, /* between two words of what was fetched */
};

struct self
{
  struct frame_reader reader;
  char *name;
  char *images;
  char *oci_program;
  char *userns;
  char *cdi;
  char *scratch;
  struct pod_options pod; /* of the four strings below, unless they are NULL */
  char *pod_socket;
  char *pod_folder;
  char *pod_image;
  char *pod_image_id;
  struct policy policy;
  char *runtime_name; /* of the runtime that is open */
  struct container_runtime *runtime;
  struct job job;                               /* the last one that came */
  int64_t memory;                               /* … and what it says of that */
  bool go;                                      /* the attempt's container may start */
  struct storage_totals fetched[STORAGE_KINDS]; /* by this attempt … */
  struct storage_totals told[STORAGE_KINDS];    /* … what of that the worker knows … */
  int64_t told_at;                              /* … and since when, boot ms */
};

/* ---- what is fetched -------------------------------------------------------------------- */

/* What the worker doesn't know yet, which it does from now on. */
static void
put_news (struct self *self, struct buffer *payload)
{
  struct storage_totals news[STORAGE_KINDS];
  for (int i = 0; i < STORAGE_KINDS; i++)
    news[i] =
        (struct storage_totals){ .files = self->fetched[i].files - self->told[i].files,
                                 .bytes = self->fetched[i].bytes - self->told[i].bytes,
                                 .cached = self->fetched[i].cached - self->told[i].cached,
                                 .requests = self->fetched[i].requests - self->told[i].requests,
                                 .retries = self->fetched[i].retries - self->told[i].retries };
  memcpy (self->told, self->fetched, sizeof self->told);
  self->told_at = clock_boot_ms ();
  frame_put_bytes (payload, (struct bytes){ news, sizeof news });
}

/* Only when it has read the last one: a worker that stands still doesn't hold us up. */
static void
slot_report_fetched (struct self *self)
{
  int unread = 0;
  if (clock_boot_ms () < self->told_at + TELL_MS
      || memcmp (self->told, self->fetched, sizeof self->told) == 0
      || ioctl (self->reader.fd, SIOCOUTQ, &unread) != 0 || unread > 0)
    return;
  auto_buffer struct buffer payload = { 0 };
  put_news (self, &payload);
  (void) frame_send (self->reader.fd, FRAME_FETCHED, buffer_bytes (&payload), NULL);
}

/* ---- orders while an attempt runs ------------------------------------------------------- */

/* Takes the next one into ORDER; false when there is none, or it is the last that matters. */
static bool
next_order (struct self *self, bool wait, enum attempt_order *order)
{
  enum frame_kind kind;
  struct bytes payload;
  int got = frame_receive (&self->reader, wait, &kind, &payload, NULL);
  if (got == 0)
    return false;
  if (got < 0 || kind == FRAME_KILL)
    *order = ATTEMPT_KILL; /* without a worker nobody will ever settle it */
  else if (kind == FRAME_STOP)
    *order = ATTEMPT_STOP;
  else if (kind == FRAME_GO)
    self->go = true;
  return *order != ATTEMPT_KILL;
}

static enum attempt_order
slot_read_order (void *context)
{
  enum attempt_order order = ATTEMPT_GO_ON;
  slot_report_fetched (context);
  while (next_order (context, false, &order))
    ;
  return order;
}

static enum attempt_order
await_go (void *context)
{
  struct self *self = context;
  enum attempt_order order = ATTEMPT_GO_ON;
  while (!self->go && order == ATTEMPT_GO_ON)
    (void) next_order (self, true, &order);
  return order;
}

/* ---- running ---------------------------------------------------------------------------- */

static struct container_runtime_options
slot_runtime_options (const struct self *self)
{
  return (struct container_runtime_options){ .images = self->images,
                                             .oci_program = self->oci_program,
                                             .userns = self->userns,
                                             .cdi = self->cdi,
                                             .slot_name = self->name,
                                             .pod = self->pod.socket != NULL ? &self->pod : NULL };
}

static int
need_runtime (struct self *self, const char *name, struct error *err)
{
  if (self->runtime != NULL && strcmp (self->runtime_name, name) == 0)
    return 0;
  container_runtime_close (self->runtime);
  free (self->runtime_name);
  const struct container_runtime_options options = slot_runtime_options (self);
  self->runtime_name = xstrdup (name);
  self->runtime = container_runtime_open (name, &options, err);
  if (self->runtime == NULL)
    return -1;
  log_debug ("runtime_open", "slot=%s runtime=%s", self->name, name);
  return 0;
}

/* What a RUN frame holds. */
struct request
{
  uint32_t starts;
  char *writer;
  struct shard shard;
};

static void
release_request (struct request *request)
{
  free (request->writer);
  shard_release (&request->shard);
}

static int
read_request (struct self *self, struct bytes payload, struct request *request, struct error *err)
{
  struct bytes job;
  struct bytes shard;
  uint32_t go = 0;
  if (frame_get_number (&payload, &request->starts, err) != 0
      || frame_get_number (&payload, &go, err) != 0
      || frame_get_text (&payload, &request->writer, err) != 0
      || frame_get_bytes (&payload, &job, err) != 0 || frame_get_bytes (&payload, &shard, err) != 0
      || codec_decode_shard (shard, &request->shard, err) != 0)
    return -1;
  self->go = go != 0;
  if (job.size > 0)
    {
      job_release (&self->job);
      if (codec_decode_job (job, &self->job, err) != 0)
        return -1;
      self->memory = self->job.memory;
    }
  /* After attempts that ran out of it the shard has more. */
  int64_t more = request->shard.memory;
  self->job.memory = self->memory;
  if (more > 0)
    self->job.memory = more < job_memory_most (&self->job) ? more : job_memory_most (&self->job);
  return 0;
}

static int
send_report (struct self *self, const struct request *request, struct attempt_report *report,
             struct error *err)
{
  auto_event struct event event = { 0 };
  auto_buffer struct buffer message = { 0 };
  auto_buffer struct buffer payload = { 0 };
  attempt_event (&request->shard, request->starts, request->writer, report, &event);
  if (codec_encode_event (&event, &message, err) != 0)
    return -1;
  put_news (self, &payload);
  buffer_append (&payload, message.data, message.size);
  return frame_send (self->reader.fd, FRAME_REPORT, buffer_bytes (&payload), err);
}

static int
slot_run_request (struct self *self, struct bytes payload, struct error *err)
{
  struct request request = { 0 };
  struct attempt_report report = { 0 };
  struct error trouble = ERROR_INIT;
  memset (self->fetched, 0, sizeof self->fetched);
  memset (self->told, 0, sizeof self->told);
  int result = read_request (self, payload, &request, err);
  if (result == 0)
    {
      if (need_runtime (self, self->job.runtime, &trouble) != 0)
        attempt_report_failure (&report, OUTCOME_INFRA, trouble.message);
      else
        {
          const struct attempt attempt = {
            .job = &self->job,
            .shard = &request.shard,
            .starts = request.starts,
            .writer = request.writer,
            .scratch = self->scratch,
            .policy = &self->policy,
            .runtime = self->runtime,
            .control = { .fd = self->reader.fd,
                         .read = slot_read_order,
                         .await = await_go,
                         .context = self },
            .totals = self->fetched,
          };
          attempt_run (&attempt, &report);
        }
      result = send_report (self, &request, &report, err);
    }
  attempt_report_release (&report);
  release_request (&request);
  return result;
}

static int
slot_try_request (struct self *self, struct bytes payload, struct error *err)
{
  const struct trial trial = { .runtime = slot_runtime_options (self), .scratch = self->scratch };
  auto_job struct job job = { 0 };
  auto_free char *description = NULL;
  auto_buffer struct buffer answer = { 0 };
  struct error why = ERROR_INIT;
  if (codec_decode_job (payload, &job, err) != 0)
    return -1;
  int result = trial_run (&trial, &job, &description, &why);
  frame_put_text (&answer, description);
  frame_put_number (&answer, why.class);
  frame_put_text (&answer, result == 0 ? NULL : why.message);
  return frame_send (self->reader.fd, FRAME_TRIED, buffer_bytes (&answer), err);
}

/* ---- life ------------------------------------------------------------------------------- */

static int
read_hello (struct self *self, struct error *err)
{
  enum frame_kind kind;
  struct bytes payload;
  uint32_t parent = 0;
  auto_free char *policy = NULL;
  if (frame_receive (&self->reader, true, &kind, &payload, err) < 0)
    return -1;
  if (kind != FRAME_HELLO)
    return error_set (err, ERROR_FATAL, "the first frame is not a greeting");
  if (frame_get_number (&payload, &parent, err) != 0
      || frame_get_text (&payload, &self->name, err) != 0
      || frame_get_text (&payload, &self->images, err) != 0
      || frame_get_text (&payload, &self->oci_program, err) != 0
      || frame_get_text (&payload, &self->userns, err) != 0
      || frame_get_text (&payload, &self->cdi, err) != 0
      || frame_get_text (&payload, &self->scratch, err) != 0
      || frame_get_text (&payload, &self->pod_socket, err) != 0
      || frame_get_text (&payload, &self->pod_folder, err) != 0
      || frame_get_text (&payload, &self->pod_image, err) != 0
      || frame_get_text (&payload, &self->pod_image_id, err) != 0
      || frame_get_text (&payload, &policy, err) != 0
      || (policy != NULL
          && policy_parse ((struct bytes){ policy, strlen (policy) }, &self->policy, err) != 0))
    return -1;
  self->policy.anything = policy == NULL;
  self->pod = (struct pod_options){ .socket = self->pod_socket,
                                    .folder = self->pod_folder,
                                    .image = self->pod_image,
                                    .image_id = self->pod_image_id };
  return spawn_die_with_parent ((pid_t) parent, err);
}

static int
slot_serve (struct self *self, struct error *err)
{
  if (read_hello (self, err) != 0)
    return -1;
  for (;;)
    {
      enum frame_kind kind;
      struct bytes payload;
      if (frame_receive (&self->reader, true, &kind, &payload, err) < 0)
        return err->code == EPIPE ? 0 : -1;
      /* Orders that come now are meant for an attempt that has just ended by itself. */
      if (kind == FRAME_RUN && slot_run_request (self, payload, err) != 0)
        return -1;
      if (kind == FRAME_TRY && slot_try_request (self, payload, err) != 0)
        return -1;
    }
}

int
slot_main (int fd, const struct worker_options *options)
{
  (void) options;
  struct error err = ERROR_INIT;
  struct self self = { .reader = { .fd = fd } };
  /* A session of its own: Ctrl-C on the terminal is the worker's to deal with. */
  (void) setsid ();
  /* So is SIGTERM, which a supervisor may send to all processes of a service. */
  (void) signal (SIGTERM, SIG_IGN);
  (void) fcntl (fd, F_SETFD, FD_CLOEXEC);
  (void) umask (022);
  int result = slot_serve (&self, &err);
  if (result != 0)
    {
      auto_free char *text = text_log (err.message);
      log_error ("slot_failed", "slot=%s error=%s", self.name != NULL ? self.name : "?", text);
    }
  container_runtime_close (self.runtime);
  frame_reader_release (&self.reader);
  job_release (&self.job);
  free (self.name);
  free (self.images);
  free (self.oci_program);
  free (self.userns);
  free (self.cdi);
  free (self.scratch);
  free (self.pod_socket);
  free (self.pod_folder);
  free (self.pod_image);
  free (self.pod_image_id);
  policy_release (&self.policy);
  free (self.runtime_name);
  return result == 0 ? 0 : 1;
}

#include "worker/slot_process.h"

#include "common/clock.h"
#include "common/memory.h"
#include "common/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

enum
{
  SEND_TIMEOUT_S = 10, /* an idle slot that doesn't read for so long is as good as dead */
  TRY_STEP_MS = 200,
  TRY_MS = 30000, /* for an answer, which comes earlier */
};

static int
send_hello (const struct slot_process *process, const struct worker_options *options,
            struct error *err)
{
  auto_buffer struct buffer payload = { 0 };
  frame_put_number (&payload, (uint32_t) getpid ());
  frame_put_text (&payload, process->name);
  frame_put_text (&payload, options->images);
  frame_put_text (&payload, options->oci_program);
  frame_put_text (&payload, options->userns);
  frame_put_text (&payload, options->cdi);
  frame_put_text (&payload, options->scratch);
  frame_put_text (&payload, options->pod == NULL ? NULL : options->pod->socket);
  frame_put_text (&payload, options->pod == NULL ? NULL : options->pod->folder);
  frame_put_text (&payload, options->pod == NULL ? NULL : options->pod->image);
  frame_put_text (&payload, options->pod == NULL ? NULL : options->pod->image_id);
  bool free_policy = options->policy == NULL || options->policy->anything;
  auto_free char *policy = free_policy ? NULL : policy_format (options->policy);
  frame_put_text (&payload, policy);
  return frame_send (process->reader.fd, FRAME_HELLO, buffer_bytes (&payload), err);
}

int
slot_process_start (struct slot_process *process, const char *name,
                    const struct worker_options *options, struct error *err)
{
  slot_process_release (process);
  process->name = xstrdup (name);
  auto_free char *self = spawn_self (err);
  if (self == NULL)
    return -1;
  int ends[2];
  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return error_errno (err, errno, "a slot's socket");
  const struct timeval patience = { .tv_sec = SEND_TIMEOUT_S };
  (void) setsockopt (ends[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  char command[] = "slot";
  char *const argv[] = { self, command, NULL };
  struct spawn_options spawning = SPAWN_DEFAULT;
  spawning.extra_fd = ends[1];
  process->reader.fd = ends[0];
  process->pid = spawn (argv, &spawning, err);
  auto_fd_ (&ends[1]);
  if (process->pid < 0 || send_hello (process, options, err) != 0)
    {
      slot_process_end (process);
      return error_wrap (err, "starting a slot");
    }
  return 0;
}

int
slot_process_run (struct slot_process *process, const struct job *job, const struct shard *shard,
                  uint32_t starts, const char *writer, bool go, struct error *err)
{
  auto_buffer struct buffer payload = { 0 };
  auto_buffer struct buffer job_bytes = { 0 };
  auto_buffer struct buffer shard_bytes = { 0 };
  bool known = process->job_id != NULL && strcmp (process->job_id, job->id) == 0;
  if ((!known && codec_encode_job (job, &job_bytes, err) != 0)
      || codec_encode_shard (shard, &shard_bytes, err) != 0)
    return -1;
  frame_put_number (&payload, starts);
  frame_put_number (&payload, go ? 1 : 0);
  frame_put_text (&payload, writer);
  frame_put_bytes (&payload, buffer_bytes (&job_bytes));
  frame_put_bytes (&payload, buffer_bytes (&shard_bytes));
  if (frame_send (process->reader.fd, FRAME_RUN, buffer_bytes (&payload), err) != 0)
    return -1;
  if (!known)
    {
      free (process->job_id);
      process->job_id = xstrdup (job->id);
    }
  return 0;
}

void
slot_process_order (struct slot_process *process, enum frame_kind order)
{
  /* A slot that can't be reached is noticed when its report is read. */
  (void) frame_send (process->reader.fd, order, (struct bytes){ 0 }, NULL);
}

int
slot_process_report (struct slot_process *process, struct event *event, struct error *err)
{
  enum frame_kind kind;
  struct bytes payload;
  int got = frame_receive (&process->reader, false, &kind, &payload, err);
  if (got <= 0)
    return got;
  if (kind != FRAME_REPORT && kind != FRAME_FETCHED)
    return error_set (err, ERROR_FATAL, "a slot sent a frame of kind %d", (int) kind);
  struct bytes fetched;
  if (frame_get_bytes (&payload, &fetched, err) != 0)
    return -1;
  if (fetched.size != sizeof process->fetched)
    return error_set (err, ERROR_FATAL, "a slot sent totals of %zu bytes", fetched.size);
  memcpy (process->fetched, fetched.data, sizeof process->fetched);
  if (kind == FRAME_FETCHED)
    return 2;
  return codec_decode_event (payload, event, err) == 0 ? 1 : -1;
}

/* 0 once there is a frame. */
static int
slot_process_await (struct slot_process *process, const volatile sig_atomic_t *stop,
                    enum frame_kind *kind, struct bytes *payload, struct error *err)
{
  int64_t until = clock_boot_ms () + TRY_MS;
  while (stop == NULL || *stop == 0)
    {
      struct pollfd fd = { .fd = process->reader.fd, .events = POLLIN };
      (void) poll (&fd, 1, TRY_STEP_MS);
      int got = frame_receive (&process->reader, false, kind, payload, err);
      if (got != 0)
        return got > 0 ? 0 : error_wrap (err, "the slot process that tries a container");
      if (clock_boot_ms () >= until)
        return error_set (err, ERROR_TRANSIENT, "a container couldn't be tried within %d s",
                          TRY_MS / 1000);
    }
  return error_set (err, ERROR_TRANSIENT, "stopped");
}

int
slot_process_try (struct slot_process *process, const struct job *job,
                  const volatile sig_atomic_t *stop, char **description, struct error *err)
{
  auto_buffer struct buffer bytes = { 0 };
  auto_free char *text = NULL;
  enum frame_kind kind;
  struct bytes payload;
  uint32_t class = 0;
  if (codec_encode_job (job, &bytes, err) != 0
      || frame_send (process->reader.fd, FRAME_TRY, buffer_bytes (&bytes), err) != 0
      || slot_process_await (process, stop, &kind, &payload, err) != 0
      || frame_get_text (&payload, description, err) != 0
      || frame_get_number (&payload, &class, err) != 0
      || frame_get_text (&payload, &text, err) != 0)
    return -1;
  return text == NULL ? 0 : error_set (err, (enum error_class) class, "%s", text);
}

void
slot_process_end (struct slot_process *process)
{
  if (process->pid > 0)
    {
      (void) kill (process->pid, SIGKILL);
      while (waitpid (process->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    }
  process->pid = -1;
  auto_fd_ (&process->reader.fd);
  frame_reader_release (&process->reader);
}

void
slot_process_release (struct slot_process *process)
{
  if (process->pid > 0)
    slot_process_end (process);
  free (process->name);
  free (process->job_id);
  *process = (struct slot_process){ .pid = -1, .reader = { .fd = -1 } };
}

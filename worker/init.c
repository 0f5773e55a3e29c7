#include "worker/init.h"

#include "common/memory.h"
#include "worker/init/report.h"
#include "worker/sealed.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int
init_open (struct init *init, struct error *err)
{
  init->program_fd = sealed_bytes ("init", init_program, init_program_size, err);
  if (init->program_fd < 0)
    return -1;
  init->report_fd = memfd_create ("init.report", MFD_CLOEXEC);
  return init->report_fd < 0 ? error_errno (err, errno, "memory for the init's report") : 0;
}

void
init_wrap (struct strlist *argv, const char *name, bool shell)
{
  struct strlist wrapped = { 0 };
  strlist_add (&wrapped, name);
  strlist_add (&wrapped, shell ? "sh" : "-");
  strlist_extend (&wrapped, argv);
  strlist_release (argv);
  *argv = wrapped;
}

int
init_reset (struct init *init, struct error *err)
{
  return ftruncate (init->report_fd, 0) == 0 && lseek (init->report_fd, 0, SEEK_SET) == 0
             ? 0
             : error_errno (err, errno, "the init's report");
}

/* What runs out or breaks on a machine, whatever the command. */
static bool
init_blames_machine (int code)
{
  static const int codes[] = { EAGAIN, EIO, EMFILE, ENFILE, ENOMEM, ESTALE };
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
    if (codes[i] == code)
      return true;
  return false;
}

int
init_start_failed (const char *program, int code, struct error *err)
{
  enum error_class class = init_blames_machine (code) ? ERROR_TRANSIENT : ERROR_USER;
  bool missing = code == ENOENT && strchr (program, '/') == NULL;
  return error_set (err, class, "starting %s: %s", program,
                    missing ? "there is no such program in PATH" : strerror (code));
}

int
init_check (const struct init *init, const char *program, struct error *err)
{
  struct init_report report = { 0 };
  if (pread (init->report_fd, &report, sizeof report, 0) != sizeof report)
    return 0;
  if (report.step != INIT_STEP_FORK)
    return init_start_failed (program, report.code, err);
  enum error_class class = init_blames_machine (report.code) ? ERROR_TRANSIENT : ERROR_USER;
  return error_set (err, class, "starting a process for %s: %s", program, strerror (report.code));
}

void
init_release (struct init *init)
{
  auto_fd_ (&init->program_fd);
  auto_fd_ (&init->report_fd);
  *init = (struct init) INIT_CLOSED;
}

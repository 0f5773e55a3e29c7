/* spawn.h — child processes, by posix_spawn. */
#ifndef SHOAL_COMMON_SPAWN_H
#define SHOAL_COMMON_SPAWN_H

#include "common/buffer.h"
#include "common/error.h"

#include <sys/types.h>

struct spawn_options
{
  int stdin_fd;  /* -1: /dev/null */
  int stdout_fd; /* -1: ours */
  int stderr_fd; /* -1: ours */
  int extra_fd;  /* -1: none; else the child finds it as descriptor 3 */
};

#define SPAWN_DEFAULT                                                                              \
  {                                                                                                \
    .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1, .extra_fd = -1                               \
  }

/* Starts ARGV[0] (looked up in PATH). The child has default signal handlers, an empty signal mask
 * and no descriptors but these. Returns its pid, the caller waits for it; or -1. */
pid_t spawn (char *const argv[], const struct spawn_options *options, struct error *err);

/* Runs ARGV to its end; what it prints on stdout goes to OUT (NULL: our stdout), its stderr ends up
 * in the error. 0 when it exited 0; else -1 with ERR (ERROR_TRANSIENT). */
int spawn_run (char *const argv[], struct buffer *out, struct error *err);

/* What STATUS (waitpid) of PROGRAM, which SAID this on stderr, means: 0 when it exited 0, else -1
 * with ERR (ERROR_TRANSIENT). SAID is cut. */
int spawn_result (const char *program, int status, struct buffer *said, struct error *err);

/* The path of the running program, for starting itself again: /proc/self/exe, resolved. The caller
 * frees. */
char *spawn_self (struct error *err);

/* Asks the kernel for SIGKILL when the parent ends. PARENT is its pid, as the parent said it:
 * returns -1 when the parent is gone already. */
int spawn_die_with_parent (pid_t parent, struct error *err);

#endif

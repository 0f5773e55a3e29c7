/* init.h — the small program that is a container's first process (init/), as the worker has it. */
#ifndef SHOAL_WORKER_INIT_H
#define SHOAL_WORKER_INIT_H

#include "common/auto.h"
#include "common/error.h"
#include "common/strlist.h"

#include <stdbool.h>

#define INIT_PATH_IN_CONTAINER "/dev/init"
#define INIT_PROBE "probe" /* with this word alone it exits with 0 */

/* The program, an ELF file. */
extern const unsigned char init_program[];
extern const unsigned long init_program_size;

/* One for each runtime that starts containers, one at a time. */
struct init
{
  int program_fd; /* the program in memory that can't be changed; -1: not open */
  int report_fd;  /* where it says why the command couldn't be started */
};
#define INIT_CLOSED                                                                                \
  {                                                                                                \
    .program_fd = -1, .report_fd = -1                                                              \
  }

/* Opens both; -1 with ERR. */
int init_open (struct init *init, struct error *err);

/* Puts before the words of ARGV what has NAME, the init's path, run them. SHELL: a script without
 * a first line that says whose it is, is one of /bin/sh. */
void init_wrap (struct strlist *argv, const char *name, bool shell);

/* Forgets the report before another start. */
int init_reset (struct init *init, struct error *err);

/* PROGRAM couldn't be started for the errno CODE: -1 with ERR, the user's mistake unless the
 * machine is short of something. */
int init_start_failed (const char *program, int code, struct error *err);

/* What was said of PROGRAM: nothing, 0; or -1 with ERR, the user's mistake unless the machine is
 * short of something. */
int init_check (const struct init *init, const char *program, struct error *err);

void init_release (struct init *init);
#define auto_init AUTO (init_release)

#endif

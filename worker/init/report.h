/* report.h — what a container's init (init.c) says of a command that it couldn't start. */
#ifndef SHOAL_WORKER_INIT_REPORT_H
#define SHOAL_WORKER_INIT_REPORT_H

enum init_step
{
  INIT_STEP_FORK = 1,
  INIT_STEP_EXEC,
};

struct init_report
{
  int step;
  int code; /* errno */
};

#endif

/* The first process of a container: starts the command, passes signals on to it, reaps what it
 * leaves behind, and ends with its exit code, 128 + n for signal n.
 *
 *     init - PROGRAM ARGUMENT…    as the first process of a PID namespace
 *     init sh PROGRAM ARGUMENT…   a file without a magic number is a shell's, as execvp has it
 *     init probe                  exits with 0: a command that needs nothing of an image
 *
 * Descriptor 3 is where it writes a struct init_report to when the command can't be started; the
 * command doesn't have it. It is in every container that runs, so it is small: a program
 * without the C library (INIT_BARE) takes 0.1 ms to start, one with it ten times as much. Machines
 * that nobody wrote the few lines below for have the library.
 */
#include "worker/init/report.h"

#include <asm/unistd.h>
#ifdef INIT_BARE
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/signal.h>
#include <linux/wait.h>
#else
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#endif
#include <stdbool.h>
#include <stddef.h>

enum
{
  INIT_SIGNAL = 0x7f, /* the part of a wait status that is a signal */
  INIT_REPORT = 3,    /* descriptor */
  INIT_PATH = 4096,
  INIT_NOT_FOUND = 127,
};

/* ---- the kernel ------------------------------------------------------------------------- */

#if !defined INIT_BARE
static long
init_call (long number, long a, long b, long c, long d, long e)
{
  long result = syscall (number, a, b, c, d, e);
  return result < 0 ? -errno : result;
}
#elif defined __x86_64__
static long
init_call (long number, long a, long b, long c, long d, long e)
{
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                   : "rcx", "r11", "memory");
  return result;
}

__asm__(".globl _start\n"
        "_start: xor %ebp, %ebp\n"
        "mov %rsp, %rdi\n"
        "and $-16, %rsp\n"
        "call init_main\n");
#elif defined __aarch64__
static long
init_call (long number, long a, long b, long c, long d, long e)
{
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
  return x0;
}

__asm__(".globl _start\n"
        "_start: mov x29, #0\n"
        "mov x30, #0\n"
        "mov x0, sp\n"
        "bl init_main\n");
#else
#error "INIT_BARE is for x86_64 and aarch64"
#endif

static long
init_fork (void)
{
#ifdef INIT_BARE
  return init_call (__NR_clone, SIGCHLD, 0, 0, 0, 0);
#else
  long child = fork ();
  return child < 0 ? -errno : child;
#endif
}

static long
init_call3 (long number, long a, long b, long c)
{
  return init_call (number, a, b, c, 0, 0);
}

_Noreturn static void
init_exit (int code)
{
  for (;;)
    (void) init_call3 (__NR_exit_group, code, 0, 0);
}

static void
init_mask (unsigned long signals)
{
  (void) init_call (__NR_rt_sigprocmask, SIG_SETMASK, (long) &signals, 0, sizeof signals, 0);
}

/* ---- starting the command --------------------------------------------------------------- */

_Noreturn static void
init_fail (enum init_step step, long error)
{
  const struct init_report what = { .step = (int) step, .code = (int) -error };
  (void) init_call3 (__NR_write, INIT_REPORT, (long) &what, sizeof what);
  init_exit (INIT_NOT_FOUND);
}

static bool
init_has_slash (const char *program)
{
  for (; *program != '\0'; program++)
    if (*program == '/')
      return true;
  return false;
}

static const char *
init_path_of (char *const *env)
{
  static const char name[] = "PATH=";
  for (; *env != NULL; env++)
    {
      size_t length = 0;
      while (name[length] != '\0' && (*env)[length] == name[length])
        length++;
      if (name[length] == '\0')
        return *env + length;
    }
  return "";
}

static long
init_execve (const char *file, char *const *argv, char *const *env)
{
  return init_call3 (__NR_execve, (long) file, (long) argv, (long) env);
}

/* Becomes FILE with what is in ARGV, which has room for one more word before it; returns why not.
 */
static long
init_become (const char *file, char **argv, char *const *env, bool shell)
{
  long error = init_execve (file, argv, env);
  if (error != -ENOEXEC || !shell)
    return error;
  static char name[] = "sh";
  argv[-1] = name;
  argv[0] = (char *) file;
  return init_execve ("/bin/sh", argv - 1, env);
}

/* FOLDER, up to END, and PROGRAM behind it in FILE; false if that is too long. */
static bool
init_join (char file[static INIT_PATH], const char *folder, const char *end, const char *program)
{
  size_t at = 0;
  for (; folder < end && at < INIT_PATH - 2; folder++)
    file[at++] = *folder;
  if (folder < end)
    return false;
  if (at > 0)
    file[at++] = '/';
  for (; *program != '\0' && at < INIT_PATH - 1; program++)
    file[at++] = *program;
  file[at] = '\0';
  return *program == '\0';
}

/* Becomes ARGV[0], which is looked for in PATH if it has no slash; returns why not. */
static long
init_search (char **argv, char *const *env, bool shell)
{
  char *program = argv[0];
  if (init_has_slash (program))
    return init_become (program, argv, env, shell);
  long found = -ENOENT;
  for (const char *folder = init_path_of (env);; folder++)
    {
      static char file[INIT_PATH];
      const char *end = folder;
      while (*end != '\0' && *end != ':')
        end++;
      long error = init_join (file, folder, end, program) ? init_become (file, argv, env, shell)
                                                          : -ENAMETOOLONG;
      if (error != -ENOENT && error != -ENOTDIR && error != -EACCES && error != -ENAMETOOLONG)
        return error;
      found = error == -EACCES ? error : found;
      if (*end == '\0')
        return found;
      folder = end;
    }
}

static long
init_start (char **argv, char *const *env, bool shell)
{
  (void) init_call3 (__NR_fcntl, INIT_REPORT, F_SETFD, FD_CLOEXEC);
  long child = init_fork ();
  if (child < 0)
    init_fail (INIT_STEP_FORK, child);
  if (child == 0)
    {
      (void) init_call3 (__NR_setsid, 0, 0, 0);
      init_mask (0);
      init_fail (INIT_STEP_EXEC, init_search (argv, env, shell));
    }
  (void) init_call3 (__NR_close, INIT_REPORT, 0, 0);
  return child;
}

/* ---- while it runs ---------------------------------------------------------------------- */

/* Reaps all that has ended, and ends itself if COMMAND has. */
static void
init_reap (long command)
{
  for (;;)
    {
      int status = 0;
      long ended = init_call (__NR_wait4, -1, (long) &status, WNOHANG, 0, 0);
      if (ended <= 0)
        return;
      if (ended == command)
        init_exit ((status & INIT_SIGNAL) != 0 ? 128 + (status & INIT_SIGNAL) : status >> 8);
    }
}

/* STACK is what the kernel put there: the number of words, the words, NULL, the variables, NULL. */
__attribute__ ((used)) _Noreturn void init_main (long *stack);

_Noreturn void
init_main (long *stack)
{
  enum
  {
    OWN_WORDS = 2,
  };
  long count = stack[0];
  char **argv = (char **) (stack + 1);
  if (count <= OWN_WORDS)
    init_exit (count == OWN_WORDS && argv[1][0] == 'p' ? 0 : INIT_NOT_FOUND);
  /* All signals wait for the loop below: none of them may end the first process. */
  unsigned long all = ~0UL;
  init_mask (all);
  long command = init_start (argv + OWN_WORDS, argv + count + 1, argv[1][0] == 's');
  for (;;)
    {
      long number = init_call (__NR_rt_sigtimedwait, (long) &all, 0, 0, sizeof all, 0);
      if (number == SIGCHLD)
        init_reap (command);
      else if (number > 0)
        (void) init_call3 (__NR_kill, command, number, 0);
    }
}

#ifndef INIT_BARE
int
main (int count, char **argv)
{
  (void) count;
  init_main ((long *) argv - 1); /* the kernel's own copy */
}
#endif

/* Asks the kernel which system calls pass the filters of this process, without making one: a second
 * filter hands those that pass to a thread of ours, which answers in the kernel's place. Linked
 * statically, to be run in any container.
 *
 * A line for each call: "ABI NUMBER ARGUMENT0 ARGUMENT2 ERRNO", the last 0 for one that passed.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum
{
  PASSED = 4000, /* the thread's answer: no errno of the kernel's */
  NUMBERS = 601,
  FAMILIES = 48,
  PATIENCE_MS = 20000,
  X32_BIT = 0x40000000,
  CALLS_MAX = 3 * (NUMBERS + 2 * FAMILIES + 128),
};

enum abi
{
  NATIVE,
  X32,
  I386,
};

static const char *const abi_names[] = {
#ifdef __x86_64__
  "x86_64",
  "x32",
  "i386",
#elif defined __aarch64__
  "aarch64",
#endif
};

struct call
{
  enum abi abi;
  long number;
  unsigned long first;
  unsigned long third;
  long outcome;
};

struct probe
{
  struct call calls[CALLS_MAX];
  size_t count;
  atomic_int listener; /* 0: not yet; -1: refused */
  atomic_bool done;
};

static void
plan (struct probe *probe, enum abi abi, long number, unsigned long first, unsigned long third)
{
  probe->calls[probe->count++] = (struct call){ abi, number, first, third, 0 };
}

static void
plan_abi (struct probe *probe, enum abi abi, long socket_number, long clone_number,
          long personality_number)
{
  /* Kernels from 6.14 on let uretprobe and uprobe through whatever a filter says, and kill who
   * isn't their own code. */
  for (long number = 0; number < NUMBERS; number++)
    if (abi == I386 || (number != 335 && number != 336))
      plan (probe, abi, number, 0, 0);
  for (unsigned long family = 0; family < FAMILIES; family++)
    {
      plan (probe, abi, socket_number, family, 0);
      plan (probe, abi, socket_number, family, 9);
    }
  for (int bit = 0; bit < 32; bit++)
    {
      plan (probe, abi, clone_number, 1UL << bit, 0);
      plan (probe, abi, personality_number, 1UL << bit, 0);
    }
  plan (probe, abi, personality_number, 0x20008, 0);
  plan (probe, abi, personality_number, 0xffffffff, 0);
}

static long
make (const struct call *call)
{
#ifdef __x86_64__
  long outcome = call->abi == X32 ? call->number | X32_BIT : call->number;
  register long r10 __asm__("r10") = 0;
  register long r8 __asm__("r8") = 0;
  register long r9 __asm__("r9") = 0;
  if (call->abi == I386)
    __asm__ volatile("int $0x80"
                     : "+a"(outcome), "+r"(r8), "+r"(r9), "+r"(r10)
                     : "b"(call->first), "c"(0L), "d"(call->third), "S"(0L), "D"(0L)
                     : "r11", "memory");
  else
    __asm__ volatile("syscall"
                     : "+a"(outcome)
                     : "D"(call->first), "S"(0L), "d"(call->third), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
  return outcome;
#else
  long outcome = syscall (call->number, call->first, 0, call->third, 0, 0, 0);
  return outcome < 0 ? -errno : outcome;
#endif
}

static void *
ask (void *argument)
{
  struct probe *probe = argument;
  struct sock_filter all[] = { BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF) };
  struct sock_fprog program = { 1, all };
  long listener =
      syscall (SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
  /* From here on not one call of this thread is made. */
  atomic_store (&probe->listener, listener > 0 ? (int) listener : -1);
  for (size_t i = 0; listener > 0 && i < probe->count; i++)
    probe->calls[i].outcome = make (&probe->calls[i]);
  atomic_store (&probe->done, true);
  for (;;)
    ;
  return NULL;
}

static void *
answer (void *argument)
{
  struct probe *probe = argument;
  while (atomic_load (&probe->listener) == 0)
    (void) usleep (1000);
  for (;;)
    {
      struct seccomp_notif asked = { 0 };
      if (ioctl (atomic_load (&probe->listener), SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0)
        continue;
      struct seccomp_notif_resp told = { .id = asked.id, .error = -PASSED };
      (void) ioctl (atomic_load (&probe->listener), SECCOMP_IOCTL_NOTIF_SEND, &told);
    }
  return NULL;
}

int
main (void)
{
  static struct probe probe;
#ifdef __x86_64__
  plan_abi (&probe, NATIVE, SYS_socket, SYS_clone, SYS_personality);
  plan_abi (&probe, X32, SYS_socket, SYS_clone, SYS_personality);
  plan_abi (&probe, I386, 359, 120, 136);
#else
  plan_abi (&probe, NATIVE, SYS_socket, SYS_clone, SYS_personality);
#endif
  pthread_t threads[2];
  if (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
      || pthread_create (&threads[0], NULL, answer, &probe) != 0
      || pthread_create (&threads[1], NULL, ask, &probe) != 0)
    return 1;
  for (int i = 0; i < PATIENCE_MS && !atomic_load (&probe.done); i++)
    (void) usleep (1000);
  if (!atomic_load (&probe.done) || atomic_load (&probe.listener) < 0)
    {
      (void) fprintf (stderr, "a filter %s\n",
                      atomic_load (&probe.listener) < 0 ? "refuses to tell of calls"
                                                        : "kills who makes some call");
      _exit (1);
    }
  for (size_t i = 0; i < probe.count; i++)
    {
      const struct call *call = &probe.calls[i];
      (void) printf ("%s %ld %lu %lu %ld\n", abi_names[call->abi], call->number, call->first,
                     call->third, call->outcome == -PASSED ? 0 : -call->outcome);
    }
  (void) fflush (stdout);
  _exit (0); /* the threads know no end */
}

#include "worker/agent/no_network.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define LOAD(member)                                                                               \
  BPF_STMT (BPF_LD | BPF_W | BPF_ABS, (unsigned int) offsetof (struct seccomp_data, member))
#define IS(value, yes, no) BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, (value), (yes), (no))
#define AND(mask) BPF_STMT (BPF_ALU | BPF_AND | BPF_K, (mask))
#define ALLOW BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define FAIL(code) BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (code))

int
no_network_enter (void)
{
  struct sock_filter steps[] =
  {
#if defined __x86_64__
    /* Programs of 32 bits have two calls for it. */
    LOAD (arch),
    IS (AUDIT_ARCH_I386, 0, 6),
    LOAD (nr),
    IS (102, 2, 0), /* socketcall */
    IS (359, 1, 0), /* socket */
    IS (425, 0, 1), /* io_uring_setup, which sockets can be made by */
    FAIL (EAFNOSUPPORT),
    ALLOW,
    IS (AUDIT_ARCH_X86_64, 1, 0),
    FAIL (ENOSYS),
    LOAD (nr),
    AND (0x3fffffff), /* x32 has the same calls */
#elif defined __aarch64__
    LOAD (arch),
    IS (AUDIT_ARCH_AARCH64, 1, 0),
    FAIL (ENOSYS),
    LOAD (nr),
#else
#error "no_network.c has this machine's calls to learn"
#endif
    IS (SYS_io_uring_setup, 4, 0),
    IS (SYS_socket, 0, 4),
    LOAD (args[0]),
    IS (AF_UNIX, 2, 0),
    FAIL (EAFNOSUPPORT),
    FAIL (ENOSYS),
    ALLOW,
  };
  const struct sock_fprog program = { .len = sizeof steps / sizeof steps[0], .filter = steps };
  return prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

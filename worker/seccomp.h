/* seccomp.h — the system calls that a container may make: put together once, given to every run.
 *
 * What Docker allows to a container with our capabilities passes, but for a few calls that Podman
 * refuses, memfd_secret, and the one by which 32-bit programs would come around the list of socket
 * families. What the others get follows from who asks:
 *
 *     EPERM    a call that Docker's profile knows, or that is older than the newest call it knows
 *     ENOSYS   numbers that no kernel has, and calls that came later: programs try newer calls
 *              first, and take an older one when
 *              they hear this (glibc: only then). The same for clone3, whose flags a filter can't
 *              see: libc takes clone
 *
 * The table comes from tools/seccomp.py. The filter is put together here and not by libseccomp, as
 * that takes 30 ms for one filter of all ways into the kernel, makes it four times as long (each
 * container's kernel compiles it) and can't know calls that are newer than itself. libseccomp and
 * Docker's own code judge the result in the tests, number by number.
 */
#ifndef SHOAL_WORKER_SECCOMP_H
#define SHOAL_WORKER_SECCOMP_H

#include "common/error.h"
#include "worker/seccomp_table.h"

#include <jansson.h>
#include <linux/filter.h>

enum
{
  SECCOMP_PROGRAM_MAX = 2048, /* instructions; all machines' programs are far below */
};

/* The table of the machine that NAME (as uname says) is; NULL if there is none. */
const struct seccomp_machine *seccomp_machine (const char *name);

/* Writes MACHINE's filter into PROGRAM, which has room for SECCOMP_PROGRAM_MAX instructions.
 * Returns how many there are. */
size_t seccomp_assemble (const struct seccomp_machine *machine, struct sock_filter *program);

/* This machine's filter as base64 of its program, as crun's annotation run.oci.seccomp_bpf_data
 * wants it. The caller frees. NULL on a machine without a table: the runtime makes one of
 * seccomp_json(). */
char *seccomp_compile (void);

/* The same rules as the `linux.seccomp` object of config.json, for a runtime that makes the filter
 * itself. A new reference.
 *
 * It differs where libseccomp, which such runtimes use, can't say the same: calls newer than the
 * installed libseccomp are ENOSYS, and so are personalities that aren't allowed. */
json_t *seccomp_json (void);

#endif

/* seccomp.h — the system calls that a container may not make: compiled once, given to every run.
 *
 * Everything is allowed but what Docker's default profile forbids to a container without extra capabilities: calls that
 * reach the kernel itself (modules, kexec, bpf, perf), other processes' memory, the clock, mounts, keys.
 */
#ifndef SHOAL_WORKER_SECCOMP_H
#define SHOAL_WORKER_SECCOMP_H

#include "common/error.h"

#include <jansson.h>

/* The filter as base64 of its BPF program, as crun's annotation run.oci.seccomp_bpf_data wants it. The caller frees; NULL
 * with ERR. */
char *seccomp_compile (struct error *err);

/* The same rules as the `linux.seccomp` object of config.json, for a runtime that compiles them itself. A new reference. */
json_t *seccomp_json (void);

#endif

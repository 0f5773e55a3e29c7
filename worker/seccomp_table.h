/* seccomp_table.h — which system calls a container may make, by number and by name: facts, written
 * by tools/seccomp.py.
 *
 * A row holds from its first value up to the next row's first, the last one to the end:
 *
 *     { 0, ALLOWED }, { 134, REFUSED }, { 135, PERSONALITY }, { 136, REFUSED } …
 */
#ifndef SHOAL_WORKER_SECCOMP_TABLE_H
#define SHOAL_WORKER_SECCOMP_TABLE_H

#include <stddef.h>
#include <stdint.h>

enum seccomp_verdict
{
  SECCOMP_ABSENT,  /* ENOSYS: no such call, or one that Docker hasn't decided on yet */
  SECCOMP_REFUSED, /* EPERM */
  SECCOMP_ALLOWED,
  SECCOMP_SOCKET,      /* the first argument's row in `families` decides */
  SECCOMP_NETLINK,     /* allowed but for the protocol that talks to the audit system */
  SECCOMP_PERSONALITY, /* the first argument's row in `personalities` */
  SECCOMP_CLONE,       /* allowed without the flags of `namespaces` */
};

struct seccomp_run
{
  uint32_t first;
  enum seccomp_verdict verdict;
};

/* The calls of one way into the kernel. x86_64's has x32's of their own, too, those from 512 on. */
struct seccomp_abi
{
  uint32_t audit_arch;
  const struct seccomp_run *calls;
  size_t count;
};

struct seccomp_machine
{
  const char *name; /* as uname says; NULL ends the list */
  const struct seccomp_abi *abis;
  size_t count;
  const char *runtime_names[4]; /* the same ones for a runtime's config.json, NULL at the end */
};

struct seccomp_arguments
{
  const struct seccomp_run *families;
  size_t family_count;
  const struct seccomp_run *personalities;
  size_t personality_count;
  uint32_t namespaces;
};

extern const struct seccomp_machine seccomp_machines[];
extern const struct seccomp_arguments seccomp_arguments;

/* Names of calls that no argument decides on, of all machines, a space between two. */
extern const char seccomp_allowed[];
extern const char seccomp_refused[];

#endif

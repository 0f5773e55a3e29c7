/* device_rule.h — which devices a container can reach, by the kernel's rule for its control group.
 *
 * Those that every container has: null, zero, full, random, urandom, tty, pseudo terminals; and
 * those of its job. Nothing else can be opened, or made by mknod but an overlay's whiteout,
 * whatever a process is allowed otherwise. It concerns device nodes, not file systems that are
 * mounted.
 */
#ifndef SHOAL_WORKER_DEVICE_RULE_H
#define SHOAL_WORKER_DEVICE_RULE_H

#include <stdbool.h>
#include <stddef.h>

enum
{
  DEVICE_RULE_ANY = -1,
};

/* What may be done with one device. */
struct device_access
{
  bool block;
  int major;
  int minor; /* DEVICE_RULE_ANY: all of them */
  bool made;
  bool read;
  bool written;
};

/* Version 1: writes the rule, with COUNT devices MORE than every container's, into FOLDER of the
 * controller devices. 0, or -1 with errno. */
int device_rule_write (int folder, const struct device_access *more, size_t count);

/* Version 2: attaches a program that says the same to the group FOLDER, as long as that is there,
 * in place of *PROGRAM, the descriptor of the one before (-1: none). 0 with the new one's, or -1
 * with errno. */
int device_rule_attach (int folder, const struct device_access *more, size_t count, int *program);

#endif

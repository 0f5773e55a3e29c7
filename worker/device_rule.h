/* device_rule.h — which devices a container can reach, by the kernel's rule for its control group.
 *
 * Those that every container has: null, zero, full, random, urandom, tty, pseudo terminals. Nothing
 * else can be opened, or made by mknod but an overlay's whiteout, whatever a process is allowed
 * otherwise. It concerns device nodes, not file systems that are mounted.
 */
#ifndef SHOAL_WORKER_DEVICE_RULE_H
#define SHOAL_WORKER_DEVICE_RULE_H

/* Version 1: writes the rule into FOLDER of the controller devices. 0, or -1 with errno. */
int device_rule_write (int folder);

/* Version 2: attaches a program that says the same to the group FOLDER, as long as that is there.
 * 0, or -1 with errno. */
int device_rule_attach (int folder);

#endif

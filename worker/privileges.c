#include "worker/privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Podman's default set without CAP_SETFCAP: an output with a file capability would be a way to root
 * on the host. */
static const struct
{
  const char *name;
  unsigned int number;
} kept[] = {
#define KEPT(name)                                                                                 \
  {                                                                                                \
#name, name                                                                                    \
  }
  KEPT (CAP_CHOWN),      KEPT (CAP_DAC_OVERRIDE), KEPT (CAP_FOWNER),
  KEPT (CAP_FSETID),     KEPT (CAP_KILL),         KEPT (CAP_SETGID),
  KEPT (CAP_SETUID),     KEPT (CAP_SETPCAP),      KEPT (CAP_NET_BIND_SERVICE),
  KEPT (CAP_SYS_CHROOT),
};

enum
{
  KEPT_COUNT = sizeof kept / sizeof kept[0],
};

const char *
privileges_capability (size_t index)
{
  return index < KEPT_COUNT ? kept[index].name : NULL;
}

static uint64_t
kept_mask (void)
{
  uint64_t mask = 0;
  for (size_t i = 0; i < KEPT_COUNT; i++)
    mask |= (uint64_t) 1 << kept[i].number;
  return mask;
}

/* What no program can get any more, whatever its file says. */
static int
drop_bounding (uint64_t mask)
{
  for (unsigned int number = 0; prctl (PR_CAPBSET_READ, number, 0, 0, 0) >= 0; number++)
    if ((mask >> number & 1) == 0 && prctl (PR_CAPBSET_DROP, number, 0, 0, 0) != 0)
      return -1;
  return 0;
}

static int
set_capabilities (uint64_t mask)
{
  struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
  struct __user_cap_data_struct data[2] = { 0 };
  for (int i = 0; i < 2; i++)
    data[i].effective = data[i].permitted = (uint32_t) (mask >> 32 * i);
  return (int) syscall (SYS_capset, &header, data);
}

int
privileges_drop (uid_t uid, gid_t gid, struct error *err)
{
  /* Not by the C library, which would change all threads of the process whose memory we may
   * borrow. */
  bool changes = uid != (uid_t) -1;
  if (drop_bounding (kept_mask ()) != 0)
    return error_errno (err, errno, "giving capabilities up");
  /* A user namespace of somebody who isn't root keeps that user's groups. */
  if (changes && syscall (SYS_setgroups, 0, NULL) != 0 && errno != EPERM)
    return error_errno (err, errno, "giving groups up");
  if (changes
      && (syscall (SYS_setresgid, gid, gid, gid) != 0
          || syscall (SYS_setresuid, uid, uid, uid) != 0))
    return error_errno (err, errno, "becoming user %u:%u", (unsigned int) uid, (unsigned int) gid);
  if (set_capabilities (geteuid () == 0 ? kept_mask () : 0) != 0
      || prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return error_errno (err, errno, "giving privileges up");
  return 0;
}

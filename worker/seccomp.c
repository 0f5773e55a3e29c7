#include "worker/seccomp.h"

#include "common/auto.h"
#include "common/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <openssl/evp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum
{
  PROGRAM_MAX = 1 << 16, /* bytes of BPF */
};

static const char *const forbidden[] = {
  "acct",
  "add_key",
  "bpf",
  "clock_adjtime",
  "clock_settime",
  "create_module",
  "delete_module",
  "finit_module",
  "fsconfig",
  "fsmount",
  "fsopen",
  "fspick",
  "get_kernel_syms",
  "get_mempolicy",
  "init_module",
  "io_uring_enter",
  "io_uring_register",
  "io_uring_setup",
  "ioperm",
  "iopl",
  "kcmp",
  "kexec_file_load",
  "kexec_load",
  "keyctl",
  "lookup_dcookie",
  "mbind",
  "mount",
  "mount_setattr",
  "move_mount",
  "move_pages",
  "name_to_handle_at",
  "nfsservctl",
  "open_by_handle_at",
  "open_tree",
  "perf_event_open",
  "pivot_root",
  "process_vm_readv",
  "process_vm_writev",
  "ptrace",
  "query_module",
  "quotactl",
  "quotactl_fd",
  "reboot",
  "request_key",
  "set_mempolicy",
  "setns",
  "settimeofday",
  "swapoff",
  "swapon",
  "sysfs",
  "_sysctl",
  "umount",
  "umount2",
  "unshare",
  "uselib",
  "userfaultfd",
  "ustat",
  "vm86",
  "vm86old",
  "fanotify_init",
  "vhangup",
};

static int
add_rules (scmp_filter_ctx filter)
{
  for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++)
    {
      int number = seccomp_syscall_resolve_name (forbidden[i]);
      if (number != __NR_SCMP_ERROR
          && seccomp_rule_add (filter, SCMP_ACT_ERRNO (EPERM), number, 0) < 0)
        return -1;
    }
  /* A process may be cloned, but not into a user namespace; clone3's flags can't be looked at: "not there" makes libc use clone. */
  if (seccomp_rule_add (filter, SCMP_ACT_ERRNO (EPERM), SCMP_SYS (clone), 1,
                        SCMP_A0 (SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER))
      < 0)
    return -1;
  return seccomp_rule_add (filter, SCMP_ACT_ERRNO (ENOSYS), SCMP_SYS (clone3), 0);
}

static char *
export_base64 (scmp_filter_ctx filter, struct error *err)
{
  auto_fd int fd = memfd_create ("seccomp", MFD_CLOEXEC);
  struct stat status;
  if (fd < 0 || seccomp_export_bpf (filter, fd) != 0 || fstat (fd, &status) != 0
      || status.st_size > PROGRAM_MAX)
    {
      (void) error_set (err, ERROR_TRANSIENT, "the seccomp filter can't be compiled");
      return NULL;
    }
  auto_free unsigned char *program = xcalloc (1, (size_t) status.st_size + 1);
  if (pread (fd, program, (size_t) status.st_size, 0) != status.st_size)
    {
      (void) error_errno (err, errno, "the seccomp filter");
      return NULL;
    }
  char *text = xcalloc (1, (size_t) status.st_size * 4 / 3 + 8);
  (void) EVP_EncodeBlock ((unsigned char *) text, program, (int) status.st_size);
  return text;
}

char *
seccomp_compile (struct error *err)
{
  scmp_filter_ctx filter = seccomp_init (SCMP_ACT_ALLOW);
  char *text = NULL;
  if (filter != NULL && add_rules (filter) >= 0)
    text = export_base64 (filter, err);
  else
    (void) error_set (err, ERROR_TRANSIENT, "the seccomp filter can't be made");
  seccomp_release (filter);
  return text;
}

/* ---- as JSON ---------------------------------------------------------------------------- */

static void
add_rule (json_t *rules, json_t *names, int code, json_t *args)
{
  json_t *rule = json_object ();
  (void) json_object_set_new (rule, "names", names);
  (void) json_object_set_new (rule, "action", json_string ("SCMP_ACT_ERRNO"));
  (void) json_object_set_new (rule, "errnoRet", json_integer (code));
  if (args != NULL)
    (void) json_object_set_new (rule, "args", args);
  (void) json_array_append_new (rules, rule);
}

json_t *
seccomp_json (void)
{
  json_t *rules = json_array ();
  json_t *names = json_array ();
  for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++)
    if (seccomp_syscall_resolve_name (forbidden[i]) >= 0)
      (void) json_array_append_new (names, json_string (forbidden[i]));
  add_rule (rules, names, EPERM, NULL);
  json_t *user_namespace =
      json_pack ("[{s:i, s:I, s:I, s:s}]", "index", 0, "value", (json_int_t) CLONE_NEWUSER,
                 "valueTwo", (json_int_t) CLONE_NEWUSER, "op", "SCMP_CMP_MASKED_EQ");
  add_rule (rules, json_pack ("[s]", "clone"), EPERM, user_namespace);
  add_rule (rules, json_pack ("[s]", "clone3"), ENOSYS, NULL);
  return json_pack ("{s:s, s:o}", "defaultAction", "SCMP_ACT_ALLOW", "syscalls", rules);
}

#include "tests/lib/seccomp_oracle.h"

#include "common/buffer.h"
#include "common/fs.h"
#include "common/memory.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum
{
  RULES_MAX = 1024,
  TOLD_MAX = 20,
  X32_BIT = 0x40000000,
};

struct condition
{
  unsigned index;
  char op[32];
  uint64_t value;
  uint64_t value_two;
};

struct rule
{
  char name[40];
  int verdict;
  bool conditional; /* Docker's rules have one condition at most */
  struct condition condition;
};

struct seccomp_oracle
{
  struct rule rules[RULES_MAX];
  size_t count;
};

/* Ours differ: Podman refuses the first ones by name, memfd_secret hides from the host, socketcall
 * hides the socket family. */
static const char *const stricter[] = { "cachestat",        "io_pgetevents", "io_pgetevents_time64",
                                        "map_shadow_stack", "vmsplice",      "memfd_secret",
                                        "socketcall" };

/* These came after the newest call that Docker's profile names. */
static const char *const undecided[] = { "open_tree_attr", "file_getattr", "file_setattr", "listns",
                                         "rseq_slice_yield" };

/* Docker's code was run on x86_64. On ARM it allows these, too. */
static const char *const arm_only[] = { "arm_fadvise64_64", "arm_sync_file_range",
                                        "breakpoint",       "cacheflush",
                                        "set_tls",          "sync_file_range2" };

/* Calls that Debian 12's libseccomp doesn't know: the same numbers for everybody, from Linux 5.18
 * to 7.2. */
static const char *const newer[] = { "cachestat",         "fchmodat2",        "map_shadow_stack",
                                     "futex_wake",        "futex_wait",       "futex_requeue",
                                     "statmount",         "listmount",        "lsm_get_self_attr",
                                     "lsm_set_self_attr", "lsm_list_modules", "mseal",
                                     "setxattrat",        "getxattrat",       "listxattrat",
                                     "removexattrat",     "open_tree_attr",   "file_getattr",
                                     "file_setattr",      "listns",           "rseq_slice_yield" };

enum
{
  NEWER_FIRST = 451,
  NEWER_COUNT = sizeof newer / sizeof newer[0],
};

/* ---- Docker's rules --------------------------------------------------------------------- */

static void
add_rule (struct seccomp_oracle *oracle, const char *line)
{
  assert_true (oracle->count < RULES_MAX);
  struct rule *rule = &oracle->rules[oracle->count++];
  struct condition *condition = &rule->condition;
  int fields = sscanf (line, "%39s %d %u %31s %lu %lu", rule->name, &rule->verdict,
                       &condition->index, condition->op, &condition->value, &condition->value_two);
  if (fields != 2 && fields != 6)
    fail_msg ("docker.txt: %s", line);
  rule->conditional = fields == 6;
}

struct seccomp_oracle *
seccomp_oracle_new (const char *folder)
{
  struct seccomp_oracle *oracle = xcalloc (1, sizeof *oracle);
  auto_free char *path = xasprintf ("%s/golden/seccomp/docker.txt", folder);
  auto_buffer struct buffer text = { 0 };
  struct error err = ERROR_INIT;
  if (fs_read_file (AT_FDCWD, path, 1 << 20, &text, &err) != 0)
    fail_msg ("%s", err.message);
  char *at = text.data;
  for (char *line = strsep (&at, "\n"); line != NULL && line[0] != '\0'; line = strsep (&at, "\n"))
    add_rule (oracle, line);
  assert_true (oracle->count > 300);
  return oracle;
}

void
seccomp_oracle_free (struct seccomp_oracle *oracle)
{
  free (oracle);
}

static bool
condition_holds (const struct condition *condition, const uint64_t *arguments)
{
  uint64_t value = arguments[condition->index];
  if (strcmp (condition->op, "SCMP_CMP_EQ") == 0)
    return value == condition->value;
  if (strcmp (condition->op, "SCMP_CMP_LT") == 0)
    return value < condition->value;
  if (strcmp (condition->op, "SCMP_CMP_MASKED_EQ") == 0)
    return (value & condition->value) == condition->value_two;
  fail_msg ("docker.txt: %s", condition->op);
  return false;
}

static int
docker_verdict (const struct seccomp_oracle *oracle, const char *name, const uint64_t *arguments)
{
  int verdict = EPERM;
  for (size_t i = 0; i < oracle->count; i++)
    {
      const struct rule *rule = &oracle->rules[i];
      if (strcmp (rule->name, name) == 0
          && (!rule->conditional || condition_holds (&rule->condition, arguments)))
        verdict = rule->verdict;
    }
  return verdict;
}

/* ---- numbers ---------------------------------------------------------------------------- */

static bool
is_among (const char *name, const char *const *names, size_t count)
{
  for (size_t i = 0; i < count; i++)
    if (strcmp (name, names[i]) == 0)
      return true;
  return false;
}

char *
seccomp_oracle_name (uint32_t arch, uint32_t number)
{
  uint32_t plain = arch == SCMP_ARCH_X32 ? number & ~(uint32_t) X32_BIT : number;
  if (plain >= NEWER_FIRST && plain < NEWER_FIRST + NEWER_COUNT)
    return xstrdup (newer[plain - NEWER_FIRST]);
  if (arch == SCMP_ARCH_X86_64 && (number == 335 || number == 336))
    return xstrdup (number == 335 ? "uretprobe" : "uprobe");
  return seccomp_syscall_resolve_num_arch (arch, (int) number);
}

int
seccomp_oracle_verdict (const struct seccomp_oracle *oracle, uint32_t arch, uint32_t number,
                        const uint64_t *arguments)
{
  auto_free char *name = seccomp_oracle_name (arch, number);
  /* What x32 doesn't have is as for x86_64: the kernel has no such call, and one that had it ran
   * x86_64's. */
  if (name == NULL && arch == SCMP_ARCH_X32)
    return seccomp_oracle_verdict (oracle, SCMP_ARCH_X86_64, number & ~(uint32_t) X32_BIT,
                                   arguments);
  bool is_arm = arch == SCMP_ARCH_ARM || arch == SCMP_ARCH_AARCH64;
  if (name == NULL || is_among (name, undecided, sizeof undecided / sizeof undecided[0]))
    return ENOSYS;
  if (is_among (name, stricter, sizeof stricter / sizeof stricter[0]))
    return EPERM;
  if (is_arm && is_among (name, arm_only, sizeof arm_only / sizeof arm_only[0]))
    return 0;
  if (strcmp (name, "socket") == 0 && arguments[0] == AF_NETLINK && arguments[2] == NETLINK_AUDIT)
    return EPERM;
  return docker_verdict (oracle, name, arguments);
}

int
seccomp_oracle_runtime_verdict (const struct seccomp_oracle *oracle, uint32_t arch, uint32_t number,
                                const uint64_t *arguments)
{
  auto_free char *name = seccomp_syscall_resolve_num_arch (arch, (int) number);
  if (name == NULL)
    return ENOSYS;
  int verdict = seccomp_oracle_verdict (oracle, arch, number, arguments);
  return verdict == EPERM && strcmp (name, "personality") == 0 ? ENOSYS : verdict;
}

/* ---- what the kernel said --------------------------------------------------------------- */

static uint32_t
arch_of (const char *name)
{
  static const struct
  {
    const char *name;
    uint32_t arch;
  } arches[] = { { "x86_64", SCMP_ARCH_X86_64 },
                 { "x32", SCMP_ARCH_X32 },
                 { "i386", SCMP_ARCH_X86 },
                 { "aarch64", SCMP_ARCH_AARCH64 } };
  for (size_t i = 0; i < sizeof arches / sizeof arches[0]; i++)
    if (strcmp (arches[i].name, name) == 0)
      return arches[i].arch;
  fail_msg ("%s: not an ABI", name);
  return 0;
}

/* One line of the probe's. False when it isn't as expected; says so. */
static bool
line_is_right (const struct seccomp_oracle *oracle, const char *line, bool by_runtime)
{
  char abi[16];
  uint32_t number;
  uint64_t arguments[6] = { 0 };
  int seen;
  if (sscanf (line, "%15s %u %lu %lu %d", abi, &number, &arguments[0], &arguments[2], &seen) != 5)
    fail_msg ("the probe says %s", line);
  uint32_t arch = arch_of (abi);
  uint32_t full = arch == SCMP_ARCH_X32 ? number | X32_BIT : number;
  int expected = by_runtime ? seccomp_oracle_runtime_verdict (oracle, arch, full, arguments)
                            : seccomp_oracle_verdict (oracle, arch, full, arguments);
  if (seen == expected)
    return true;
  auto_free char *name = seccomp_oracle_name (arch, full);
  print_error ("%s %u (%s) with %lu, %lu: %d, expected %d\n", abi, number,
               name != NULL ? name : "no such call", arguments[0], arguments[2], seen, expected);
  return false;
}

void
seccomp_oracle_check (const struct seccomp_oracle *oracle, const char *printed, bool by_runtime)
{
  auto_free char *copy = xstrdup (printed);
  char *at = copy;
  int wrong = 0;
  int lines = 0;
  for (char *line = strsep (&at, "\n"); line != NULL && line[0] != '\0' && wrong < TOLD_MAX;
       line = strsep (&at, "\n"), lines++)
    wrong += line_is_right (oracle, line, by_runtime) ? 0 : 1;
  assert_true (lines > 700);
  assert_int_equal (wrong, 0);
}

#include "worker/seccomp.h"

#include "common/auto.h"
#include "common/base64.h"
#include "common/memory.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>

enum
{
  X32_BIT = 0x40000000,
  X32_OWN = X32_BIT + 512, /* from here on x32 has calls of its own */
  NEAR_MAX = 255,          /* how far a condition jumps; JA goes further */
  ABIS_MAX = 2,            /* of one machine */
#ifdef __s390__
  CLONE_FLAGS = 1, /* which argument has them */
#else
  CLONE_FLAGS = 0,
#endif
};

static const uint32_t answers[] = {
  [SECCOMP_ABSENT] = SECCOMP_RET_ERRNO | ENOSYS,
  [SECCOMP_REFUSED] = SECCOMP_RET_ERRNO | EPERM,
  [SECCOMP_ALLOWED] = SECCOMP_RET_ALLOW,
};

/* A program that is written from its end, as all jumps go forward: `at` is the first instruction
 * that there is, and a place in it is a pointer that stays. */
struct bpf_assembly
{
  struct sock_filter *at;
  struct sock_filter *places[SECCOMP_CLONE + 1]; /* where a verdict is; NULL: not yet */
};

static void
seccomp_put (struct bpf_assembly *assembly, uint16_t code, uint32_t k, uint8_t if_true,
             uint8_t if_false)
{
  *--assembly->at = (struct sock_filter){ code, if_true, if_false, k };
}

static void
put_load (struct bpf_assembly *assembly, size_t offset)
{
  seccomp_put (assembly, BPF_LD | BPF_W | BPF_ABS, (uint32_t) offset, 0, 0);
}

/* An argument's lower half: the kernel reads no more of those that are looked at. */
static void
put_load_argument (struct bpf_assembly *assembly, size_t index)
{
  put_load (assembly, offsetof (struct seccomp_data, args) + index * sizeof (uint64_t));
}

/* How far a condition that is put next jumps to PLACE. Puts a long jump when that is too far. */
static struct sock_filter *
put_near (struct bpf_assembly *assembly, struct sock_filter *place)
{
  ptrdiff_t far = place - assembly->at;
  if (far < NEAR_MAX)
    return place;
  seccomp_put (assembly, BPF_JMP | BPF_JA, (uint32_t) far, 0, 0);
  return assembly->at;
}

/* Goes to YES if CONDITION (of BPF_JEQ, BPF_JGE, BPF_JSET) with K holds, to NO if not. */
static struct sock_filter *
put_condition (struct bpf_assembly *assembly, uint16_t condition, uint32_t k,
               struct sock_filter *yes, struct sock_filter *no)
{
  /* The second long jump moves the first one's target one further away; both stay within reach. */
  yes = put_near (assembly, yes);
  no = put_near (assembly, no);
  seccomp_put (assembly, BPF_JMP | condition | BPF_K, k, (uint8_t) (yes - assembly->at),
               (uint8_t) (no - assembly->at));
  return assembly->at;
}

/* A binary search for the row that the accumulator is in. */
static struct sock_filter *
put_search (struct bpf_assembly *assembly, const struct seccomp_run *runs, size_t count)
{
  if (count == 1)
    return assembly->places[runs[0].verdict];
  size_t half = count / 2;
  struct sock_filter *above = put_search (assembly, runs + half, count - half);
  struct sock_filter *below = put_search (assembly, runs, half);
  return put_condition (assembly, BPF_JGE, runs[half].first, above, below);
}

static void
put_answers (struct bpf_assembly *assembly)
{
  for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
    {
      seccomp_put (assembly, BPF_RET | BPF_K, answers[i], 0, 0);
      assembly->places[i] = assembly->at;
    }
}

/* The verdicts that a call's arguments decide. */
static void
put_arguments (struct bpf_assembly *assembly)
{
  const struct seccomp_arguments *arguments = &seccomp_arguments;
  struct sock_filter **places = assembly->places;
  (void) put_condition (assembly, BPF_JEQ, NETLINK_AUDIT, places[SECCOMP_REFUSED],
                        places[SECCOMP_ALLOWED]);
  put_load_argument (assembly, 2);
  places[SECCOMP_NETLINK] = assembly->at;
  (void) put_condition (assembly, BPF_JSET, arguments->namespaces, places[SECCOMP_REFUSED],
                        places[SECCOMP_ALLOWED]);
  put_load_argument (assembly, 0);
  places[SECCOMP_CLONE] = assembly->at;
  (void) put_search (assembly, arguments->personalities, arguments->personality_count);
  put_load_argument (assembly, 0);
  places[SECCOMP_PERSONALITY] = assembly->at;
  (void) put_search (assembly, arguments->families, arguments->family_count);
  put_load_argument (assembly, 0);
  places[SECCOMP_SOCKET] = assembly->at;
}

/* x32 calls are looked for as x86_64's but for those of its own. */
static void
put_x32 (struct bpf_assembly *assembly, struct sock_filter *search)
{
  seccomp_put (assembly, BPF_ALU | BPF_AND | BPF_K, ~(uint32_t) X32_BIT, 0, 0);
  struct sock_filter *others = put_condition (assembly, BPF_JGE, X32_BIT, assembly->at, search);
  (void) put_condition (assembly, BPF_JGE, X32_OWN, search, others);
}

static struct sock_filter *
put_abi (struct bpf_assembly *assembly, const struct seccomp_abi *abi)
{
  put_answers (assembly); /* again, as the other ones are too far away */
  struct sock_filter *search = put_search (assembly, abi->calls, abi->count);
  if (abi->audit_arch == AUDIT_ARCH_X86_64)
    put_x32 (assembly, search);
  put_load (assembly, offsetof (struct seccomp_data, nr));
  return assembly->at;
}

size_t
seccomp_assemble (const struct seccomp_machine *machine, struct sock_filter *program)
{
  struct sock_filter *end = program + SECCOMP_PROGRAM_MAX;
  struct bpf_assembly assembly = { .at = end };
  struct sock_filter *abis[ABIS_MAX];
  put_answers (&assembly);
  put_arguments (&assembly);
  for (size_t i = 0; i < machine->count; i++)
    abis[i] = put_abi (&assembly, &machine->abis[i]);
  seccomp_put (&assembly, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
  struct sock_filter *next = assembly.at;
  for (size_t i = 0; i < machine->count; i++)
    next = put_condition (&assembly, BPF_JEQ, machine->abis[i].audit_arch, abis[i], next);
  put_load (&assembly, offsetof (struct seccomp_data, arch));
  size_t count = (size_t) (end - assembly.at);
  memmove (program, assembly.at, count * sizeof *program);
  return count;
}

const struct seccomp_machine *
seccomp_machine (const char *name)
{
  for (const struct seccomp_machine *machine = seccomp_machines; machine->name != NULL; machine++)
    if (strcmp (machine->name, name) == 0)
      return machine;
  return NULL;
}

static const struct seccomp_machine *
this_machine (void)
{
  struct utsname name;
  return uname (&name) == 0 ? seccomp_machine (name.machine) : NULL;
}

char *
seccomp_compile (void)
{
  const struct seccomp_machine *machine = this_machine ();
  if (machine == NULL)
    return NULL;
  struct sock_filter program[SECCOMP_PROGRAM_MAX];
  size_t size = seccomp_assemble (machine, program) * sizeof program[0];
  return base64_encode (program, size);
}

/* ---- as JSON ---------------------------------------------------------------------------- */

/* Conditions of one rule all hold. */
static json_t *
condition (int index, const char *op, uint32_t value, uint32_t value_two)
{
  return json_pack ("{s:i, s:s, s:I, s:I}", "index", index, "op", op, "value", (json_int_t) value,
                    "valueTwo", (json_int_t) value_two);
}

static void
add_rule (json_t *rules, json_t *names, bool allowed, json_t *conditions)
{
  json_t *rule = json_pack ("{s:o, s:s}", "names", names, "action",
                            allowed ? "SCMP_ACT_ALLOW" : "SCMP_ACT_ERRNO");
  if (!allowed)
    (void) json_object_set_new (rule, "errnoRet", json_integer (EPERM));
  if (conditions != NULL)
    (void) json_object_set_new (rule, "args", conditions);
  (void) json_array_append_new (rules, rule);
}

static void
add_names (json_t *rules, const char *names, bool allowed)
{
  json_t *array = json_array ();
  auto_free char *copy = xstrdup (names);
  char *at = copy;
  for (const char *name = strsep (&at, " "); name != NULL; name = strsep (&at, " "))
    (void) json_array_append_new (array, json_string (name));
  add_rule (rules, array, allowed, NULL);
}

static void
add_value (json_t *rules, const char *name, const char *op, uint32_t value, bool allowed)
{
  add_rule (rules, json_pack ("[s]", name), allowed,
            json_pack ("[o]", condition (0, op, value, 0)));
}

/* The rows as rules of which no two meet: one a value, and one for all from the last row on. */
static void
add_families (json_t *rules)
{
  const struct seccomp_run *rows = seccomp_arguments.families;
  size_t last = seccomp_arguments.family_count - 1;
  for (size_t i = 0; i < last; i++)
    for (uint32_t family = rows[i].first; family < rows[i + 1].first; family++)
      if (rows[i].verdict != SECCOMP_NETLINK)
        add_value (rules, "socket", "SCMP_CMP_EQ", family, rows[i].verdict == SECCOMP_ALLOWED);
  add_value (rules, "socket", "SCMP_CMP_GE", rows[last].first, false);
  add_rule (rules, json_pack ("[s]", "socket"), true,
            json_pack ("[o, o]", condition (0, "SCMP_CMP_EQ", AF_NETLINK, 0),
                       condition (2, "SCMP_CMP_NE", NETLINK_AUDIT, 0)));
  add_rule (rules, json_pack ("[s]", "socket"), false,
            json_pack ("[o, o]", condition (0, "SCMP_CMP_EQ", AF_NETLINK, 0),
                       condition (2, "SCMP_CMP_EQ", NETLINK_AUDIT, 0)));
}

/* Libseccomp has no ranges within one argument, so what isn't allowed is left to the default. */
static void
add_personalities (json_t *rules)
{
  for (size_t i = 0; i < seccomp_arguments.personality_count; i++)
    if (seccomp_arguments.personalities[i].verdict == SECCOMP_ALLOWED)
      add_value (rules, "personality", "SCMP_CMP_EQ", seccomp_arguments.personalities[i].first,
                 true);
}

static void
add_clone (json_t *rules)
{
  uint32_t flags = seccomp_arguments.namespaces;
  add_rule (rules, json_pack ("[s]", "clone"), true,
            json_pack ("[o]", condition (CLONE_FLAGS, "SCMP_CMP_MASKED_EQ", flags, 0)));
  for (; flags != 0; flags &= flags - 1)
    add_rule (rules, json_pack ("[s]", "clone"), false,
              json_pack ("[o]", condition (CLONE_FLAGS, "SCMP_CMP_MASKED_EQ", flags & -flags,
                                           flags & -flags)));
}

json_t *
seccomp_json (void)
{
  const struct seccomp_machine *machine = this_machine ();
  json_t *rules = json_array ();
  /* First: what is refused whole isn't allowed again by what libseccomp makes of "socket" for
   * 32-bit programs. */
  add_names (rules, seccomp_refused, false);
  add_names (rules, seccomp_allowed, true);
  add_families (rules);
  add_personalities (rules);
  add_clone (rules);
  json_t *object = json_pack ("{s:s, s:i, s:o}", "defaultAction", "SCMP_ACT_ERRNO",
                              "defaultErrnoRet", ENOSYS, "syscalls", rules);
  json_t *names = machine != NULL ? json_array () : NULL;
  for (size_t i = 0; machine != NULL && machine->runtime_names[i] != NULL; i++)
    (void) json_array_append_new (names, json_string (machine->runtime_names[i]));
  if (names != NULL)
    (void) json_object_set_new (object, "architectures", names);
  return object;
}

/* The filter of system calls, number by number and way by way into the kernel, by an
 * interpreter. */
#include "worker/seccomp.h"

#include "common/auto.h"
#include "common/memory.h"
#include "tests/lib/seccomp_oracle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>

enum
{
  X32_BIT = 0x40000000,
  NUMBERS = 601,
};

struct way
{
  const char *machine;
  uint32_t arch;  /* libseccomp's name */
  uint32_t audit; /* the kernel's */
  uint32_t from;  /* added to each number */
};

static const struct way ways[] = {
  { "x86_64", SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64, 0 },
  { "x86_64", SCMP_ARCH_X32, AUDIT_ARCH_X86_64, X32_BIT },
  { "x86_64", SCMP_ARCH_X86, AUDIT_ARCH_I386, 0 },
  { "aarch64", SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64, 0 },
  { "aarch64", SCMP_ARCH_ARM, AUDIT_ARCH_ARM, 0 },
};

struct scene
{
  struct seccomp_oracle *oracle;
  int wrong;
};

/* ---- an interpreter --------------------------------------------------------------------- */

struct machine
{
  const struct sock_filter *program;
  size_t count;
  size_t at;
  uint32_t accumulator;
  struct seccomp_data data;
};

static uint32_t
machine_load (const struct machine *machine, uint32_t offset)
{
  assert_true (offset % 4 == 0 && offset + 4 <= sizeof machine->data);
  uint32_t value;
  memcpy (&value, (const char *) &machine->data + offset, sizeof value);
  return value;
}

static void
machine_jump (struct machine *machine, const struct sock_filter *step, bool holds)
{
  machine->at += holds ? step->jt : step->jf;
}

/* False at the end. */
static bool
machine_step (struct machine *machine)
{
  assert_true (machine->at < machine->count);
  const struct sock_filter *step = &machine->program[machine->at++];
  switch (step->code)
    {
    case BPF_LD | BPF_W | BPF_ABS:
      machine->accumulator = machine_load (machine, step->k);
      return true;
    case BPF_ALU | BPF_AND | BPF_K:
      machine->accumulator &= step->k;
      return true;
    case BPF_JMP | BPF_JA:
      machine->at += step->k;
      return true;
    case BPF_JMP | BPF_JEQ | BPF_K:
      machine_jump (machine, step, machine->accumulator == step->k);
      return true;
    case BPF_JMP | BPF_JGE | BPF_K:
      machine_jump (machine, step, machine->accumulator >= step->k);
      return true;
    case BPF_JMP | BPF_JSET | BPF_K:
      machine_jump (machine, step, (machine->accumulator & step->k) != 0);
      return true;
    case BPF_RET | BPF_K:
      machine->accumulator = step->k;
      return false;
    default:
      fail_msg ("instruction %zu: code %#x", machine->at - 1, step->code);
      return false;
    }
}

static uint32_t
interpret (const struct sock_filter *program, size_t count, uint32_t audit, uint32_t number,
           const uint64_t *arguments)
{
  struct machine machine = { .program = program, .count = count };
  machine.data.nr = (int) number;
  machine.data.arch = audit;
  memcpy (machine.data.args, arguments, sizeof machine.data.args);
  while (machine_step (&machine))
    ;
  return machine.accumulator;
}

/* ---- against Docker --------------------------------------------------------------------- */

static void
check (struct scene *scene, const struct way *way, uint32_t number, uint64_t first, uint64_t third)
{
  struct sock_filter program[SECCOMP_PROGRAM_MAX];
  size_t count = seccomp_assemble (seccomp_machine (way->machine), program);
  const uint64_t arguments[6] = { first, 0, third, 0, 0, 0 };
  uint32_t seen = interpret (program, count, way->audit, number, arguments);
  int expected = seccomp_oracle_verdict (scene->oracle, way->arch, number, arguments);
  uint32_t wanted = expected == 0 ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | (uint32_t) expected;
  if (seen == wanted)
    return;
  scene->wrong++;
  auto_free char *name = seccomp_oracle_name (way->arch, number);
  print_error ("%#x: %u (%s) with %#lx, %#lx: %#x, expected %#x\n", way->audit, number,
               name != NULL ? name : "no such call", first, third, seen, wanted);
}

static uint32_t
number_of (const struct way *way, const char *name)
{
  /* Of i386's two ways to a socket libseccomp names the old one. */
  if (way->arch == SCMP_ARCH_X86 && strcmp (name, "socket") == 0)
    return 359;
  int number = seccomp_syscall_resolve_name_arch (way->arch, name);
  assert_true (number >= 0);
  return (uint32_t) number;
}

static void
every_number_is_judged_as_docker_does (void **state)
{
  struct scene *scene = *state;
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
    {
      for (uint32_t number = 0; number < NUMBERS; number++)
        check (scene, &ways[i], ways[i].from + number, 0, 0);
      static const uint32_t odd[] = { 0x7fffffff, 0x80000000, 0xbfffffff, 0xffffffff };
      for (size_t j = 0; j < sizeof odd / sizeof odd[0]; j++)
        check (scene, &ways[i], odd[j], 0, 0);
    }
  for (uint32_t number = 0xf0000; number < 0xf0010; number++)
    check (scene, &ways[4], number, 0, 0);
  assert_int_equal (scene->wrong, 0);
}

static void
socket_families_are_a_list (void **state)
{
  struct scene *scene = *state;
  static const uint64_t odd[] = { 255, 65536, 0x7fffffff, 0x80000000, 0xffffffff };
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
    {
      uint32_t number = number_of (&ways[i], "socket");
      for (uint64_t family = 0; family < 48; family++)
        for (uint64_t protocol = 0; protocol < 32; protocol++)
          check (scene, &ways[i], number, family, protocol);
      for (size_t j = 0; j < sizeof odd / sizeof odd[0]; j++)
        check (scene, &ways[i], number, odd[j], 0);
    }
  assert_int_equal (scene->wrong, 0);
}

static void
clones_get_no_namespaces_and_personalities_are_five (void **state)
{
  struct scene *scene = *state;
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
    for (uint64_t bit = 1; bit <= 0x80000000; bit <<= 1)
      for (uint64_t other = 0; other <= 0x80000000; other = other == 0 ? 1 : other << 1)
        {
          check (scene, &ways[i], number_of (&ways[i], "clone"), bit | other, 0);
          check (scene, &ways[i], number_of (&ways[i], "personality"), bit | other, 0);
          check (scene, &ways[i], number_of (&ways[i], "personality"), ~(bit | other) & 0xffffffff,
                 0);
        }
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
    check (scene, &ways[i], number_of (&ways[i], "personality"), 0xffffffff, 0);
  assert_int_equal (scene->wrong, 0);
}

/* An argument's upper half, which the kernel doesn't read either, changes nothing. */
static void
upper_halves_do_not_count (void **state)
{
  (void) state;
  struct sock_filter program[SECCOMP_PROGRAM_MAX];
  size_t count = seccomp_assemble (seccomp_machine ("x86_64"), program);
  for (uint64_t family = 0; family < 48; family++)
    {
      const uint64_t plain[6] = { family };
      const uint64_t odd[6] = { family | 0xdeadbeef00000000 };
      assert_int_equal (interpret (program, count, AUDIT_ARCH_X86_64, 41, odd),
                        interpret (program, count, AUDIT_ARCH_X86_64, 41, plain));
    }
}

static void
another_way_into_the_kernel_kills (void **state)
{
  (void) state;
  const uint64_t arguments[6] = { 0 };
  static const char *const names[] = { "x86_64", "aarch64" };
  static const uint32_t strange[] = { 0, AUDIT_ARCH_PPC64, AUDIT_ARCH_S390X, 0xffffffff };
  for (size_t i = 0; i < 2; i++)
    for (size_t j = 0; j < 4; j++)
      {
        struct sock_filter program[SECCOMP_PROGRAM_MAX];
        size_t count = seccomp_assemble (seccomp_machine (names[i]), program);
        assert_int_equal (interpret (program, count, strange[j], 0, arguments),
                          SECCOMP_RET_KILL_PROCESS);
      }
}

static int
set_up (void **state)
{
  struct scene *scene = xcalloc (1, sizeof *scene);
  scene->oracle = seccomp_oracle_new (".");
  *state = scene;
  return 0;
}

static int
tear_down (void **state)
{
  struct scene *scene = *state;
  seccomp_oracle_free (scene->oracle);
  free (scene);
  return 0;
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (every_number_is_judged_as_docker_does, set_up, tear_down),
    cmocka_unit_test_setup_teardown (socket_families_are_a_list, set_up, tear_down),
    cmocka_unit_test_setup_teardown (clones_get_no_namespaces_and_personalities_are_five, set_up,
                                     tear_down),
    cmocka_unit_test (upper_halves_do_not_count),
    cmocka_unit_test (another_way_into_the_kernel_kills),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}

#include "worker/device_rule.h"

#include "common/auto.h"
#include "worker/cgroup_folder.h"

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum
{
  ANY = -1,
};

/* All of them are character devices, which may be made, read and written; the one without a driver
 * only made. */
struct device_access
{
  int major;
  int minor;
  bool only_made;
};

static const struct device_access devices[] = {
  { 1, 3, false },     /* null */
  { 1, 5, false },     /* zero */
  { 1, 7, false },     /* full */
  { 1, 8, false },     /* random */
  { 1, 9, false },     /* urandom */
  { 5, 0, false },     /* tty */
  { 5, 1, false },     /* console */
  { 5, 2, false },     /* ptmx */
  { 136, ANY, false }, /* pts */
  { 0, 0, true },      /* whiteouts, which older kernels hold to this rule as well */
};

#define COUNT(array) (sizeof (array) / sizeof (array)[0])

/* ---- version 1 -------------------------------------------------------------------------- */

int
device_rule_write (int folder)
{
  if (cgroup_write (folder, "devices.deny", "a") != 0)
    return -1;
  for (size_t i = 0; i < COUNT (devices); i++)
    {
      char line[64];
      char minor[16] = "*";
      if (devices[i].minor != ANY)
        (void) snprintf (minor, sizeof minor, "%d", devices[i].minor);
      (void) snprintf (line, sizeof line, "c %d:%s %s", devices[i].major, minor,
                       devices[i].only_made ? "m" : "rwm");
      /* What a group above doesn't allow can't be allowed here; then it isn't. */
      (void) cgroup_write (folder, "devices.allow", line);
    }
  return 0;
}

/* ---- version 2 -------------------------------------------------------------------------- */

enum
{
  PROGRAM_MAX = 11 + 5 * COUNT (devices),
};

/* A program in the making; jumps go to the next device's first instruction. */
struct program
{
  struct bpf_insn code[PROGRAM_MAX];
  size_t size;
};

static void
emit (struct program *program, struct bpf_insn instruction)
{
  program->code[program->size++] = instruction;
}

#define LOAD(register, member)                                                                     \
  ((struct bpf_insn){ .code = BPF_LDX | BPF_MEM | BPF_W,                                           \
                      .dst_reg = (register),                                                       \
                      .src_reg = BPF_REG_1,                                                        \
                      .off = offsetof (struct bpf_cgroup_dev_ctx, member) })
#define COPY(register, source)                                                                     \
  ((struct bpf_insn){                                                                              \
      .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = (register), .src_reg = (source) })
#define CALCULATE(operation, register, value)                                                      \
  ((struct bpf_insn){                                                                              \
      .code = BPF_ALU64 | (operation) | BPF_K, .dst_reg = (register), .imm = (value) })
/* Over the next HOW_MANY instructions. */
#define JUMP(condition, register, value, how_many)                                                 \
  ((struct bpf_insn){ .code = BPF_JMP | (condition) | BPF_K,                                       \
                      .dst_reg = (register),                                                       \
                      .off = (how_many),                                                           \
                      .imm = (value) })

static void
emit_answer (struct program *program, bool allowed)
{
  emit (program, CALCULATE (BPF_MOV, BPF_REG_0, allowed));
  emit (program, (struct bpf_insn){ .code = BPF_JMP | BPF_EXIT });
}

/* r2: its type, r3: what is wanted of it, r4: major, r5: minor. */
static void
emit_device (struct program *program, const struct device_access *device)
{
  int16_t left = (int16_t) (2 + (device->minor != ANY) + device->only_made);
  emit (program, JUMP (BPF_JNE, BPF_REG_4, device->major, left--));
  if (device->minor != ANY)
    emit (program, JUMP (BPF_JNE, BPF_REG_5, device->minor, left--));
  if (device->only_made)
    emit (program, JUMP (BPF_JNE, BPF_REG_3, BPF_DEVCG_ACC_MKNOD, left--));
  emit_answer (program, true);
}

static void
write_program (struct program *program)
{
  enum
  {
    TYPE_MASK = 0xffff,
    ACCESS_SHIFT = 16,
  };
  emit (program, LOAD (BPF_REG_2, access_type));
  emit (program, COPY (BPF_REG_3, BPF_REG_2));
  emit (program, CALCULATE (BPF_AND, BPF_REG_2, TYPE_MASK));
  emit (program, CALCULATE (BPF_RSH, BPF_REG_3, ACCESS_SHIFT));
  emit (program, LOAD (BPF_REG_4, major));
  emit (program, LOAD (BPF_REG_5, minor));
  emit (program, JUMP (BPF_JEQ, BPF_REG_2, BPF_DEVCG_DEV_CHAR, 2));
  emit_answer (program, false);
  for (size_t i = 0; i < COUNT (devices); i++)
    emit_device (program, &devices[i]);
  emit_answer (program, false);
}

static int
bpf (enum bpf_cmd command, union bpf_attr *attr)
{
  return (int) syscall (SYS_bpf, command, attr, sizeof *attr);
}

int
device_rule_attach (int folder)
{
  struct program program = { .size = 0 };
  union bpf_attr attr;
  write_program (&program);
  memset (&attr, 0, sizeof attr);
  attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attr.insns = (uint64_t) (uintptr_t) program.code;
  attr.insn_cnt = (uint32_t) program.size;
  attr.license = (uint64_t) (uintptr_t) "MIT";
  auto_fd int loaded = bpf (BPF_PROG_LOAD, &attr);
  if (loaded < 0)
    return -1;
  memset (&attr, 0, sizeof attr);
  attr.target_fd = (uint32_t) folder;
  attr.attach_bpf_fd = (uint32_t) loaded;
  attr.attach_type = BPF_CGROUP_DEVICE;
  attr.attach_flags = BPF_F_ALLOW_MULTI; /* beside what the groups above say */
  return bpf (BPF_PROG_ATTACH, &attr);
}

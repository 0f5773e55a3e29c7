#include "worker/device_rule.h"

#include "common/auto.h"
#include "common/memory.h"
#include "worker/cgroup_folder.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* All of them are character devices, which may be made, read and written; the one without a driver
 * only made. */
static const struct device_access devices[] = {
  { false, 1, 3, true, true, true },                 /* null */
  { false, 1, 5, true, true, true },                 /* zero */
  { false, 1, 7, true, true, true },                 /* full */
  { false, 1, 8, true, true, true },                 /* random */
  { false, 1, 9, true, true, true },                 /* urandom */
  { false, 5, 0, true, true, true },                 /* tty */
  { false, 5, 1, true, true, true },                 /* console */
  { false, 5, 2, true, true, true },                 /* ptmx */
  { false, 136, DEVICE_RULE_ANY, true, true, true }, /* pts */
  /* whiteouts, which older kernels hold to this rule as well */
  { false, 0, 0, true, false, false },
};

#define COUNT(array) (sizeof (array) / sizeof (array)[0])

/* ---- version 1 -------------------------------------------------------------------------- */

static int
device_rule_allow (int folder, const struct device_access *device)
{
  char line[64];
  char minor[16] = "*";
  if (device->minor != DEVICE_RULE_ANY)
    (void) snprintf (minor, sizeof minor, "%d", device->minor);
  (void) snprintf (line, sizeof line, "%c %d:%s %s%s%s", device->block ? 'b' : 'c', device->major,
                   minor, device->read ? "r" : "", device->written ? "w" : "",
                   device->made ? "m" : "");
  return cgroup_write (folder, "devices.allow", line);
}

int
device_rule_write (int folder, const struct device_access *more, size_t count)
{
  if (cgroup_write (folder, "devices.deny", "a") != 0)
    return -1;
  /* What a group above doesn't allow can't be allowed here; then it isn't. */
  for (size_t i = 0; i < COUNT (devices); i++)
    (void) device_rule_allow (folder, &devices[i]);
  for (size_t i = 0; i < count; i++)
    if (device_rule_allow (folder, &more[i]) != 0)
      return -1;
  return 0;
}

/* ---- version 2 -------------------------------------------------------------------------- */

enum
{
  PROGRAM_FIXED = 8,  /* instructions before the devices' and behind them */
  PROGRAM_DEVICE = 6, /* of a device, at most */
};

/* A program in the making; jumps go to the next device's first instruction. */
struct program
{
  struct bpf_insn *code;
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
  int32_t refused = (device->made ? 0 : BPF_DEVCG_ACC_MKNOD)
                    | (device->read ? 0 : BPF_DEVCG_ACC_READ)
                    | (device->written ? 0 : BPF_DEVCG_ACC_WRITE);
  int16_t left = (int16_t) (3 + (device->minor != DEVICE_RULE_ANY) + (refused != 0));
  emit (program, JUMP (BPF_JNE, BPF_REG_2, device->block ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR,
                       left--));
  emit (program, JUMP (BPF_JNE, BPF_REG_4, device->major, left--));
  if (device->minor != DEVICE_RULE_ANY)
    emit (program, JUMP (BPF_JNE, BPF_REG_5, device->minor, left--));
  if (refused != 0)
    emit (program, JUMP (BPF_JSET, BPF_REG_3, refused, left--));
  emit_answer (program, true);
}

static void
write_program (struct program *program, const struct device_access *more, size_t count)
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
  for (size_t i = 0; i < COUNT (devices); i++)
    emit_device (program, &devices[i]);
  for (size_t i = 0; i < count; i++)
    emit_device (program, &more[i]);
  emit_answer (program, false);
}

static int
bpf (enum bpf_cmd command, union bpf_attr *attr)
{
  return (int) syscall (SYS_bpf, command, attr, sizeof *attr);
}

static int
device_rule_load (const struct device_access *more, size_t count)
{
  size_t size = PROGRAM_FIXED + PROGRAM_DEVICE * (COUNT (devices) + count);
  struct program program = { .code = xcalloc (size, sizeof *program.code) };
  union bpf_attr attr;
  write_program (&program, more, count);
  memset (&attr, 0, sizeof attr);
  attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attr.insns = (uint64_t) (uintptr_t) program.code;
  attr.insn_cnt = (uint32_t) program.size;
  attr.license = (uint64_t) (uintptr_t) "MIT";
  int loaded = bpf (BPF_PROG_LOAD, &attr);
  int code = errno;
  free (program.code);
  errno = code;
  return loaded;
}

/* Attaches PROGRAM to the group FOLDER beside what the groups above say, or takes it off. */
static int
device_rule_link (enum bpf_cmd command, int folder, int program)
{
  union bpf_attr attr;
  memset (&attr, 0, sizeof attr);
  attr.target_fd = (uint32_t) folder;
  attr.attach_bpf_fd = (uint32_t) program;
  attr.attach_type = BPF_CGROUP_DEVICE;
  attr.attach_flags = command == BPF_PROG_ATTACH ? BPF_F_ALLOW_MULTI : 0;
  return bpf (command, &attr);
}

int
device_rule_attach (int folder, const struct device_access *more, size_t count, int *program)
{
  auto_fd int loaded = device_rule_load (more, count);
  if (loaded < 0 || device_rule_link (BPF_PROG_ATTACH, folder, loaded) != 0)
    return -1;
  /* As long as both are there, only what both allow is. */
  if (*program >= 0 && device_rule_link (BPF_PROG_DETACH, folder, *program) != 0)
    {
      int code = errno;
      (void) device_rule_link (BPF_PROG_DETACH, folder, loaded);
      errno = code;
      return -1;
    }
  auto_fd_ (program);
  *program = take_fd (&loaded);
  return 0;
}

#!/usr/bin/env python3
"""Writes worker/seccomp_table.c: which system calls a container may make, from two public Go modules in pinned versions.

    tools/seccomp.py            writes the file (needs Go, and the network once)
    tools/seccomp.py --check    says whether the file is what would be written

From the modules come facts alone: which calls Docker allows and when, and what calls are called and numbered. A newer Docker or
a newer kernel: change a version below, run this, run tests/golden/seccomp/, read the difference, run the tests.
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap

DOCKER = ('github.com/moby/profiles/seccomp', 'v0.3.0')
KERNEL = ('golang.org/x/sys', 'v0.50.0')

# What worker/oci_config.c gives. Docker allows some calls only with a capability that isn't here.
CAPABILITIES = {'CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_FSETID', 'CAP_FOWNER', 'CAP_SETGID', 'CAP_SETUID', 'CAP_SETPCAP',
                'CAP_NET_BIND_SERVICE', 'CAP_SYS_CHROOT', 'CAP_KILL'}

# Docker allows these, and we don't. The first ones Podman refuses by name. memfd_secret makes memory that the host's tools can't look
# at. socketcall is a 32-bit program's old way to socket: its arguments are in memory, where a filter can't look, so that every
# family would pass.
STRICTER = {'cachestat', 'io_pgetevents', 'io_pgetevents_time64', 'map_shadow_stack', 'vmsplice', 'memfd_secret', 'socketcall'}

# Calls that don't exist for a program that asks: clone3's flags are in memory, too, and libc uses clone when it is told so.
ABSENT = {'clone3'}

# Calls whose arguments decide, and how seccomp_table.h calls that.
BY_ARGUMENTS = {'socket': 'SOCKET', 'clone': 'CLONE', 'personality': 'PERSONALITY'}

AF_NETLINK = 16

# One filter a machine, with all ways into its kernel: (Go's name, what the kernel calls it in a filter).
MACHINES = {
    'x86_64': [('amd64', 'AUDIT_ARCH_X86_64'), ('386', 'AUDIT_ARCH_I386')],
    'aarch64': [('arm64', 'AUDIT_ARCH_AARCH64'), ('arm', 'AUDIT_ARCH_ARM')],
}
RUNTIMES_NAMES = {'x86_64': ['X86_64', 'X86', 'X32'], 'aarch64': ['AARCH64', 'ARM']}
DOCKERS_NAMES = {'x86_64': 'amd64', 'aarch64': 'arm64'}

# x32's numbers are x86_64's with a bit set, but for calls whose arguments have another layout. Those begin here; Go lacks them.
X32_FIRST = 0x40000000 + 512
X32_ONLY = ('rt_sigaction rt_sigreturn ioctl readv writev recvfrom sendmsg recvmsg execve ptrace rt_sigpending rt_sigtimedwait '
            'rt_sigqueueinfo sigaltstack timer_create mq_notify kexec_load waitid set_robust_list get_robust_list vmsplice '
            'move_pages preadv pwritev rt_tgsigqueueinfo recvmmsg sendmmsg process_vm_readv process_vm_writev setsockopt '
            'getsockopt io_setup io_submit execveat preadv2 pwritev2').split()

# Where Go's table has another name than the kernel, and what ARM's kernel has beside its table.
RENAMED = {'arm64': {'fstatat': 'newfstatat'}}
NO_CALLS = {'syscall_mask', 'arch_specific_syscall', 'oabi_syscall_base', 'syscall_base'}
ARM_PRIVATE = {0xf0001: 'breakpoint', 0xf0002: 'cacheflush', 0xf0003: 'usr26', 0xf0004: 'usr32', 0xf0005: 'set_tls',
               0xf0006: 'get_tls'}


def module(name, version):
    """The module's folder and the checksum that Go vouches for."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(['go', 'mod', 'init', 'facts.invalid/facts'], cwd=folder, check=True, capture_output=True)
        made = subprocess.run(['go', 'mod', 'download', '-json', f'{name}@{version}'], cwd=folder, check=True,
                              capture_output=True, text=True)
    told = json.loads(made.stdout)
    return pathlib.Path(told['Dir']), told['Sum']


class Profile:
    """What Docker's profile says for one machine and our capabilities."""

    def __init__(self, rules, machine, undecided):
        self.allowed, self.conditions, self.absent = set(), {}, ABSENT | undecided
        for rule in rules:
            if not self.applies(rule, machine):
                continue
            for name in rule['names']:
                if rule['action'] != 'SCMP_ACT_ALLOW':
                    if name not in ABSENT or rule['errnoRet'] != 38:
                        sys.exit(f'{name}: a rule of a kind that this script does not know: {rule}')
                elif rule.get('args'):
                    self.conditions.setdefault(name, []).extend(rule['args'])
                else:
                    self.allowed.add(name)
        if set(self.conditions) != set(BY_ARGUMENTS):
            sys.exit(f'calls with conditions are {sorted(self.conditions)}; this script knows {sorted(BY_ARGUMENTS)}')
        self.allowed -= STRICTER

    @staticmethod
    def applies(rule, machine):
        """As Docker does: every capability of `includes`, none of `excludes`. minKernel is 4.8, which shoal needs anyway."""
        includes, excludes = rule.get('includes') or {}, rule.get('excludes') or {}
        arches = includes.get('arches')
        return (set(includes.get('caps') or []) <= CAPABILITIES and not set(excludes.get('caps') or []) & CAPABILITIES
                and (not arches or machine is None or DOCKERS_NAMES[machine] in arches)
                and (machine is None or DOCKERS_NAMES[machine] not in (excludes.get('arches') or [])))

    def families(self):
        found = set()
        for arg in self.conditions['socket']:
            value = arg['value']
            found |= {'SCMP_CMP_LT': set(range(value)), 'SCMP_CMP_EQ': {value}}[arg['op']]
        return sorted(found)

    def personalities(self):
        if any(arg['op'] != 'SCMP_CMP_EQ' for arg in self.conditions['personality']):
            sys.exit('personality: a condition that is not ==')
        return sorted({arg['value'] for arg in self.conditions['personality']})

    def namespaces(self):
        """The flags of clone that must be 0."""
        masks = {arg['value'] for arg in self.conditions['clone']}
        if len(masks) != 1 or any(arg['op'] != 'SCMP_CMP_MASKED_EQ' or arg.get('valueTwo', 0) for arg in self.conditions['clone']):
            sys.exit('clone: a condition that is not flags & MASK == 0')
        return masks.pop()

    def verdict(self, name):
        if name in BY_ARGUMENTS:
            return BY_ARGUMENTS[name]
        return 'ABSENT' if name in self.absent else 'ALLOWED' if name in self.allowed else 'REFUSED'


def numbers(folder, arch):
    """{number: name} as the pinned kernel has them."""
    text = (folder / 'unix' / f'zsysnum_linux_{arch}.go').read_text()
    found = {int(number): name.lower() for name, number in re.findall(r'SYS_(\w+)\s*=\s*(\d+)', text)}
    found = {n: RENAMED.get(arch, {}).get(name, name) for n, name in found.items() if name not in NO_CALLS}
    if arch == 'arm':
        found |= ARM_PRIVATE
    if arch == 'amd64':
        found |= {X32_FIRST + i: name for i, name in enumerate(X32_ONLY)}
    return found


def undecided_calls(rules, calls):
    """Calls that came after the newest one that Docker's profile names: for a container they aren't there yet."""
    named = {name for rule in rules for name in rule['names']}
    newest = max(number for number, name in calls.items() if name in named and number < X32_FIRST)
    return {name for number, name in calls.items() if newest < number < X32_FIRST}


def runs(calls, profile):
    """[(first number, verdict, first name, last name)], each up to the next one's first."""
    made, before = [], None
    for number in sorted(calls):
        if before is not None and number != before + 1 and made[-1][1] != 'ABSENT':
            made.append([before + 1, 'ABSENT', None, None])
        verdict = profile.verdict(calls[number])
        if made and made[-1][1] == verdict:
            made[-1][3] = calls[number]
        else:
            made.append([number, verdict, calls[number], calls[number]])
        before = number
    if made[-1][1] != 'ABSENT':
        made.append([before + 1, 'ABSENT', None, None])
    return made


def value_runs(values, special=()):
    """The same for a call's argument: what isn't listed is refused."""
    made = []
    for value in values:
        verdict = 'NETLINK' if value in special else 'ALLOWED'
        if made and made[-1][0] == value:
            made.pop()
        if not made or made[-1][1] != verdict:
            made.append((value, verdict))
        if value != 0xffffffff:
            made.append((value + 1, 'REFUSED'))
    return made if made[0][0] == 0 else [(0, 'REFUSED')] + made


def c_runs(name, rows):
    lines = [f'static const struct seccomp_run {name}[] = {{']
    for first, verdict, *names in rows:
        comment = ''
        if names:
            between = {names[0] or 'no calls', names[1] or 'no calls'}
            comment = f' /* {names[0]} … {names[1]} */' if len(between) == 2 else f' /* {between.pop()} */'
        number = f'{first:#x}' if first >= 0xf0000 else first
        lines.append(f'  {{ {number}, SECCOMP_{verdict} }},{comment}')
    return lines + ['};']


def c_names(name, names):
    lines = textwrap.wrap(' '.join(sorted(names)), 90)
    return [f'const char {name}[] ='] + [f'  "{line} "' for line in lines[:-1]] + [f'  "{lines[-1]}";']


def c_machine(machine, profile, tables):
    lines = []
    for arch, _ in MACHINES[machine]:
        lines += ['', *c_runs(f'calls_of_{arch}', runs(tables[arch], profile))]
    lines += ['', f'static const struct seccomp_abi abis_of_{machine}[] = {{']
    lines += [f'  {{ {audit}, calls_of_{arch}, COUNT (calls_of_{arch}) }},' for arch, audit in MACHINES[machine]]
    return lines + ['};']


def render(folders):
    rules = json.loads((folders[DOCKER] / 'default.json').read_text())['syscalls']
    tables = {arch: numbers(folders[KERNEL], arch) for machine in MACHINES.values() for arch, _ in machine}
    undecided = undecided_calls(rules, tables['amd64'])
    profiles = {machine: Profile(rules, machine, undecided) for machine in MACHINES}
    every = Profile(rules, None, undecided)
    known = {name for calls in tables.values() for name in calls.values()}
    lines = ['#include "worker/seccomp_table.h"', '', '#include <linux/audit.h>', '#include <stddef.h>', '',
             '#define COUNT(array) (sizeof (array) / sizeof (array)[0])']
    for machine, profile in profiles.items():
        lines += c_machine(machine, profile, tables)
    lines += ['', 'const struct seccomp_machine seccomp_machines[] = {']
    for machine in MACHINES:
        names = ', '.join(f'"SCMP_ARCH_{name}"' for name in RUNTIMES_NAMES[machine])
        lines += [f'  {{ "{machine}", abis_of_{machine}, COUNT (abis_of_{machine}), {{ {names} }} }},']
    lines += ['  { NULL, NULL, 0, { NULL } },', '};', '']
    lines += c_runs('families', value_runs(every.families(), {AF_NETLINK}))
    lines += c_runs('personalities', value_runs(every.personalities()))
    lines += ['const struct seccomp_arguments seccomp_arguments = {', '  families, COUNT (families), personalities,',
              f'  COUNT (personalities), {every.namespaces():#x},', '};', '']
    lines += c_names('seccomp_allowed', every.allowed) + ['']
    lines += c_names('seccomp_refused', known - every.allowed - set(BY_ARGUMENTS) - every.absent)
    return '\n'.join(lines) + '\n'


def head(sums):
    said = textwrap.wrap('which calls Docker allows to a container with ' + ', '.join(sorted(CAPABILITIES)), 90)
    lines = ['Written by tools/seccomp.py; change that, not this. Facts from public Go modules:', '',
             ' '.join(DOCKER), sums[DOCKER], *('  ' + line for line in said), '',
             ' '.join(KERNEL), sums[KERNEL], '  how calls are called and numbered']
    return '/* ' + '\n'.join(' * ' + line if line else ' *' for line in lines)[3:] + '\n */\n'


def main():
    target = pathlib.Path(__file__).resolve().parent.parent / 'worker' / 'seccomp_table.c'
    found = {pin: module(*pin) for pin in (DOCKER, KERNEL)}
    text = head({pin: told[1] for pin, told in found.items()}) + render({pin: told[0] for pin, told in found.items()})
    text = subprocess.run(['clang-format', f'--assume-filename={target}'], input=text, check=True, capture_output=True,
                          text=True).stdout
    if sys.argv[1:] == ['--check']:
        if target.read_text() != text:
            sys.exit(f'{target}: not what tools/seccomp.py writes')
    else:
        target.write_text(text)


if __name__ == '__main__':
    main()

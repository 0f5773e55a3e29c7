#!/usr/bin/env python3
"""random_jobs.py SEED COUNT ROOT OUTSIDE — jobs for `shoal run` that try to change what they shouldn't, a line of shell words each.

ROOT has in/ (with links to OUTSIDE) and results/; later jobs build on what earlier ones left. Most are allowed and run."""
import random
import shlex
import sys

seed, count, root, outside = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
rng = random.Random(seed)
DOTS = "/.." * 12

ATTEMPTS = [
    f"ln -s {outside} /out/l; echo x >/out/l/new; echo x >/out/l/file; rm -rf /out/l/",
    f"ln -s {outside}/file /out/f; echo x >/out/f; chmod 777 /out/f",
    f"mkdir -p /out/d; ln -s {outside} /out/d/l; ln -s ../../../../../../../../../../.. /out/up",
    "rm -rf /in/* /in/.??*; echo x >/in/a; echo x >/in/new; chmod -R 0777 /in; touch /in/sub",
    f"rm -rf {outside} /{DOTS}{outside}; mkdir -p {outside}/new; echo x >{outside}/file",
    "mknod /out/b b 7 0; mknod /out/c c 1 1; mkfifo /out/p; echo x >/out/ok",
    "mount -t tmpfs t /in; mount --bind / /out; umount /in; mount -o remount,rw /in",
    "chmod 6777 /out; cp /bin/busybox /out/suid; chmod 6755 /out/suid; chown 0:0 /out/suid",
    "echo x >/proc/sys/kernel/core_pattern; echo x >/sys/kernel/uevent_helper; echo b >/proc/sysrq-trigger",
    f"cd /out; ln -s {outside} o; mv o p; ln -s p q; ln -s {outside} .shoal; mkdir -p a/b/c; echo x >a/b/c/x",
    "i=0; while [ $i -lt 200 ]; do echo $i >/out/f$i; ln -s f$i /out/s$i; i=$((i + 1)); done",
    "ln /in/a /out/hard; ln -s /in/a /out/soft; cat /in/* >/out/all",
    "echo done >/out/done",
]
WORKDIRS = ["/", "/tmp", "/new/deep", "/in", "/out", f"/x{DOTS}{outside}/made", f"{outside}/made", "/../x"]
TMPFS = ["/tmp", "/t:size=1m", f"{outside}", f"/x{DOTS}{outside}/tmp", "/t:suid,dev", "/in/sub", "/out/t"]
SOURCES = ["in"] * 6 + ["in/sub"] * 3 + ["in/link", "in/out", "results"]
OUTPUTS = ["o:/out"] * 16 + ["o/p:/out", "..:/out", "o:/in/sub", "o:/"]


def maybe(chance):
    return rng.random() < chance


def results(number):
    place = f"{root}/results/r{number}"
    if number > 3 and maybe(0.3):
        other = rng.randrange(number)
        inner = rng.choice(["outputs/o", "outputs/o/d", "outputs", ".shoal"]) # not through links: who names one means where it leads
        place = f"{root}/results/r{other}/{inner}/r{number}"
    elif maybe(0.1):
        place = rng.choice([f"{root}/results/link", f"{outside}/file", f"{outside}/folder"])
    return place


def job(number):
    words = ["--results", results(number), "-o", rng.choice(OUTPUTS), "-v", f"{root}/{rng.choice(SOURCES)}:/in"]
    if maybe(0.5):
        words += ["--glob", rng.choice(["*", "**", "sub/*", "link", "*/*"]), "--batch-size", str(rng.choice([2, 50]))]
        words += ["--on-conflict", rng.choice(["fail", "first", "last", "rename", "concat"])]
    for option, values, chance in (("--workdir", WORKDIRS, 0.2), ("--tmpfs", TMPFS, 0.15), ("--symlinks", ["beneath", "skip", "skip", "follow", "follow"], 0.8),
                                   ("--stage", ["auto", "link", "copy", "bind"], 0.5), ("--user", ["0", "1000", "65534:65534"], 0.3)):
        if maybe(chance):
            words += [option, rng.choice(values)]
    if maybe(0.15):
        words.append("--read-only")
    tries = "; ".join(rng.sample(ATTEMPTS, rng.choice([1, 2, 4])))
    return words + ["busybox", "sh", "-c", f"({tries}) >/dev/null 2>&1; true"]


for number in range(count):
    print(shlex.join(job(number)))

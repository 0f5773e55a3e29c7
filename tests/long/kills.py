#!/usr/bin/python3
"""kill -9 of slots, workers, mergers, producers and containers of a fleet that goes on, with a look for leaks after each kill.

    kills.py SHOAL [KILLS]        1000; SHOAL_SEED=N repeats the choices of an earlier run (moments differ by what the machine does)

What is killed is started again, as an orchestrator would. After each kill all jobs must succeed, each with its own output, and then there may be no process
but the parts and their slots, no mount, no control group but those of slots that live, nothing in the scratch folder, in a result's .shoal/tmp or beside
the results, and none of the parts that live on may have more descriptors than it had when it was new.
"""
import os
import random
import sys
import time

import services
from services import rig

KILLS = 1000
JOBS = 4 # a round
SPARE = 3 # descriptors that come and go
QUIET = 30 # seconds
TARGETS = {"slot": 4, "worker": 2, "merger": 2, "producer": 1, "container": 2, "all": 1}
PARTS = ("producer", "worker-1", "worker-2", "merger")
WORK = 'echo "$WORD" > /out/word; sleep "$SLEEP"; echo "$WORD" > /out/again'


def is_empty(group):
    try:
        return not rig.read_bytes(group + "/cgroup.procs").strip()
    except OSError: # it has just gone
        return False


class Kills:
    def __init__(self, fleet, rng):
        self.fleet, self.rng = fleet, rng
        self.workers = set() # all pids that were one
        self.baseline, self.age = {}, {} # by pid and start: how many descriptors it had when it was new, how often it was looked at
        self.hits = {}
        self.made = 0

    def start(self, name):
        self.fleet.start(name)
        if name.startswith("worker"):
            self.workers.add(self.fleet.parts[name].pid)

    # ---- jobs

    def submit(self, count):
        names = []
        for _ in range(count):
            name = f"job-{self.made}"
            self.made += 1
            self.fleet.submit(name, ["sh", "-c", WORK], env=[f"WORD={name}", f"SLEEP={self.rng.choice(['0', '0.05', '0.3'])}"],
                              output="out:/out", memory="200m", retries=50)
            names.append(name)
        return names

    def collect(self, names):
        for name in names:
            rig.wait_until(lambda: self.fleet.has_ended(name), f"{name} has ended", 120)
            folder = os.path.join(self.fleet.results, name)
            words = {part: rig.read_bytes(f"{folder}/outputs/out/{part}").decode().strip() for part in ("word", "again")}
            if words != {"word": name, "again": name}:
                raise rig.Failure(f"{name} has another's output: {words}")
            tmp = os.path.join(folder, ".shoal", "tmp")
            if os.path.isdir(tmp) and os.listdir(tmp):
                raise rig.Failure(f"{name}: left in .shoal/tmp: {os.listdir(tmp)}")
            manifest = self.fleet.take_result(name)
            if manifest["state"] != "succeeded":
                raise rig.Failure(f"{name}: {manifest}")

    # ---- kills

    def victims(self, target):
        workers = [name for name in PARTS if name.startswith("worker")]
        find = self.fleet.slots_of if target == "slot" else self.fleet.containers_of
        return [pid for name in workers for pid in find(name)]

    def strike(self):
        """One kill: the name of what was hit; None: it wasn't there any more."""
        target = self.rng.choices(list(TARGETS), list(TARGETS.values()))[0]
        if target in ("slot", "container"):
            found = self.victims(target)
            return target if found and rig.kill(self.rng.choice(sorted(found))) else None
        names = PARTS if target == "all" else [self.rng.choice([name for name in PARTS if name.split("-")[0] == target])]
        for name in names:
            self.fleet.kill(name)
        for name in names:
            self.start(name)
        return target

    # ---- leaks

    def leaks(self):
        """What is there that shouldn't be, in words; empty: nothing."""
        fleet, found = self.fleet, []
        parts = {process.pid for process in fleet.parts.values()}
        children = services.all_children()
        slots = {name: fleet.slots_of(name, children) for name in PARTS if name.startswith("worker")}
        for pid, command in fleet.processes().items():
            if pid not in parts and not any(pid in slot for slot in slots.values()):
                found.append(f"process {pid} {command}")
        for name, pids in slots.items():
            if len(pids) > fleet.slots:
                found.append(f"{len(pids)} slots of {name}")
            groups = rig.control_groups(fleet.parts[name].pid)
            found += [f"control group {group} of nobody" for group in groups if is_empty(group)]
        for pid in self.workers - parts:
            found += [f"control group {group} of a dead worker" for group in rig.control_groups(pid)]
        found += [f"mount {line}" for line in fleet.mounts([*parts, *(pid for pids in slots.values() for pid in pids)])]
        found += [f"scratch {name}" for name in os.listdir(fleet.scratch)]
        found += [f"result {name}" for name in os.listdir(fleet.results)]
        return found

    def descriptor_leaks(self):
        people = {name: process.pid for name, process in self.fleet.parts.items()}
        for name in PARTS:
            if name.startswith("worker"):
                people.update({f"slot of {name}": pid for pid in self.fleet.slots_of(name)})
        found = []
        for name, pid in people.items():
            held = services.descriptors(pid)
            if name.startswith("slot") and not any("/images/uses/" in path for path in held.values()):
                continue # it hasn't run anything yet
            who = pid, rig.read_bytes(f"/proc/{pid}/stat").rpartition(b") ")[2].split()[19] # since when: numbers come again
            self.baseline[who] = max(self.baseline.get(who, 0), len(held)) if self.age.get(who, 0) < 3 else self.baseline[who]
            self.age[who] = self.age.get(who, 0) + 1
            if len(held) > self.baseline[who] + SPARE:
                found.append(f"{name} has {len(held)} descriptors instead of {self.baseline[who]}: {held}")
        return found

    def check(self):
        end = time.monotonic() + QUIET
        while True:
            self.fleet.check_alive()
            found = self.leaks()
            if not found:
                break
            if time.monotonic() > end:
                raise rig.Failure(f"left after {QUIET} s: {found}")
            time.sleep(0.02)
        found = self.descriptor_leaks()
        if found:
            raise rig.Failure("; ".join(found))

    def one_round(self):
        """Until something was hit."""
        hit = None
        while hit is None:
            names = self.submit(JOBS)
            time.sleep(self.rng.uniform(0, 0.5))
            hit = self.strike()
            self.collect(names)
        self.hits[hit] = self.hits.get(hit, 0) + 1
        self.check()
        return hit


def main():
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else KILLS
    seed = int(os.environ.get("SHOAL_SEED") or random.randrange(1 << 32))
    print(f"seed {seed}, {kills} kills", flush=True)
    fleet = services.Services(sys.argv[1])
    test = Kills(fleet, random.Random(seed))
    begin, hit = time.monotonic(), None
    try:
        for name in PARTS:
            test.start(name)
        test.collect(test.submit(JOBS))
        test.check()
        for number in range(kills):
            hit = test.one_round()
            if (number + 1) % 50 == 0:
                print(f"{number + 1:5d} kills, {time.monotonic() - begin:.0f} s: {test.hits}", flush=True)
        fleet.stop()
        left = [group for pid in test.workers for group in rig.control_groups(pid)]
        if left or fleet.processes():
            raise rig.Failure(f"left at the end: {left} {fleet.processes()}")
    except Exception:
        print(f"kept: {fleet.work}; seed {seed}, after {test.hits}, the last one {hit}", flush=True)
        fleet.end()
        raise
    fleet.remove()
    print(f"{kills} kills with leak checks, {test.made} jobs, seed {seed}, {time.monotonic() - begin:.0f} s: " +
          ", ".join(f"{name} {count}" for name, count in sorted(test.hits.items())))


if __name__ == "__main__":
    main()

#!/usr/bin/python3
"""Many tiny jobs through one producer, worker and merger that stay: their memory and their descriptors must not grow with jobs that ended.

    soak.py SHOAL [JOBS [sqlite|kafka]]        20000 jobs on SQLite; kafka needs SHOAL_TEST_KAFKA

Memory is looked at when nothing runs. In the second half of the jobs (what is made once is made by then, SQLite's cache of pages is full after some
8,000) it may grow by BYTES_A_JOB.
"""
import sys
import time

import services
from services import rig

JOBS = 20000
SLOTS = 8
AT_A_TIME = 60
SAMPLES = 20
BYTES_A_JOB = {"sqlite": 64, "kafka": 400}


class Soak:
    def __init__(self, fleet, jobs, bus):
        self.fleet, self.jobs, self.bus = fleet, jobs, bus
        self.samples = []

    def people(self):
        """Who is looked at: {name: process id}."""
        found = {name: process.pid for name, process in self.fleet.parts.items()}
        for number, pid in enumerate(sorted(self.fleet.slots_of("worker"))):
            found[f"slot-{number}"] = pid
        return found

    def sample(self, done):
        self.fleet.check_alive()
        sample = {name: (services.memory(pid), len(services.descriptors(pid)), pid) for name, pid in self.people().items()}
        self.samples.append((done, sample))
        print(f"{done:6d} jobs  " + "  ".join(f"{name} {memory / 1e6:.2f} MB {count} fds" for name, (memory, count, _) in sample.items()), flush=True)

    def start_slots(self):
        """A slot starts when it is needed first: all are needed at once."""
        self.run_batch("slot", 0, 2 * SLOTS, ["sleep", "1"])

    def run_batch(self, prefix, first, count, command):
        waiting, given, ended = [], 0, 0
        deadline = time.monotonic() + 600
        while ended < count:
            while len(waiting) < AT_A_TIME and given < count:
                name = f"{prefix}-{first + given}"
                self.fleet.submit(name, command)
                waiting.append(name)
                given += 1
            for name in [name for name in waiting if self.fleet.has_ended(name)]:
                manifest = self.fleet.take_result(name)
                if manifest["state"] != "succeeded":
                    raise rig.Failure(f"{name}: {manifest}")
                waiting.remove(name)
                ended += 1
                deadline = time.monotonic() + 600
            if time.monotonic() > deadline:
                raise rig.Failure(f"nothing ends any more; {waiting} are open")
            time.sleep(0.01)

    def run(self):
        size = self.jobs // SAMPLES
        self.start_slots()
        for number in range(SAMPLES):
            self.run_batch("job", number * size, size, ["true"])
            time.sleep(2) # statuses are read by all
            self.sample((number + 1) * size)

    def judge(self):
        (early, before), (late, after) = self.samples[SAMPLES // 2 - 1], self.samples[-1]
        problems = []
        for name, (memory, count, pid) in after.items():
            old_memory, old_count, old_pid = before[name]
            growth = (memory - old_memory) / (late - early)
            print(f"{name}: {growth:+.1f} bytes a job, {old_count} -> {count} descriptors")
            if pid != old_pid:
                problems.append(f"{name} was started again")
            if growth > BYTES_A_JOB[self.bus]:
                problems.append(f"{name} grows by {growth:.0f} bytes a job")
            if count > old_count:
                problems.append(f"{name} has {count - old_count} more descriptors: {services.descriptors(pid)}")
        if problems:
            raise rig.Failure("; ".join(problems))


def main():
    jobs = int(sys.argv[2]) if len(sys.argv) > 2 else JOBS
    bus = sys.argv[3] if len(sys.argv) > 3 else "sqlite"
    fleet = services.Services(sys.argv[1], bus, SLOTS)
    begin = time.monotonic()
    try:
        for name in ("producer", "worker", "merger"):
            fleet.start(name)
        soak = Soak(fleet, jobs, bus)
        soak.run()
        soak.judge()
        fleet.stop()
    except Exception:
        fleet.end()
        print(f"kept: {fleet.work}")
        raise
    fleet.remove()
    print(f"{jobs} jobs on {bus}, {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()

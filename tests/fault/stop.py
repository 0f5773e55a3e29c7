#!/usr/bin/python3
"""The parts by hand on one bus: a worker that is stopped for longer than its lease and comes back, and several that are killed.

    stop.py SHOAL        SHOAL_SEED=N repeats the kills
"""
import os
import random
import signal
import sys
import time

import rig

LEASE = "1s"


def submitted(test, name, runtime, sleep):
    """A place whose job is on the bus and nobody works on it."""
    place = rig.Place(test, name, runtime, sleep=sleep)
    process = place.run()
    rig.wait_until(lambda: place.state() and place.query(place.state(), "SELECT id FROM jobs", live=True), "the job is on the bus")
    process.popen.kill()
    process.wait()
    rig.wait_until(lambda: not place.processes(), "what it started ends with it", 10)
    return place


def part(place, name, *options):
    bus = f"sqlite:{place.state()}/.shoal/bus.db"
    return place.start([place.rig.program, name, "--bus", bus, "--job", "job", *options])


def worker(place):
    return part(place, "worker", "--jobs", "1", "--lease", LEASE, "--backoff", "10ms", "--max-lost", "100")


def claimed(place):
    return [row for row in place.rows(place.state(), live=True) if row[3] == 1]


def expect_end(process, what):
    code = process.wait()
    if code != 0:
        raise rig.Failure(f"{what}: exit code {code}\n{process.tail()}")


def stopped_worker(test, runtime):
    """Its shard runs elsewhere, and what it says when it is back is too late."""
    place = submitted(test, f"stopped-{runtime}", runtime, "0.3")
    services = [part(place, "producer"), part(place, "merger")]
    first = worker(place)
    rig.wait_until(lambda: claimed(place), "the first worker has a shard")
    first.popen.send_signal(signal.SIGSTOP)
    held = claimed(place)
    if not held:
        raise rig.Failure("it had settled already") # 0.3 s a shard: it can't
    second = worker(place)
    expect_end(second, "the second worker")
    expect_end(services[1], "the merger")
    place.check_result()
    first.popen.send_signal(signal.SIGCONT)
    expect_end(first, "the first worker")
    expect_end(services[0], "the producer")
    place.check()
    for index, attempt, starts, _ in held:
        if (index, attempt, starts + 1, rig.DONE) not in place.rows(place.result):
            raise rig.Failure(f"shard {index} was not taken over: {place.rows(place.result)}")
    place.check_left_nothing()
    place.remove()


def several_workers(test, runtime):
    """Three at work, one of them killed now and then and replaced."""
    rng = random.Random(f"{test.seed} {runtime}")
    place = submitted(test, f"several-{runtime}", runtime, "0.1")
    services = [part(place, "producer"), part(place, "merger")]
    workers = [worker(place) for _ in range(3)]
    kills = 0
    while kills < 4 and not services[1].ended():
        time.sleep(rng.uniform(0.02, 0.15))
        victim = rng.randrange(len(workers))
        if rig.kill(workers[victim].pid) and workers[victim].wait() == -signal.SIGKILL:
            kills += 1
            workers[victim] = worker(place)
    expect_end(services[1], "the merger")
    for process in [services[0], *workers]:
        expect_end(process, "a part")
    place.check()
    place.check_left_nothing()
    place.remove()
    return kills


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with rig.Rig(sys.argv[1]) as test:
        print(f"seed {test.seed}", flush=True)
        test.prepare()
        for runtime in ("oci", "process"):
            stopped_worker(test, runtime)
            print(f"{runtime}: a stopped worker came back, {several_workers(test, runtime)} of several were killed", flush=True)


if __name__ == "__main__":
    main()

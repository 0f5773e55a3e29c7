#!/usr/bin/env python3
"""How long a job of unequal shards takes, by index and with --order size, against ideal list scheduling.

    makespan.py SHOAL [SHARDS [SLOTS [ROUNDS]]]

Sizes follow Zipf's law, in any order. A shard sleeps a millisecond for each 100 bytes of its file, so that any
machine will do. Ideal is the longest first on SLOTS slots, without any overhead. With SHOAL_TEST_KAFKA, HOST:PORT
of a broker, a fleet of SLOTS workers of one slot does the same. SHOAL_SEED sets the sizes' order.
"""
import heapq
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

SHOAL = os.path.abspath(sys.argv[1])
SHARDS, SLOTS, ROUNDS = [int(sys.argv[i]) if len(sys.argv) > i else usual
                         for i, usual in ((2, 64), (3, 6), (4, 3))]
SECONDS = 100  # of ideal time, about
EXPONENT = 0.8
COMMAND = ["x", "sh", "-c", 's=$(stat -Lc %s in/*); sleep $((s / 100000)).$(printf %05d $((s % 100000)))']


def schedule(durations, slots):
    free = [0.0] * slots
    for one in durations:
        heapq.heappush(free, heapq.heappop(free) + one)
    return max(free)


def make_inputs(folder, draw):
    weights = [1 / rank**EXPONENT for rank in range(1, SHARDS + 1)]
    seconds = [SECONDS * SLOTS * weight / sum(weights) for weight in weights]
    draw.shuffle(seconds)
    folder.mkdir()
    for index, one in enumerate(seconds):
        with open(folder / f"{index:05}", "wb") as file:
            file.truncate(int(one * 100000))
    return seconds


def options(place, name, order):
    return ["-v", f"{place}/in:/in", "--glob", "*", "--base-path", "/in", "--batch-size", "1", "--runtime",
            "process", "--order", order, "--results", f"{place}/{name}"] + COMMAND


def run(place, order):
    begin = time.monotonic()
    subprocess.run([SHOAL, "run", "-q", "-j", str(SLOTS)] + options(place, f"run-{order}", order), check=True)
    return time.monotonic() - begin


def submit(place, order):
    """On the fleet: from the submission to the end of the last shard's job."""
    name = f"fleet-{order}"
    begin = time.monotonic()
    subprocess.run([SHOAL, "submit", "-q", "--id", f"{name}-{os.getpid()}-{int(begin * 1000)}"]
                   + options(place, name, order), check=True, stdout=subprocess.DEVNULL)
    subprocess.run([SHOAL, "watch", "-q", f"{name}-{os.getpid()}-{int(begin * 1000)}"], check=True)
    return time.monotonic() - begin


def fleet(folder):
    """The services of a fleet, or none. FOLDER has their policy."""
    if "SHOAL_TEST_KAFKA" not in os.environ:
        return []
    os.environ["SHOAL_BUS"] = f"kafka://{os.environ['SHOAL_TEST_KAFKA']}/makespan-{os.getpid()}-{time.time_ns()}"
    subprocess.run([SHOAL, "topics", "create", "--partitions", str(2 * SLOTS)], check=True, stdout=subprocess.DEVNULL)
    policy = pathlib.Path(folder) / "policy.json"
    policy.write_text('{"inputs": ["/"], "results": ["/"], "runtimes": ["process"]}')
    os.environ["SHOAL_POLICY"] = str(policy)
    commands = [["producer"], ["merger"]] + [["worker", "--slots", "1"]] * SLOTS
    return [subprocess.Popen([SHOAL] + command, stderr=subprocess.DEVNULL) for command in commands]


def measure(way, services):
    for number in range(ROUNDS):
        seed = int(os.environ.get("SHOAL_SEED", time.time_ns() % 1000000)) + number
        with tempfile.TemporaryDirectory() as name:
            place = pathlib.Path(name)
            seconds = make_inputs(place / "in", random.Random(seed))
            ideal = schedule(sorted(seconds, reverse=True), SLOTS)
            took = {order: (submit if services else run)(place, order) for order in ("index", "size")}
        print(f"| {way} | {seed} | {ideal:.2f} s | {schedule(seconds, SLOTS) / ideal:.2f} | "
              f"{took['index'] / ideal:.2f} | {took['size'] / ideal:.2f} |", flush=True)


def main():
    print(f"| {SHARDS} shards, {SLOTS} slots | seed | ideal | by index, ideal | by index | by size |\n|---|---|---|---|---|---|")
    measure("`shoal run`", [])
    with tempfile.TemporaryDirectory() as folder:
        services = fleet(folder)
        try:
            if services:
                measure("a fleet", services)
        finally:
            for service in services:
                service.terminate()
            for service in services:
                service.wait()


if __name__ == "__main__":
    main()

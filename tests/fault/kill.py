#!/usr/bin/python3
"""kill -9 at random moments of whatever a run consists of, then on again; the result is that of an undisturbed run.

    kill.py SHOAL [ROUNDS]        SHOAL_SEED=N repeats the kills of an earlier run (moments differ by what the machine does)
"""
import concurrent.futures
import os
import random
import signal
import sqlite3
import sys
import time

import rig

ROUNDS = 240
ROLES = {
    "producer": " producer ",
    "worker": " worker ",
    "merger": " merger ",
    "slot": " slot",
    "crun": "crun ",
    "container": "sh -c ",
}
WHOLE = ("main", "group", "everything")


def role_of(pid, command, main):
    if pid == main:
        return "main"
    for role, words in ROLES.items():
        if words in command + " ":
            return role
    return "other"


def victims(place, process, role):
    """Who plays ROLE now. Of a container the command itself: what it started isn't ours to judge by."""
    processes = place.processes()
    found = [pid for pid, command in sorted(processes.items()) if role_of(pid, command, process.pid) == role]
    if role != "container":
        return found
    return [pid for pid in found if parent_of(pid) not in found]


def parent_of(pid):
    try:
        return int(rig.read_bytes(f"/proc/{pid}/stat").rpartition(b")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def strike(place, process, target, rng):
    """Kills TARGET of the running PROCESS, a part as soon as there is one; whether it was hit."""
    if target not in WHOLE:
        while not process.ended():
            found = victims(place, process, target)
            if found:
                return rig.kill(rng.choice(found))
            time.sleep(0.001)
    if process.ended():
        return False
    if target == "main":
        os.kill(process.pid, signal.SIGKILL)
    elif target == "group":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        for pid in [process.pid, *place.processes()]:
            rig.kill(pid)
    return True


def one_round(test, number):
    rng = random.Random(f"{test.seed} {number}")
    runtime = rng.choice(["oci", "process"])
    place = rig.Place(test, f"round-{number}", runtime, sleep=rng.choice(["0", "0.02"]))
    settled, hits = [], []
    try:
        process = place.run()
        for _ in range(rng.choice([1, 2, 2])): # a shard that loses three workers is given up
            target = rng.choice([*WHOLE, *ROLES])
            time.sleep(rng.uniform(0, test.seconds[runtime] * (0.1 if target == "producer" else 1)))
            if not strike(place, process, target, rng):
                target = None
            hits += [target] if target else []
            code = process.wait()
            if target in WHOLE:
                rig.wait_until(lambda: not place.processes(), f"{target} was killed, all that it started ends", 10)
            elif code not in (0, 3):
                raise rig.Failure(f"{target} was killed, the exit code is {code}:\n{process.tail()}")
            if os.path.exists(place.result):
                place.check_result() # whatever was killed: what stands is whole
            settled.append(place.settled_shards())
            process = place.go_on()
        process.wait()
        place.finish()
        place.check(settled)
        place.check_left_nothing()
        place.remove()
        return hits, None
    except (rig.Failure, OSError, sqlite3.Error) as problem:
        place.kill_all()
        return hits, f"round {number} ({runtime}, killed {hits}): {problem}\n  {place.log}"


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    rounds = int(sys.argv[2]) if len(sys.argv) == 3 else int(os.environ.get("SHOAL_KILL_ROUNDS", ROUNDS))
    failures, hits = [], {}
    with rig.Rig(sys.argv[1]) as test:
        print(f"seed {test.seed}, {rounds} rounds", flush=True)
        test.prepare()
        print("undisturbed: " + ", ".join(f"{k} {v:.2f} s" for k, v in test.seconds.items()), flush=True)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for round_hits, problem in pool.map(lambda n: one_round(test, n), range(rounds)):
                for hit in round_hits:
                    hits[hit] = hits.get(hit, 0) + 1
                if problem:
                    failures.append(problem)
                    print(problem, flush=True)
        print(f"killed {sum(hits.values())} times: " + ", ".join(f"{k} {v}" for k, v in sorted(hits.items())))
        missed = {*WHOLE, *ROLES} - hits.keys()
        if rounds >= ROUNDS and missed:
            failures.append(f"never hit: {sorted(missed)}")
        if failures:
            raise SystemExit(f"{len(failures)} of {rounds} rounds failed, seed {test.seed}: {failures[-1]}")


if __name__ == "__main__":
    main()

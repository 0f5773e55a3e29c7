#!/usr/bin/python3
"""kill -9 at random moments of whatever a run consists of, then on again; the result is that of an undisturbed run.

    kill.py SHOAL [ROUNDS]        SHOAL_SEED=N repeats the kills of an earlier run (moments differ by what the machine does)
"""
import concurrent.futures
import os
import random
import signal
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


def strike(place, process, target, rng):
    """Kills TARGET of the running PROCESS; what was hit, or None when there was none."""
    if process.ended():
        return None
    if target == "main":
        os.kill(process.pid, signal.SIGKILL)
    elif target == "group":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        processes = place.processes()
        if target == "everything":
            for pid in [process.pid, *processes]:
                rig.kill(pid)
            return target
        choice = [pid for pid, command in sorted(processes.items())
                  if role_of(pid, command, process.pid) == target]
        if not choice or not rig.kill(rng.choice(choice)):
            return None
    return target


def one_round(test, number):
    rng = random.Random(f"{test.seed} {number}")
    runtime = rng.choice(["oci", "process"])
    place = rig.Place(test, f"round-{number}", runtime, sleep=rng.choice(["0", "0.02"]))
    settled, hits = [], []
    try:
        process = place.run()
        for _ in range(rng.choice([1, 1, 2, 3])):
            target = rng.choice([*WHOLE, *ROLES])
            time.sleep(rng.uniform(0, test.seconds[runtime] * 1.2))
            hit = strike(place, process, target, rng)
            if hit:
                hits.append(hit)
            if hit in WHOLE:
                process.wait()
                rig.wait_until(lambda: not place.processes(), f"{hit} was killed, all that it started ends", 10)
            elif process.wait() == 2:
                raise rig.Failure(f"{hit} was killed, and the run calls that the user's mistake:\n{process.tail()}")
            if os.path.exists(place.result):
                place.check_result() # whatever was killed: what stands is whole
            settled.append(place.settled_shards())
            process = place.resume() if place.state() else place.run()
        process.wait()
        place.finish()
        place.check(settled)
        place.check_left_nothing()
        place.remove()
        return hits, None
    except (rig.Failure, OSError) as problem:
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

#!/usr/bin/python3
"""The fault table for the whole program: the first, second, … call of each kind fails in every process of a run, until none has that many.
Beyond two dozen not every number is tried.

    table.py SHOAL [CALL …]

Whatever fails: what stands is whole, what doesn't can be gone on with, and then it is the undisturbed result.
"""
import concurrent.futures
import os
import sys

import rig

CALLS = ("spawn", "mkdir", "link", "rename", "fsync", "write")
ERRORS = {"spawn": 11, "mkdir": 28, "link": 28, "rename": 5, "fsync": 5, "write": 28} # EAGAIN, ENOSPC, EIO
FIRED = b"event=fault_fired"
MOST = 4000
EACH = 24 # up to here one by one, from then on in steps of a twelfth


def one_fault(test, call, number):
    """(whether the fault came to pass, what went wrong or None)"""
    name = f"{call}-{number}"
    place = rig.Place(test, name, "process")
    try:
        process = place.run(SHOAL_LOG="warn", SHOAL_FAULT=f"{call}:{number}:{ERRORS[call]}")
        code = process.wait()
        fired = FIRED in rig.read_bytes(place.log)
        if code not in (0, 1, 2, 3) or (code in (1, 2) and os.path.exists(place.result)):
            raise rig.Failure(f"exit code {code}:\n{process.tail()}")
        if os.path.exists(place.result):
            place.check_result()
        elif code == 0:
            raise rig.Failure(f"exit code 0 and no result:\n{process.tail()}")
        settled = place.settled_shards()
        if code != 0:
            if not fired:
                raise rig.Failure(f"exit code {code} though nothing was made to fail:\n{process.tail()}")
            place.finish()
        place.check([settled])
        place.check_left_nothing()
        place.remove()
        return fired, None
    except (rig.Failure, OSError) as problem:
        place.kill_all()
        return True, f"{name}: {problem}\n  {place.log}"


def steps():
    number = 0
    while True:
        number += 1 if number < EACH else number // 12
        yield number


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    failures = []
    with rig.Rig(sys.argv[1]) as test:
        test.prepare(["process"])
        for call in sys.argv[2:] or CALLS:
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                numbers = steps()
                last = 0
                while True:
                    pair = [next(numbers), next(numbers)]
                    results = list(pool.map(lambda number: one_fault(test, call, number), pair))
                    failures += [problem for _, problem in results if problem]
                    if not any(fired for fired, _ in results):
                        break
                    last = pair[1]
                    if last > MOST:
                        failures.append(f"{call}: still failing at {last}")
                        break
            print(f"{call}: about {last} of them", flush=True)
            if last == 0:
                failures.append(f"{call}: never called, the table tests nothing")
        if failures:
            raise SystemExit("\n".join([*failures, f"{len(failures)} faults came through"]))


if __name__ == "__main__":
    main()

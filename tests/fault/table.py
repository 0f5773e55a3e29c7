#!/usr/bin/python3
"""The fault table for the whole program: the first, second, … call of each kind fails in every process of a run, until none has that many.

    table.py SHOAL [CALL …]

Whatever fails: what stands is whole, what doesn't can be gone on with, and then it is the undisturbed result.
"""
import concurrent.futures
import os
import sys

import rig

CALLS = ("spawn", "mkdir", "link", "rename", "fsync", "write")
ERRORS = {"spawn": 11, "mkdir": 28, "link": 28, "rename": 5, "fsync": 5, "write": 28} # EAGAIN, ENOSPC, EIO
FIRED = "event=fault_fired"
MOST = 400


def one_fault(test, call, number):
    """(whether the fault came to pass, what went wrong or None)"""
    name = f"{call}-{number}"
    place = rig.Place(test, name, "process")
    try:
        process = place.run(SHOAL_FAULT=f"{call}:{number}:{ERRORS[call]}")
        code = process.wait()
        fired = FIRED in process.tail()
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


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    failures = []
    with rig.Rig(sys.argv[1]) as test:
        test.prepare(["process"])
        for call in sys.argv[2:] or CALLS:
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                for number in range(1, MOST, 2):
                    results = list(pool.map(lambda n: one_fault(test, call, n), (number, number + 1)))
                    failures += [problem for _, problem in results if problem]
                    if not any(fired for fired, _ in results):
                        break
                else:
                    failures.append(f"{call}: still failing at {MOST}")
            print(f"{call}: none has more than {number - 1}", flush=True)
            if number == 1:
                failures.append(f"{call}: never called, the table tests nothing")
        if failures:
            raise SystemExit("\n".join([*failures, f"{len(failures)} faults came through"]))


if __name__ == "__main__":
    main()

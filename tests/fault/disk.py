#!/usr/bin/python3
"""A full disk: the run ends with 3 and says why; once there is room, it goes on to the undisturbed result. disk.py SHOAL"""
import concurrent.futures
import os
import subprocess
import sys

import rig

SIZES = (64, 256, 448, 640, 832, 1024, 8192)


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


def one_size(test, kilobytes):
    """Whether the disk was too small."""
    small = os.path.join(test.work, f"small-{kilobytes}")
    os.makedirs(small)
    mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", small)
    try:
        place = rig.Place(test, f"disk-{kilobytes}", "process", root=small)
        process = place.run()
        code = process.wait(120)
        if code == 0:
            place.check_result()
            return False
        if code != 3:
            raise rig.Failure(f"{kilobytes} KiB: exit code {code} instead of 3:\n{process.tail()}")
        if "space" not in process.tail() and "full" not in process.tail():
            raise rig.Failure(f"{kilobytes} KiB: the message doesn't name the cause:\n{process.tail()}")
        if os.path.exists(place.result):
            raise rig.Failure(f"{kilobytes} KiB: exit code 3 and a result")
        settled = place.settled_shards()
        mount("-o", "remount,size=64m", small)
        place.finish()
        place.check([settled])
        place.check_left_nothing()
        return True
    finally:
        subprocess.run(["umount", "--lazy", small], check=True)


def main():
    if os.geteuid() != 0: # a mount namespace of our own, as a root of our own
        os.execvp("unshare", ["unshare", "--user", "--map-root-user", "--mount", "/usr/bin/python3", "-B", *sys.argv])
    with rig.Rig(sys.argv[1]) as test:
        test.prepare(["process"])
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            full = dict(zip(SIZES, pool.map(lambda size: one_size(test, size), SIZES)))
        print(", ".join(f"{size} KiB: {'full' if is_full else 'enough'}" for size, is_full in full.items()))
        if sum(full.values()) < 3 or full[SIZES[-1]]:
            raise rig.Failure("these sizes test nothing")


if __name__ == "__main__":
    main()

#!/usr/bin/python3
"""A full disk: the run ends with 3 and says why; once there is room, it goes on to the undisturbed result. disk.py SHOAL"""
import os
import subprocess
import sys

import rig


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


def main():
    if os.geteuid() != 0: # a mount namespace of our own, as a root of our own
        os.execvp("unshare", ["unshare", "--user", "--map-root-user", "--mount", "/usr/bin/python3", "-B", *sys.argv])
    with rig.Rig(sys.argv[1]) as test:
        test.prepare(["process"])
        small = os.path.join(test.work, "small")
        os.makedirs(small)
        mount("-t", "tmpfs", "-o", "size=64m", "tmpfs", small)
        try:
            rounds = 0
            for kilobytes in range(64, 4096, 192):
                mount("-o", "remount,size=64m", small)
                place = rig.Place(test, f"disk-{kilobytes}", "process", root=small)
                mount("-o", f"remount,size={kilobytes}k", small)
                process = place.run()
                code = process.wait()
                if code == 0:
                    place.check_result()
                    place.remove()
                    break
                rounds += 1
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
                place.remove()
            else:
                raise rig.Failure("no size was enough")
            print(f"{rounds} sizes were too small, {kilobytes} KiB is enough")
            if rounds < 3:
                raise rig.Failure("the disk was never full")
        finally:
            subprocess.run(["umount", "--lazy", small], check=True)


if __name__ == "__main__":
    main()

#!/usr/bin/python3
"""What comes before and after a command: staging and collecting by shoal and by another build of it, side by side.
stages.py SHOAL OTHER [ROUNDS]"""
import glob
import json
import os
import sys

import measure

FILES, BIG = 20000, 1 << 30

# When the command began and ended, and in between whatever is to be collected.
COMMAND = """
import os, sys, time
print(int(time.time() * 1000))
kind = sys.argv[1]
if kind == "files":
    for i in range(%d):
        with open(f"/out/{i:05d}", "w") as file:
            file.write("x" * 100)
elif kind == "big":
    with open("/out/big", "wb") as file:
        for _ in range(%d >> 20):
            file.write(os.urandom(4096) * 256)
print(int(time.time() * 1000))
""" % (FILES, BIG)


def main():
    ours, other = os.path.realpath(sys.argv[1]), os.path.realpath(sys.argv[2])
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 7
    with measure.Folder() as folder:
        many, big = folder.below("many"), folder.below("big")
        os.makedirs(many)
        os.makedirs(big)
        for i in range(FILES):
            with open(os.path.join(many, f"{i:05d}"), "w") as file:
                file.write("x" * 4096)
        with open(os.path.join(big, "big"), "wb") as file:
            for _ in range(BIG >> 20):
                file.write(os.urandom(4096) * 256)

        def run(shoal, source, stage, kind, part):
            """Milliseconds of PART, staging (with the container's start) or collecting, of a job with one shard."""
            result = folder.fresh("result")
            measure.once([shoal, "run", "--progress", "none", "-j", "1", "--runtime", "process", "-v", source + ":/in", "-o", "out:/out",
                          "--glob", "*", "--batch-size", str(FILES), "--stage", stage, "--results", result, "x", "python3", "-c", COMMAND, kind])
            (path,) = glob.glob(os.path.join(result, ".shoal/attempts/*/attempt.json"))
            with open(path) as file:
                attempt = json.load(file)
            with open(os.path.join(result, "stdout")) as file:
                began, ended = map(int, file.read().split())
            return began - attempt["started"] if part == "staging" else attempt["ended"] - ended

        for text, source, stage, kind, part in (
                (f"staging {FILES:,} files by links", many, "link", "none", "staging"),
                (f"staging {FILES:,} files of 4 KiB by copies", many, "copy", "none", "staging"),
                ("staging 1 GiB by a copy", big, "copy", "none", "staging"),
                (f"collecting {FILES:,} files", big, "link", "files", "collecting"),
                ("collecting 1 GiB", big, "link", "big", "collecting")):
            medians = measure.in_turn(rounds, ours=lambda: run(ours, source, stage, kind, part),
                                      other=lambda: run(other, source, stage, kind, part))
            measure.row(text, medians["ours"], medians["other"], "the other build", "ms")


if __name__ == "__main__":
    main()

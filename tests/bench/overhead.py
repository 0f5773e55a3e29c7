#!/usr/bin/python3
"""What a shard costs beyond the bare runtime: no-op containers by shoal, and by a loop of crun or runc over the same bundle.
overhead.py SHOAL"""
import os
import sys

import measure

SHARDS, TINY, ROUNDS = 200, 2000, 5


def main():
    shoal = sys.argv[1]
    with measure.Folder() as folder:
        measure.import_image(shoal, folder, "busybox")
        for count in (SHARDS, TINY):
            inputs = folder.below(f"in-{count}")
            os.makedirs(inputs)
            for i in range(count):
                with open(os.path.join(inputs, f"{i:04d}.txt"), "w") as file:
                    file.write("tiny\n")

        def options(count):
            return ["--runtime", "oci", "-v", folder.below(f"in-{count}") + ":/in", "-o", "out:/out", "--glob", "*.txt"]

        bare = measure.Bare(shoal, folder, "busybox", options(SHARDS), ["sleep", "1"])
        source, target = folder.below("bare-in"), folder.below("bare-out")
        os.makedirs(source)
        os.makedirs(target)
        bundle = bare.bundle(folder.below("bundle"), ["true"], **{"in": source, "out": target})

        def ours(count, jobs):
            return measure.once([shoal, "run", "--progress", "none", "-j", str(jobs), "--results", folder.fresh("result"),
                                 *options(count), "busybox", "true"]) / count * 1000

        def loop(runtime, count, jobs):
            script = "\n".join(f"(for i in $(seq {count // jobs}); do {runtime} run --bundle {bundle} bench{slot}-$i; done) &"
                               for slot in range(jobs)) + "\nwait"
            return measure.once(measure.hidden(script)) / count * 1000

        crun, runc = "crun --cgroup-manager=disabled", "runc"
        for jobs in (1, 2):
            medians = measure.in_turn(ROUNDS, shoal=lambda: ours(SHARDS, jobs), crun=lambda: loop(crun, SHARDS, jobs),
                                      runc=lambda: loop(runc, SHARDS // 4, jobs))
            text = f"a no-op shard of {SHARDS}, {jobs} at a time"
            measure.row(text, medians["shoal"], medians["crun"], "`crun run`", "ms")
            measure.row(text, medians["shoal"], medians["runc"], "`runc run`", "ms")
        medians = measure.in_turn(3, shoal=lambda: ours(TINY, 2), crun=lambda: loop(crun, TINY, 2))
        measure.row(f"batch size 1 over {TINY:,} tiny files, 2 at a time, a file", medians["shoal"], medians["crun"],
                    "loop of `crun run`", "ms")


if __name__ == "__main__":
    main()

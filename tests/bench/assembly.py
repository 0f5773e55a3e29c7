#!/usr/bin/python3
"""Assembling 1,000 shards of 1,000 files each, against cp -al and mv of the same files. assembly.py SHOAL"""
import json
import os
import subprocess
import sys
import time

import measure

SHARDS, FILES, ROUNDS = 1000, 1000, 3
WORK = r"""
mkdir /out/0 /out/1 /out/2 /out/3
i=0
while [ $i -lt 1000 ]; do
  : > /out/$((i % 4))/$SHOAL_SHARD_INDEX.$i
  i=$((i + 1))
done
"""


def main():
    shoal = sys.argv[1]
    with measure.Folder() as folder:
        measure.import_image(shoal, folder, "busybox")
        inputs = folder.below("in")
        os.makedirs(inputs)
        for i in range(SHARDS):
            open(os.path.join(inputs, f"{i:04d}"), "w").close()
        result = folder.below("result")
        measure.once([shoal, "run", "--progress", "none", "--results", result, "-v", inputs + ":/in", "-o", "out:/out",
                        "--glob", "*", "busybox", "sh", "-c", WORK])
        complete = time.time()
        with open(os.path.join(result, "manifest.json")) as file:
            manifest = json.load(file)
        ended = max(shard["ended"] for shard in manifest["shards"]) / 1000
        measure.note("last of 1,000 shards done → `shoal run` of 1,000,000 output files ends", f"{complete - ended:.3g} s")
        attempts = os.path.join(result, ".shoal", "attempts")
        outputs = [os.path.join(attempts, name, "outputs", "out") for name in sorted(os.listdir(attempts))]

        def target():
            path = folder.fresh("target")
            os.makedirs(path)
            return path

        def cp():
            return measure.once(["cp", "-al", *[output + "/." for output in outputs], target()])

        def mv():
            source, where = target(), target()
            for i, output in enumerate(outputs):
                subprocess.run(["cp", "-al", output, os.path.join(source, str(i))], check=True)
            for part in "0123":
                os.makedirs(os.path.join(where, part))
            script = f"for p in 0 1 2 3; do find {source}/*/$p -type f -print0 | xargs -0 mv -t {where}/$p; done"
            return measure.once(["bash", "-c", script])

        def merge():
            return measure.once([shoal, "merge", result, "--progress", "none"])

        medians = measure.in_turn(ROUNDS, merge=merge, cp=cp, mv=mv)
        text = "`shoal merge` of 1,000 shards × 1,000 files, manifest with checksums"
        measure.row(text, medians["merge"], medians["cp"], "`cp -al`")
        measure.row(text, medians["merge"], medians["mv"], "`mv`")


if __name__ == "__main__":
    main()

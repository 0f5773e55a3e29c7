#!/usr/bin/python3
"""The seed job's makespan against GNU parallel starting the same containers, and against one bare mogrify on one folder.
photographs.py SHOAL [PHOTOGRAPHS]     default 10000"""
import glob
import hashlib
import os
import subprocess
import sys

import measure

ROUNDS = 3
MOGRIFY = ["-resize", "100x100", "-quality", "100", "-path"]


def digest(folder):
    """One md5 over all files' names and contents."""
    total = hashlib.md5()
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            total.update(name.encode() + b"\0" + hashlib.md5(file.read()).digest())
    return total.hexdigest()


def main():
    shoal = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 10000
    batch = max(count // 10, 1)
    examples = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples")
    with measure.Folder() as folder:
        measure.import_image(shoal, folder, "imagemagick")
        photos = folder.below("photos")
        measure.once([os.path.join(examples, "photos.py"), photos, str(count)])
        options = ["--runtime", "oci", "-v", photos + ":/in", "-o", "results:/out", "--glob", "*.jpg",
                   "--batch-size", str(batch)]
        arguments = [*MOGRIFY, "/out", "/in/*.jpg"]
        bare = measure.Bare(shoal, folder, "imagemagick", options, arguments)
        names = sorted(os.listdir(photos))
        shards = range(0, count, batch)

        def prepare(place):
            """Each shard's files and bundle below PLACE; not timed, though shoal's staging is."""
            for shard in shards:
                source, out = os.path.join(place, str(shard), "in"), os.path.join(place, str(shard), "out")
                os.makedirs(source)
                os.makedirs(out)
                for name in names[shard:shard + batch]:
                    os.link(os.path.join(photos, name), os.path.join(source, name))
                bare.bundle(os.path.join(place, str(shard), "bundle"), ["/usr/bin/mogrify", *arguments],
                            **{"in": source, "out": out})
        digests = set()

        def ours():
            result = folder.fresh("result")
            seconds = measure.once([shoal, "run", "--progress", "none", "-j", "2", "--results", result, *options,
                                       "imagemagick", *arguments])
            digests.add(digest(os.path.join(result, "outputs", "results")))
            return seconds

        def parallel():
            place = folder.fresh("parallel")
            prepare(place)
            run = f"crun --cgroup-manager=disabled run --bundle {place}/{{}}/bundle bench{{}}"
            script = f"parallel --will-cite -j2 '{run}' ::: " + " ".join(map(str, shards))
            seconds = measure.once(measure.hidden(script))
            merged = os.path.join(place, "merged")
            os.makedirs(merged)
            for path in glob.glob(place + "/*/out/*"):
                os.rename(path, os.path.join(merged, os.path.basename(path)))
            digests.add(digest(merged))
            return seconds

        def native():
            copy, out = os.path.join(bare.root, "mnt/in"), os.path.join(bare.root, "mnt/out")
            os.makedirs(copy)
            os.makedirs(out)
            script = f"mount --bind {photos} {copy}; exec chroot {bare.root} /usr/bin/mogrify " \
                     + " ".join([*MOGRIFY, "/mnt/out", "'/mnt/in/*.jpg'"])
            seconds = measure.once(measure.hidden(script))
            digests.add(digest(out))
            return seconds

        medians = measure.in_turn(ROUNDS, shoal=ours, parallel=parallel)
        text = f"the seed job, {count:,} photographs in {len(shards)} containers, 2 at a time"
        measure.row(text, medians["shoal"], medians["parallel"], "`parallel -j2 crun run`")
        measure.row(text, medians["shoal"], native(), "one `mogrify`, no container")
        if len(digests) != 1:
            sys.exit(f"photographs.py: the merged trees differ: {digests}")
        measure.note("md5 of all merged trees", "equal")


if __name__ == "__main__":
    main()

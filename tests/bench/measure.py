"""What the benchmarks share: timing programs in turn, and lines of the table."""
import glob
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time


def once(argv, **options):
    """Runs ARGV: the seconds it took. What it says is shown when it fails."""
    with tempfile.TemporaryFile() as said:
        start = time.monotonic()
        code = subprocess.call(argv, stdin=subprocess.DEVNULL, **{"stdout": subprocess.DEVNULL, "stderr": said, **options})
        seconds = time.monotonic() - start
        if code != 0:
            said.seek(0)
            sys.exit(f"{argv}: exit code {code}\n{said.read().decode(errors='replace')}")
    return seconds


def peak_memory(argv):
    """Peak resident memory of ARGV in MiB; by time(1), as the figure of a child of ours has our own in it."""
    with tempfile.NamedTemporaryFile() as figure:
        once(["time", "-f", "%M", "-o", figure.name, *argv])
        return int(figure.read()) / 1024


def in_turn(rounds, **contestants):
    """Calls each of CONTESTANTS, ROUNDS times one after the other; {name: median of what it returned}."""
    seen = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            seen[name].append(contestant())
    return {name: statistics.median(values) for name, values in seen.items()}


def timed(action):
    start = time.monotonic()
    action()
    return time.monotonic() - start


def row(what, ours, theirs, other, unit="s"):
    """One line: WHAT, shoal's figure, the other's, the ratio."""
    print(f"| {what} | {ours:.4g} {unit} | {other} {theirs:.4g} {unit} | {ours / theirs:.2f} |", flush=True)


def note(what, figure):
    print(f"| {what} | {figure} | | |", flush=True)


class Folder:
    """A working folder below $TMPDIR, gone afterwards; SHOAL_IMAGES lies in it.

    Nothing is removed before: ext4 makes files several times slower after many were deleted.
    """

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="shoal-bench-")
        self.number = 0
        os.environ["SHOAL_IMAGES"] = self.below("images")
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path)

    def below(self, *names):
        return os.path.join(self.path, *names)

    def fresh(self, name):
        """A path that was never used."""
        self.number += 1
        return self.below(f"{name}-{self.number}")


def import_image(shoal, folder, name):
    """Builds deploy/images/NAME.sh's image and imports it as NAME."""
    layout = folder.below(name + ".oci")
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../deploy/images", name + ".sh")
    once(["bash", script, layout])
    once([shoal, "image", "import", layout, "--as", name])
    return layout


class Bare:
    """Bundles for the bare runtime: what shoal's own containers get, on a plain root folder and with folders of our own.

    config.json is taken from a running job, so that both sides start the same container.
    """

    def __init__(self, shoal, folder, name, options, arguments):
        self.folder = folder
        self.root = folder.below(name + ".root")
        once(["umoci", "raw", "unpack", "--image", folder.below(name + ".oci") + ":latest", self.root])
        result = folder.below("captured")
        job = subprocess.Popen([shoal, "run", "--progress", "none", "--results", result, *options, name, *arguments],
                               stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 30
        self.config, self.arguments = None, arguments
        while self.config is None and time.monotonic() < end:
            self.config = self.look()
            time.sleep(0.01)
        once([shoal, "cancel", result])
        job.wait()
        if self.config is None:
            sys.exit("no container's config.json was seen")

    def look(self):
        """The bundle lies in memory, in the mount namespace of the runtime that a slot started."""
        for path in glob.glob("/proc/[0-9]*/root/run/shoal/config.json"):
            try:
                with open(path) as file:
                    config = json.load(file)
            except (OSError, json.JSONDecodeError):
                continue # just begun, or gone
            if config.get("process", {}).get("args") != self.arguments:
                continue # another job's
            # A slot's containers share an empty network; alone each needs one of its own.
            names = config["linux"]["namespaces"]
            if not any(name["type"] == "network" for name in names):
                names.append({"type": "network"})
            return config
        return None

    def bundle(self, path, arguments, **sources):
        """Writes PATH/config.json; SOURCES: in=FOLDER, out=FOLDER for /in and /out."""
        config = json.loads(json.dumps(self.config))
        config["root"]["path"] = self.root
        config["process"]["args"] = arguments
        known = {"/" + name: source for name, source in sources.items()}
        mounts = []
        for mount in config["mounts"]:
            if mount.get("type") == "bind" or "bind" in mount.get("options", []) or "rbind" in mount.get("options", []):
                if mount["destination"] not in known:
                    continue
                mount["source"] = known[mount["destination"]]
            mounts.append(mount)
        config["mounts"] = mounts
        os.makedirs(path)
        with open(os.path.join(path, "config.json"), "w") as file:
            json.dump(config, file)
        return path


def hidden(script):
    """SCRIPT for bash, where crun 1.8.1 doesn't see a cgroup2 mount beside cgroup1, which it can't take."""
    return ["unshare", "--mount", "--propagation", "private", "bash", "-c",
            "if mountpoint -q /sys/fs/cgroup/unified; then umount -l /sys/fs/cgroup/unified; fi; set -e\n" + script]

"""What the fault tests share: a small job of many shards, its undisturbed result, and what a run may leave behind.

The job upper-cases 24 small files in 12 shards. One shard always fails (exit 3, never retried), the job counts as done all the same.
Each shard also writes a random word, which tells from outside whether it was run again.
"""
import glob
import hashlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
import uuid

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHARDS = 12
FAILING = 7
DONE = 2 # a row's state
DEADLINE = 60
TAG = "SHOAL_TEST_TAG"

# Runs in each container; $SLEEP makes time to be killed in.
WORK = r"""
for f in /in/*/*; do
  n=${f##*/}
  tr a-z A-Z < "$f" > "/out/$n"
  echo "did $n"
done
sleep "${SLEEP:-0}"
mkdir "/out/folder of $SHOAL_SHARD_INDEX"
ln -s "../$n" "/out/folder of $SHOAL_SHARD_INDEX/link"
echo "shard $SHOAL_SHARD_INDEX" >&2
cat /proc/sys/kernel/random/uuid > "/once/$SHOAL_SHARD_INDEX"
[ "$SHOAL_SHARD_INDEX" != 7 ] || exit 3
"""


class Failure(Exception):
    pass


def wait_until(condition, what, seconds=DEADLINE):
    """Polls CONDITION until it gives something true, which is returned."""
    end = time.monotonic() + seconds
    pause = 0.001
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"after {seconds} s still not: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def read_bytes(path):
    with open(path, "rb") as file:
        return file.read()


def tree(folder, leave_out=()):
    """Everything below FOLDER: {path: what it is and holds}."""
    found = {}
    for here, folders, files in os.walk(folder):
        below = os.path.relpath(here, folder)
        if below in leave_out:
            folders.clear()
            continue
        for name in folders + files:
            path = os.path.join(here, name)
            key = os.path.normpath(os.path.join(below, name))
            if os.path.islink(path):
                found[key] = "link to " + os.readlink(path)
            elif os.path.isdir(path):
                found[key] = "folder"
            else:
                found[key] = hashlib.sha256(read_bytes(path)).hexdigest()
    return found


def without(value, keys):
    """VALUE (from JSON) without the members named KEYS, at any depth."""
    if isinstance(value, dict):
        return {k: without(v, keys) for k, v in value.items() if k not in keys}
    if isinstance(value, list):
        return [without(v, keys) for v in value]
    return value


class Process:
    """A started shoal, in a process group and under a tag of its own."""

    def __init__(self, argv, log, environment):
        self.log = log
        with open(log, "ab") as file:
            self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                                          start_new_session=True, env=environment)
        self.pid = self.popen.pid

    def ended(self):
        return self.popen.poll() is not None

    def wait(self, seconds=DEADLINE):
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"still running after {seconds} s; its log:\n{self.tail()}")

    def tail(self):
        return read_bytes(self.log).decode(errors="replace")[-3000:]


class Place:
    """One result folder to be, with the processes that work on it."""

    def __init__(self, rig, name, runtime="process", options=(), sleep="0", root=None):
        self.rig = rig
        self.folder = os.path.join(root or rig.work, name)
        os.makedirs(self.folder)
        self.result = os.path.join(self.folder, "result")
        self.log = os.path.join(rig.work, name + ".log")
        self.tag = uuid.uuid4().hex
        self.workers = set() # process ids of those that were seen
        self.environment = dict(rig.environment, **{TAG: self.tag})
        self.run_command = [
            rig.program, "run", "--progress", "none", "--backoff", "10ms", "--runtime", runtime, "-j", "2", "--id", "job",
            "--results", self.result, "-v", rig.inputs + ":/in", "-o", "result:/out", "-o", "once:/once",
            "--glob", "*/*.txt", "--base-path", "/in", "--batch-size", "2", "--fail-on", "3", "--min-success", "50%",
            "-e", f"{TAG}={self.tag}", "-e", f"SLEEP={sleep}", *options, "busybox", "sh", "-c", WORK]

    def start(self, argv, **environment):
        return Process(argv, self.log, dict(self.environment, **environment))

    def run(self, **environment):
        return self.start(self.run_command, **environment)

    def resume(self, **environment):
        return self.start([self.rig.program, "resume", "--progress", "none", "--backoff", "10ms", self.result], **environment)

    def go_on(self):
        """Resumes; or gives the command again where the job wasn't written down yet, which resume refuses."""
        state = self.state()
        if state is not None and self.query(state, "SELECT id FROM jobs"):
            return self.resume()
        refused = self.resume()
        if refused.wait() != 2:
            raise Failure(f"resume of what has no job: exit code {refused.wait()}:\n{refused.tail()}")
        return self.run()

    def finish(self):
        """Goes on until the result stands, undisturbed."""
        process = self.go_on()
        code = process.wait()
        if code != 0:
            raise Failure(f"going on ended with {code}; the log:\n{process.tail()}")

    def state(self):
        """The folder that has the bus in it, or None."""
        for folder in (self.result, self.result + ".partial"):
            if os.path.exists(os.path.join(folder, ".shoal", "bus.db")):
                return folder
        return None

    def processes(self):
        """Who belongs to this place and runs: {process id: command line}."""
        found = {}
        tag = f"{TAG}={self.tag}".encode()
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            try:
                command = read_bytes(f"/proc/{name}/cmdline")
                if command and (tag in read_bytes(f"/proc/{name}/environ") or self.folder.encode() in command):
                    found[int(name)] = command.replace(b"\0", b" ").decode(errors="replace")
                    if b"\0worker\0" in command:
                        self.workers.add(int(name))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                pass
        return found

    def settled_shards(self):
        """What must not change any more: attempts that settled their shard, {(index, attempt, starts): its random word}."""
        state = self.state()
        settled = {}
        if state is None:
            return settled
        rows = self.rows(state)
        published = {(index, attempt) for index, attempt, _, _ in rows}
        for index, attempt, starts, row_state in rows:
            if row_state != DONE:
                continue
            folder = f"{state}/.shoal/attempts/{index:05d}.g1.a{attempt}.s{starts}"
            outcome = "none"
            if os.path.exists(folder):
                with open(folder + "/attempt.json") as file:
                    outcome = json.load(file)["outcome"]
            if outcome == ("failed" if index == FAILING else "succeeded"):
                settled[index, attempt, starts] = read_bytes(f"{folder}/outputs/once/{index}")
            elif (index, attempt + 1) not in published:
                raise Failure(f"shard {index} is done by attempt {attempt} ({outcome}), which settles nothing")
        return settled

    def rows(self, state, live=False):
        """The bus's shards: index, attempt, how often it was started, its state."""
        return self.query(state, "SELECT idx, attempt, starts, state FROM shards", live)

    def query(self, state, sql, live=False):
        """Rows of the bus; of one that isn't LIVE in a copy: opening a killed database mends it."""
        path = f"{state}/.shoal/bus.db"
        if live:
            return self.select(f"file:{path}?mode=ro", sql)
        with tempfile.TemporaryDirectory(dir=self.rig.work) as folder:
            for end in ("", "-wal"):
                if os.path.exists(path + end):
                    shutil.copy(path + end, f"{folder}/bus.db{end}")
            return self.select(f"file:{folder}/bus.db", sql)

    @staticmethod
    def select(uri, sql):
        bus = sqlite3.connect(uri, uri=True, timeout=10)
        try:
            return bus.execute(sql).fetchall()
        except sqlite3.OperationalError as problem:
            if "no such table" not in str(problem) and "unable to open" not in str(problem):
                raise
            return [] # in the making
        finally:
            bus.close()

    def check(self, settled=()):
        """The result equals the undisturbed one, and nothing that was SETTLED earlier was run again."""
        self.check_result()
        rows = self.rows(self.result)
        for earlier in settled:
            for (index, attempt, starts), word in earlier.items():
                if (index, attempt, starts, DONE) not in rows or any(row[0] == index and row[1] > attempt for row in rows):
                    raise Failure(f"shard {index} was done by attempt {attempt}, start {starts}, and was run again: "
                                  f"{[row for row in rows if row[0] == index]}")
                if index != FAILING and read_bytes(f"{self.result}/outputs/once/{index}") != word:
                    raise Failure(f"shard {index} was done, and its output is another run's now")

    def check_result(self):
        if os.path.exists(self.result + ".partial"):
            raise Failure("the result and its .partial are both there")
        expected, found = self.rig.reference, self.rig.picture(self.result)
        for part in expected:
            if found[part] != expected[part]:
                raise Failure(f"{part} differs from the undisturbed run's:\n{found[part]}\n{expected[part]}")

    def check_left_nothing(self):
        """No process, mount, control group or scratch of this place is left."""
        wait_until(lambda: not self.processes(), f"no process is left ({self.processes()})", 10)
        mounts = [line for line in read_bytes("/proc/self/mountinfo").decode(errors="replace").splitlines()
                  if self.folder + "/result" in line]
        if mounts:
            raise Failure(f"mounts are left: {mounts}")
        groups = [group for pid in self.workers for group in control_groups(pid)]
        if groups:
            raise Failure(f"control groups are left: {groups}")
        state = self.state()
        tmp = os.path.join(state, ".shoal", "tmp")
        left = [".shoal/tmp/" + name for name in (os.listdir(tmp) if os.path.isdir(tmp) else [])]
        left += [".shoal/" + name for name in os.listdir(os.path.join(state, ".shoal")) if name.startswith("build.")]
        left += [name for name in os.listdir(self.folder) if name != "result"]
        if left:
            raise Failure(f"scratch is left: {left}")

    def remove(self):
        shutil.rmtree(self.folder)
        os.unlink(self.log)

    def kill_all(self):
        """Ends what a failed test left; its own processes only."""
        while True:
            processes = self.processes()
            if not processes:
                return
            for pid in processes:
                kill(pid)
            time.sleep(0.01)


def control_groups(pid):
    """The groups of slots of the worker PID, in all hierarchies."""
    return [group for above in ("*/shoal", "", "*", "*/*", "*/*/*") for group in glob.glob(f"/sys/fs/cgroup/{above}/slot-{pid}-*")]


def kill(pid, signal_number=signal.SIGKILL):
    try:
        os.kill(pid, signal_number)
        return True
    except ProcessLookupError:
        return False


def policy(folder, *others):
    """A file in FOLDER that lets jobs of services read what is in it and in the OTHERS, write what is in it, and run without containers."""
    path = os.path.join(folder, "policy.json")
    with open(path, "w") as file:
        json.dump({"runtimes": ["oci", "process"], "inputs": [folder, *others], "results": [folder]}, file)
    return path


class Rig:
    """The program, its image store, the inputs and the undisturbed result, in a temporary folder."""

    def __init__(self, program):
        self.program = os.path.abspath(program)
        self.work = tempfile.mkdtemp(prefix="shoal-fault-")
        self.seed = int(os.environ.get("SHOAL_SEED") or random.randrange(1 << 32))
        self.inputs = os.path.join(self.work, "inputs")
        self.environment = dict(os.environ, SHOAL_IMAGES=os.path.join(self.work, "images"),
                                SHOAL_POLICY=policy(self.work))
        self.environment.pop("SHOAL_FAULT", None)
        self.reference = None
        self.seconds = {}

    def __enter__(self):
        for number in range(2 * SHARDS):
            folder = os.path.join(self.inputs, f"part {number % 3}")
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, f"file {number:02d}.txt"), "w") as file:
                file.write(f"text of file {number}\n" * (number + 1))
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            shutil.rmtree(self.work)
        else:
            print(f"kept: {self.work}", flush=True)

    def prepare(self, runtimes=("oci", "process")):
        """Imports the image and runs the job undisturbed."""
        layout = os.path.join(self.work, "busybox.oci")
        for argv in (["bash", os.path.join(TESTS, "../deploy/images/busybox.sh"), layout],
                     [self.program, "image", "import", layout, "--as", "busybox"]):
            done = subprocess.run(argv, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if done.returncode != 0:
                raise Failure(f"{argv}: {done.stdout.decode(errors='replace')}")
        for runtime in runtimes:
            for name in ("first", "undisturbed"): # the first one unpacks the image
                place = Place(self, f"{name}-{runtime}", runtime)
                start = time.monotonic()
                code = place.run().wait()
                self.seconds[runtime] = time.monotonic() - start
                if code != 0:
                    raise Failure(f"the undisturbed run ended with {code}:\n{read_bytes(place.log).decode()}")
                place.check_left_nothing()
                if self.reference is None:
                    self.reference = self.picture(place.result)
                    if len(self.reference["outputs"]) != 4 * (SHARDS - 1):
                        raise Failure(f"the undisturbed run's outputs: {self.reference['outputs']}")
                place.check_result()
                place.remove()

    # Times, who did it and how often it was tried differ from run to run.
    VOLATILE = {"submitted", "finished", "started", "ended", "cpu_us", "peak_memory", "writer", "folder", "attempts",
                "image_id"} # which only containers have

    def picture(self, result):
        """All of RESULT that must be the same in each run."""
        with open(os.path.join(result, "manifest.json")) as file:
            manifest = without(json.load(file), self.VOLATILE)
        del manifest["job"]
        manifest["outputs"] = [output for output in manifest["outputs"] if output["output"] != "once"]
        shards = {}
        for name in sorted(os.listdir(os.path.join(result, "shards"))):
            for part in ("exit_code", "stdout", "stderr"):
                shards[name, part] = read_bytes(os.path.join(result, "shards", name, part))
        return {"outputs": tree(os.path.join(result, "outputs", "result")),
                "words": sorted(os.listdir(os.path.join(result, "outputs", "once"))),
                "stdout": read_bytes(os.path.join(result, "stdout")),
                "stderr": read_bytes(os.path.join(result, "stderr")),
                "shards": shards,
                "manifest": manifest}

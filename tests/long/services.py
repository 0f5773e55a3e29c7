"""What long tests share: a producer with its door for HTTP, workers and a merger that stay, and what they hold."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TESTS, "fault"))
import rig # noqa: E402

TOKEN = "correct-horse-battery-staple"
FINAL = ("succeeded", "partial", "failed", "conflict", "cancelled")


class Services:
    """One of each part at first, on a bus of its own. `parts` are those that should be alive: {name: process}."""

    def __init__(self, program, bus="sqlite", slots=2):
        self.program = os.path.abspath(program)
        self.work = tempfile.mkdtemp(prefix="shoal-long-")
        self.slots = slots
        self.results = os.path.join(self.work, "results")
        self.scratch = os.path.join(self.work, "scratch")
        self.parts, self.logs, self.number = {}, {}, 0
        for folder in (self.results, self.scratch, os.path.join(self.work, "home")):
            os.mkdir(folder)
        with open(os.path.join(self.work, "token"), "w") as file:
            file.write(TOKEN + "\n")
        os.chmod(file.name, 0o600)
        self.tag = os.path.basename(self.work)
        self.environment = dict(os.environ, SHOAL_IMAGES=os.path.join(self.work, "images"), SHOAL_LOG="info",
                                SHOAL_POLICY=rig.policy(self.work),
                                HOME=os.path.join(self.work, "home"), **{rig.TAG: self.tag})
        for name in ("SHOAL_FAULT", "SHOAL_BUS"):
            self.environment.pop(name, None)
        if bus == "kafka":
            self.bus = f"kafka://{os.environ['SHOAL_TEST_KAFKA']}/{self.tag}"
            self.shoal("topics", "create", "--bus", self.bus, "--partitions", "4", "--replication", "1")
        else:
            self.bus = f"sqlite:{self.work}/bus.db"
        layout = os.path.join(self.work, "busybox.oci")
        subprocess.run(["bash", os.path.join(TESTS, "../deploy/images/busybox.sh"), layout], check=True, stdout=subprocess.DEVNULL)
        self.shoal("image", "import", layout, "--as", "busybox")

    def shoal(self, *words):
        done = subprocess.run([self.program, *words], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise rig.Failure(f"{words}: {done.stdout.decode(errors='replace')}")

    # ---- parts

    def start(self, name, *options):
        """Starts the part NAME ("worker-2": another worker) in a session of its own."""
        role = name.split("-")[0]
        words = [role, "--bus", self.bus, "--lease", "5s"]
        if role == "producer":
            words += ["--listen", "127.0.0.1:0", "--token-file", os.path.join(self.work, "token"), "--results", self.results]
        if role == "worker":
            words += ["--jobs", str(self.slots), "--scratch", self.scratch, "--backoff", "10ms", "--max-lost", "1000", "--max-infra", "1000"]
        self.number += 1
        self.logs[name] = os.path.join(self.work, f"{name}.{self.number}.log")
        self.parts[name] = rig.Process([self.program, *words, *options], self.logs[name], self.environment)
        if role == "producer":
            self.door = "http://" + rig.wait_until(lambda: self.said(name, r"event=listening address=(\S+)"), "the producer listens")
        if role == "worker":
            rig.wait_until(lambda: self.said(name, r"event=(worker_ready)"), "the worker is ready")

    def said(self, name, pattern):
        found = re.search(pattern, rig.read_bytes(self.logs[name]).decode(errors="replace"))
        return found and found.group(1)

    def kill(self, name):
        process = self.parts.pop(name)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    def slots_of(self, name, children=None):
        """The slot processes of the worker NAME."""
        children = children or all_children()
        return [pid for pid in children.get(self.parts[name].pid, []) if command_of(pid).endswith(b"\0slot\0")]

    def containers_of(self, name):
        """The processes in its containers: the runtime is a slot's child, the command the runtime's."""
        children = all_children()
        inside = [child for slot in self.slots_of(name, children) for child in children.get(slot, [])]
        return inside + [child for pid in inside for child in children.get(pid, [])]

    def check_alive(self):
        for name, process in self.parts.items():
            if process.ended():
                raise rig.Failure(f"the {name} ended by itself:\n{process.tail()}")

    def processes(self):
        """Who belongs to this fleet and runs: {process id: command line}."""
        found, tag = {}, f"{rig.TAG}={self.tag}".encode()
        for name in os.listdir("/proc"):
            try:
                if name.isdigit() and (tag in rig.read_bytes(f"/proc/{name}/environ") or self.is_child_of_ours(int(name))):
                    command = rig.read_bytes(f"/proc/{name}/cmdline")
                    if command:
                        found[int(name)] = command.replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                pass
        return found

    def is_child_of_ours(self, pid):
        """A container's processes have another environment, but its slot's control group."""
        return any(f"/slot-{process.pid}-" in line for process in self.parts.values()
                   for line in rig.read_bytes(f"/proc/{pid}/cgroup").decode().splitlines())

    def stop(self):
        """SIGTERM to all; each must end well."""
        for process in self.parts.values():
            os.kill(process.pid, signal.SIGTERM)
        for name, process in self.parts.items():
            if process.wait() != 0:
                raise rig.Failure(f"the {name} ended with {process.wait()}:\n{process.tail()}")
        self.parts.clear()

    def remove(self):
        shutil.rmtree(self.work)

    def end(self):
        """After a failure: nothing of ours goes on."""
        for pid in self.processes():
            rig.kill(pid)

    # ---- jobs

    def ask(self, path, body=None):
        """The answer, None for a 503: the service isn't ready, or has lost its bus for a moment."""
        request = urllib.request.Request(f"{self.door}/v1/{path}", body, {"Authorization": f"Bearer {TOKEN}"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.read()
        except urllib.error.HTTPError as problem:
            if problem.code == 503:
                return None
            raise rig.Failure(f"{path}: HTTP {problem.code} {problem.read().decode(errors='replace')}")

    def submit(self, name, command, **members):
        job = {"id": name, "image": "busybox", "command": command, "results": name, **members}
        for _ in range(20):
            if self.ask("jobs", json.dumps(job).encode()) is not None:
                return
            time.sleep(0.5)
        raise rig.Failure(f"{name} can't be submitted: HTTP 503 again and again")

    def has_ended(self, name):
        """Whether its result is there and its status final: a merger that was killed between the two publishes once more."""
        if not os.path.exists(os.path.join(self.results, name, "manifest.json")):
            return False
        answer = self.ask("jobs/" + name)
        return answer is not None and json.loads(answer)["state"] in FINAL

    def take_result(self, name):
        """Reads its manifest, and removes the result."""
        folder = os.path.join(self.results, name)
        with open(os.path.join(folder, "manifest.json")) as file:
            manifest = json.load(file)
        shutil.rmtree(folder)
        return manifest

    # ---- what is held

    def mounts(self, pids):
        """What is mounted below our folder, as seen by this process or by PIDS, who live longer than a container."""
        found = []
        for pid in ["self", *pids]:
            try:
                lines = rig.read_bytes(f"/proc/{pid}/mountinfo").decode(errors="replace").splitlines()
            except OSError:
                continue
            found += [f"{pid}: {line}" for line in lines if self.work in line]
        return found


def all_children():
    """Of all processes of this machine: {process id: those of its children}."""
    found = {}
    for name in os.listdir("/proc"):
        try:
            if name.isdigit():
                found.setdefault(int(rig.read_bytes(f"/proc/{name}/stat").rpartition(b")")[2].split()[1]), []).append(int(name))
        except OSError:
            pass
    return found


def command_of(pid):
    try:
        return rig.read_bytes(f"/proc/{pid}/cmdline")
    except OSError:
        return b""


def descriptors(pid):
    """What the process PID has open: {number: what}."""
    found = {}
    for number in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(number)] = os.readlink(f"/proc/{pid}/fd/{number}")
        except OSError:
            pass
    return found


def memory(pid):
    """Bytes that are the process's own and in memory."""
    status = rig.read_bytes(f"/proc/{pid}/status").decode()
    return sum(int(re.search(rf"{name}:\s+(\d+) kB", status).group(1)) for name in ("RssAnon", "VmSwap")) * 1024

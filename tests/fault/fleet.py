#!/usr/bin/python3
"""A fleet on a real Kafka broker, under fire. fleet.py SHOAL [ROUNDS] [MODE…]

Each round is a job of 24 shards on a bus of its own, served by a producer, workers and mergers that something is done to until the job has ended:

    kill     kill -9 of workers, mergers and producers at random moments; others are started in their places
    stop     SIGSTOP of workers and mergers for longer than a lease, and their return
    scale    1, 8, then 2 workers, with SIGTERM
    roll     all workers one after the other, with SIGTERM

and, on brokers of its own that deploy/kafka/dev.sh starts, where nothing but the brokers suffers and so no shard may start twice:

    restart  the only broker is killed and comes back after more than a lease
    pause    the only broker answers nobody for more than a lease
    plan     the same, from the moment in which the job is being planned
    three    of three brokers one after the other is killed and comes back
    slow     half of the fleet reaches the broker through a network that delays everything

or where half of the fleet loses its network for more than a lease:

    cut      connections break and can't be made again, or stay and nothing gets through; then all is well again

The result must equal that of a run on one machine, no service may end by itself, and of each shard all starts but the last must be accounted for: their
workers were killed, stopped, cut off, or gave the shard back. SHOAL_SEED repeats a round. SHOAL_TEST_KAFKA is HOST:PORT of the broker.
"""
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

import proxy
import rig

SHARDS = 24
LEASE = float(os.environ.get("SHOAL_FLEET_LEASE", "2"))
LEASES = {"three": 20} # a question to brokers that are electing a leader was seen to take ten seconds; nobody waits for a lease there
DEADLINE = 90
DEV = os.path.join(rig.TESTS, "../deploy/kafka/dev.sh")
WORK = r"""
for f in /in/*.txt; do
  tr a-z A-Z < "$f" > "/out/${f##*/}"
done
echo "shard $SHOAL_SHARD_INDEX"
sleep 0.$((SHOAL_SHARD_INDEX * 7 % 4))
"""


class Cluster:
    """Brokers of our own; `network` is a way to them that can be disturbed, for those who come by it."""

    def __init__(self, nodes):
        self.nodes = nodes
        self.folder = tempfile.mkdtemp(prefix="shoal-kafka-")
        options = []
        self.network = None
        if nodes == 1:
            self.network = proxy.Proxy()
            options = ["--proxy-port", str(self.network.port)]
        said = self.call("start", "--nodes", str(nodes), *options)
        self.address = re.search(r"SHOAL_BUS=kafka://(\S+)", said)[1]
        if self.network is not None:
            self.network.target = re.search(r"SHOAL_PROXIED=(\S+)", said)[1]

    def call(self, *argv):
        done = subprocess.run(["bash", DEV, *argv, "--dir", self.folder], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=DEADLINE)
        if done.returncode != 0:
            raise rig.Failure(f"dev.sh {argv}: exit code {done.returncode}\n{done.stdout.decode(errors='replace')}")
        return done.stdout.decode()

    def signal(self, node, number): # at once
        os.kill(int(rig.read_bytes(os.path.join(self.folder, str(node), "pid")).split()[0]), number)

    def close(self, keep):
        if self.network is not None:
            self.network.close()
        self.call("stop" if keep else "clean")
        if keep:
            print(f"kept: {self.folder}, the broker's data", flush=True)


class Part:
    """A service, its log, and whether it may have lost what it ran."""

    def __init__(self, fleet, name, options, far):
        self.name = name
        self.log = os.path.join(fleet.folder, f"{name}-{len(fleet.parts)}.log")
        self.excused = False
        self.told_to_end = False
        self.far = far # behind the network that is disturbed
        bus = f"kafka://127.0.0.1:{fleet.cluster.network.port}/{fleet.prefix}" if far else fleet.bus
        with open(self.log, "wb") as log:
            self.popen = subprocess.Popen([fleet.program, name, "--bus", bus, *options], stdin=subprocess.DEVNULL,
                                          stdout=log, stderr=log, env=dict(os.environ, SHOAL_LOG="info", SHOAL_POLICY=fleet.policy))

    def alive(self):
        return self.popen.poll() is None

    def signal(self, number):
        self.told_to_end |= number in (signal.SIGTERM, signal.SIGKILL)
        if self.alive():
            self.popen.send_signal(number)

    def text(self):
        return rig.read_bytes(self.log).decode(errors="replace")


class Fleet:
    def __init__(self, program, broker, folder, inputs, seed, cluster, lease):
        self.lease = lease
        self.program, self.folder = program, folder
        self.policy = rig.policy(folder, inputs)
        self.random = random.Random(seed)
        self.broker, self.cluster = broker, cluster
        self.prefix = "f%016x" % random.getrandbits(64)
        self.bus = f"kafka://{broker}/{self.prefix}"
        self.parts = []
        self.actions = 0
        self.call("topics", "create", "--partitions", "4", "--event-partitions", "2", "--lease", "2s")

    def call(self, *argv):
        done = subprocess.run([self.program, argv[0], "--bus", f"kafka://{self.broker}/{self.prefix}", *argv[1:]],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=DEADLINE)
        if done.returncode != 0:
            raise rig.Failure(f"{argv}: exit code {done.returncode}\n{done.stdout.decode(errors='replace')}")
        return done.stdout.decode()

    def start(self, name, *options, far=False):
        part = Part(self, name, ("--lease", f"{int(self.lease * 1000)}ms", *options), far)
        self.parts.append(part)
        return part

    def worker(self, far=False):
        return self.start("worker", "--slots", "2", "--backoff", "10ms", "--max-lost", "100", far=far)

    def alive(self, name):
        return [part for part in self.parts if part.name == name and part.alive()]

    def submit(self, inputs, result):
        self.call("submit", "--id", "job", "--results", result, "--runtime", "process", "-v", inputs + ":/in", "-o", "out:/out",
                  "--glob", "*.txt", "--batch-size", "2", "none", "sh", "-c", WORK)

    def ended(self):
        try:
            return ",\"state\":\"succeeded\"" in self.call("status", "--json", "job").replace(" ", "")
        except rig.Failure: # brokers that are away
            return False

    def close(self):
        for part in self.parts:
            if part.alive():
                part.popen.kill()
            part.popen.wait()

    def check_services(self):
        """A service ends when it is told to, and whatever happens to it not before."""
        for part in self.parts:
            if not part.alive() and not part.told_to_end:
                raise rig.Failure(f"{part.log} ended by itself, with {part.popen.returncode}: {part.text().splitlines()[-1:]}")

    def check_starts(self):
        """All starts of a shard's attempt but the last belong to those who were excused, or were given back."""
        starts = {}
        given_back = set()
        for part in self.parts:
            if part.name != "worker":
                continue
            for line in part.text().splitlines():
                match = re.search(r"event=(\w+) job=job shard=(\d+) generation=(\d+) attempt=(\d+) starts=(\d+)", line)
                if match is None:
                    continue
                shard = match.groups()[1:4]
                if match[1] == "shard_started":
                    starts.setdefault(shard, []).append((int(match[5]), part))
                elif match[1] == "shard_released":
                    given_back.add((shard, part))
        if len({shard[0] for shard in starts}) != SHARDS:
            raise rig.Failure(f"only {len(starts)} of {SHARDS} shards were started")
        again = 0
        for shard, owners in starts.items():
            owners.sort(key=lambda start: start[0])
            for _, part in owners[:-1]:
                again += 1
                if not part.excused and (shard, part) not in given_back:
                    raise rig.Failure(f"shard {shard} was started by {[(n, p.log) for n, p in owners]}: nobody did anything to {part.log}")
        return again


# ---- what is done to a fleet; each is a generator that acts and then says how long to wait

def kill(fleet):
    for name, count in (("producer", 1), ("worker", 3), ("merger", 2)):
        for _ in range(count):
            fleet.worker() if name == "worker" else fleet.start(name)
    for _ in range(8):
        yield fleet.random.random() * 0.6
        name = fleet.random.choice(("worker", "worker", "worker", "merger", "producer"))
        victim = fleet.random.choice(fleet.alive(name))
        victim.excused = True
        victim.signal(signal.SIGKILL)
        victim.popen.wait()
        fleet.actions += 1
        fleet.worker() if name == "worker" else fleet.start(name)


def stop(fleet):
    fleet.start("producer")
    for _ in range(2):
        fleet.start("merger")
    for _ in range(3):
        fleet.worker()
    for _ in range(3):
        yield fleet.random.random() * 0.5
        victims = fleet.random.sample(fleet.alive("worker"), 2) + [fleet.random.choice(fleet.alive("merger"))]
        for victim in victims:
            victim.excused = True
            victim.signal(signal.SIGSTOP)
            fleet.actions += 1
        yield LEASE * (1 + fleet.random.random())
        for victim in victims:
            victim.signal(signal.SIGCONT)


def scale(fleet):
    fleet.start("producer")
    fleet.start("merger")
    fleet.worker()
    yield 0.3
    for _ in range(7):
        fleet.worker()
    yield 0.3 + fleet.random.random() * 0.3
    for victim in fleet.alive("worker")[:6]:
        victim.signal(signal.SIGTERM)
        fleet.actions += 1
    yield 0.2


def roll(fleet):
    fleet.start("producer")
    fleet.start("merger")
    for _ in range(3):
        fleet.worker()
    for _ in range(3):
        yield fleet.random.random() * 0.4
        victim = fleet.alive("worker")[0]
        fleet.worker()
        victim.signal(signal.SIGTERM)
        fleet.actions += 1


def start_all(fleet):
    fleet.start("producer")
    for _ in range(2):
        fleet.start("merger")
    for _ in range(3):
        fleet.worker()


def restart(fleet):
    start_all(fleet)
    yield fleet.random.random()
    fleet.cluster.call("kill", "1")
    fleet.actions += 1
    yield LEASE * (1 + fleet.random.random())
    fleet.cluster.call("restart", "1")


def pause(fleet):
    start_all(fleet)
    yield fleet.random.random()
    fleet.cluster.call("pause", "1")
    fleet.actions += 1
    yield LEASE * (1 + fleet.random.random())
    fleet.cluster.call("cont", "1")


def plan(fleet):
    start_all(fleet)
    producer = fleet.parts[0]
    rig.wait_until(lambda: "event=planning_started" in producer.text(), "the job is taken", DEADLINE)
    yield fleet.random.random() * 0.05
    fleet.cluster.signal(1, signal.SIGSTOP)
    fleet.actions += 1
    yield LEASE * (1.5 + fleet.random.random())
    fleet.cluster.signal(1, signal.SIGCONT)


def three(fleet):
    start_all(fleet)
    for node in fleet.random.sample((1, 2, 3), 2):
        yield fleet.random.random() * 0.5
        fleet.cluster.call("kill", str(node))
        fleet.actions += 1
        yield 4 + 8 * fleet.random.random()
        fleet.cluster.call("restart", str(node))
        yield 1


def start_near_and_far(fleet):
    for name, count in (("producer", 1), ("merger", 1), ("worker", 2)):
        for _ in range(count):
            for far in (False, True):
                fleet.worker(far) if name == "worker" else fleet.start(name, far=far)


def cut(fleet):
    start_near_and_far(fleet)
    network = fleet.cluster.network
    for _ in range(2):
        yield fleet.random.random()
        for part in fleet.parts:
            part.excused |= part.far
        fleet.random.choice((network.cut, network.swallow))()
        fleet.actions += 1
        yield LEASE * (1 + fleet.random.random())
        network.heal()


def slow(fleet):
    start_near_and_far(fleet)
    yield fleet.random.random()
    fleet.cluster.network.slow(0.02 + 0.1 * fleet.random.random())
    fleet.actions += 1
    yield 5
    fleet.cluster.network.heal()


BROKER_MODES = {"restart": 1, "pause": 1, "plan": 1, "three": 3, "slow": 1, "cut": 1} # how many brokers each needs
MODES = {"restart": restart, "pause": pause, "plan": plan, "three": three, "slow": slow, "cut": cut, "kill": kill, "stop": stop, "scale": scale, "roll": roll}


def play(program, broker, inputs, reference, mode, seed, cluster=None):
    folder = tempfile.mkdtemp(prefix="shoal-fleet-")
    result = os.path.join(folder, "result")
    fleet = Fleet(program, broker, folder, inputs, seed, cluster, LEASES.get(mode, LEASE))
    carried = cluster.network.carried if mode in ("slow", "cut") else 0
    try:
        fleet.submit(inputs, result)
        for pause in MODES[mode](fleet):
            end = time.monotonic() + pause
            while time.monotonic() < end:
                time.sleep(0.01)
        rig.wait_until(fleet.ended, f"the job has ended: {fleet.call('status', 'job')}", DEADLINE)
        if rig.tree(os.path.join(result, "outputs")) != rig.tree(os.path.join(reference, "outputs")):
            raise rig.Failure("outputs differ from those of one machine")
        if rig.read_bytes(result + "/stdout") != rig.read_bytes(reference + "/stdout"):
            raise rig.Failure("stdout differs from that of one machine")
        again = fleet.check_starts()
        fleet.check_services()
        if mode in ("slow", "cut") and cluster.network.carried == carried:
            raise rig.Failure("nobody came by the network that was disturbed")
        for part in fleet.parts:
            part.signal(signal.SIGTERM)
        for part in fleet.parts:
            try:
                part.popen.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                raise rig.Failure(f"SIGTERM doesn't end {part.log}")
    except BaseException:
        print(f"kept: {folder}, bus {fleet.bus}", flush=True)
        raise
    finally:
        if cluster is not None and cluster.network is not None:
            cluster.network.heal()
        fleet.close()
    subprocess.run(["rm", "-rf", folder], check=True)
    return fleet.actions, again


def main():
    program = os.path.abspath(sys.argv[1])
    broker = os.environ.get("SHOAL_TEST_KAFKA")
    clusters = {}
    if not broker and not set(sys.argv[2:]) & set(BROKER_MODES):
        sys.exit("SHOAL_TEST_KAFKA isn't set: it is HOST:PORT of a broker for tests, as `deploy/kafka/dev.sh start` brings up")
    words = sys.argv[2:]
    rounds = int(words.pop(0)) if words and words[0].isdigit() else int(os.environ.get("SHOAL_FLEET_ROUNDS", "3"))
    modes = words or [mode for mode in MODES if mode not in BROKER_MODES]
    seed = int(os.environ.get("SHOAL_SEED") or random.randrange(1 << 32))
    os.environ.pop("SHOAL_BUS", None)
    print(f"SHOAL_SEED={seed}", flush=True)
    total = again = played = 0
    with tempfile.TemporaryDirectory(prefix="shoal-fleet-") as folder:
        inputs, reference = os.path.join(folder, "inputs"), os.path.join(folder, "reference")
        os.makedirs(inputs)
        for number in range(2 * SHARDS):
            with open(os.path.join(inputs, f"file{number:02d}.txt"), "w") as file:
                file.write(f"text of file {number}\n" * (number + 1))
        subprocess.run([program, "run", "--progress", "none", "-q", "--results", reference, "--runtime", "process", "-v", inputs + ":/in",
                        "-o", "out:/out", "--glob", "*.txt", "--batch-size", "2", "none", "sh", "-c", WORK], check=True)
        try:
            for number in range(rounds):
                for mode in modes:
                    start = time.monotonic()
                    nodes = BROKER_MODES.get(mode)
                    if nodes is not None and nodes not in clusters:
                        clusters[nodes] = Cluster(nodes)
                    cluster = clusters.get(nodes)
                    actions, repeated = play(program, cluster.address if cluster else broker, inputs, reference, mode, seed + number, cluster)
                    print(f"round {number} {mode}: {actions} blows, {repeated} shards started again, {time.monotonic() - start:.1f} s", flush=True)
                    total, again, played = total + actions, again + repeated, played + 1
        finally:
            for cluster in clusters.values():
                cluster.close(keep=sys.exc_info()[0] is not None)
    print(f"{played} rounds, {total} blows, {again} shards started again, all accounted for; {played} passed, 0 failed")


if __name__ == "__main__":
    try:
        main()
    except rig.Failure as failure:
        sys.exit(f"FAIL {failure}")

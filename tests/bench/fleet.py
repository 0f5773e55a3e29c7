"""Shards that do nothing through a real broker, next to tasks that do nothing by Celery, Dask and HyperQueue. fleet.py SHOAL BENCH_FLEET

One round is: submit so many, all done and known to be done. Each peer in the setting that suits it best: Celery with a prefetch of 1,000, results
counted in Redis and not stored; Dask with one thread a process and futures in one call; HyperQueue with /bin/true, as it runs programs only. What
shoal's workers do with a shard beyond the bus (stage, container) isn't in it: overhead.py has that.
"""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

import measure
from fleet_parts import HERE, Broker, Children, said_by

PEERS = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "shoal/peers/bin")
SHARDS, MANY = 50_000, 1_000_000
TASKS = {"celery": 10_000, "dask": 10_000, "hyperqueue": 20_000}
LEASE = 10


def by_shoal(broker, shoal, bench, workers, shards=SHARDS):
    bus = broker.bus(shoal)
    with Children() as children:
        for _ in range(workers):
            children.start([bench, bus, "work", str(100 // workers)])
        time.sleep(1)  # they have opened what they read
        follow = subprocess.Popen(["time", "-f", "%M", bench, bus, "follow", "j", str(shards)], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE)
        start = time.monotonic()
        said_by([bench, bus, "produce", "j", str(shards)])
        peak = int(follow.communicate(timeout=900)[1].split()[-1])
        return (time.monotonic() - start) / shards * 1e6, peak


def by_celery(redis, workers):
    with Children() as children:
        environment = dict(os.environ, BENCH_REDIS=redis, PYTHONPATH=os.path.join(HERE, "peers"))
        children.start([os.path.join(PEERS, "celery"), "-A", "celery_tasks", "worker", "--concurrency", str(workers), "--loglevel",
                        "error", "--without-gossip", "--without-mingle", "--without-heartbeat"], env=environment, cwd=HERE)
        return float(said_by([os.path.join(PEERS, "python"), os.path.join(HERE, "peers/celery_submit.py"), str(TASKS["celery"])],
                             env=environment)) * 1e6


def by_script(name, workers):
    return float(said_by([os.path.join(PEERS, "python"), os.path.join(HERE, f"peers/{name}_submit.py"), str(workers),
                          str(TASKS[name])], stderr=subprocess.DEVNULL).split()[-1]) * 1e6


def takeover(broker, shoal):
    """Seconds from the kill of a worker to the start of its shard elsewhere."""
    bus = broker.bus(shoal)
    with Children() as children, tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        os.mkdir(folder + "/in")
        open(folder + "/in/a.txt", "w").close()
        with open(folder + "/policy.json", "w") as file:
            json.dump({"runtimes": ["oci", "process"], "inputs": [folder], "results": [folder]}, file)
        policy = ["--policy", folder + "/policy.json"]
        for part in "producer", "merger":
            children.start([shoal, part, "--bus", bus, *policy])
        options = ["--bus", bus, *policy, "--lease", f"{LEASE}s", "--slots", "1"]
        victim = children.start([shoal, "worker", *options])
        starts = folder + "/starts"
        said_by([shoal, "submit", "--bus", bus, "--id", "j", "--results", folder + "/r", "--runtime", "process", "-v", folder + "/in:/in",
                 "--glob", "*.txt", "none", "sh", "-c", f"date +%s.%N >>{starts}; [ $(wc -l <{starts}) = 2 ] || sleep 600"])
        while not os.path.exists(starts):
            time.sleep(0.01)
        children.start([shoal, "worker", *options])
        time.sleep(LEASE)  # renewed at any time
        killed = time.time()
        os.killpg(victim.pid, signal.SIGKILL)
        said_by([shoal, "watch", "-q", "--bus", bus, "j"])
        return float(open(starts).read().split()[1]) - killed


def main():
    shoal, bench = (os.path.abspath(path) for path in sys.argv[1:3])
    with Broker() as broker, Children() as children, tempfile.TemporaryDirectory() as folder:
        redis = folder + "/redis.sock"
        children.start(["redis-server", "--port", "0", "--unixsocket", redis, "--save", "", "--dir", folder])
        for workers in 1, 4:
            plural = "worker" if workers == 1 else "workers"
            seen = measure.in_turn(3, shoal=lambda n=workers: by_shoal(broker, shoal, bench, n)[0],
                                   celery=lambda n=workers: by_celery(redis, n),
                                   dask=lambda n=workers: by_script("dask", n),
                                   hyperqueue=lambda n=workers: by_script("hyperqueue", n))
            for peer, name in (("celery", "Celery on Redis"), ("dask", "Dask"), ("hyperqueue", "HyperQueue, `/bin/true`")):
                measure.row(f"a shard that does nothing, {workers} {plural}", seen["shoal"], seen[peer], name, "µs")
        bus = broker.bus(shoal)
        time.sleep(3)  # a handle of librdkafka's that asks in the moment in which a topic is made doesn't see it for a while
        measure.note("the six records of 50,000 shards by librdkafka alone, one partition",
                     said_by([bench, bus, "raw", bus.rsplit("/", 1)[1] + ".control", str(SHARDS)]).strip())
        bus = broker.bus(shoal)
        measure.note("one shard at a time", said_by([bench, bus, "latency", "j", "300"]).strip())
        measure.note(f"a worker killed, lease {LEASE} s: its shard runs elsewhere after",
                     ", ".join(f"{takeover(broker, shoal):.1f} s" for _ in range(3)))
        small, large = by_shoal(broker, shoal, bench, 2, 1000)[1], by_shoal(broker, shoal, bench, 2, MANY)[1]
        measure.note(f"reader of the events at {MANY:,} shards", f"{large / 1024:.0f} MiB, {(large - small) * 1024 / MANY:.0f} bytes a shard")


main()

"""What a shard costs by the number of workers: the bus alone, on a real broker. scaling.py SHOAL BENCH_FLEET… [-- WORKERS…]

Shards that do nothing, 24 partitions, 96 slots over all workers. With several builds of bench_fleet these take turns, so that one run compares
them on the same machine in the same minutes. A shard that is claimed once has three records of claims: what is beyond that are claims that lost,
renewals and ticks.
"""
import os
import statistics
import subprocess
import sys
import time

from fleet_parts import Broker, Children, said_by

PARTITIONS, SLOTS, SHARDS, ROUNDS = 24, 96, int(os.environ.get("SHARDS", "10000")), int(os.environ.get("ROUNDS", "3"))
TICK = os.sysconf("SC_CLK_TCK")


def cpu_of(pid):
    """CPU seconds of a process that runs."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def records_in(broker, topic):
    """How many records TOPIC has got, of all partitions."""
    asked = [word for partition in range(PARTITIONS) for word in ("-t", f"{topic}:{partition}:-1")]
    return sum(int(line.split()[-1]) for line in said_by(["kcat", "-b", broker.address, "-Q", *asked]).splitlines())


def one_round(broker, shoal, bench, workers):
    bus = broker.bus(shoal, PARTITIONS)
    with Children() as children:
        crew = [children.start([bench, bus, "work", str(SLOTS // workers)]) for _ in range(workers)]
        time.sleep(6 if workers > 1 else 2)  # they have opened what they read, and closed what isn't theirs
        follow = subprocess.Popen([bench, bus, "follow", "j", str(SHARDS)], stdout=subprocess.DEVNULL)
        before, brokers = sum(cpu_of(worker.pid) for worker in crew), cpu_of(broker.pid)
        start = time.monotonic()
        said_by([bench, bus, "produce", "j", str(SHARDS)])
        if follow.wait(timeout=900) != 0:
            sys.exit(f"{bench}: follow failed")
        seconds = time.monotonic() - start
        spent, brokers = sum(cpu_of(worker.pid) for worker in crew) - before, cpu_of(broker.pid) - brokers
    claims = records_in(broker, bus.rsplit("/", 1)[1] + ".claims") / SHARDS - 3
    return SHARDS / seconds, spent / SHARDS * 1e6, brokers / SHARDS * 1e6, claims


def main():
    arguments = sys.argv[1:]
    split = arguments.index("--") if "--" in arguments else len(arguments)
    shoal, *benches = (os.path.abspath(path) for path in arguments[:split])
    counts = [int(count) for count in arguments[split + 1:]] or [1, 4, 16]
    print("| workers | build | shards/s | worker CPU a shard | broker CPU a shard | records of claims a shard beyond three |\n|---|---|---|---|---|---|")
    with Broker() as broker:
        for workers in counts:
            seen = {bench: [] for bench in benches}
            for _ in range(ROUNDS):
                for bench in benches:
                    seen[bench].append(one_round(broker, shoal, bench, workers))
            for number, bench in enumerate(benches):
                rate, worker, brokers, claims = (statistics.median(column) for column in zip(*seen[bench]))
                print(f"| {workers} | {number} | {rate:,.0f} | {worker:.0f} µs | {brokers:.0f} µs | {claims:.2f} |", flush=True)


main()

"""What benchmarks of the fleet share: a broker of their own, processes that are killed in the end."""
import os
import re
import signal
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


def said_by(argv, **options):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, timeout=900, **options).stdout.decode()


class Broker:
    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="shoal-bench-kafka-")
        dev = os.path.join(HERE, "../../deploy/kafka/dev.sh")
        self.dev = ["bash", dev]
        self.address = re.search(r"kafka://(\S+)", said_by([*self.dev, "start", "--dir", self.folder]))[1]
        self.pid = int(open(os.path.join(self.folder, "1/pid")).read().split()[0])
        self.number = 0
        return self

    def __exit__(self, *_):
        said_by([*self.dev, "clean", "--dir", self.folder])

    def bus(self, shoal, partitions=8):
        self.number += 1
        url = f"kafka://{self.address}/b{self.number}"
        said_by([shoal, "topics", "create", "--bus", url, "--partitions", str(partitions), "--event-partitions", "1"])
        return url


class Children:
    """Processes that are killed in the end."""

    def __init__(self):
        self.all = []

    def __enter__(self):
        return self

    def start(self, argv, **options):
        self.all.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                         start_new_session=True, **options))
        return self.all[-1]

    def __exit__(self, *_):
        for child in self.all:
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            child.wait()

"""N futures that do nothing on W processes of one thread: dask_submit.py W N; prints seconds a task."""
import sys
import time

import distributed


def nothing(number):
    return None


def main():
    workers, count = int(sys.argv[1]), int(sys.argv[2])
    with distributed.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster:
        with distributed.Client(cluster) as client:
            client.submit(nothing, -1).result()
            start = time.monotonic()
            distributed.wait(client.map(nothing, range(count), batch_size=1000))
            print((time.monotonic() - start) / count)


if __name__ == "__main__":
    main()

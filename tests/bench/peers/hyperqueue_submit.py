"""N tasks of /bin/true on W cores: hyperqueue_submit.py W N; prints seconds a task."""
import sys
import tempfile
import time

import hyperqueue
import hyperqueue.cluster

workers, count = int(sys.argv[1]), int(sys.argv[2])
with tempfile.TemporaryDirectory() as folder, hyperqueue.cluster.LocalCluster() as cluster:
    cluster.start_worker(hyperqueue.cluster.WorkerConfig(cores=workers))
    client = cluster.client()
    job = hyperqueue.Job(default_workdir=folder)
    for _ in range(count):
        job.program(["/bin/true"], stdout=None, stderr=None)
    start = time.monotonic()
    client.wait_for_jobs([client.submit(job)])
    print((time.monotonic() - start) / count)

"""What a Celery worker of the benchmark runs: nothing, and counts it."""
import os

import celery
import redis

app = celery.Celery("bench", broker="redis+socket://" + os.environ["BENCH_REDIS"])
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=1000, task_acks_late=True, worker_hijack_root_logger=False)
counter = redis.Redis(unix_socket_path=os.environ["BENCH_REDIS"])


@app.task
def nothing(number):
    counter.incr("done")

"""Submits N tasks and waits until all are counted: celery_submit.py N; prints seconds a task."""
import sys
import time

from celery_tasks import counter, nothing


def await_count(wanted):
    while int(counter.get("done") or 0) < wanted:
        time.sleep(0.005)


count = int(sys.argv[1])
counter.delete("done")
with nothing.app.producer_or_acquire() as producer:
    nothing.apply_async((0,), producer=producer)
    await_count(1)  # the worker is up
    start = time.monotonic()
    for number in range(count):
        nothing.apply_async((number,), producer=producer)
    await_count(count + 1)
print((time.monotonic() - start) / count)

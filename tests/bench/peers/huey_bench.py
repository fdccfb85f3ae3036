"""Enqueues and consumes no-op tasks with Huey's RedisHuey; prints one JSON line with both rates per second.

Usage: huey_bench.py PORT TASKS. It must not be tuned: these are Huey's defaults with two worker threads.
"""

import json
import logging
import sys
import time

from huey import RedisHuey

logging.disable(logging.CRITICAL)
port, tasks = int(sys.argv[1]), int(sys.argv[2])
huey = RedisHuey("bench", host="127.0.0.1", port=port, results=False)


@huey.task()
def nothing(index):
    return None


start = time.perf_counter()
for i in range(tasks):
    nothing(i)
enqueue_s = time.perf_counter() - start

consumer = huey.create_consumer(workers=2, worker_type="thread", periodic=False)
start = time.perf_counter()
consumer.start()
while huey.pending_count() > 0:
    time.sleep(0.005)
consume_s = time.perf_counter() - start
consumer.stop(graceful=True)
print(json.dumps({"enqueue": tasks / enqueue_s, "consume": tasks / consume_s}))

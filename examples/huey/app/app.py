"""A Huey application as it is deployed: the queue that HUEY_QUEUE names, and two tasks.

`kedactl` gives the address of Redis in the environment; nothing here knows about Kubernetes.
"""

import os
import time

from huey import PriorityRedisHuey, RedisHuey

from connection import pool
from kept import KeptHuey

# The key that KEDA counts: huey.redis.shop is a list, huey.redis.shop a sorted set, huey.kept.shop a sorted set.
KINDS = {"list": RedisHuey, "sorted-set": PriorityRedisHuey, "kept": KeptHuey}

huey = KINDS[os.environ.get("HUEY_QUEUE", "list")]("shop", connection_pool=pool())


@huey.task()
def work(number, seconds):
    """Takes some time and counts itself, so that a loss or a repetition can be seen."""
    time.sleep(seconds)
    huey.storage.conn.hincrby("shop:done", number, 1)


@huey.task(retries=3, retry_delay=1)
def flaky(number):
    """Fails at first, and succeeds when it is tried again."""
    if huey.storage.conn.hincrby("shop:tries", number, 1) < 3:
        raise RuntimeError(f"number {number} is not ready yet")
    huey.storage.conn.hincrby("shop:done", number, 1)

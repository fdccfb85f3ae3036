"""Huey that keeps a task in Redis until it has ended.

Huey's own storages take a task out of Redis before it runs: KEDA then counts busy workers as idle, and a worker that is killed
takes its tasks with it. Here a task stays in the sorted set while it runs, its score being the end of a lease. So the set's size
is waiting + running, which is what KEDA should count, and a task whose worker is gone is taken by another one.

It must not be slower to lose a task than to run it twice: delivery is at least once, so tasks must bear being repeated.
"""

import os
import threading
import time

from huey import PriorityRedisHuey
from huey.signals import SIGNAL_INTERRUPTED
from huey.storage import PriorityRedisStorage

LEASE_MS = 15_000
# Between two looks for a task: a set that holds running tasks is never empty, so BZPOPMIN cannot wait on it.
PAUSE = 0.2

# Waiting tasks have scores of -priority, running ones the end of their lease in milliseconds: the first member is the most
# urgent waiting one, else the one whose lease ends first.
TAKE = """
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if not first[1] then return false end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if tonumber(first[2]) > now then return false end
redis.call('ZADD', KEYS[1], now + ARGV[1], first[1])
return first[1]
"""
RENEW = """
local clock = redis.call('TIME')
local ends = clock[1] * 1000 + math.floor(clock[2] / 1000) + ARGV[1]
for at = 2, #ARGV do redis.call('ZADD', KEYS[1], 'XX', ends, ARGV[at]) end
"""


class KeptStorage(PriorityRedisStorage):
    """A sorted set whose members leave it when they are done."""

    def __init__(self, name="huey", **settings):
        super().__init__(name, **settings)
        # Another key than Huey's own, which other workers would pop from.
        self.queue_key = f"huey.kept.{self.name}"
        self._take = self.conn.register_script(TAKE)
        self._renew = self.conn.register_script(RENEW)
        self._held = set()
        self._beats_in = None
        self._lock = threading.Lock()
        self._last = threading.local()

    def dequeue(self):
        deadline = time.monotonic() + self.read_timeout
        while True:
            member = self._take(keys=[self.queue_key], args=[LEASE_MS])
            if member is not None:
                self._hold(member)
                return member[8:]
            if not self.blocking or time.monotonic() > deadline:
                return None
            time.sleep(PAUSE)

    def last(self):
        """The member that this thread took last."""
        return self._last.member

    def done(self, member):
        self.conn.zrem(self.queue_key, member)
        self._held.discard(member)

    def give_back(self, member, priority):
        """Lets another worker take it now, not only when the lease ends."""
        self._held.discard(member)
        self.conn.zadd(self.queue_key, {member: -(priority or 0)}, xx=True)

    def _hold(self, member):
        self._last.member = member
        self._held.add(member)
        with self._lock:
            # Consumers with process workers fork: each process beats for itself.
            if self._beats_in != os.getpid():
                self._beats_in = os.getpid()
                self._held = {member}
                threading.Thread(target=self._beat, name="leases", daemon=True).start()

    def _beat(self):
        while True:
            time.sleep(LEASE_MS / 3000)
            held = list(self._held)
            if held:
                try:
                    self._renew(keys=[self.queue_key], args=[LEASE_MS, *held])
                except Exception:  # The next beat tries again; a lease that ends costs a repetition.
                    pass


class KeptHuey(PriorityRedisHuey):
    """Huey on that storage: a task leaves Redis when it has ended, and goes back when it was interrupted."""

    storage_class = KeptStorage

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        self.signal(SIGNAL_INTERRUPTED)(self._interrupted)

    def dequeue(self):
        task = super().dequeue()
        if task is not None:
            task.member = self.storage.last()
        return task

    def execute(self, task, timestamp=None):
        try:
            return super().execute(task, timestamp)
        finally:
            # Retries and follow-ups are in Redis by now.
            self._ended(task, self.storage.done)

    def _interrupted(self, _signal, task, *_):
        self._ended(task, lambda member: self.storage.give_back(member, task.priority))

    @staticmethod
    def _ended(task, how):
        member, task.member = getattr(task, "member", None), None
        if member is not None:
            how(member)

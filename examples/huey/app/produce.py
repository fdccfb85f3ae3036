"""Enqueues tasks: `python produce.py COUNT SECONDS` or `python produce.py COUNT flaky`; prints how many.

`python produce.py --count` prints instead what became of them: done, done more than once, still queued.
"""

import sys

from app import flaky, huey, work


def main():
    if sys.argv[1] == "--count":
        done = [int(times) for times in huey.storage.conn.hvals("shop:done")]
        more = sum(times > 1 for times in done)
        print(f"done {len(done)} more-than-once {more} queued {huey.storage.queue_size()}")
        return
    count, seconds = int(sys.argv[1]), sys.argv[2]
    for number in range(count):
        if seconds == "flaky":
            flaky(number)
        else:
            work(number, float(seconds))
    print(count)


if __name__ == "__main__":
    main()

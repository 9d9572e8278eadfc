"""Process 1 of a container: starts the worker, ends everything at the deadline or when the host is gone, says why.

It never runs foreign code, and the kernel ignores signals that the worker sends to it, so the deadline holds even
when the host process and the Docker daemon are both dead.
"""

import contextlib
import os
import resource
import select
import signal
import struct
import sys
import time

from ufos_sandbox.guest.lock import hide_from_siblings
from ufos_sandbox.guest.wire import encode

CONTROL = struct.Struct(">d")
"""What the worker tells process 1 when a request has come: seconds until the deadline."""
LAST_WORDS_S = 1.0
CLOCK_STEP_MS = 100.0
ENDING_S = 0.5


def main() -> None:
    """Fork the worker and watch it."""
    idle_s, grace_s = float(sys.argv[1]), float(sys.argv[2])
    told, tell = os.pipe()
    worker = os.fork()
    if worker == 0:
        os.close(told)
        # Imported here, so that process 1 stays small.
        from ufos_sandbox.guest.worker import work

        work(tell)
        os._exit(70)
    os.close(tell)
    with contextlib.suppress(OSError):
        hide_from_siblings()
    reason = watch(worker, told, time.monotonic() + idle_s, grace_s)
    with contextlib.suppress(OSError):
        os.kill(worker, signal.SIGKILL)
    _, status, usage = os.wait4(worker, 0)
    say_goodbye(
        {
            "end": {
                "reason": reason,
                "exit": os.waitstatus_to_exitcode(status),
                "memory_kb": usage.ru_maxrss,
                "cpu_ms": round((usage.ru_utime + usage.ru_stime) * 1e3),
            }
        }
    )
    os._exit(0)


def watch(worker: int, told: int, deadline: float, grace_s: float) -> str:
    """Wait until the worker ends, its time is over or the host closes the stream; return which."""
    poll = select.poll()
    poll.register(0, 0)  # only that the other end is gone, never data
    poll.register(told, select.POLLIN)
    reason = "idle"
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return reason
        events = dict(poll.poll(min(left, 3600.0) * 1e3))
        if events.get(told, 0) & select.POLLIN:
            # The host counts the same seconds and ends the container first.
            message = os.read(told, CONTROL.size)
            if len(message) == CONTROL.size and reason == "idle":
                deadline, reason = time.monotonic() + CONTROL.unpack(message)[0] + grace_s, "deadline"
        elif told in events:
            # Its files close a moment before it has ended.
            until = time.monotonic() + ENDING_S
            while time.monotonic() < until:
                if _has_ended(worker):
                    return "done"
                time.sleep(0.001)
            # The worker closed its end, which foreign code can do; look at the clock from here on.
            poll.unregister(told)
            return wait_by_clock(worker, deadline)
        if 0 in events:
            return "host gone"


def wait_by_clock(worker: int, deadline: float) -> str:
    """Wait for the worker's end, looking ten times a second."""
    hangup = select.poll()
    hangup.register(0, 0)
    while time.monotonic() < deadline:
        if _has_ended(worker):
            return "done"
        if hangup.poll(CLOCK_STEP_MS):
            return "host gone"
    return "deadline"


def _has_ended(worker: int) -> bool:
    return os.waitid(os.P_PID, worker, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def say_goodbye(message: dict[str, object]) -> None:
    """Write the last message; a host that does not read is not waited for."""
    os.set_blocking(1, False)
    data, until = encode(message), time.monotonic() + LAST_WORDS_S
    while data and time.monotonic() < until:
        try:
            data = data[os.write(1, data) :]
        except BlockingIOError:
            select.select([], [1], [], 0.1)
        except OSError:
            return


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()

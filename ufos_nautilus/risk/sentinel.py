"""The listener of the kill switch, a process of its own: nothing a book does can keep it from hearing.

It hears datagrams, a key of Redis, a file, the flag raised by another process and a node's loop that has stopped. On a
halt it raises the flag, on which the gate denies the very next order, and signals the node until that has confirmed
its cancels. What it saw goes to standard output, one JSON object a line, for the node's record.
"""

import argparse
import json
import os
import select
import socket
import sys
import time
from pathlib import Path
from typing import Any

from ufos_nautilus.errors import UfosError
from ufos_nautilus.limits import HALT_DATAGRAM_BYTES_MAX, HALT_REASON_CHARS_MAX
from ufos_nautilus.risk.redis_key import RedisKey
from ufos_nautilus.risk.switch import HALT_FILE, HALT_SIGNAL, DatagramReader, HaltRequest, SwitchHome, process_started

TICK_S = 0.005
"""Time between looks at the file, the flag and the key."""
PRESS_S = 0.003
"""The same while trading is halted: time between two signals to a node that has not confirmed."""
RECONNECT_S = 1.0
STANDS_NS = 60_000_000
"""While trading is halted no book may keep the loop for longer."""
STUCK_S = 2.0
"""After this a node that has not come back is reported."""
REFUSALS_TOLD_MAX = 100
"""Refused datagrams that are told a second; the rest are counted."""


class Sentinel:
    """Listens for one node.

    Parameters
    ----------
    home : SwitchHome
        Flag, key and requests.
    pid : int
        The node's process; the sentinel ends with it.
    port : int
        UDP port; 0 takes a free one.
    host : str
        Address that is listened on.
    redis_url : str
        Server whose key ``SYSTEM_HALT`` halts; none without it.
    stall_s : float
        Halt where the node's loop has not run for so long; 0 never does.

    """

    def __init__(
        self, home: SwitchHome, pid: int, *, port: int = 0, host: str = "127.0.0.1", redis_url: str = "",
        stall_s: float = 0.0,
    ) -> None:  # fmt: skip
        self.home, self.pid, self.stall_s = home, pid, stall_s
        self.flag = home.flag()
        self._reader = DatagramReader(home.key())
        self._started = process_started(pid)
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind((host, port))
        self._udp.setblocking(False)
        self.port = self._udp.getsockname()[1]
        self._redis = RedisKey(redis_url) if redis_url else None
        self._retry_at = self._ask_at = 0.0
        self._halted_at = 0.0
        self._told_stuck = self._file_asked = False
        self._refusals: list[float] = []
        self._unheard = 0

    def run(self) -> None:
        """Listen until the node's process is gone."""
        self.tell("listening", port=self.port, pid=os.getpid())
        while self._alive():
            self.look()

    def look(self) -> None:
        """Wait for one tick at most, then look at everything once."""
        waited: list[Any] = [self._udp]
        if self._redis is not None and self._redis.socket is not None:
            waited.append(self._redis.socket)
        ready, _, _ = select.select(waited, [], [], PRESS_S if self.flag.halted else TICK_S)
        if self._udp in ready:
            self._datagrams()
        if self._redis is not None:
            self._key(self._redis, ready)
        self._file()
        self._stall()
        self._press()

    def tell(self, what: str, **data: Any) -> None:
        """Write a line for the node's record."""
        sys.stdout.write(json.dumps({"what": what, "ts_ns": time.time_ns(), **data}) + "\n")
        sys.stdout.flush()

    # where a halt comes from

    def _halt(self, request: HaltRequest) -> None:
        if not self.flag.halted:
            self.tell("trigger", source=request.source, reason=request.reason, flatten=request.flatten)
        self.home.ask(request, self.flag)
        self._press()

    def _datagrams(self) -> None:
        while True:
            try:
                datagram, sender = self._udp.recvfrom(HALT_DATAGRAM_BYTES_MAX + 1)
            except (BlockingIOError, InterruptedError):
                return
            found = self._reader.read(datagram, time.time_ns())
            if isinstance(found, HaltRequest):
                self._halt(found)
            else:
                self._refuse(found, sender)

    def _refuse(self, why: str, sender: tuple[str, int]) -> None:
        now = time.monotonic()
        self._refusals = [at for at in self._refusals if now - at < 1.0]
        if len(self._refusals) >= REFUSALS_TOLD_MAX:
            self._unheard += 1
            return
        self._refusals.append(now)
        self.tell("refused", reason=why, sender=f"{sender[0]}:{sender[1]}", more=self._unheard)
        self._unheard = 0

    def _key(self, redis: RedisKey, ready: list[Any]) -> None:
        try:
            if redis.socket is None:
                if time.monotonic() < self._retry_at:
                    return
                redis.connect()
                self.tell("redis", state="connected")
            value = redis.read() if redis.socket in ready else None
            if value is not None:
                self._halt(self._request("redis", value.decode(errors="replace")))
            # An answer comes at once: asking again on each would keep a core busy that the node may need.
            if time.monotonic() >= self._ask_at:
                self._ask_at = time.monotonic() + TICK_S
                redis.ask()
        except (OSError, UfosError) as error:
            if redis.socket is not None or not self._retry_at:
                self.tell("redis", state="lost", reason=str(error)[:HALT_REASON_CHARS_MAX])
            redis.close()
            self._retry_at = time.monotonic() + RECONNECT_S

    def _file(self) -> None:
        path = self.home.path / HALT_FILE
        if not path.exists():
            self._file_asked = False
        elif not self._file_asked:
            self._file_asked = True
            try:
                text = path.read_text("utf-8", errors="replace")[:HALT_REASON_CHARS_MAX].strip()
            except OSError:
                text = ""
            self._halt(self._request("file", text))

    def _stall(self) -> None:
        beat = self.flag.beat_ns
        silent = (time.time_ns() - beat) / 1e9
        if self.stall_s and beat and silent > self.stall_s and not self.flag.halted:
            self._halt(self._request("stall", f"the node's loop has not run for {silent:.1f} s"))

    def _request(self, source: str, reason: str) -> HaltRequest:
        return HaltRequest(source, reason[:HALT_REASON_CHARS_MAX], False, time.time_ns())

    # carrying it through

    def _press(self) -> None:
        """Signal the node while the flag is up and the cancels are not confirmed, or its loop stands still."""
        if not self.flag.halted:
            self._halted_at, self._told_stuck = 0.0, False
            return
        stands = self.flag.beat_ns and time.time_ns() - self.flag.beat_ns > STANDS_NS
        if self.flag.confirmed_ns and not stands:
            self._halted_at = 0.0
            return
        now = time.monotonic()
        self._halted_at = self._halted_at or now
        if now - self._halted_at > STUCK_S and not self._told_stuck:
            self._told_stuck = True
            self.tell("stuck", reason=f"the node's loop has not come back within {STUCK_S:g} s")
        if self._alive():
            os.kill(self.pid, HALT_SIGNAL)

    def _alive(self) -> bool:
        try:
            return os.getppid() == self.pid and process_started(self.pid) == self._started
        except OSError:
            return False


def main() -> int:
    """Listen for the process that started this one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--redis", action="store_true", help="the server's address is in UFOS_REDIS_URL")
    parser.add_argument("--stall-s", type=float, default=0.0)
    args = parser.parse_args()
    url = os.environ.get("UFOS_REDIS_URL", "") if args.redis else ""
    try:
        home = SwitchHome(args.home)
        Sentinel(home, os.getppid(), port=args.port, host=args.host, redis_url=url, stall_s=args.stall_s).run()
    except (UfosError, OSError) as error:
        print(json.dumps({"what": "failed", "ts_ns": time.time_ns(), "reason": str(error)}), flush=True)
        return 1
    except (KeyboardInterrupt, BrokenPipeError):
        sys.stderr.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

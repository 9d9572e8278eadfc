"""The kill-switch drill: a live node in another process, halted from outside, round after round."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from ufos_nautilus.errors import RunFailedError, SpecError
from ufos_nautilus.limits import DRILL_ORDERS_MAX, DRILL_ROUNDS_MAX
from ufos_nautilus.risk.redis_key import HALT_KEY, encode
from ufos_nautilus.risk.switch import HALT_FILE, SwitchHome, sign_datagram

TRIGGERS = ("udp", "redis", "file", "cli", "loss_window")
MODES = ("idle", "busy", "stuck")
READY_S = 60.0


class Row(NamedTuple):
    """One round: milliseconds from the trigger to the last cancel handed over and to its acknowledgement."""

    trigger: str
    strategy: str
    handed_ms: float
    acknowledged_ms: float
    heard_as: str
    """Source the node recorded."""
    ended: int
    """Callbacks of books that were ended."""


class Node:
    """The node's process and the way it talks."""

    def __init__(self, home: Path, directory: Path, orders: int, redis_url: str) -> None:
        command = [sys.executable, "-m", "ufos_nautilus.engine.drill_node", home, directory, "--orders", str(orders)]
        env = dict(os.environ)
        if redis_url:
            command.append("--redis")
            env["UFOS_REDIS_URL"] = redis_url
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
        )
        self.port = self.hear("up")["port"]

    def tell(self, **data: Any) -> None:
        """Start a round."""
        if self.process.stdin is not None:
            self.process.stdin.write(json.dumps(data) + "\n")
            self.process.stdin.flush()

    def hear(self, what: str) -> dict[str, Any]:
        """Return the next line, which must be a `what`."""
        line = self.process.stdout.readline() if self.process.stdout is not None else ""
        said = json.loads(line) if line.startswith("{") else {}
        if said.get("what") != what:
            self.process.kill()
            errors = self.process.communicate()[1].strip().splitlines()[-3:]
            raise RunFailedError(f"the drill's node ended: {' | '.join(errors) or line}", expected=f"{what!r}")
        return said

    def end(self) -> dict[str, Any]:
        """Let the node stop; return how its record ends."""
        if self.process.stdin is not None:
            self.process.stdin.close()
            self.process.stdin = None
        said = self.hear("end")
        self.process.communicate(timeout=READY_S)
        return said


def kill_switch(
    orders: int, rounds: int, triggers: list[str], modes: list[str], redis_url: str, done: Callable[[int], None]
) -> dict[str, Any]:
    """Halt a node again and again.

    Parameters
    ----------
    orders, rounds : int
        Orders that rest, and rounds of each trigger with each kind of strategy.
    triggers, modes : list of str
        Of `TRIGGERS` and `MODES`.
    redis_url : str
        Server to use; where it is empty one is started, if there is a ``redis-server``.
    done : callable
        Called with 1 after every round.

    Returns
    -------
    dict
        ``rows`` (of `Row`), ``skipped`` (trigger -> why) and the ``record`` of the node.

    """
    if not 1 <= orders <= DRILL_ORDERS_MAX or not 1 <= rounds <= DRILL_ROUNDS_MAX:
        raise SpecError(
            f"{orders:,} orders, {rounds:,} rounds", expected=f"at most {DRILL_ORDERS_MAX:,} and {DRILL_ROUNDS_MAX:,}"
        )
    with TemporaryDirectory() as folder, redis_server(Path(folder), redis_url, needed="redis" in triggers) as url:
        home, directory = Path(folder) / "switch", Path(folder) / "node"
        directory.mkdir()
        skipped = {} if url or "redis" not in triggers else {"redis": "there is no redis-server on this machine"}
        node = Node(home, directory, orders, url)
        rows: list[Row] = []
        try:
            pairs = [(t, m) for t in triggers if t not in skipped for m in modes if possible(t, m)]
            _round(node, SwitchHome(home), "udp", "idle", url)  # the first round pays for what is loaded only once
            for trigger, mode in pairs:
                for _ in range(rounds):
                    rows.append(_round(node, SwitchHome(home), trigger, mode, url))
                    done(1)
        except BaseException:
            node.process.kill()
            node.process.communicate()
            raise
        end = node.end()
        record = (directory / "risk.jsonl").read_bytes()
    return {"rows": rows, "skipped": skipped, "record": end, "record_bytes": record}


def possible(trigger: str, mode: str) -> bool:
    """Tell whether a halt can come about: a loop that stands still sees no price, and so no loss."""
    return (trigger, mode) != ("loss_window", "stuck")


def _round(node: Node, home: SwitchHome, trigger: str, mode: str, redis_url: str) -> Row:
    crash = trigger == "loss_window"
    node.tell(begin=True, mode=mode, hold=crash, crash=crash)
    node.hear("ready")
    if not crash:
        time.sleep(0.1)  # the strategy is at it by now
    at = TRIGGER[trigger](node, home, redis_url) if not crash else 0
    said = node.hear("done")
    if trigger == "redis":
        redis_command(redis_url, "DEL", HALT_KEY)
    if trigger == "cli":
        at = said["requested_ns"]  # before that Python starts, which is no part of the switch
    if crash:
        at = said["crashed_ns"]
    if said["left"]:
        raise RunFailedError(f"{said['left']} orders were left after a halt by {trigger}")
    handed, acknowledged = ((said[name] - at) / 1e6 for name in ("handed_ns", "acknowledged_ns"))
    return Row(trigger, mode, handed, acknowledged, said["source"], said["interrupted"])


def _udp(node: Node, home: SwitchHome, _: str) -> int:
    datagram = sign_datagram(home.key(), "a drill", time.time_ns())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        at = time.time_ns()
        sender.sendto(datagram, ("127.0.0.1", node.port))
    return at


def _redis(_: Node, __: SwitchHome, url: str) -> int:
    at = time.time_ns()
    redis_command(url, "SET", HALT_KEY, "a drill")
    return at


def _file(_: Node, home: SwitchHome, __: str) -> int:
    at = time.time_ns()
    (home.path / HALT_FILE).write_text("a drill")
    return at


def _cli(_: Node, home: SwitchHome, __: str) -> int:
    command = [sys.executable, "-m", "ufos_nautilus.cli", "halt", "--reason", "a drill", "--json"]
    subprocess.run(command, env=os.environ | {"UFOS_SWITCH": str(home.path)}, check=True, capture_output=True)
    return 0


TRIGGER: dict[str, Callable[[Node, SwitchHome, str], int]] = {"udp": _udp, "redis": _redis, "file": _file, "cli": _cli}


def redis_command(url: str, *words: str) -> None:
    """Send one command to a server at ``redis://host:port`` and wait for its answer."""
    host, _, port = url.removeprefix("redis://").partition(":")
    with socket.create_connection((host, int(port)), 1.0) as connection:
        connection.sendall(encode(*words))
        connection.recv(256)


@contextmanager
def redis_server(folder: Path, url: str, *, needed: bool) -> Iterator[str]:
    """Yield the address of a Redis server: the one named, or one of our own while this lasts, or none."""
    program = shutil.which("redis-server")
    if url or not needed or program is None:
        yield url
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    server = subprocess.Popen([program, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 10
        while True:
            try:
                redis_command(f"redis://127.0.0.1:{port}", "PING")
                break
            except OSError:
                if time.monotonic() > until or server.poll() is not None:
                    raise RunFailedError("redis-server does not start") from None
                time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()

"""The kill switch of a live node: carries out what its listener heard, and ends the book that stands in the way."""

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import ufos_nautilus
from ufos_nautilus.engine import book, guard
from ufos_nautilus.engine.gate import TradingHaltedError
from ufos_nautilus.engine.watchdog import Watchdog
from ufos_nautilus.errors import RunFailedError
from ufos_nautilus.risk.sentinel import STANDS_NS
from ufos_nautilus.risk.switch import HALT_SIGNAL, HaltRequest, SwitchHome

BEAT_S = 0.02
"""Time between two signs of life of the node's loop."""
READY_S = 10.0
"""Seconds the listener may take to start."""
KEPT_WHOLE = tuple(
    f"{Path(ufos_nautilus.__file__).parent / room}/" for room in ("engine", "risk", "crossing", "ledger")
)
"""Code whose state outlives a callback: it is never interrupted half-way."""
OWN_BOOKS = "/drill_books.py"
"""Books that live there too."""
STILL_HEARD = ("on_order", "on_position", "on_start", "on_stop", "on_gate_denial")
GUARD_FILE = guard.__file__
BOOK_FILE = book.__file__
"""Where callbacks of books begin, and where they hear of orders."""
PATIENCE_S = 0.002
"""A callback that ends by itself within this is not ended."""


class KillSwitch:
    """Ties a node to the directory of a switch, on the node's own asyncio loop in the main thread.

    The listener is another process (`ufos_nautilus.risk.sentinel`). It raises the flag and signals this one. The signal
    is taken between two steps of whatever Python code runs, in a busy book too: the cancels go on the loop, and the
    callback of a book that runs is ended by a `TradingHaltedError`, though never inside the gate, the ledger or the
    engine room. Until trading is resumed such a book hears of its orders and positions only, and the listener goes on
    signalling whenever the loop stands still. Only a call into compiled code that does not come back is beyond reach
    from inside; the listener reports it, and the gate's flag is up in any case.

    Parameters
    ----------
    home : SwitchHome
        The watchdog's flag must be the one that is kept here.
    watchdog : Watchdog
        Cancels orders.
    port : int
        UDP port of the listener; 0 takes a free one.
    redis : bool
        Listen to the key ``SYSTEM_HALT`` on the server that UFOS_REDIS_URL names.
    stall_s : float
        Halt where the loop has not run for so long; 0 never does.

    """

    def __init__(
        self, home: SwitchHome, watchdog: Watchdog, *, port: int = 0, redis: bool = False, stall_s: float = 0.0
    ) -> None:
        self.home, self.watchdog, self.flag = home, watchdog, watchdog.gate.flag
        self.port = port
        self.interrupted = 0
        """Callbacks that were ended."""
        self._words = [str(home.path), "--port", str(port), *(["--redis"] if redis else []), "--stall-s", str(stall_s)]
        self._carried, self._called = False, 0.0
        self._muted: list[Any] = []
        self._tail = b""

    def start(self) -> None:
        """Start listening; call it on the running loop.

        Raises
        ------
        RunFailedError
            If the listener does not start.

        """
        if threading.current_thread() is not threading.main_thread():
            raise RunFailedError("the kill switch was started in a side thread", expected="the main thread's loop")
        self._loop = asyncio.get_running_loop()
        self.home.enter(os.getpid(), 0)
        self._before: Any = signal.signal(HALT_SIGNAL, self._on_signal)
        self._listener = subprocess.Popen(
            [sys.executable, "-m", "ufos_nautilus.risk.sentinel", *self._words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        said = self._first_line()
        if said.get("what") != "listening":
            self.stop()
            raise RunFailedError(f"the kill switch does not listen: {said.get('reason', 'no answer')}")
        self.port = said["port"]
        self.home.enter(os.getpid(), self.port)
        self._loop.add_reader(self._listener.stdout, self._hear)  # type: ignore[arg-type]
        self.watchdog.on_flag, self.watchdog.who_resumed = self._carry_out, self.home.resumed_by
        self._beat()

    def stop(self) -> None:
        """Stop listening; a flag that is up stays up."""
        if self._listener.stdout is not None and hasattr(self, "_timer"):
            self._timer.cancel()
            self._loop.remove_reader(self._listener.stdout)
        self._listener.terminate()
        self._listener.communicate()
        self.home.leave()
        # A signal that is still on its way would end the process if nobody took it.
        signal.signal(HALT_SIGNAL, signal.SIG_IGN if self._before == signal.SIG_DFL else self._before)

    # in the signal

    def _on_signal(self, _: int, frame: FrameType | None) -> None:
        if not self.flag.halted:
            return
        now = time.monotonic()
        if not self._carried:
            if not self._called:
                self._called = now
                self._loop.call_soon_threadsafe(self._carry_out)
            if now - self._called < PATIENCE_S:
                return
            self.watchdog.gate.pressed = True
        elif time.time_ns() - self.flag.beat_ns < STANDS_NS:
            return
        owner = running_book(frame)
        if owner is not None:
            self.interrupted += 1
            self._mute(owner)
            raise TradingHaltedError("trading was halted while this callback ran")

    def _mute(self, owner: Any) -> None:
        """Let a book that was ended hear of its orders and positions only, until trading is resumed."""
        if owner not in self._muted:
            self._muted.append(owner)
            for name in dir(type(owner)):
                if name.startswith("on_") and not name.startswith(STILL_HEARD):
                    setattr(owner, name, hear_nothing)

    def _unmute(self) -> None:
        for owner in self._muted:
            for name in [n for n, value in vars(owner).items() if value is hear_nothing]:
                delattr(owner, name)
        self._muted.clear()

    # on the loop

    def _carry_out(self) -> None:
        self._called = 0.0
        if self._carried or not self.flag.halted:
            return
        self._carried, self.watchdog.gate.pressed = True, False
        self.flag.beat(time.time_ns())  # the loop is back: nobody is ended while it cancels
        asked = self.home.asked() or HaltRequest("flag", "the flag was raised from outside", False, 0)
        self.watchdog.halt(asked.source, asked.reason, flatten=asked.flatten or None, engine_free=True)
        if not self.flag.confirmed_ns:  # the watchdog itself halted before
            self.watchdog.cancel_everything()

    def _beat(self) -> None:
        self.flag.beat(time.time_ns())
        if self.flag.halted:
            self._carry_out()
        elif self._carried:
            self._carried = self.watchdog.gate.pressed = False
            self._unmute()
            if self.watchdog.halted_by:
                self.watchdog.resumed(self.home.resumed_by())
        if self._listener.poll() is not None and not self.flag.halted:
            self.watchdog.halt("switch", "the listener of the kill switch has ended", engine_free=True)
        self._timer = self._loop.call_later(BEAT_S, self._beat)

    def _hear(self) -> None:
        chunk = os.read(self._listener.stdout.fileno(), 65_536)  # type: ignore[union-attr]
        if not chunk:
            self._loop.remove_reader(self._listener.stdout)  # type: ignore[arg-type]
            return
        *lines, self._tail = (self._tail + chunk).split(b"\n")
        for line in lines:
            said = json.loads(line)
            self.watchdog.gate.audit.write(f"switch_{said.pop('what')}", said.pop("ts_ns"), **said)

    def _first_line(self) -> dict[str, Any]:
        pipe, until = self._listener.stdout, time.monotonic() + READY_S
        while pipe is not None and b"\n" not in self._tail:
            if not select.select([pipe], [], [], max(0.0, until - time.monotonic()))[0]:
                return {}
            chunk = os.read(pipe.fileno(), 65_536)
            if not chunk:
                return {}
            self._tail += chunk
        line, _, self._tail = self._tail.partition(b"\n")
        return json.loads(line) if line else {}


def running_book(frame: FrameType | None) -> Any:
    """Return the component whose own code runs inside one of its callbacks, or None where that can't be ended now."""
    own = False
    while frame is not None:
        name = frame.f_code.co_filename
        if name == GUARD_FILE:
            return frame.f_locals.get("self") if own else None
        # Gate and ledger have heard of an order event before a book's own handler runs.
        heard = frame.f_code.co_name == "heard" and name == BOOK_FILE
        if not heard and name.startswith(KEPT_WHOLE) and not name.endswith(OWN_BOOKS):
            return None
        own = own or not heard
        frame = frame.f_back
    return None


def hear_nothing(*_: Any) -> None:
    """Stand in for a callback of a book that was ended."""

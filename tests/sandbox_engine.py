"""What tests of real sandboxes share: the way to the engine, honest code, waiting for an end."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ufos_sandbox.backend import owner
from ufos_sandbox.engine_api import OWNER_LABEL, Api, SandboxUnavailableError, connect

BUILD_TIMEOUT_S = 600

TURN = '''
from decimal import Decimal

from nautilus_trader.model import InstrumentId, OrderSide
from ufos_nautilus.engine import Book, BookConfig


class TurnConfig(BookConfig):
    instrument_id: str
    every: int = 100
    size: Decimal = Decimal(1)


class Turn(Book):
    """Buys and sells in turn."""

    Config = TurnConfig

    def on_start(self):
        self.name = InstrumentId.from_str(self.params.instrument_id)
        self.instrument = self.cache.instrument(self.name)
        self.seen, self.side = 0, OrderSide.BUY
        self.subscribe_quotes(self.name)

    def on_quote(self, quote):
        self.seen += 1
        if self.seen % self.params.every == 0:
            quantity = self.instrument.make_qty(self.params.size)
            self.submit_order(self.order_factory.market(self.name, self.side, quantity))
            self.side = OrderSide.SELL if self.side == OrderSide.BUY else OrderSide.BUY
'''


def engine_or_skip() -> Api:
    """A connection to the Docker engine; without one the test is skipped, or fails where UFOS_REQUIRE_DOCKER is set."""
    try:
        return connect(timeout_s=BUILD_TIMEOUT_S)
    except SandboxUnavailableError as error:
        if os.environ.get("UFOS_REQUIRE_DOCKER"):
            raise
        pytest.skip(f"no Docker engine here: {error.problem}")


def own_containers(api: Api) -> list[dict]:
    """The containers that this process made and that are still there."""
    return api.own_containers(**{OWNER_LABEL: owner()})


def wait_for(condition: Callable[[], bool], timeout_s: float = 10.0) -> bool:
    """Look at a condition until it holds or time is over."""
    until = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def write_module(folder: Path, name: str, code: str) -> str:
    """Write code as a module that the host can import, and return its class path prefix."""
    (folder / f"{name}.py").write_text(code, "utf-8")
    return name

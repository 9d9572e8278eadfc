"""The one room of the library that imports the engine: books, run specs, runs.

Its names are imported when they are asked for: who only reads specs or stored runs does not load the engine.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ufos_nautilus.engine.actor import Actor, ActorConfig, Alert
    from ufos_nautilus.engine.backtest import run_backtest
    from ufos_nautilus.engine.book import Book, BookConfig
    from ufos_nautilus.engine.gate import ClosedGate, Gate, GateDenial, GateRequest, OpenGate
    from ufos_nautilus.engine.result import RunResult
    from ufos_nautilus.engine.spec import RunSpec
    from ufos_nautilus.engine.spec_file import load_spec, parse_spec

_HOMES = {
    "Actor": "actor",
    "ActorConfig": "actor",
    "Alert": "actor",
    "Book": "book",
    "BookConfig": "book",
    "ClosedGate": "gate",
    "Gate": "gate",
    "GateDenial": "gate",
    "GateRequest": "gate",
    "OpenGate": "gate",
    "RunResult": "result",
    "RunSpec": "spec",
    "load_spec": "spec_file",
    "parse_spec": "spec_file",
    "run_backtest": "backtest",
}

__all__ = [
    "Actor",
    "ActorConfig",
    "Alert",
    "Book",
    "BookConfig",
    "ClosedGate",
    "Gate",
    "GateDenial",
    "GateRequest",
    "OpenGate",
    "RunResult",
    "RunSpec",
    "load_spec",
    "parse_spec",
    "run_backtest",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

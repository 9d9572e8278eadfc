"""The one room of the library that imports the engine: books, run specs, runs."""

from ufos_nautilus.engine.backtest import run_backtest
from ufos_nautilus.engine.book import Book, BookConfig
from ufos_nautilus.engine.gate import ClosedGate, Gate, GateDenial, GateRequest, OpenGate
from ufos_nautilus.engine.result import RunResult
from ufos_nautilus.engine.spec import RunSpec
from ufos_nautilus.engine.spec_file import load_spec, parse_spec

__all__ = [
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

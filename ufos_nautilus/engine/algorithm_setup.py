"""Puts execution algorithms into an engine: the engine's own TWAP, and those a spec names."""

import importlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from nautilus_trader.backtest import BacktestEngine
from nautilus_trader.model import BarType, ExecAlgorithmId, OrderStatus, PriceType
from nautilus_trader.trading import ExecutionAlgorithmConfig

from ufos_nautilus.engine.algorithm import Algorithm
from ufos_nautilus.engine.book import Book
from ufos_nautilus.engine.feed import TableRef
from ufos_nautilus.engine.gate import Gate
from ufos_nautilus.engine.tape import Tape
from ufos_nautilus.errors import SpecError

NATIVE = {"TWAP": "TwapAlgorithm"}
"""Name in instructions -> class of the engine."""


def load_algorithm_class(path: str) -> type[Algorithm]:
    """Import an algorithm class from ``module:Class``."""
    module_name, _, class_name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise SpecError(
            f"algorithm {path!r} can't be imported: {error}",
            expected="module:Class, for example ufos_strategies.algorithms.pov:Pov",
        ) from error
    if not (isinstance(found, type) and issubclass(found, Algorithm) and found.name):
        raise SpecError(
            f"{path!r} is no algorithm", expected="a subclass of ufos_nautilus.engine.algorithm.Algorithm with a name"
        )
    return found


def make_algorithms(paths: Sequence[str], tables: Sequence[TableRef], gate: Gate) -> tuple[Tape, list[Algorithm]]:
    """Create algorithms and the tape they pace orders by.

    Raises
    ------
    SpecError
        If one can't be imported, or two have the same name.

    """
    tape = Tape(volume_sources(tables))
    made: dict[str, Algorithm] = {}
    for path in paths:
        found = load_algorithm_class(path)
        if found.name in made:
            raise SpecError(f"two algorithms are named {found.name}", expected="one of each name")
        made[found.name] = found(tape)
        made[found.name].gate = gate
    return tape, list(made.values())


def add_algorithms(engine: BacktestEngine, algorithms: Sequence[Algorithm]) -> frozenset[str]:
    """Add algorithms, and the engine's own where no other has their name; return all names."""
    names = {a.name for a in algorithms}
    for name, kind in NATIVE.items():
        if name not in names:
            config = ExecutionAlgorithmConfig(
                exec_algorithm_id=ExecAlgorithmId(name), log_events=False, log_commands=False
            )
            engine.add_native_exec_algorithm(kind, config)
    for algorithm in algorithms:
        engine.add_exec_algorithm(algorithm)
    return frozenset(names | NATIVE.keys())


def volume_sources(tables: Sequence[TableRef]) -> dict[str, str]:
    """Return where each instrument's traded volume comes from: trades (empty), else its finest bars of trades."""
    sources = {t.identifier: "" for t in tables if t.kind == "trades"}
    for table in sorted(tables, key=lambda t: -t.rows):
        if table.kind == "bars":
            bars = BarType.from_str(table.identifier)
            if bars.spec.price_type == PriceType.LAST:
                sources.setdefault(str(bars.instrument_id), table.identifier)
    return sources


def cancel_unworked(cache: Any, books: Sequence[Book]) -> dict[str, dict[str, Decimal]]:
    """Cancel what algorithms still hold back, so that no order is left between states when a run ends.

    Returns
    -------
    dict
        Algorithm -> instrument id -> quantity that never went to the market.

    """
    unworked: dict[str, dict[str, Decimal]] = {}
    by_id = {book.book_id: book for book in books}
    held = [o for o in cache.orders() if o.exec_algorithm_id is not None and o.status == OrderStatus.INITIALIZED]
    for order in sorted(held, key=lambda o: (o.ts_init, str(o.client_order_id))):
        by_id[str(order.strategy_id)].cancel_order(order.client_order_id)
        amounts = unworked.setdefault(str(order.exec_algorithm_id), {})
        name = str(order.instrument_id)
        amounts[name] = amounts.get(name, Decimal(0)) + order.quantity.as_decimal()
    return unworked

"""Keeps out of a cold start what a sandboxed run never uses: two thirds of all import time.

The engine's parts mention tables (Polars), stored ledgers, the house, limits and generated markets, none of which a
guest makes, and models of run specs, which the host has validated. While they are imported, a set of names stands in
for each of those modules. A strategy that imports one of them gets the real one.
"""

import sys
from types import ModuleType
from typing import Any

ABSENT = (
    "importlib.metadata",
    "polars",
    "ufos_nautilus.engine.generated",
    "ufos_nautilus.engine.house",
    "ufos_nautilus.engine.house_setup",
    "ufos_nautilus.engine.keeper",
    "ufos_nautilus.engine.risk_setup",
    "ufos_nautilus.engine.spec",
    "ufos_nautilus.engine.spill",
    "ufos_nautilus.ledger.ledger",
    "ufos_nautilus.market.catalog",
)
"""Modules that are named by what a guest imports, and never used by what it runs."""


class _Named:
    """Stands for any name of such a module."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass


class _Names(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Named


def prepare() -> None:
    """Put the stand-ins in place, before anything imports what they stand for."""
    for name in ABSENT:
        if name not in sys.modules:
            sys.modules[name] = _Names(name)


def finish() -> None:
    """Take the stand-ins away."""
    for name in ABSENT:
        if isinstance(sys.modules.get(name), _Names):
            del sys.modules[name]
            parent, _, child = name.rpartition(".")
            if parent in sys.modules and isinstance(vars(sys.modules[parent]).get(child), _Names):
                delattr(sys.modules[parent], child)

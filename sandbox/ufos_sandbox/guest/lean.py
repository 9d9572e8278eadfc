"""Keeps out of a cold start what a sandboxed run never uses: two thirds of all import time.

The engine's parts mention tables (Polars), stored ledgers, the house, limits and generated markets, none of which a
guest makes, and models of run specs, which the host has validated. While they are imported, a set of names stands in
for each of those modules. A strategy that imports one of them gets the real one.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

ABSENT = frozenset(
    {
        "importlib.metadata",
        "polars",
        "ufos_nautilus.engine.generated",
        "ufos_nautilus.engine.house",
        "ufos_nautilus.engine.house_setup",
        "ufos_nautilus.engine.keeper",
        "ufos_nautilus.engine.risk_setup",
        "ufos_nautilus.engine.spec",
        "ufos_nautilus.engine.spill",
        "ufos_nautilus.market.catalog",
    }
)
"""Modules that are named by what a guest imports, and never used by what it runs."""
SESSION = "ufos_sandbox.guest.session"
ABSENT_ROOMS = tuple(f"ufos_nautilus.{room}" for room in ("crossing", "ledger", "portfolio", "report", "risk"))
"""Whole packages of that kind."""


class _AnyName(type):
    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return cls


class _Named(metaclass=_AnyName):
    """Stands for any name of such a module, and for any name of that."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass


class _Names(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Named


class _StandIns:
    """Finds a stand-in for every absent module, before anything else looks for it."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return where a stand-in comes from, or None for all other modules."""
        room = any(name == r or name.startswith(f"{r}.") for r in ABSENT_ROOMS)
        if not room and name not in ABSENT:
            return None
        return ModuleSpec(name, _StandIns, is_package=room)  # pyright: ignore[reportArgumentType]

    @staticmethod
    def create_module(spec: ModuleSpec) -> ModuleType:
        """Return a stand-in."""
        return _Names(spec.name)

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """Do nothing: it has every name already."""


def import_session() -> ModuleType:
    """Import what runs a backtest, the lean way; the plain way where a stand-in turns out to be missed."""
    prepare()
    try:
        return importlib.import_module(SESSION)
    except Exception:
        for name in [n for n in sys.modules if n.startswith(("ufos_nautilus", "ufos_strategies", SESSION))]:
            del sys.modules[name]
    finally:
        finish()
    return importlib.import_module(SESSION)


def prepare() -> None:
    """Put the stand-ins in place, before anything imports what they stand for."""
    sys.meta_path.insert(0, _StandIns)


def finish() -> None:
    """Take the stand-ins away."""
    sys.meta_path.remove(_StandIns)
    for name in [n for n, module in sys.modules.items() if isinstance(module, _Names)]:
        del sys.modules[name]
        parent, _, child = name.rpartition(".")
        if isinstance(vars(sys.modules[parent]).get(child) if parent in sys.modules else None, _Names):
            delattr(sys.modules[parent], child)

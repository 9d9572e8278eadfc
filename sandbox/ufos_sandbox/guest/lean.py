"""Imports the engine's parts a sandboxed run needs and nothing else: a cold start must fit into half a second.

The package `ufos_nautilus.engine` imports ledger, reports of runs and their tables at once. In a guest it is a
package whose names are found when asked for, and Polars (a third of all import time) stands in as a set of names
until the parts that only mention its types are imported; a strategy that imports it gets the real one.
"""

import importlib
import importlib.machinery
import sys
from types import ModuleType
from typing import Any

ENGINE = "ufos_nautilus.engine"
PUBLIC = {
    "Book": "book",
    "BookConfig": "book",
    "ClosedGate": "gate",
    "Gate": "gate",
    "GateDenial": "gate",
    "GateRequest": "gate",
    "OpenGate": "gate",
    "RunSpec": "spec",
    "load_spec": "spec_file",
    "parse_spec": "spec_file",
    "RunResult": "result",
    "run_backtest": "backtest",
}
"""Name of the engine package -> module it comes from."""


class _Named:
    """Stands for any type of Polars while modules that only mention it are imported."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass


class _PolarsNames(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Named


class _LazyPackage(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name not in PUBLIC:
            raise AttributeError(f"module {ENGINE!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{ENGINE}.{PUBLIC[name]}"), name)


def prepare() -> None:
    """Put the lazy package in the place of the eager one, before anything imports it."""
    found = importlib.machinery.PathFinder.find_spec("engine", list(importlib.import_module("ufos_nautilus").__path__))
    if found is None or found.submodule_search_locations is None:
        raise ImportError(f"{ENGINE} is not in the image")
    package = _LazyPackage(ENGINE)
    package.__path__ = list(found.submodule_search_locations)
    package.__spec__ = importlib.machinery.ModuleSpec(ENGINE, None, is_package=True)
    package.__dict__["__all__"] = sorted(PUBLIC)
    sys.modules[ENGINE] = package
    setattr(sys.modules["ufos_nautilus"], "engine", package)  # noqa: B010 - a module attribute, not a class's
    sys.modules["polars"] = _PolarsNames("polars")


def finish() -> None:
    """Take the stand-in away and forget the modules that saw it but that a strategy might import for itself."""
    del sys.modules["polars"]

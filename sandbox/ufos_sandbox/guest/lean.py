"""Keeps Polars out of a cold start: a third of all import time, for modules that only mention its types.

While the engine's parts are imported, a set of names stands in for it. A strategy that imports Polars gets the real one.
"""

import sys
from types import ModuleType
from typing import Any


class _Named:
    """Stands for any type of Polars."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass


class _PolarsNames(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Named


def prepare() -> None:
    """Put the stand-in in place, before anything imports Polars."""
    sys.modules["polars"] = _PolarsNames("polars")


def finish() -> None:
    """Take the stand-in away, and with it the modules that a strategy may call and that would miss Polars."""
    del sys.modules["polars"]

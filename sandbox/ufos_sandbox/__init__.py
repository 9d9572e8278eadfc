"""Runs code nobody has read yet: in a disposable container, without network, over a slice of market data."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ufos_sandbox.limits import Limits
    from ufos_sandbox.outcome import Label, SandboxResult, State
    from ufos_sandbox.sandbox import Sandbox, run_sandboxed
    from ufos_sandbox.slices import DataRequest

_HOMES = {
    "DataRequest": "slices",
    "Label": "outcome",
    "Limits": "limits",
    "Sandbox": "sandbox",
    "SandboxResult": "outcome",
    "State": "outcome",
    "run_sandboxed": "sandbox",
}

__all__ = ["DataRequest", "Label", "Limits", "Sandbox", "SandboxResult", "State", "run_sandboxed"]


def __getattr__(name: str) -> Any:
    # The guest imports this package too and must stay small.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

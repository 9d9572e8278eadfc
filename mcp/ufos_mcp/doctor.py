"""Checks of a server and of what it needs, each with what to do about it."""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import anyio

from ufos_mcp.server import create_server
from ufos_mcp.settings import Settings
from ufos_mcp.surface import require_pinned, surface
from ufos_nautilus.errors import UfosError

READY_S: Final = 5.0
HELLO: Final = (
    '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},'
    '"clientInfo":{"name":"doctor","version":"1"}}}\n'
)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    found: str
    fix: str = ""
    required: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def diagnose(root: Path) -> list[Check]:
    """Look at everything a server needs."""
    return [
        Check("SDK", True, f"mcp {version('mcp')}"),
        _try("surface", lambda: f"as agreed, {require_pinned(current_surface(root))[:16]}", "ufos mcp surface --write"),
        _try("ready", lambda: _ready(root), "ufos-mcp --log DEBUG"),
        _try("data", lambda: _data(root), "ufos data generate single, or ufos data import --help", required=False),
        _try("experiment store", lambda: _store(root), "name another folder with UFOS_RUNS"),
        _try("engine", _engine, "pip install ufos-nautilus"),
        _try("sandbox", _sandbox, "ufos sandbox doctor", required=False),
    ]


def current_surface(root: Path) -> dict[str, Any]:
    """Return what a server of this code shows."""
    server, _ = create_server(Settings.of(root))
    return anyio.run(surface, server)


def _try(name: str, look: Callable[[], str], fix: str, *, required: bool = True) -> Check:
    try:
        return Check(name, True, look(), required=required)
    except UfosError as error:
        return Check(name, False, error.problem, error.next_step or fix, required)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return Check(name, False, f"{type(error).__name__}: {error}"[:200], fix, required)


def _ready(root: Path) -> str:
    began = time.monotonic()
    words = [sys.executable, "-m", "ufos_mcp", "--root", str(root)]
    done = subprocess.run(words, input=HELLO, capture_output=True, text=True, timeout=READY_S * 4, check=False)  # noqa: S603
    if '"protocolVersion"' not in done.stdout:
        raise ValueError(done.stderr[-200:] or "no answer")
    return f"answered and ended in {time.monotonic() - began:.2f} s"


def _data(root: Path) -> str:
    server, services = create_server(Settings.of(root))
    del server
    rows = services.market.universe()
    if not rows:
        raise ValueError("no catalog")
    return f"{len(rows)} instruments in {len(services.market.stamps())} catalogs"


def _store(root: Path) -> str:
    from ufos_nautilus.research.experiments import ExperimentStore

    settings = Settings.of(root)
    with ExperimentStore(settings.store) as store:
        return f"{store.trials()} trials in {settings.store}"


def _engine() -> str:
    code = "import nautilus_trader; print(nautilus_trader.__version__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)  # noqa: S603
    return f"nautilus_trader {done.stdout.strip()} in worker processes"


def _sandbox() -> str:
    from ufos_sandbox.engine_api import connect

    connect(timeout_s=5)
    return "a container engine answers"

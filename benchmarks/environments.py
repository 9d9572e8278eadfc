"""Environments of their own for the peers and for this project's base install, made with uv outside the checkout."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.inputs import CHECKOUT

PEERS = {
    "hftbacktest": "hftbacktest==2.4.4",
    "backtesting": "backtesting==0.6.6",
    "backtrader": "backtrader==1.9.78.123",
}
"""Name -> what is installed."""
MAKING_S_MAX = 600.0


@dataclass(frozen=True, slots=True)
class Environment:
    """An interpreter with what one program needs, or why there is none."""

    name: str
    python: Path | None
    why: str = ""


def peer_environment(root: Path, name: str) -> Environment:
    """Return a peer's environment, made where it is missing."""
    python = _python(root / name)
    if python.exists():
        return Environment(name, python)
    return _make(
        root, name, [["uv", "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), PEERS[name]]]
    )


def own_environment(root: Path) -> Environment:
    """Return an environment with this checkout's base install: no extras, none of the tools of development."""
    python, locked = _python(root / "ufos"), root / "ufos.txt"
    export = ["uv", "export", "--quiet", "--frozen", "--no-dev", "--no-emit-project", "--output-file", str(locked)]
    install = ["uv", "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python)]
    steps = [
        [*export, "--project", str(CHECKOUT)],
        [*install, "--require-hashes", "-r", str(locked)],
        [*install, "--no-deps", "--reinstall-package", "ufos-nautilus", str(CHECKOUT)],
    ]
    return _make(root, "ufos", steps)


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _make(root: Path, name: str, steps: list[list[str]]) -> Environment:
    if shutil.which("uv") is None:
        return Environment(name, None, "uv is not installed")
    root.mkdir(parents=True, exist_ok=True)
    python = _python(root / name)
    # The interpreter that is there already: uv would fetch another one for some version requests.
    interpreter = getattr(sys, "_base_executable", sys.executable)
    if not python.exists():
        steps = [["uv", "venv", "--quiet", "--clear", "--python", interpreter, str(root / name)], *steps]
    try:
        for step in steps:
            _run(step, root)
    except subprocess.CalledProcessError as error:
        shutil.rmtree(root / name, ignore_errors=True)
        last = (error.stderr or "").strip().splitlines()[-1:] or [f"exit code {error.returncode}"]
        return Environment(name, None, f"{' '.join(error.cmd[:3])}: {last[0]}")
    except subprocess.TimeoutExpired:
        shutil.rmtree(root / name, ignore_errors=True)
        return Environment(name, None, f"not made within {MAKING_S_MAX:.0f} s")
    return Environment(name, python)


def _run(step: list[str], folder: Path) -> None:
    subprocess.run(
        step,
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=MAKING_S_MAX,
        cwd=folder,
    )

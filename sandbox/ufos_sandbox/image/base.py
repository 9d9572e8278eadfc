"""Makes a root file system with nothing but Python, from the Python that runs here: no registry is asked."""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from ufos_nautilus.errors import DataError

STDLIB_LEFT_OUT = (
    "__pycache__", "test", "tests", "idlelib", "idle_test", "tkinter", "turtledemo", "ensurepip", "lib2to3",
    "pydoc_data",
    "site-packages", "dist-packages", "venv", "config-*", "_tkinter*", "_test*", "_ctypes_test*", "_xx*", "*.a",
    "curses", "_curses*", "readline*", "_dbm*", "_gdbm*", "sqlite3", "_sqlite3*", "*.pyc",
)  # fmt: skip
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
USERS = "root:x:0:0:root:/:/none\nnobody:x:65534:65534:nobody:/:/none\n"
GROUPS = "root:x:0:\nnogroup:x:65534:\n"
_LDD_LINE = re.compile(r"(?:=>\s*)?(/\S+)\s+\(0x[0-9a-f]+\)")


def base_key() -> str:
    """Return a digest of what a base made here would consist of."""
    binary = _binary()
    facts = [sys.version, platform.machine(), USERS, GROUPS, ",".join(STDLIB_LEFT_OUT), str(binary.stat().st_size)]
    return hashlib.sha256("\0".join(facts).encode()).hexdigest()[:12]


def make_base(root: Path, also: Iterable[Path] = ()) -> None:
    """Fill an empty directory with Python under ``/usr/local`` and the shared libraries it needs.

    Parameters
    ----------
    root : Path
        Becomes the root file system.
    also : iterable of Path
        Compiled modules that will come on top and whose libraries must be there too.

    Raises
    ------
    DataError
        A shared library can't be found.

    """
    target = root / "usr/local/lib" / f"python{VERSION}"
    stdlib = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(stdlib, target, ignore=shutil.ignore_patterns(*STDLIB_LEFT_OUT), symlinks=True)
    (target / "site-packages").mkdir(exist_ok=True)
    bin_ = root / "usr/local/bin"
    bin_.mkdir(parents=True)
    binary = _binary()
    shutil.copy2(binary, bin_ / f"python{VERSION}")
    for name in ("python3", "python"):
        (bin_ / name).symlink_to(f"python{VERSION}")
    copy_libraries(root, [binary, *target.glob("lib-dynload/*.so"), *also])
    for name in ("etc", "tmp", "proc", "sys", "dev"):
        (root / name).mkdir(exist_ok=True)
    (root / "etc/passwd").write_text(USERS)
    (root / "etc/group").write_text(GROUPS)
    (root / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\n")
    compile_tree(target)


def copy_libraries(root: Path, files: Iterable[Path]) -> None:
    """Copy the shared libraries that `files` need: those of Python's own prefix to ``/usr/local/lib``, others as is."""
    prefix = Path(sys.base_prefix).resolve()
    for library in sorted(shared_libraries(files)):
        # With a system's own Python all libraries lie below its prefix, the loader too, which has a fixed place.
        inside = prefix != Path("/usr") and library.resolve().is_relative_to(prefix)
        target = root / ("usr/local/lib" if inside else library.parent.relative_to("/")) / library.name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(library.resolve(), target)
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/ld.so.conf").write_text("/usr/local/lib\n")
    ldconfig = shutil.which("ldconfig", path=f"{os.environ.get('PATH', '')}:/sbin:/usr/sbin")
    if ldconfig:
        subprocess.run([ldconfig, "-r", str(root)], check=True, capture_output=True, timeout=60)  # noqa: S603


def shared_libraries(files: Iterable[Path]) -> set[Path]:
    """Return every shared library outside the files' own wheels that the loader would bring in for `files`."""
    found: set[Path] = set()
    for file in files:
        done = subprocess.run(["ldd", str(file)], capture_output=True, text=True, timeout=60)  # noqa: S603, S607
        if "not found" in done.stdout:
            missing = [line.split()[0] for line in done.stdout.splitlines() if "not found" in line]
            raise DataError(f"{file.name} needs {', '.join(missing)}", expected="its shared libraries on this machine")
        for line in done.stdout.splitlines():
            match = _LDD_LINE.search(line)
            if match and "site-packages" not in match[1]:
                found.add(Path(match[1]))
    return found


def compile_tree(folder: Path) -> None:
    """Compile all modules below a folder for good: a read-only container can't write caches and must not check them."""
    command = [sys.executable, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, timeout=600)  # noqa: S603
    if done.returncode:
        raise DataError(f"modules for the image do not compile: {done.stdout[-500:]}")


def _binary() -> Path:
    """Return the interpreter itself, not a link or a wrapper of a virtual environment."""
    named = Path(sys.base_prefix) / "bin" / f"python{VERSION}"
    return named.resolve() if named.exists() else Path(sys.executable).resolve()

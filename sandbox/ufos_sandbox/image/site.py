"""Makes the two site folders of the image from what is installed here: libraries, and the product's own packages."""

import hashlib
import importlib.metadata
import re
import shutil
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from ufos_nautilus.errors import DataError
from ufos_sandbox.image.base import VERSION, compile_tree

LIBRARIES = ("nautilus_trader", "polars", "pydantic", "msgspec")
"""Distributions a strategy may import; what they require comes along."""
OWN = ("ufos_nautilus", "ufos_strategies", "ufos_sandbox")
OWN_LEFT_OUT = {"ufos_nautilus": ("cli", "report", "memory"), "ufos_sandbox": ("*",)}
"""Rooms that only the host needs; of this package the guest alone goes in."""
FOREIGN_FILES = ("__pycache__", "*.pyc", "tests", "test", "*.pyi", "direct_url.json", "RECORD")


def library_closure(roots: tuple[str, ...] = LIBRARIES) -> dict[str, importlib.metadata.Distribution]:
    """Return the installed distributions that `roots` are and need, by normal name.

    Raises
    ------
    DataError
        One is not installed.

    """
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = list(roots)
    while waiting:
        name = _normal(waiting.pop())
        if name in found:
            continue
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            raise DataError(
                f"{name} is not installed here", expected="the libraries that go into the image", next_step="uv sync"
            ) from None
        found[name] = distribution
        for text in distribution.requires or ():
            # Extras and other platforms are not needed for a backtest.
            if ";" not in text or ("extra" not in text and "sys_platform" not in text and "python_version" not in text):
                waiting.append(re.split(r"[\s<>=!~;(\[]", text.strip(), maxsplit=1)[0])
    return dict(sorted(found.items()))


def make_library_site(folder: Path) -> None:
    """Copy the libraries into an empty folder and compile them."""
    for distribution in library_closure().values():
        for file in distribution.files or ():
            source = Path(str(distribution.locate_file(file)))
            if ".." in file.parts or _left_out(file.parts) or not source.is_file():
                continue
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    compile_tree(folder)


def make_own_site(folder: Path) -> None:
    """Copy the product's packages that run in a guest into an empty folder and compile them."""
    for source, target in own_files():
        path = folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, path)
    compile_tree(folder)


def library_binaries() -> list[Path]:
    """Return the compiled modules of the libraries, whose own needs the base must meet."""
    out: list[Path] = []
    for distribution in library_closure().values():
        out += [Path(str(distribution.locate_file(f))) for f in distribution.files or () if f.name.endswith(".so")]
    return [path for path in out if path.is_file()]


def own_files() -> list[tuple[Path, str]]:
    """Return the source files that go into the image, as (path here, path in the image), sorted."""
    out: list[tuple[Path, str]] = []
    for package in OWN:
        root = package_folder(package)
        for path in sorted(root.rglob("*")):
            inside = path.relative_to(root)
            if path.suffix in (".py", ".toml") and not _host_only(package, inside.parts):
                out.append((path, f"{package}/{inside.as_posix()}"))
    return out


def package_folder(package: str) -> Path:
    """Return where a package lies, without importing it."""
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise DataError(f"{package} is not installed here", next_step="uv sync")
    return Path(found.submodule_search_locations[0])


@cache
def library_key() -> str:
    """Return a digest of the libraries and their versions."""
    facts = [f"{name}=={d.version}" for name, d in library_closure().items()]
    return hashlib.sha256("\0".join([VERSION, *facts]).encode()).hexdigest()[:12]


@cache
def own_key() -> str:
    """Return a digest of the product's source in the image."""
    digest = hashlib.sha256()
    for source, target in own_files():
        digest.update(target.encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def _host_only(package: str, parts: tuple[str, ...]) -> bool:
    if "__pycache__" in parts:
        return True
    if package == "ufos_sandbox":
        return parts[0] != "guest" and parts != ("__init__.py",)
    return parts[0] in OWN_LEFT_OUT.get(package, ())


def _left_out(parts: tuple[str, ...]) -> bool:
    return any(Path(part).match(pattern) for part in parts for pattern in FOREIGN_FILES)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()

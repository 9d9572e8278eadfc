"""Builds the image offline in three steps, each named by a hash of its content and made only where it is missing."""

import fcntl
import hashlib
import io
import os
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ufos_nautilus.errors import RunFailedError
from ufos_sandbox.engine_api import BUILD_TIMEOUT_S, PROJECT_LABEL, Api, connect
from ufos_sandbox.image.base import VERSION, base_key, make_base
from ufos_sandbox.image.site import library_binaries, library_key, make_library_site, make_own_site, own_key

REPOSITORY = "ufos-sandbox"
OFFICIAL_BASE = f"python:{VERSION}-slim"
Say = Callable[[str], None]
IMAGES_KEPT = 4
"""Final images that stay, newest first: another checkout, or a process that started before an edit, may use its own."""
_building = threading.Lock()


@dataclass(slots=True)
class BuildReport:
    """What a build did."""

    image: str
    image_id: str
    base: str
    steps: list[str] = field(default_factory=list)
    """One line for each image: made, or there already."""
    removed: list[str] = field(default_factory=list)
    """Older images of this product that no container uses."""
    size_mb: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "image": self.image,
            "image_id": self.image_id,
            "base": self.base,
            "size_mb": self.size_mb,
            "steps": self.steps,
            "removed": self.removed,
        }


@cache
def files_folder() -> Path:
    """Return the directory of Dockerfile and system-call filter."""
    return Path(__file__).parent


def dockerfile() -> str:
    """Return the Dockerfile's text."""
    return (files_folder() / "Dockerfile").read_text("utf-8")


def seccomp_profile() -> str:
    """Return the container's system-call allow-list as the engine takes it."""
    return (files_folder() / "seccomp.json").read_text("utf-8")


def image_name() -> str:
    """Return the image that runs use: UFOS_SANDBOX_IMAGE where it is set, else that of the code that is here."""
    return os.environ.get("UFOS_SANDBOX_IMAGE") or image_names()[2]


@cache
def image_names() -> tuple[str, str, str]:
    """Return the names of base, libraries and final image for the code and packages that are here."""
    recipe = hashlib.sha256(dockerfile().encode()).hexdigest()
    base = _key(base_key(), library_key())
    libraries = _key(base, library_key(), recipe)
    return (
        f"{REPOSITORY}-base:{base}",
        f"{REPOSITORY}-libraries:{libraries}",
        f"{REPOSITORY}:{_key(libraries, own_key())}",
    )


def build(api: Api | None = None, *, say: Say = lambda _: None, base: str = "") -> BuildReport:
    """Make the image of the code that is here, offline.

    Parameters
    ----------
    api : Api, optional
        Connection to the engine.
    say : callable
        Gets one line for each step.
    base : str
        An image with this Python under ``/usr/local`` to build upon; one is made from the Python here unless given.

    Returns
    -------
    BuildReport
        Names, sizes and what was done.

    Raises
    ------
    RunFailedError
        The engine could not build it.

    """
    if api is None:
        with connect(timeout_s=BUILD_TIMEOUT_S) as own:
            return build(own, say=say, base=base)
    base_name, library_name, name = image_names()
    if base:
        library_name = f"{REPOSITORY}-libraries:{_key(base, library_key())}"
    report = BuildReport(name, "", base or base_name)

    def note(line: str) -> None:
        report.steps.append(line)
        say(line)

    with _building, _only_builder():
        if not base:
            _step(api, base_name, note, lambda folder: _import_base(api, base_name, folder))
        _step(api, library_name, note, lambda folder: _layer(api, library_name, report.base, folder, make_library_site))
        _step(api, name, note, lambda folder: _layer(api, name, library_name, folder, make_own_site))
        report.removed = remove_old(api, keep={report.base, library_name, name, image_name()})
    for old in report.removed:
        say(f"removed {old}")
    facts = api.client.inspect_image(name)
    report.image_id, report.size_mb = facts["Id"], round(facts["Size"] / 1e6)
    return report


def _step(api: Api, name: str, note: Say, make: Callable[[Path], None]) -> None:
    if api.image_id(name):
        note(f"{name}: there already")
        return
    with tempfile.TemporaryDirectory(prefix="ufos-sandbox-") as scratch:
        folder = Path(scratch) / "content"
        folder.mkdir()
        make(folder)
    note(f"{name}: made, {round(api.client.inspect_image(name)['Size'] / 1e6)} MB")


def _import_base(api: Api, name: str, folder: Path) -> None:
    make_base(folder, library_binaries())
    repository, _, tag = name.partition(":")
    with tempfile.TemporaryFile() as archive:
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add(folder, arcname=".", filter=_anonymous)
        archive.seek(0)
        changes = [f"LABEL {PROJECT_LABEL}=1"]
        api.client.import_image_from_data(archive, repository=repository, tag=tag, changes=changes)


def _layer(api: Api, name: str, base: str, folder: Path, fill: Callable[[Path], None]) -> None:
    site = folder / "site"
    site.mkdir()
    fill(site)
    with tempfile.TemporaryFile() as archive:
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add(site, arcname="site", filter=_anonymous)
            recipe = dockerfile().encode()
            entry = tarfile.TarInfo("Dockerfile")
            entry.size = len(recipe)
            tar.addfile(entry, io.BytesIO(recipe))
        archive.seek(0)
        lines = api.client.build(
            fileobj=archive,
            custom_context=True,
            tag=name,
            buildargs={"BASE": base},
            network_mode="none",
            rm=True,
            forcerm=True,
            pull=False,
            decode=True,
            labels={PROJECT_LABEL: "1"},
        )
        _drain(lines, name)


def _drain(lines: Iterator[dict[str, Any]], name: str) -> None:
    for line in lines:
        if "error" in line:
            raise RunFailedError(
                f"the engine could not build {name}: {line['error']}",
                expected="a Docker engine with the classic builder",
                next_step=f"`ufos sandbox doctor`; with a registry: `ufos sandbox build --base {OFFICIAL_BASE}`",
            )


def remove_old(api: Api, keep: set[str]) -> list[str]:
    """Remove images of this product other than `keep` and the newest few that no container uses; return their names."""
    removed = []
    for image in outdated(api.client.images(filters={"label": PROJECT_LABEL}), {api.image_id(name) for name in keep}):
        names = [n for n in image.get("RepoTags") or [] if n.startswith(REPOSITORY) and n not in keep]
        for name in names or [image["Id"]]:
            if api.remove_image(name):
                removed.append(name)
    return removed


def outdated(images: list[dict[str, Any]], kept_ids: set[str]) -> list[dict[str, Any]]:
    """Return the images, as the engine lists them, that are neither kept nor among the newest final ones."""
    final = [i for i in images if any(n.startswith(f"{REPOSITORY}:") for n in i.get("RepoTags") or [])]
    newest = sorted(final, key=lambda i: i["Created"], reverse=True)[:IMAGES_KEPT]
    return [i for i in images if i["Id"] not in kept_ids | {n["Id"] for n in newest}]


@contextmanager
def _only_builder() -> Iterator[None]:
    """Wait until no other process of this user builds: two that make one image would remove each other's layers."""
    path = Path(tempfile.gettempdir()) / f"ufos-sandbox-build-{os.getuid()}.lock"
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mtime = 0
    if entry.isdir():
        entry.mode = 0o1777 if entry.name.endswith("/tmp") else 0o755  # noqa: S108
    return entry


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]

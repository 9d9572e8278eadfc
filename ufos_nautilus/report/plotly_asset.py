"""The one copy of plotly.js: shipped in the package, put beside the runs, shared by their reports."""

import contextlib
import os
from importlib.resources import files
from pathlib import Path
from typing import Final

from ufos_nautilus.errors import BadInputError

PLOTLY_VERSION: Final = "4.1.1"
"""Version of plotly.js-basic-dist-min from the npm registry, MIT licence."""
PLOTLY_SHA256: Final = "99784e3abfb07b142a15e521a439e6d9addceadb3f79553fd24c72774f0649ba"
SHARED_FOLDER: Final = "_assets"
SCRIPT_NAME: Final = f"plotly-basic-{PLOTLY_VERSION}.min.js"
LICENSE_NAME: Final = f"plotly-basic-{PLOTLY_VERSION}.LICENSE.txt"


def asset(name: str) -> bytes:
    """Return a file of the package's `assets` folder."""
    return (files("ufos_nautilus.report") / "assets" / name).read_bytes()


def share_plotly(runs_dir: Path) -> Path:
    """Put plotly.js and its licence into the runs' shared folder, unless there already; return the script's path."""
    folder = runs_dir / SHARED_FOLDER
    for name, source in ((LICENSE_NAME, "plotly-basic.LICENSE.txt"), (SCRIPT_NAME, "plotly-basic.min.js")):
        content = asset(source)
        if not (folder / name).is_file() or (folder / name).stat().st_size != len(content):
            write_whole(folder / name, content)
    return folder / SCRIPT_NAME


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees half of it.

    Raises
    ------
    BadInputError
        If the place cannot be written to.

    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise BadInputError(
            f"cannot write {path}: {error.strerror or error}", expected="a file name in a writable directory"
        ) from error

"""Import the recordings of catalogs/datasets.toml into catalogs/, or list the commands that do."""

import argparse
import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
DATASETS = CHECKOUT / "catalogs" / "datasets.toml"


def command(name: str, dataset: dict[str, Any], data: str, into: str) -> list[str]:
    """Return the arguments of `ufos` that make one catalog from the recordings in `data`."""
    files = [f"{data}/{path}" for path in dataset["files"]]
    return ["data", "import", dataset["format"], *files, *dataset.get("options", []), "--catalog", f"{into}/{name}"]


def main() -> None:
    datasets = tomllib.loads(DATASETS.read_text("utf-8"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="catalogs to make")
    parser.add_argument("--all", action="store_true", help="make every catalog")
    parser.add_argument("--data", default=os.environ.get("UFOS_SHARED_DATA", "../shared/data"), help="recordings")
    parser.add_argument("--into", default="catalogs", help="folder of the catalogs")
    options = parser.parse_args()
    names = list(datasets) if options.all else options.names
    if unknown := [name for name in names if name not in datasets]:
        parser.error(f"catalogs/datasets.toml has no {', '.join(unknown)}; it has {', '.join(datasets)}")
    for name in names or datasets:
        args = command(name, datasets[name], options.data, options.into)
        print(f"# {datasets[name]['what']}" if not names else f"== {name}", flush=True)
        print(shlex.join(["uv", "run", "ufos", *args]), flush=True)
        if names:
            done = subprocess.run([sys.executable, "-m", "ufos_nautilus.cli", *args], cwd=CHECKOUT)
            if done.returncode:
                sys.exit(done.returncode)


if __name__ == "__main__":
    main()

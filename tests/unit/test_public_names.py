"""The public names are pinned: adding or removing one is a decision, not an accident."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PINNED = json.loads((Path(__file__).parent / "public_names.json").read_text("utf-8"))


def test_public_names_are_the_pinned_ones():
    done = subprocess.run(
        [sys.executable, str(CHECKOUT / "scripts" / "public_names.py")], capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 0, done.stderr


def test_every_pinned_name_can_be_imported():
    missing = [
        f"{package}.{name}"
        for package, names in PINNED.items()
        for name in names
        if not hasattr(importlib.import_module(package), name)
    ]
    assert not missing

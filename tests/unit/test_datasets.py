"""`catalogs/datasets.toml` names recordings by their true digests, in formats that `ufos data import` reads."""

import hashlib
import subprocess
import sys
import tomllib
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
DATASETS = tomllib.loads((CHECKOUT / "catalogs" / "datasets.toml").read_text("utf-8"))
FORMATS = {"binance-raw", "lean-ticks", "lobster", "databento", "bars", "daily"}


def test_every_dataset_says_what_it_is_and_under_which_licence():
    assert {dataset["format"] for dataset in DATASETS.values()} == FORMATS
    for name, dataset in DATASETS.items():
        assert dataset.keys() - {"options"} == {"what", "format", "licence", "source", "files"}, name
        assert all(dataset.values()), name


def test_the_recordings_have_the_digests_the_datasets_give(shared_data):
    for dataset in DATASETS.values():
        for path, digest in dataset["files"].items():
            assert hashlib.sha256((shared_data / path).read_bytes()).hexdigest() == digest, path


def test_the_script_lists_one_command_for_each_dataset():
    script = CHECKOUT / "scripts" / "catalogs.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    commands = [line for line in done.stdout.splitlines() if line.startswith("uv run ufos data import ")]
    assert [line.rpartition("/")[2] for line in commands] == list(DATASETS)


def test_the_script_refuses_an_unknown_dataset():
    script = CHECKOUT / "scripts" / "catalogs.py"
    done = subprocess.run([sys.executable, str(script), "moon"], capture_output=True, text=True, timeout=50)
    assert done.returncode == 2
    assert "btcusdt_perp" in done.stderr

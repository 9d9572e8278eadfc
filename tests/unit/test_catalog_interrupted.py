"""An import killed at any point leaves the catalog as it was, once it is opened again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]

PROGRAM = """
import json, os, shutil, signal, sys
from pathlib import Path

from tests.catalog_factory import put, source, trades, tree
from ufos_nautilus.market.catalog import Catalog

home, fresh = Path(sys.argv[1]), sys.argv[2] == "fresh"
WRITES = ((os, "fsync"), (os, "close"), (Path, "mkdir"), (Path, "rename"), (Path, "replace"), (Path, "unlink"))


def die_at(wanted):
    calls = 0

    def dying(function):
        def call(*args, **kwargs):
            nonlocal calls
            calls += 1
            if calls == wanted:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return call

    for owner, name in WRITES:
        setattr(owner, name, dying(getattr(owner, name)))


def in_child(work):
    # The parent runs no thread, so that a fork is safe: all work is done in children.
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def second(root):
    put(root, trades([5, 6]), trades([7]), text="second")


def case(wanted):
    root = home / str(wanted) / "c"
    root.parent.mkdir()
    if not fresh:
        shutil.copytree(home / "base", root)
        shutil.copy(home / "second.csv", root.parent)
    before = tree(root)

    def interrupted():
        die_at(wanted)
        second(root)

    code = in_child(interrupted)
    if code == 0:
        return "finished"
    left = sorted(set(tree(root)) - set(before))
    opened = in_child(lambda: Catalog.open(root))
    after = {k: v for k, v in tree(root).items() if not k.startswith("ufos")} if fresh else tree(root)
    known = len(json.loads((root / "ufos/manifest.json").read_bytes())["datasets"]) if opened == 0 else 0
    again = in_child(lambda: second(root)) if wanted % 4 == 0 else None
    with_second = None if again is None else len(json.loads((root / "ufos/manifest.json").read_bytes())["datasets"])
    return {
        "code": code,
        "left": left,
        "as_before": after == ({} if fresh else before),
        "committed": known == (1 if fresh else 2),
        "again": again,
        "datasets": with_second,
        "staging": [p.name for p in root.glob(".staging*")],
    }


assert in_child(lambda: put(home / "base", trades([1, 2]), text="first")) == 0
source(home, "second")
results = []
while (result := case(len(results) + 1)) != "finished":
    results.append(result)
    assert len(results) < 100
print(json.dumps(results))
"""


@pytest.mark.parametrize("catalog", ["filled", "fresh"])
def test_an_import_killed_at_any_write_is_undone_when_the_catalog_is_opened(catalog, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), catalog],
        env=os.environ | {"PYTHONPATH": str(CHECKOUT), "POLARS_MAX_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=55,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert len(results) > 15
    assert all(r["code"] == -9 for r in results)
    # Either nothing of it is there, or all of it: never a part.
    torn = [r for r in results if r["as_before"] == r["committed"] or r["staging"]]
    assert not torn
    assert any(r["left"] for r in results if r["as_before"])
    # The same import succeeds afterwards.
    tried = [r for r in results if r["again"] is not None]
    assert tried
    assert all((r["again"], r["datasets"]) == (0, 1 if catalog == "fresh" else 2) for r in tried)

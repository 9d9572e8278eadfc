"""A run's ledger wherever it lies, and what becomes of a record or ledger that somebody touches afterwards."""

import json
import random
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.books.house_books import TicketBook
from ufos_nautilus.cli import run as run_command
from ufos_nautilus.crossing.best_execution import CROSSES_FILE
from ufos_nautilus.engine import RunResult, load_spec, parse_spec, run_backtest
from ufos_nautilus.engine.keeper import LedgerKeeper
from ufos_nautilus.errors import ReconciliationError, RunFailedError, SpecError
from ufos_nautilus.ledger.store import LedgerStore
from ufos_nautilus.ledger.store_check import check

SPEC = Path(__file__).resolve().parents[1] / "golden" / "house.toml"
RECORD_FLIPS = 300
DATABASE_FLIPS = 48
TABLES = ("entries", "postings", "accounts", "assets", "head", "schema_version")


@pytest.fixture(autouse=True, scope="module")
def _generated(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UFOS_GENERATED", str(tmp_path_factory.mktemp("generated")))
        patch.delenv("UFOS_LEDGER_URL", raising=False)
        yield


def house_run(root: Path, *overrides: str) -> RunResult:
    return run_backtest(load_spec(SPEC, ["data.0.synthetic.params.duration_s=90.0", *overrides]), root=root)


@pytest.fixture(scope="module")
def stored(_generated: Any, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return house_run(tmp_path_factory.mktemp("stored"))


def entries(url: str) -> int:
    with LedgerStore.open(url, readonly=True) as store:
        assert check(store).problems == ()
        return store.head.seq


@pytest.mark.parametrize("batch", [1, 1_000])
def test_the_ledger_is_the_same_in_any_database(
    stored: RunResult, new_ledger: Any, tmp_path: Path, monkeypatch: Any, batch: int
) -> None:
    url = new_ledger()
    monkeypatch.setenv("UFOS_LEDGER_URL", url)
    elsewhere = house_run(tmp_path, f"ledger.batch={batch}")
    assert elsewhere.digest == stored.digest
    assert elsewhere["ledger"] == stored["ledger"]
    # The record's head names the run, and a run with another batch size is another run.
    assert {**elsewhere["crosses"], "head": ""} == {**stored["crosses"], "head": ""}
    assert not (elsewhere.directory / "ledger.sqlite").exists()
    with LedgerStore.open(url, readonly=True) as store:
        assert store.head.hash.hex() == stored["ledger"]["head"]
        assert store.head.seq == stored["ledger"]["entries"]
        assert check(store, store.head).problems == ()


def test_a_run_that_fails_leaves_no_half_ledger(new_ledger: Any, tmp_path: Path, monkeypatch: Any) -> None:
    url = new_ledger()
    monkeypatch.setenv("UFOS_LEDGER_URL", url)
    honest, fills = LedgerKeeper.post_fill, []

    def failing(self: LedgerKeeper, event: Any) -> None:
        if type(event).__name__ == "OrderFilled":
            fills.append(event)
            if len(fills) == 60:
                raise ZeroDivisionError("on purpose")
        honest(self, event)

    monkeypatch.setattr(LedgerKeeper, "post_fill", failing)
    with pytest.raises(RunFailedError, match="on purpose"):
        house_run(tmp_path / "runs", "ledger.batch=1")
    assert not list((tmp_path / "runs").iterdir())
    assert entries(url) == 0
    monkeypatch.setattr(LedgerKeeper, "post_fill", honest)
    again = house_run(tmp_path / "runs")
    assert entries(url) == again["ledger"]["entries"], "the emptied ledger takes the next run"


def test_a_run_that_does_not_reconcile_leaves_no_half_ledger(new_ledger: Any, tmp_path: Path, monkeypatch: Any) -> None:
    url = new_ledger()
    monkeypatch.setenv("UFOS_LEDGER_URL", url)
    monkeypatch.setattr(LedgerKeeper, "_engine_positions", lambda self: {("MM-AAAA", "AAAA.XSIM"): 1})
    with pytest.raises(ReconciliationError):
        house_run(tmp_path)
    assert entries(url) == 0


def test_a_ledger_that_holds_another_run_is_refused(new_ledger: Any, tmp_path: Path, monkeypatch: Any) -> None:
    url = new_ledger()
    monkeypatch.setenv("UFOS_LEDGER_URL", url)
    first = house_run(tmp_path)
    with pytest.raises(SpecError, match=f"holds {first['ledger']['entries']:,} entries already"):
        house_run(tmp_path)
    assert entries(url) == first["ledger"]["entries"], "what was there is untouched"


def test_a_book_that_fails_leaves_the_emptied_journal_guarded(tmp_path: Path, monkeypatch: Any) -> None:
    """The guards against changes are back after a failed run took its entries out."""
    monkeypatch.setenv("UFOS_LEDGER_URL", f"sqlite:///{tmp_path / 'own.sqlite'}")
    spec = json.loads(parse_spec(load_spec(SPEC).model_dump(mode="json")).model_dump_json())
    spec["data"][0]["synthetic"]["params"]["duration_s"] = 30.0
    spec["books"] = [
        {
            "id": "WM-ALICE",
            "kind": "client",
            "class_path": "tests.books.house_books:TicketBook",
            "params": {"tickets": [(5, "SELL", "100"), (6, "HOLD", "100")]},
        }
    ]
    TicketBook.made.clear()
    with pytest.raises(RunFailedError, match="HOLD"):
        run_backtest(parse_spec(spec), root=tmp_path / "runs")
    with sqlite3.connect(tmp_path / "own.sqlite") as connection:
        guards = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")}
    connection.close()
    assert guards == {f"{table}_no_{action}" for table in ("entries", "postings") for action in ("update", "delete")}


# touched afterwards, at the command line


def command(capsys: Any, *arguments: str) -> tuple[int, str]:
    code = run_command(arguments[0], list(arguments[1:]))
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def copied(stored: RunResult, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stored.directory, tmp_path / "copy"))


def test_any_byte_changed_in_the_record_of_crosses_is_found(stored: RunResult, tmp_path: Path, capsys: Any) -> None:
    copy, rng = copied(stored, tmp_path), random.Random(20131007)
    record = copy / CROSSES_FILE
    whole = record.read_bytes()
    assert command(capsys, "crosses", "verify", str(copy))[0] == 0
    for _ in range(RECORD_FLIPS):
        at, bit = rng.randrange(len(whole)), 1 << rng.randrange(8)
        record.write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
        code, said = command(capsys, "crosses", "verify", str(copy))
        assert code == 3, f"byte {at}, bit {bit}: {said}"
        assert "Traceback" not in said
    record.write_bytes(whole)
    assert command(capsys, "crosses", "verify", str(copy))[0] == 0


def test_a_record_cut_short_or_replaced_as_a_whole_is_found(stored: RunResult, tmp_path: Path, capsys: Any) -> None:
    copy = copied(stored, tmp_path)
    record = copy / CROSSES_FILE
    lines = record.read_bytes().splitlines(keepends=True)
    assert len(lines) > 4
    for damaged in (lines[:-1], lines[:-2], lines[:1] + lines[2:], [lines[0], lines[2], lines[1], *lines[3:]], []):
        record.write_bytes(b"".join(damaged))
        assert command(capsys, "crosses", "verify", str(copy))[0] == 3
    other = house_run(tmp_path / "other", "seed=2")
    record.write_bytes((other.directory / CROSSES_FILE).read_bytes())
    assert command(capsys, "crosses", "verify", str(other.directory))[0] == 0
    assert command(capsys, "crosses", "verify", str(copy))[0] == 3, "whole in itself, but not what the run kept"


def rows(path: Path) -> list[list[Any]] | None:
    """Every row of the journal and what it leans on; None where it can't be read."""
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
        connection.text_factory = bytes
        try:
            return [connection.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES]
        finally:
            connection.close()
    except sqlite3.Error:
        return None


def test_any_byte_changed_in_the_ledger_is_found(stored: RunResult, tmp_path: Path, capsys: Any) -> None:
    """Or it lies where no query looks, in which case every row is what it was."""
    copy, rng = copied(stored, tmp_path), random.Random(20131008)
    ledger = copy / "ledger.sqlite"
    whole, before = ledger.read_bytes(), rows(ledger)
    assert before is not None
    assert command(capsys, "ledger", "check", str(copy))[0] == 0
    found = 0
    for _ in range(DATABASE_FLIPS):
        at, bit = rng.randrange(100, len(whole)), 1 << rng.randrange(8)
        ledger.write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
        unchanged = rows(ledger) == before
        code, said = command(capsys, "ledger", "check", str(copy))
        assert code in (2, 3) or unchanged, f"byte {at}, bit {bit}: {said}"
        assert "Traceback" not in said
        found += code != 0
        for leftover in copy.glob("ledger.sqlite-*"):
            leftover.unlink()
    assert found > DATABASE_FLIPS // 3
    ledger.write_bytes(whole)
    assert command(capsys, "ledger", "check", str(copy))[0] == 0


def test_any_amount_changed_in_the_ledger_is_found(stored: RunResult, tmp_path: Path, capsys: Any) -> None:
    copy, rng = copied(stored, tmp_path), random.Random(20131009)
    ledger = copy / "ledger.sqlite"
    whole = ledger.read_bytes()
    last = stored["ledger"]["entries"]
    for _ in range(24):
        ledger.write_bytes(whole)
        connection = sqlite3.connect(ledger)
        for table in ("entries", "postings"):
            for action in ("update", "delete"):
                connection.execute(f"DROP TRIGGER {table}_no_{action}")
        seq, line = rng.choice(connection.execute("SELECT seq, line FROM postings").fetchall())
        change = rng.choice(
            ("amount = amount + 1", "amount = -amount", "account = account % 7 + 1 + (account % 7 = 6)")
        )
        before = connection.execute("SELECT * FROM postings WHERE seq = ? AND line = ?", (seq, line)).fetchone()
        connection.execute(f"UPDATE postings SET {change} WHERE seq = ? AND line = ?", (seq, line))
        after = connection.execute("SELECT * FROM postings WHERE seq = ? AND line = ?", (seq, line)).fetchone()
        connection.commit()
        connection.close()
        code, said = command(capsys, "ledger", "check", str(copy))
        assert (code == 3) == (before != after), f"entry {seq} of {last}, line {line}, {change}: {said}"


def test_a_tail_cut_off_a_ledger_is_found_by_what_the_run_kept(stored: RunResult, tmp_path: Path, capsys: Any) -> None:
    copy = copied(stored, tmp_path)
    ledger = copy / "ledger.sqlite"
    connection = sqlite3.connect(ledger)
    for table in ("entries", "postings"):
        for action in ("update", "delete"):
            connection.execute(f"DROP TRIGGER {table}_no_{action}")
    last = stored["ledger"]["entries"]
    for table in ("entries", "postings"):
        connection.execute(f"DELETE FROM {table} WHERE seq = ?", (last,))
    connection.execute(
        "UPDATE head SET seq = ?, hash = (SELECT hash FROM entries WHERE seq = ?), "
        "postings = (SELECT COUNT(*) FROM postings)",
        (last - 1, last - 1),
    )
    connection.commit()
    connection.close()
    assert command(capsys, "ledger", "check", str(ledger))[0] == 0, "a prefix is a sound ledger by itself"
    assert command(capsys, "ledger", "check", str(copy))[0] == 3
    (copy / "ledger.sqlite").unlink()
    assert command(capsys, "ledger", "check", str(copy))[0] == 3, "gone, where the result tells of it"

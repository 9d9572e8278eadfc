"""The hash chain: what was written is read back, every change is found, and a crash costs nothing acknowledged."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ufos_nautilus.crossing import audit as audit_module
from ufos_nautilus.crossing.audit import AuditLog
from ufos_nautilus.crossing.chain import GENESIS, ChainReader, Seal, encode_line, verify
from ufos_nautilus.errors import DataError, IntegrityError, LimitExceededError, SpecError
from ufos_nautilus.limits import AUDIT_RECORD_BYTES_MAX

KILLS = 300


def write(path: Path, count: int = 3, *, seal: bool = True, fsync="none") -> Seal | None:
    with AuditLog(path, run_id="r", schema="s", fsync=fsync) as log:
        for n in range(count):
            log.append({"n": n, "text": "price 190.14 € \n"})
        return log.seal() if seal else None


@pytest.fixture
def sealed(tmp_path) -> Path:
    path = tmp_path / "a.jsonl"
    write(path)
    return path


@pytest.mark.parametrize("fsync", ["none", "each", 2])
def test_what_was_written_is_read_back(tmp_path, fsync):
    path = tmp_path / "a.jsonl"
    seal = write(path, fsync=fsync)
    assert [r["n"] for r in ChainReader(path)] == [0, 1, 2]
    report = verify(path, expect=seal)
    assert (report.records, report.run_id, report.schema, report.sealed) == (3, "r", "s", True)
    assert seal == Seal(3, report.head)


def test_the_same_records_give_the_same_bytes(tmp_path):
    write(tmp_path / "a")
    write(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_every_changed_byte_is_found(sealed):
    whole = sealed.read_bytes()
    for at in range(len(whole)):
        for flip in (1, 32):  # a neighbouring digit, and the other case of a letter
            changed = bytearray(whole)
            changed[at] ^= flip
            sealed.write_bytes(changed)
            with pytest.raises(IntegrityError):
                verify(sealed)


def test_every_cut_is_found(sealed):
    whole = sealed.read_bytes()
    for length in range(len(whole)):
        sealed.write_bytes(whole[:length])
        with pytest.raises(IntegrityError):
            verify(sealed)


def test_every_removed_doubled_or_moved_line_is_found(sealed):
    lines = sealed.read_bytes().splitlines(keepends=True)
    count = len(lines)
    changes = [lines[:i] + lines[i + 1 :] for i in range(count)]
    changes += [lines[: i + 1] + lines[i:] for i in range(count)]
    changes += [
        [*lines[:i], lines[j], *lines[i + 1 : j], lines[i], *lines[j + 1 :]]
        for i in range(count)
        for j in range(i + 1, count)
    ]
    changes += [[*lines, b"\n"], [*lines, b"{}\n"], [b"", *lines[1:]]]
    for changed in changes:
        sealed.write_bytes(b"".join(changed))
        with pytest.raises(IntegrityError):
            verify(sealed)


def test_a_line_from_another_chain_is_found(tmp_path, sealed):
    other = tmp_path / "b.jsonl"
    with AuditLog(other, run_id="other", schema="s") as log:
        for n in range(3):
            log.append({"n": n + 10})
        log.seal()
    lines, foreign = sealed.read_bytes().splitlines(keepends=True), other.read_bytes().splitlines(keepends=True)
    for at in range(len(lines)):
        sealed.write_bytes(b"".join([*lines[:at], foreign[at], *lines[at + 1 :]]))
        with pytest.raises(IntegrityError):
            verify(sealed)


HEADER = {"version": 1, "schema": "s", "run_id": "r"}


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([("header", HEADER), ("seal", {"records": 1})], "seals 1 records, not 0"),
        ([("header", HEADER), ("seal", {"records": 0}), ("record", {})], "follows the seal"),
        ([("header", HEADER), ("header", HEADER), ("seal", {"records": 1})], "wrong place"),
        ([("record", {}), ("seal", {"records": 1})], "wrong place"),
        ([("header", HEADER | {"version": 2}), ("seal", {"records": 0})], "version 2"),
        ([("header", {"version": 1}), ("seal", {"records": 0})], "header"),
    ],
    ids=["count", "after seal", "two headers", "no header", "version", "nameless"],
)
def test_a_chain_forged_with_right_hashes_but_the_wrong_shape_is_found(tmp_path, lines, problem):
    path, prev, raw = tmp_path / "a.jsonl", GENESIS, b""
    for seq, (kind, data) in enumerate(lines):
        line, prev = encode_line(kind, seq, prev, data)
        raw += line
    path.write_bytes(raw)
    with pytest.raises(IntegrityError, match=problem):
        verify(path)


def test_a_file_rewritten_as_a_whole_is_found_by_the_seal_kept_elsewhere(tmp_path):
    path = tmp_path / "a.jsonl"
    kept = write(path, 3)
    path.unlink()
    write(path, 2)
    assert verify(path).records == 2  # nothing inside the file can tell
    with pytest.raises(IntegrityError):
        verify(path, expect=kept)


def test_an_unsealed_chain_is_accepted_only_where_asked_for(tmp_path):
    path = tmp_path / "a.jsonl"
    write(path, seal=False)
    with pytest.raises(IntegrityError):
        verify(path)
    report = verify(path, need_seal=False)
    assert (report.records, report.sealed, report.torn_bytes) == (3, False, 0)


def test_a_torn_last_line_is_mended_and_the_chain_goes_on(tmp_path):
    path = tmp_path / "a.jsonl"
    write(path, 3, seal=False)
    whole = path.read_bytes()
    for cut in (1, 10, len(whole.splitlines(keepends=True)[-1]) - 1):
        path.write_bytes(whole[:-cut])
        assert verify(path, need_seal=False).torn_bytes > 0
        with AuditLog(path, run_id="r", schema="s") as log:
            assert log.records == 2
            log.append({"n": 2, "text": "price 190.14 € \n"})
        assert path.read_bytes() == whole
    path.write_bytes(whole[:20])  # even the header
    write(path, 3, seal=False)
    assert path.read_bytes() == whole


def test_a_chain_that_does_not_hold_is_not_continued(tmp_path):
    path = tmp_path / "a.jsonl"
    write(path, 3, seal=False)
    changed = path.read_bytes().replace(b'"n":1', b'"n":7')
    path.write_bytes(changed)
    with pytest.raises(IntegrityError):
        AuditLog(path, run_id="r", schema="s")
    assert path.read_bytes() == changed


def test_a_sealed_file_and_a_file_of_another_run_take_no_more(tmp_path, sealed):
    open_file = tmp_path / "b.jsonl"
    write(open_file, seal=False)
    for path, run_id, schema in ((sealed, "r", "s"), (open_file, "other", "s"), (open_file, "r", "other")):
        before = path.read_bytes()
        with pytest.raises(DataError):
            AuditLog(path, run_id=run_id, schema=schema)
        assert path.read_bytes() == before


def test_one_writer_at_a_time(tmp_path):
    path = tmp_path / "a.jsonl"
    with AuditLog(path, run_id="r", schema="s"), pytest.raises(DataError):
        AuditLog(path, run_id="r", schema="s")
    AuditLog(path, run_id="r", schema="s").close()


def test_a_closed_log_takes_no_more(tmp_path):
    log = AuditLog(tmp_path / "a.jsonl", run_id="r", schema="s")
    log.close()
    log.close()
    with pytest.raises(DataError):
        log.append({})


def test_a_record_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    with AuditLog(path, run_id="r", schema="s") as log:
        log.append({"n": 0})
        before = path.read_bytes()
        with pytest.raises(DataError):
            log.append({"n": object()})
        with pytest.raises(LimitExceededError):
            log.append({"n": "x" * AUDIT_RECORD_BYTES_MAX})
        real = os.write

        def full(fd: int, data: bytes) -> int:
            real(fd, data[:10])
            raise OSError(errno.ENOSPC, "no space left")

        monkeypatch.setattr(audit_module.os, "write", full)
        with pytest.raises(OSError, match="no space"):
            log.append({"n": 1})
        monkeypatch.undo()
        assert path.read_bytes() == before
        log.append({"n": 1})
        log.seal()
    assert [r["n"] for r in ChainReader(path)] == [0, 1]


def test_a_file_has_a_largest_number_of_records(tmp_path, monkeypatch):
    monkeypatch.setattr(audit_module, "AUDIT_RECORDS_MAX", 2)
    with pytest.raises(LimitExceededError):
        write(tmp_path / "a.jsonl", 3)
    assert verify(tmp_path / "a.jsonl", need_seal=False).records == 2


def test_a_line_without_end_is_no_record(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"x" * (3 * AUDIT_RECORD_BYTES_MAX))
    with pytest.raises(IntegrityError):
        verify(path, need_seal=False)


def test_bad_settings_and_missing_files_are_refused(tmp_path):
    for fsync in ("sometimes", 0, 1.5):
        with pytest.raises(SpecError):
            AuditLog(tmp_path / "a", run_id="r", schema="s", fsync=fsync)
    assert not (tmp_path / "a").exists()
    with pytest.raises(DataError):
        verify(tmp_path / "none")


WRITER = """
import os, random, signal, sys
from pathlib import Path
from ufos_nautilus.crossing.audit import AuditLog
from ufos_nautilus.crossing.chain import ChainReader

path, kills = Path(sys.argv[1]), int(sys.argv[2])
rng, torn = random.Random(7), 0
for _ in range(kills):
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        log = AuditLog(path, run_id="r", schema="s")
        while True:
            n = log.records
            log.append({"n": n, "pad": "x" * (n * 7919 % 30_000)})
            os.write(theirs, n.to_bytes(4, "big"))
    os.close(theirs)
    stop_after = rng.randrange(0, 25)
    told = -1
    for _ in range(stop_after):
        told = int.from_bytes(os.read(ours, 4), "big")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while rest := os.read(ours, 4):  # acknowledged between the decision and the kill
        told = int.from_bytes(rest, "big")
    os.close(ours)
    if path.exists() and path.stat().st_size:
        reader = ChainReader(path, need_seal=False)
        try:
            found = [r["n"] for r in reader]
        except Exception:
            # Killed within the header: nothing was acknowledged yet.
            assert told == -1 and path.read_bytes().count(b"\\n") == 0
            continue
        assert found == list(range(len(found))), "a record is missing"
        assert len(found) > told, "an acknowledged record was lost"
        torn += reader.report.torn_bytes > 0
        if path.stat().st_size > 2_000_000:
            path.unlink()
print("done", kills, torn)
"""


def test_a_writer_killed_at_any_moment_loses_nothing_it_acknowledged(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WRITER, str(tmp_path / "a.jsonl"), str(KILLS)],
        capture_output=True,
        text=True,
        timeout=55,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:2] == ["done", str(KILLS)]

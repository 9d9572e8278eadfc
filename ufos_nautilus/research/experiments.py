"""The experiment store: every hypothesis, every run that tested it, and what was learned, searchable by text."""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self, get_args

from ufos_nautilus import limits
from ufos_nautilus.errors import BadInputError, LimitExceededError
from ufos_nautilus.research.experiment_records import (
    FAILED,
    INSIGHT_KINDS,
    RunRecord,
    TextKind,
    ToolCall,
    checked_json,
    checked_tags,
    checked_text,
    experiment_id,
    now,
)
from ufos_nautilus.research.experiment_schema import match_expression, open_database

Row = dict[str, Any]


class ExperimentStore:
    """Reads and writes one store; safe for several threads and several processes.

    Parameters
    ----------
    path : Path
        SQLite file, made where it is not there yet.

    Raises
    ------
    DataError
        It is another kind of file, or of another version.

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._db = open_database(path)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # writing

    def open_experiment(self, hypothesis: str, *, model: str = "", knowledge_cutoff: str = "", user: str = "") -> str:
        """Return the id of an experiment, stored now or before.

        Parameters
        ----------
        hypothesis : str
            What is tested, in a sentence.
        model, knowledge_cutoff : str
            Who thought of it, and the last day of data it may have learned from (``2026-03-31``); empty if undeclared.
        user : str
            On whose behalf.

        """
        text = checked_text(hypothesis, "hypothesis")
        identifier = experiment_id(text, model)
        with self._transaction() as db:
            made = db.execute(
                "INSERT INTO experiments VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (identifier, text, model[:200], knowledge_cutoff[:32], user, now()),
            )
            if made.rowcount:
                _index(db, "experiment", identifier, text, model, "")
        return identifier

    def add_run(self, experiment: str, run: RunRecord, *, user: str = "") -> int:
        """Count a trial; return how many its experiment has now."""
        texts = [checked_json(value, name) for name, value in (("params", run.params), ("data", run.data))]
        texts.append(checked_json(run.metrics, "metrics"))
        error = run.error[: limits.EXPERIMENT_TEXT_CHARS_MAX]
        with self._transaction() as db:
            db.execute(
                "INSERT INTO runs (experiment, run_id, kind, strategy, params, data, metrics, verdict, error, user,"
                " elapsed_s, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    experiment,
                    run.run_id,
                    run.kind,
                    run.strategy,
                    *texts,
                    run.verdict,
                    error,
                    user,
                    run.elapsed_s,
                    now(),
                ),
            )
            ref = str(db.execute("SELECT last_insert_rowid()").fetchone()[0])
            _index(db, "run", ref, run.strategy, f"{error} {texts[0]}", f"{run.verdict} {run.kind}")
            return int(db.execute("SELECT count(*) FROM runs WHERE experiment = ?", (experiment,)).fetchone()[0])

    def add_tool_calls(self, calls: Iterable[ToolCall]) -> None:
        """Log calls of tools."""
        rows = [(c.request, c.user, c.tool, c.outcome, c.duration_ms, c.experiment, now()) for c in calls]
        with self._transaction() as db:
            db.executemany(
                "INSERT INTO tool_calls (request, user, tool, outcome, duration_ms, experiment, created)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            low, high = db.execute("SELECT min(id), max(id) FROM tool_calls").fetchone()
            if rows and high - low >= limits.EXPERIMENT_TOOL_CALLS_MAX:
                kept = limits.EXPERIMENT_TOOL_CALLS_MAX * 9 // 10
                db.execute("DELETE FROM tool_calls WHERE id <= ?", (high - kept,))

    def add_insight(
        self,
        kind: str,
        text: str,
        *,
        title: str = "",
        tags: Sequence[str] = (),
        importance: int = 3,
        runs: Sequence[str] = (),
        user: str = "",
    ) -> Row:
        """Save what was learned; saving the same again gives the one that is there.

        Raises
        ------
        BadInputError
            Of another kind, empty, or outside the limits of `ufos_nautilus.limits`.

        """
        if kind not in INSIGHT_KINDS:
            raise BadInputError(f"there is no kind of insight {kind!r}", expected=", ".join(INSIGHT_KINDS))
        if not 1 <= importance <= 5:
            raise BadInputError(f"importance is {importance}", expected="from 1 (a detail) to 5 (changes everything)")
        body, labels = checked_text(text, "insight"), checked_tags(tags)
        digest = hashlib.sha256(f"{kind}\0{body}".encode()).hexdigest()
        with self._transaction() as db:
            if db.execute("SELECT count(*) FROM insights").fetchone()[0] >= limits.EXPERIMENT_INSIGHTS_MAX:
                raise LimitExceededError("the store is full of insights", next_step="use another store file")
            made = db.execute(
                "INSERT INTO insights (kind, title, text, tags, importance, runs, user, sha256, created)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sha256) DO NOTHING",
                (
                    kind,
                    title[:200],
                    body,
                    json.dumps(labels),
                    importance,
                    json.dumps(list(runs)[: limits.EXPERIMENT_ROWS_MAX]),
                    user,
                    digest,
                    now(),
                ),
            )
            row = db.execute("SELECT * FROM insights WHERE sha256 = ?", (digest,)).fetchone()
            if made.rowcount:
                _index(db, "insight", str(row["id"]), title, body, " ".join([kind, *labels]))
        return _plain(row)

    def save_strategy(self, name: str, spec: dict[str, Any], *, parent: str = "", user: str = "") -> Row:
        """Save a strategy under a name; a changed spec becomes the name's next version, an equal one stays."""
        text = checked_json(spec, "spec")
        digest = hashlib.sha256(text.encode()).hexdigest()
        with self._transaction() as db:
            last = db.execute(
                "SELECT * FROM strategies WHERE name = ? ORDER BY version DESC LIMIT 1", (name,)
            ).fetchone()
            if last is not None and last["digest"] == digest:
                return _plain(last)
            if db.execute("SELECT count(*) FROM strategies").fetchone()[0] >= limits.EXPERIMENT_STRATEGIES_MAX:
                raise LimitExceededError("the store is full of strategies", next_step="use another store file")
            version = last["version"] + 1 if last is not None else 1
            db.execute(
                "INSERT INTO strategies (name, version, spec, digest, parent, user, created)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (name, version, text, digest, parent, user, now()),
            )
            _index(db, "strategy", f"{name}@{version}", name, text, parent)
            return _plain(
                db.execute("SELECT * FROM strategies WHERE name = ? AND version = ?", (name, version)).fetchone()
            )

    # reading

    def strategy(self, name: str) -> Row | None:
        """Return the strategy ``name`` (newest version) or ``name@version``."""
        base, _, version = name.partition("@")
        with self._lock:
            row = self._db.execute(
                "SELECT * FROM strategies WHERE name = ? AND (? = '' OR version = ?) ORDER BY version DESC LIMIT 1",
                (base, version, int(version) if version.isdigit() else 0),
            ).fetchone()
        return _plain(row) if row is not None else None

    def strategies(self) -> list[Row]:
        """Return the newest version of every strategy, by name."""
        return self._all(
            "SELECT s.* FROM strategies s JOIN (SELECT name, max(version) AS version FROM strategies GROUP BY name) m"
            " USING (name, version) ORDER BY name LIMIT ?",
            limits.EXPERIMENT_ROWS_MAX,
        )

    def experiments(self, limit: int = 20) -> list[Row]:
        """Return experiments with their number of trials, newest first."""
        return self._all(
            "SELECT e.*, count(r.id) AS trials, total(r.verdict = 'winning') AS winning FROM experiments e"
            " LEFT JOIN runs r ON r.experiment = e.id GROUP BY e.id ORDER BY e.created DESC, e.id LIMIT ?",
            _limit(limit),
        )

    def runs(self, experiment: str = "", *, failed: bool = False, limit: int = 20) -> list[Row]:
        """Return trials, newest first: of one experiment or of all; only those that failed if asked."""
        marks = ", ".join("?" for _ in FAILED)
        only = f" AND verdict IN ({marks})" if failed else ""
        return self._all(
            f"SELECT * FROM runs WHERE (? = '' OR experiment = ?){only} ORDER BY id DESC LIMIT ?",
            experiment,
            experiment,
            *(FAILED if failed else ()),
            _limit(limit),
        )

    def runs_of(self, run_id: str) -> list[Row]:
        """Return the trials that gave one stored run."""
        return self._all("SELECT * FROM runs WHERE run_id = ? ORDER BY id LIMIT ?", run_id, limits.EXPERIMENT_ROWS_MAX)

    def trials(self) -> int:
        """Return how many trials there are in all."""
        with self._lock:
            return int(self._db.execute("SELECT count(*) FROM runs").fetchone()[0])

    def tool_figures(self) -> list[Row]:
        """Return calls, errors and times by tool."""
        return self._all(
            "SELECT tool, count(*) AS calls, total(outcome != 'ok') AS errors, max(duration_ms) AS slowest_ms,"
            " avg(duration_ms) AS mean_ms FROM tool_calls GROUP BY tool ORDER BY calls DESC, tool LIMIT ?",
            limits.EXPERIMENT_ROWS_MAX,
        )

    def search(self, query: str = "", *, kinds: Sequence[str] = (), failed: bool = False, limit: int = 20) -> list[Row]:
        """Return what fits a query, best first; without words the newest.

        Parameters
        ----------
        query : str
            Words; where no text has all of them, texts with any.
        kinds : sequence of str
            Of `TextKind`; empty for all.
        failed : bool
            Only trials that failed and insights about failures.
        limit : int
            At most so many.

        Returns
        -------
        list of dict
            ``found`` (the kind of text) and the columns of its row.

        """
        query = query[: limits.EXPERIMENT_TEXT_CHARS_MAX]
        for every in (True, False):
            refs = self._refs(match_expression(query, every=every), kinds, failed, _limit(limit))
            if refs:
                break
        return [row for kind, ref in refs if (row := self._row(kind, ref)) is not None]

    # details

    def _refs(self, match: str, kinds: Sequence[str], failed: bool, limit: int) -> list[tuple[str, str]]:
        wanted = [k for k in get_args(TextKind) if not kinds or k in kinds]
        conditions = [f"kind IN ({', '.join('?' for _ in wanted)})"]
        values: list[Any] = list(wanted)
        if failed:
            conditions.append(
                f"((kind = 'run' AND ref IN (SELECT CAST(id AS TEXT) FROM runs WHERE verdict IN ({_marks(FAILED)})))"
                " OR (kind = 'insight' AND ref IN (SELECT CAST(id AS TEXT) FROM insights WHERE kind = 'failure')))"
            )
            values += FAILED
        order = "rowid DESC"
        if match:
            conditions.append("texts MATCH ?")
            values.append(match)
            order = "bm25(texts, 0, 0, 4, 1, 2)"
        rows = self._all(
            f"SELECT kind, ref FROM texts WHERE {' AND '.join(conditions)} ORDER BY {order}, rowid DESC LIMIT ?",
            *values,
            limit,
        )
        return [(r["kind"], r["ref"]) for r in rows]

    def _row(self, kind: str, ref: str) -> Row | None:
        if kind == "strategy":
            row = self.strategy(ref)
        else:
            table = {"insight": "insights", "experiment": "experiments", "run": "runs"}[kind]
            found = self._all(f"SELECT * FROM {table} WHERE id = ?", ref)
            row = found[0] if found else None
        return None if row is None else {"found": kind, **row}

    def _all(self, statement: str, *values: Any) -> list[Row]:
        with self._lock:
            return [_plain(row) for row in self._db.execute(statement, values).fetchall()]

    def _transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        return _Transaction(self._db, self._lock)


class _Transaction(AbstractContextManager[sqlite3.Connection]):
    def __init__(self, db: sqlite3.Connection, lock: threading.RLock) -> None:
        self._db, self._lock = db, lock

    def __enter__(self) -> sqlite3.Connection:
        self._lock.acquire()
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except BaseException:
            self._lock.release()
            raise
        return self._db

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._db.execute("COMMIT" if kind is None else "ROLLBACK")
        finally:
            self._lock.release()


def _index(db: sqlite3.Connection, kind: str, ref: str, title: str, body: str, tags: str) -> None:
    db.execute(
        "INSERT INTO texts (kind, ref, title, body, tags) VALUES (?, ?, ?, ?, ?)", (kind, ref, title, body, tags)
    )


_JSON_COLUMNS = ("params", "data", "metrics", "tags", "runs", "spec")


def _plain(row: sqlite3.Row) -> Row:
    return {k: json.loads(row[k]) if k in _JSON_COLUMNS else row[k] for k in row.keys()}  # noqa: SIM118


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" for _ in values)


def _limit(limit: int) -> int:
    if not 1 <= limit <= limits.EXPERIMENT_ROWS_MAX:
        raise LimitExceededError(f"{limit} rows", expected=f"from 1 to {limits.EXPERIMENT_ROWS_MAX}")
    return limit

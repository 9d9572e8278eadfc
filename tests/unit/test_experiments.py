"""The experiment store: trials are counted and never vanish, texts are found, limits bite."""

import json
import sqlite3
import threading
from pathlib import Path

import pytest

from ufos_nautilus import limits
from ufos_nautilus.errors import BadInputError, DataError, LimitExceededError
from ufos_nautilus.research.experiment_records import RunRecord, ToolCall, experiment_id, verdict_of
from ufos_nautilus.research.experiment_schema import match_expression
from ufos_nautilus.research.experiments import ExperimentStore


@pytest.fixture
def store(tmp_path: Path):
    with ExperimentStore(tmp_path / "store.sqlite") as opened:
        yield opened


def trial(verdict: str = "losing", strategy: str = "rsi-dip", **facts) -> RunRecord:
    metrics = {"net_pnl": {"USD": "-1.5"}}
    return RunRecord(
        run_id="r1",
        kind="spec",
        strategy=strategy,
        params={"n": 14},
        data={},
        metrics=metrics,
        verdict=verdict,
        **facts,
    )


def test_every_trial_of_a_hypothesis_is_counted(store):
    first = store.open_experiment("Dips rebound within a day", model="m1")
    same = store.open_experiment("  dips   REBOUND within a day ", model="m1")
    other = store.open_experiment("Dips rebound within a day", model="m2")
    assert first == same != other
    assert [store.add_run(first, trial()), store.add_run(same, trial()), store.add_run(other, trial())] == [1, 2, 1]
    assert store.trials() == 3
    assert {(e["id"], e["trials"]) for e in store.experiments()} == {(first, 2), (other, 1)}


def test_trials_can_be_neither_removed_nor_changed(store):
    experiment = store.open_experiment("Dips rebound within a day")
    store.add_run(experiment, trial())
    with sqlite3.connect(store.path) as other:
        for statement in (
            "DELETE FROM runs",
            "UPDATE runs SET verdict = 'winning'",
            "DELETE FROM experiments",
            "UPDATE experiments SET hypothesis = 'another'",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="trials"):
                other.execute(statement)
    other.close()
    assert store.trials() == 1


def test_a_trial_of_no_experiment_is_refused(store):
    with pytest.raises(sqlite3.IntegrityError):
        store.add_run("nothing", trial())
    assert store.trials() == 0


def test_insights_are_found_by_any_form_of_a_word_and_by_tag(store):
    saved = store.add_insight(
        "failure", "RSI dips did not rebound while the trend fell", tags=["RSI", "mean reversion"]
    )
    store.add_insight("pattern", "Spreads widen before the close")
    for query in ("rebounding", "dip", "rsi", "reversion trends", "FAILURE"):
        assert [r["id"] for r in store.search(query, kinds=["insight"])] == [saved["id"]], query
    assert store.search("nothing like it") == []
    assert len(store.search("", kinds=["insight"])) == 2


def test_words_that_look_like_operators_are_only_words(store):
    store.add_insight("technique", "NEAR the OR gate AND so on")
    for query in ('" OR *', "NEAR(x, y)", "a AND b OR", "col:umn", "^x*", "(((", "'; DROP TABLE runs; --"):
        store.search(query)
    assert store.trials() == 0
    assert match_expression('x" OR "y') == '"x" AND "OR" AND "y"'


def test_what_failed_is_found_apart(store):
    experiment = store.open_experiment("Dips rebound within a day")
    for verdict in ("winning", "losing", "idle", "rejected", "error"):
        store.add_run(experiment, trial(verdict, strategy=f"dip-{verdict}"))
    store.add_insight("failure", "dips fail in a trend")
    store.add_insight("success", "dips work in a range")
    found = store.search("dip", failed=True)
    assert {r.get("verdict") for r in found if r["found"] == "run"} == {"losing", "idle", "rejected", "error"}
    assert [r["kind"] for r in found if r["found"] == "insight"] == ["failure"]
    assert [r["verdict"] for r in store.runs(failed=True, limit=2)] == ["error", "rejected"]


def test_the_same_insight_is_kept_once(store):
    first = store.add_insight("pattern", "the same words")
    again = store.add_insight("pattern", "the same words", tags=["later"])
    assert first["id"] == again["id"]
    assert again["tags"] == []


def test_a_changed_strategy_becomes_the_next_version(store):
    versions = [store.save_strategy("dip", {"rsi": n}, parent="x@1")["version"] for n in (30, 25, 25, 30)]
    assert versions == [1, 2, 2, 3]
    newest, second = store.strategy("dip"), store.strategy("dip@2")
    assert newest and second
    assert (newest["spec"], second["spec"]) == ({"rsi": 30}, {"rsi": 25})
    assert store.strategy("dip@9") is None
    assert [s["version"] for s in store.strategies()] == [3]


@pytest.mark.parametrize(
    ("status", "pnl", "fills", "label", "verdict"),
    [
        ("completed", {"USD": "1"}, 3, "", "winning"),
        ("completed", {"USD": "-1"}, 3, "", "losing"),
        ("completed", {"USD": "0"}, 3, "", "losing"),
        ("completed", {"USD": "5", "BTC": "-0.1"}, 3, "", "losing"),
        ("completed", {"USD": "1"}, 0, "", "idle"),
        ("failed", {}, 0, "", "error"),
        ("completed", {"USD": "1"}, 3, "rejected", "rejected"),
        ("completed", {}, 3, "", "losing"),
    ],
)
def test_verdicts(status, pnl, fills, label, verdict):
    assert verdict_of(status, pnl, fills, label) == verdict


OUT_OF_BOUNDS = {
    "kind": (lambda s: s.add_insight("opinion", "a text"), BadInputError),
    "empty": (lambda s: s.add_insight("pattern", "   "), BadInputError),
    "importance": (lambda s: s.add_insight("pattern", "x", importance=6), BadInputError),
    "long text": (lambda s: s.add_insight("pattern", "x" * (limits.EXPERIMENT_TEXT_CHARS_MAX + 1)), LimitExceededError),
    "many tags": (lambda s: s.add_insight("pattern", "x", tags=[str(n) for n in range(11)]), LimitExceededError),
    "long tag": (lambda s: s.add_insight("pattern", "x", tags=["t" * 41]), LimitExceededError),
    "no hypothesis": (lambda s: s.open_experiment(""), BadInputError),
    "large spec": (lambda s: s.save_strategy("x", {"t": "x" * limits.EXPERIMENT_JSON_BYTES_MAX}), LimitExceededError),
    "many rows": (lambda s: s.search("x", limit=limits.EXPERIMENT_ROWS_MAX + 1), LimitExceededError),
    "no rows": (lambda s: s.experiments(limit=0), LimitExceededError),
}


@pytest.mark.parametrize("name", OUT_OF_BOUNDS)
def test_what_is_out_of_bounds_is_refused_and_nothing_is_stored(store, name):
    call, error = OUT_OF_BOUNDS[name]
    with pytest.raises(error):
        call(store)
    assert store.search("", limit=5) == []


FILL = {
    "EXPERIMENT_INSIGHTS_MAX": lambda s, n: s.add_insight("pattern", f"insight {n}"),
    "EXPERIMENT_STRATEGIES_MAX": lambda s, n: s.save_strategy(f"s{n}", {"n": n}),
}


@pytest.mark.parametrize("limit", FILL)
def test_a_full_store_says_so(store, monkeypatch, limit):
    monkeypatch.setattr(limits, limit, 3)
    for n in range(3):
        FILL[limit](store, n)
    with pytest.raises(LimitExceededError, match="full"):
        FILL[limit](store, 3)


def test_the_oldest_calls_are_forgotten_when_there_are_too_many(store, monkeypatch):
    monkeypatch.setattr(limits, "EXPERIMENT_TOOL_CALLS_MAX", 100)
    for n in range(30):
        calls = [ToolCall(request=str(n), user="u", tool="t", outcome="ok", duration_ms=1.0) for _ in range(10)]
        store.add_tool_calls(calls)
    assert store.tool_figures()[0]["calls"] <= 110


def test_tool_figures_count_calls_and_errors(store):
    calls = [("a", "ok", 1.0), ("a", "error", 3.0), ("b", "ok", 2.0)]
    store.add_tool_calls([ToolCall(request="1", user="u", tool=t, outcome=o, duration_ms=d) for t, o, d in calls])
    rows = {r["tool"]: r for r in store.tool_figures()}
    assert (rows["a"]["calls"], rows["a"]["errors"], rows["a"]["slowest_ms"], rows["a"]["mean_ms"]) == (2, 1, 3.0, 2.0)


def test_two_writers_share_a_store(tmp_path):
    path = tmp_path / "store.sqlite"
    with ExperimentStore(path) as a, ExperimentStore(path) as b:
        experiment = a.open_experiment("Dips rebound within a day")

        def write(store: ExperimentStore) -> None:
            for _ in range(25):
                store.add_run(experiment, trial())

        threads = [threading.Thread(target=write, args=(s,)) for s in (a, b, a)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert a.trials() == b.trials() == 75


def test_another_file_is_left_alone(tmp_path):
    text = tmp_path / "text.sqlite"
    text.write_text("this is no database at all, but long enough to be looked at\n" * 20)
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    before = text.read_bytes(), other.read_bytes()
    for path in (text, other):
        with pytest.raises(DataError):
            ExperimentStore(path)
    assert (text.read_bytes(), other.read_bytes()) == before


def test_a_store_of_another_version_is_refused(tmp_path):
    path = tmp_path / "store.sqlite"
    ExperimentStore(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(DataError, match="version 99"):
        ExperimentStore(path)


def test_what_was_written_survives_a_crash_of_the_process(tmp_path):
    import subprocess
    import sys

    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from ufos_nautilus.research.experiments import ExperimentStore\n"
        "store = ExperimentStore(Path(sys.argv[1]))\n"
        "store.add_insight('pattern', 'written before the crash')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "s.sqlite")], timeout=50, check=False)
    assert done.returncode == -9
    with ExperimentStore(tmp_path / "s.sqlite") as store:
        assert [r["text"] for r in store.search("crash")] == ["written before the crash"]


def test_experiment_ids_are_stable():
    assert experiment_id("Dips rebound", "m") == experiment_id(" dips  REBOUND", "m")
    assert json.dumps(experiment_id("Dips rebound", "m")) == '"' + experiment_id("Dips rebound", "m") + '"'
    assert len(experiment_id("Dips rebound", "m")) == 12

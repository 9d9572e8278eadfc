"""What a caller asks for is checked on the host before any container is started."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.sandbox_results import market
from ufos_nautilus.errors import DataError, LimitExceededError, SpecError
from ufos_nautilus.limits import SANDBOX_CODE_BYTES_MAX, SANDBOX_PARAMS_BYTES_MAX, SANDBOX_SLICE_ROWS_MAX
from ufos_sandbox import outcome, slices
from ufos_sandbox.limits import Limits
from ufos_sandbox.outcome import ADVICE, GROUPS, State, group_of
from ufos_sandbox.requests import check_code, check_spec, default_venues, make_spec
from ufos_sandbox.samples import INSTRUMENT, START_NS, sample_catalog
from ufos_sandbox.slices import DataRequest, SliceCache

START = datetime.fromtimestamp(START_NS // 10**9, UTC)


def test_every_state_has_one_group_and_says_what_to_do():
    named = [name for states in GROUPS.values() for name in states]
    assert sorted(named) == sorted(s.value for s in State if s is not State.COMPLETED)
    assert len(set(named)) == len(named)
    assert all(ADVICE[state] for state in State if state is not State.COMPLETED)
    assert group_of(State.COMPLETED) == ""


@pytest.mark.parametrize(
    "limits",
    [{"wall_s": 0}, {"wall_s": 1e9}, {"memory_mb": 1}, {"pids": 1}, {"cpus": 0}, {"idle_s": 0}, {"open_files": 1}],
    ids=str,
)
def test_a_limit_out_of_range_is_refused(limits):
    with pytest.raises(SpecError, match=next(iter(limits))):
        Limits(**limits)


@pytest.mark.parametrize("code", ["", "  \n", "\ud800"], ids=["empty", "blank", "no text"])
def test_what_can_not_be_code_is_refused(code):
    with pytest.raises(SpecError):
        check_code(code)


def test_code_and_parameters_have_a_size(tmp_path):
    with pytest.raises(LimitExceededError):
        check_code("#" * (SANDBOX_CODE_BYTES_MAX + 1))
    part = market(tmp_path)
    with pytest.raises(LimitExceededError):
        make_spec(part, {"text": "x" * SANDBOX_PARAMS_BYTES_MAX})
    for bad in ({"x": float("nan")}, {"x": object()}, {"x": {1, 2}}):
        with pytest.raises(SpecError):
            make_spec(part, bad)


def test_a_spec_is_checked_on_the_host_with_the_nearest_valid_key(tmp_path):
    part = market(tmp_path)
    venue = default_venues(part)[0] | {"leverag": 2}
    with pytest.raises(SpecError, match="did you mean 'leverage'"):
        check_spec(make_spec(part, {}, venues=[venue]))
    with pytest.raises(SpecError, match="no section 'books'"):
        make_spec(part, {}, sections={"books": []})
    with pytest.raises(SpecError, match="book id"):
        make_spec(part, {}, book_id="../x")


def test_venues_follow_from_the_instruments(tmp_path):
    (venue,) = default_venues(market(tmp_path))
    assert venue == {"name": "TEST", "balances": ["1000000 USD"], "leverage": 10, "book": "L1"}


def test_a_slice_holds_the_chosen_rows_and_no_other(tmp_path):
    catalog = sample_catalog(tmp_path / "market", 500)
    start, end = START + timedelta(seconds=10), START + timedelta(seconds=20)
    part = SliceCache().get(DataRequest(catalog=catalog, start=start, end=end))
    assert (part.rows, part.first_ns, part.last_ns) == (101, START_NS + 10**10, START_NS + 2 * 10**10)
    whole = SliceCache().get(DataRequest(catalog=catalog))
    assert whole.rows == 500
    (path, data), *_ = whole.tables[0].files
    assert (catalog / path).read_bytes() == data, "a whole file goes as it is"


def test_the_same_slice_is_cut_once(tmp_path):
    catalog = sample_catalog(tmp_path / "market", 100)
    cache = SliceCache()
    request = DataRequest(catalog=catalog)
    assert cache.get(request) is cache.get(request)
    small = SliceCache(bytes_max=1)
    one = small.get(request)
    small.get(DataRequest(catalog=catalog, end=START + timedelta(seconds=5)))
    assert small.get(request) is not one


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"instruments": ("GOLD.TEST",)}, DataError),
        ({"start": START + timedelta(days=9)}, DataError),
        ({"tables": ("trades",)}, DataError),
        ({"start": START, "end": START}, SpecError),
        ({"catalog": Path("/nowhere")}, DataError),
    ],
    ids=["instrument", "range", "table", "empty range", "catalog"],
)
def test_data_that_is_not_there_is_named(tmp_path, changes, error):
    request = {"catalog": sample_catalog(tmp_path / "market", 100), "instruments": (INSTRUMENT,)} | changes
    with pytest.raises(error):
        SliceCache().get(DataRequest(**request))


def test_a_time_without_zone_and_an_unknown_table_are_refused(tmp_path):
    with pytest.raises(SpecError, match="no time zone"):
        DataRequest(catalog=tmp_path, start=datetime(2024, 1, 1))
    with pytest.raises(SpecError, match="no kind of table"):
        DataRequest(catalog=tmp_path, tables=("secrets",))


def test_a_slice_that_is_too_large_is_refused(tmp_path, monkeypatch):
    catalog = sample_catalog(tmp_path / "market", 300)
    monkeypatch.setattr(slices, "SANDBOX_SLICE_ROWS_MAX", 299)
    with pytest.raises(LimitExceededError, match="300 rows"):
        SliceCache().get(DataRequest(catalog=catalog))
    monkeypatch.undo()
    monkeypatch.setattr(slices, "SANDBOX_SLICE_BYTES_MAX", 1_000)
    with pytest.raises(LimitExceededError):
        SliceCache().get(DataRequest(catalog=catalog))
    assert SANDBOX_SLICE_ROWS_MAX > 299
    assert outcome.Label.NONE == "none"

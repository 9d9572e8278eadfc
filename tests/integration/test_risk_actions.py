"""What a broken limit sets off in an engine: deny, warn, reduce, hedge, stop a book, halt the firm."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model import AccountType, ClientOrderId, OrderSide, Price, Quantity

from ufos_nautilus.engine.actor import Alert
from ufos_nautilus.engine.drill_market import BOOK, Played, play
from ufos_nautilus.engine.drill_scripts import BUY, CALM, REST, SCRIPTS, action, falling, play_script
from ufos_nautilus.errors import SpecError
from ufos_nautilus.risk.levels import HALTED
from ufos_nautilus.risk.restrictions import Restriction
from ufos_nautilus.risk.rules_file import parse_rules


def codes(played: Played) -> list[list[str]]:
    return [[v["code"] for v in r["violations"]] for r in played.what("denied")]


def kinds(played: Played) -> list[str]:
    return [r["what"] for r in played.records if r["what"] != "passed"]


def _new(folder: Path) -> Path:
    (folder / "second").mkdir()
    return folder / "second"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_each_limit_denies_by_its_own_code_and_an_exit_passes(folder: Path) -> None:
    played = play_script("deny", folder)
    assert codes(played) == [["POSITION"], ["ORDER_NOTIONAL"], ["FAT_FINGER"], ["NOT_IN_UNIVERSE"]]
    assert {v["book"] for r in played.what("denied") for v in r["violations"]} == {BOOK}
    assert [d.reason.partition(":")[0] for d in played.denials] == [c[0] for c in codes(played)]
    assert played.held == {}


def test_a_warning_changes_nothing(folder: Path) -> None:
    played = play_script("warn", folder)
    assert kinds(played) == ["action"]
    assert played.figures["warn"] == 1
    assert played.held == {"S000.XSIM": Decimal(500)}


def test_reducing_cancels_first_and_keeps_the_share_it_was_told(folder: Path) -> None:
    played = play_script("reduce", folder)
    assert played.held == {"S000.XSIM": Decimal(200)}
    ends = [what for _, what, _ in played.events]
    assert ends.index("OrderCanceled") < len(ends) - 1 - ends[::-1].index("OrderFilled")


def test_a_hedge_offsets_the_net_position(folder: Path) -> None:
    played = play_script("hedge", folder)
    assert played.held == {"S000.XSIM": Decimal(500), "S001.XSIM": Decimal(-250)}
    assert played.what("acted")[0]["orders"] == 1


def test_a_stopped_book_may_only_reduce(folder: Path) -> None:
    played = play_script("stop book", folder)
    assert codes(played) == [["HALTED"]]
    assert played.held == {"S000.XSIM": Decimal(400)}
    assert "OrderCanceled" in [what for _, what, _ in played.events]


def test_a_halted_firm_cancels_everything_and_denies_even_exits(folder: Path) -> None:
    played = play_script("halt firm", folder)
    assert kinds(played)[:4] == ["action", "halt", "cancel", "cancelled"]
    assert codes(played) == [["HALTED"]]
    assert played.held == {"S000.XSIM": Decimal(500)}


def test_the_loss_window_halts_and_flattens_where_it_is_told_to(folder: Path) -> None:
    played = play_script("loss window", folder)
    assert played.figures["halted_by"] == "loss_window"
    assert played.held == {}
    assert kinds(played).index("cancel") < kinds(played).index("flatten")


@pytest.mark.parametrize(("name", "source"), [("order rate", "order_rate"), ("reject rate", "reject_rate")])
def test_a_book_gone_wild_halts_the_firm(name: str, source: str, folder: Path) -> None:
    played = play_script(name, folder)
    assert played.figures["halted_by"] == source
    assert played.figures["halts"] == 1
    assert codes(played)[-1][0] == "HALTED"
    assert played.what("cancelled")


def test_restricting_a_name_cancels_its_resting_order_and_denies_the_way_back(folder: Path) -> None:
    played = play_script("restriction", folder)
    first, *others = [key for _, what, key in played.events if what == "OrderAccepted"]
    assert len(others) == 2, "other names rest and are taken as before"
    [broken] = played.what("cancel_broken")
    assert (broken["order"], broken["reason"]) == (first, "restriction client-1 of version 2")
    assert [key for _, what, key in played.events if what == "OrderCanceled"] == [first]
    assert codes(played) == [["RESTRICTED"]]
    assert [r["version"] for r in played.what("restrictions")] == [2]


def test_other_limits_take_effect_on_the_next_order_with_their_difference_on_record(folder: Path) -> None:
    def tighten(stage: Any) -> None:
        rules = {"currency": "USD", "version": 2, **CALM, "instruments": {"S000.XSIM": {"max_position": "100"}}}
        stage.risk.watchdog.set_rules(parse_rules(rules))

    played = play(
        {**CALM, "instruments": {"S000.XSIM": {"max_position": "600"}}},
        [BUY, (3.0, tighten), (4.0, lambda s: s.book.market(0, 10)), (5.0, lambda s: s.book.market(0, -450))],
        folder,
    )
    assert codes(played) == [["POSITION"]]
    assert played.held == {"S000.XSIM": Decimal(50)}
    changes = played.what("limits")[0]["changes"]
    assert ["instruments.S000.XSIM.max_position", "600", "100"] in changes


def test_a_limits_file_is_read_again_when_it_changes_and_a_broken_one_is_refused(folder: Path) -> None:
    file = folder / "limits.toml"
    text = 'currency = "USD"\nwatch_interval_s = 0.5\n[firm]\nfat_finger_pct = 60\n[switch]\nloss_pct = 50\n'
    file.write_text(text)

    def follow(stage: Any) -> None:
        stage.risk.watchdog.follow_file(file)

    def rewrite(extra: str) -> Any:
        return lambda stage: file.write_text(text + extra)

    played = play(
        CALM,
        [
            (0.5, follow),
            BUY,
            (3.0, rewrite('[instruments."S000.XSIM"]\nmax_position = 500\n')),
            (5.0, lambda s: s.book.market(0, 1)),
            (6.0, rewrite("[instruments")),
            (8.0, lambda s: s.book.market(0, 1)),
        ],
        folder,
    )
    assert codes(played) == [["POSITION"], ["POSITION"]]
    assert len(played.what("limits_refused")) == 1
    assert ["instruments.S000.XSIM.max_position", "", "500"] in played.what("limits")[-1]["changes"]


# what the engine's own risk engine lets pass


def test_the_engine_lets_a_margin_account_buy_without_end_and_the_gate_does_not(folder: Path) -> None:
    spend = [(n + 1.0, lambda s: s.book.market(0, 900)) for n in range(5)]
    (folder / "free").mkdir()
    free = play({**CALM}, spend, folder / "free")
    assert free.held == {"S000.XSIM": Decimal(4500)}, "the engine itself stops at no leverage"
    bound = play({**CALM, "firm": {"fat_finger_pct": 60, "max_margin_use_pct": 10}}, spend, folder)
    assert bound.held == {"S000.XSIM": Decimal(900)}
    assert {c for found in codes(bound) for c in found} == {"MARGIN"}


def test_a_cash_account_can_not_spend_its_money_twice(folder: Path) -> None:
    def twice(stage: Any) -> None:
        stage.book.limit(0, 600, "99.00")
        stage.book.limit(1, 600, "99.00")

    played = play({**CALM}, [(1.0, twice)], folder, account=AccountType.CASH)
    assert codes(played) == [["CASH"]]


def test_an_account_that_vanished_denies_what_adds_and_not_what_reduces(folder: Path) -> None:
    def lose(stage: Any) -> None:
        stage.risk.gate.firm.set_account("XSIM", None)
        stage.book.market(0, 1)
        stage.book.market(0, -100)

    played = play(CALM, [BUY, (2.2, lose)], folder)
    assert codes(played) == [["NO_ACCOUNT"]]
    assert played.held == {"S000.XSIM": Decimal(400)}


def test_a_list_is_denied_as_a_whole_and_leaves_nothing_behind(folder: Path) -> None:
    def both(stage: Any) -> None:
        book = stage.book
        orders = [
            book.order_factory.limit(book.name(0), OrderSide.BUY, Quantity.from_str(n), Price.from_str("99.00"))
            for n in ("300", "400")
        ]
        book.submit_order_list(orders)
        assert stage.risk.gate.firm.slot(BOOK, "S000.XSIM").buys == 0

    rules = {**CALM, "instruments": {"S000.XSIM": {"max_position": "600"}}}
    played = play(rules, [(1.0, both), (2.0, lambda s: s.book.limit(0, 600, "99.00"))], folder)
    assert codes(played) == [["POSITION"]]
    assert sum(what == "OrderInitialized" for _, what, _ in played.events) == 1


def test_a_modification_is_judged_as_the_order_it_would_make(folder: Path) -> None:
    def enlarge(stage: Any) -> None:
        order = stage.book.limit(0, 500, "99.00")
        stage.book.modify_order(ClientOrderId(str(order.client_order_id)), quantity=Quantity.from_str("601"))
        stage.book.modify_order(order.client_order_id, price=Price.from_str("10.00"))
        stage.book.modify_order(order.client_order_id, quantity=Quantity.from_str("600"))

    rules = {**CALM, "instruments": {"S000.XSIM": {"max_position": "600"}}}
    played = play(rules, [(1.0, enlarge)], folder)
    assert codes(played) == [["POSITION"], ["FAT_FINGER"]]


def test_shares_of_a_capital_nobody_named_deny(folder: Path) -> None:
    rules = {**CALM, "kinds": {"strategy": {"max_leverage": 2}}}
    played = play(rules, [BUY], folder, funded=False)
    assert codes(played) == [["NO_CAPITAL"]]


def test_the_flag_raised_from_another_thread_or_process_stops_the_next_order(folder: Path) -> None:
    def raise_flag(stage: Any) -> None:
        stage.risk.flag.cell[0] = HALTED
        stage.book.market(0, 1)

    played = play(CALM, [REST, (3.0, raise_flag)], folder)
    assert codes(played) == [["HALTED"]]
    assert played.figures["halted_by"] == "flag"
    assert played.what("cancelled")


def test_after_a_person_resumed_orders_pass_again(folder: Path) -> None:
    def halt(stage: Any) -> None:
        stage.risk.watchdog.halt("cli", "a test", engine_free=True)

    def resume(stage: Any) -> None:
        stage.risk.flag.lower()

    played = play(CALM, [(1.0, halt), (2.0, BUY[1]), (3.0, resume), (5.0, BUY[1])], folder)
    assert codes(played) == [["HALTED"]]
    assert played.held == {"S000.XSIM": Decimal(500)}
    assert kinds(played)[-1] == "resume"


def test_a_spread_out_of_the_ordinary_stops_the_book_that_holds_the_name(folder: Path) -> None:
    def alert(stage: Any) -> None:
        name = stage.instruments[0].instrument_id
        stage.book.publish_message("alerts.spread", Alert(0, "NBBO-1", "spread", name, 10.0, 2.0, 1.0))

    rules = {**CALM, "actions": [action("spread_sigma", "6", "stop_book")]}
    played = play(rules, [BUY, (3.0, alert), (4.0, BUY[1])], folder)
    assert codes(played) == [["HALTED"]]
    assert played.what("action")[0]["value"] == "8"
    calm = play({**CALM, "actions": [action("spread_sigma", "9", "stop_book")]}, [BUY, (3.0, alert)], _new(folder))
    assert calm.what("action") == []


def test_every_script_is_repeatable(folder: Path) -> None:
    for number in (1, 2):
        (folder / str(number)).mkdir()
    first, second = (play_script("reduce", folder / str(n)).records for n in (1, 2))
    assert first == second
    assert len(SCRIPTS) == 10
    assert falling(0, 7.0) == Decimal("96.0")


def test_a_restriction_without_a_book_is_refused() -> None:
    with pytest.raises(SpecError, match="restrictions"):
        parse_rules({"currency": "USD", "restrictions": [{"id": "x"}]})
    assert Restriction(id="x", book="*").allows == "reducing"

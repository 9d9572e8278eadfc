"""Tickets: the eight fields, validation, children, canonical JSON, and their states."""

import json
from decimal import Decimal

import msgspec
import pytest

from ufos_nautilus.crossing.states import ENGINE_STATES, TRANSITIONS, TicketState, advance, state_from_orders
from ufos_nautilus.crossing.ticket import IDENTITY, Ticket, check_children, decimal_text
from ufos_nautilus.errors import SpecError
from ufos_nautilus.limits import EXEC_INSTRUCTION_BYTES_MAX, TICKET_NAME_CHARS_MAX


def ticket(**changes) -> Ticket:
    fields = {
        "order_id": "T-1",
        "instrument": "AAPL.XNAS",
        "intent_side": "SELL",
        "quantity": Decimal(1000),
        "ts_ns": 10,
        "client_id": "C-001",
    }
    return Ticket(**(fields | changes))


def test_a_ticket_has_the_eight_fields_of_identity_and_its_terms():
    assert IDENTITY == (
        "order_id",
        "parent_id",
        "client_id",
        "desk_id",
        "strategy_tag",
        "intent_side",
        "exec_instruction",
        "internalization_flag",
    )
    names = {f.name for f in msgspec.structs.fields(Ticket)}
    terms = {"instrument", "quantity", "limit", "min_quantity", "beneficiary", "book", "ts_ns", "expiry_ns"}
    assert names == set(IDENTITY) | terms


def test_a_ticket_cannot_be_changed():
    with pytest.raises(AttributeError):
        ticket().quantity = Decimal(1)


def test_the_owner_defaults_to_client_then_strategy_then_desk():
    owners = [("client_id", "C"), ("strategy_tag", "S"), ("desk_id", "D")]
    for i, (field, name) in enumerate(owners):
        found = ticket(**{"client_id": ""} | {k: v for k, v in owners[i:]} | {field: name})
        assert (found.beneficiary, found.book) == (name, name)
    assert ticket(beneficiary="FUND").book == "FUND"
    assert ticket(book="WM").beneficiary == "C-001"


@pytest.mark.parametrize(
    "changes",
    [
        {"order_id": ""},
        {"client_id": ""},
        {"client_id": "a\nb"},
        {"strategy_tag": "x" * (TICKET_NAME_CHARS_MAX + 1)},
        {"desk_id": 7},
        {"instrument": "AAPL"},
        {"instrument": ".XNAS"},
        {"instrument": None},
        {"instrument": "A\tB.XNAS"},
        {"quantity": Decimal("1E+18")},
        {"limit": Decimal("-1E+999999")},
        {"intent_side": "SHORT"},
        {"quantity": Decimal(0)},
        {"quantity": Decimal(-1)},
        {"quantity": Decimal("NaN")},
        {"quantity": 1000},
        {"quantity": 1000.0},
        {"limit": 190.14},
        {"limit": Decimal("Infinity")},
        {"min_quantity": Decimal(1001)},
        {"min_quantity": Decimal(-1)},
        {"internalization_flag": 1},
        {"ts_ns": -1},
        {"ts_ns": 1.5},
        {"expiry_ns": 10},
        {"expiry_ns": -5},
        {"exec_instruction": [1]},
        {"exec_instruction": {1: "a"}},
        {"exec_instruction": {"a": float("nan")}},
        {"exec_instruction": {"a": object()}},
        {"exec_instruction": {"a": {"b": {2: 1}}}},
        {"exec_instruction": {"a": "x" * EXEC_INSTRUCTION_BYTES_MAX}},
        {"exec_instruction": {"a": b"bytes"}},
    ],
)
def test_a_wrong_field_is_refused(changes):
    with pytest.raises(SpecError):
        ticket(**changes)


def test_an_instruction_nested_without_end_is_refused():
    endless: dict[str, object] = {}
    endless["again"] = endless
    with pytest.raises(SpecError):
        ticket(exec_instruction=endless)


def test_an_instruction_does_not_change_with_the_callers_object():
    given = {"algorithm": "POV", "schedule": [1, 2]}
    made = ticket(exec_instruction=given)
    given["schedule"].append(3)
    assert made.exec_instruction == {"algorithm": "POV", "schedule": [1, 2]}


def test_json_is_canonical_and_reads_back():
    made = ticket(quantity=Decimal("1000.500"), limit=Decimal("190.10"), exec_instruction={"b": 1, "a": [0.1, "x"]})
    text = made.to_json()
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert '"quantity":"1000.5"' in text
    assert '"limit":"190.1"' in text
    assert Ticket.from_json(text) == made
    assert ticket(quantity=Decimal("1E+3")).to_json() == ticket(quantity=Decimal("1000.00")).to_json()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"order_id":1}', ticket().to_json()[:-1] + ',"extra":1}'])
def test_json_that_is_no_ticket_is_refused(text):
    with pytest.raises(SpecError):
        Ticket.from_json(text)


@pytest.mark.parametrize(
    ("value", "text"), [("0", "0"), ("-0.0", "0"), ("1E+3", "1000"), ("10", "10"), ("-1.50", "-1.5"), ("0.00", "0")]
)
def test_decimal_text_is_plain_digits(value, text):
    assert decimal_text(Decimal(value)) == text


def test_a_child_names_its_parent_and_keeps_owner_and_terms():
    parent = ticket(limit=Decimal("190"), min_quantity=Decimal(500), desk_id="IB", exec_instruction={"a": 1})
    child = parent.child("T-1-1", Decimal(300), 20, limit=Decimal("191"))
    assert (child.parent_id, child.order_id, child.quantity, child.ts_ns) == ("T-1", "T-1-1", 300, 20)
    assert (child.limit, child.min_quantity) == (191, 300)
    assert (child.beneficiary, child.desk_id, child.exec_instruction) == ("C-001", "IB", {"a": 1})


def test_a_child_is_never_larger_nor_of_another_side_name_or_owner():
    parent = ticket()
    for bad in (
        lambda: parent.child("T-1-1", Decimal(1001), 20),
        lambda: parent.child("T-1", Decimal(1), 20),
        lambda: parent.child("T-1-1", Decimal(1), 20, intent_side="BUY"),
        lambda: parent.child("T-1-1", Decimal(1), 20, beneficiary="ELSE"),
        lambda: parent.child("T-1-1", Decimal(0), 20),
    ):
        with pytest.raises(SpecError):
            bad()


def test_children_together_want_no_more_than_their_parent():
    parent = ticket()
    first, second = parent.child("a", Decimal(600), 1), parent.child("b", Decimal(400), 1)
    check_children(parent, [first, second])
    check_children(parent, [])
    for bad in ([first, parent.child("b", Decimal(401), 1)], [first, first], [ticket(order_id="z")]):
        with pytest.raises(SpecError):
            check_children(parent, bad)


def test_states_go_forward_only():
    assert advance(TicketState.NEW, TicketState.STAGED) is TicketState.STAGED
    assert advance(TicketState.STAGED, TicketState.WORKING) is TicketState.WORKING
    assert advance(TicketState.WORKING, TicketState.FILLED) is TicketState.FILLED
    for final in (TicketState.FILLED, TicketState.CANCELLED, TicketState.EXPIRED):
        assert final.is_final
        for to in TicketState:
            with pytest.raises(SpecError):
                advance(final, to)
    with pytest.raises(SpecError):
        advance(TicketState.NEW, TicketState.FILLED)
    assert set(TRANSITIONS) == set(TicketState)


def test_every_order_status_of_the_engine_has_a_ticket_state():
    from nautilus_trader.model import OrderStatus

    statuses = {name for name in dir(OrderStatus) if name.isupper()}
    assert statuses == set(ENGINE_STATES)


@pytest.mark.parametrize(
    ("filled", "statuses", "state"),
    [
        (0, [], "NEW"),
        (0, ["INITIALIZED"], "STAGED"),
        (0, ["SUBMITTED"], "WORKING"),
        (500, ["FILLED", "ACCEPTED"], "WORKING"),
        (500, ["FILLED", "INITIALIZED"], "WORKING"),
        (500, ["FILLED"], "WORKING"),
        (1000, ["FILLED", "CANCELED"], "FILLED"),
        (500, ["FILLED", "CANCELED"], "CANCELLED"),
        (0, ["REJECTED"], "CANCELLED"),
        (0, ["DENIED"], "CANCELLED"),
        (0, ["EXPIRED"], "EXPIRED"),
        (100, ["EXPIRED", "CANCELED"], "CANCELLED"),
    ],
)
def test_the_state_of_a_ticket_follows_from_its_orders(filled, statuses, state):
    assert state_from_orders(Decimal(1000), Decimal(filled), statuses) == state


def test_an_unknown_order_status_is_refused():
    with pytest.raises(SpecError):
        state_from_orders(Decimal(1), Decimal(0), ["LOST"])

"""The one set of honest assumptions, and that what ships uses it."""

import tomllib
from decimal import Decimal

import pytest

from ufos_nautilus.engine.spec import VenueSpec
from ufos_nautilus.errors import SpecError
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_strategies.honest import TIERS, honest_defaults, honest_fees, honest_venue


def instrument(kind: str, multiplier: str = "1") -> InstrumentSpec:
    return InstrumentSpec(
        instrument_id="X.V", kind=kind, base="X", quote="USD", settlement="USD", tick_size=Decimal("0.01"),
        lot_size=Decimal(1), price_precision=2, size_precision=0, multiplier=Decimal(multiplier), expiration_ns=1,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["equity", "crypto_perpetual", "currency_pair", "future"])
@pytest.mark.parametrize("tier", TIERS)
def test_every_kind_of_instrument_has_a_venue_that_is_valid_and_hard(kind, tier):
    venue = VenueSpec.model_validate(honest_venue(instrument(kind), tier, Decimal("20"), book="L1", balance="1000 USD"))
    assert venue.queue_position and venue.liquidity_consumption and venue.trade_execution
    assert venue.latency.base_ms == 5.0
    assert venue.fees.taker_rate > 0
    assert venue.fees.taker_rate >= venue.fees.maker_rate


def test_fees_per_unit_become_fractions_of_what_a_unit_is_worth():
    assert honest_fees(instrument("equity"), "regular", Decimal("15"))["maker_rate"] == "0.00010000"
    assert honest_fees(instrument("future", "50"), "regular", Decimal("5000"))["taker_rate"] == "0.00000900"
    assert Decimal(honest_fees(instrument("equity"), "maker", Decimal("20"))["maker_rate"]) < 0


def test_an_unknown_tier_or_kind_is_refused():
    with pytest.raises(SpecError, match="no fee tier 'vip9'"):
        honest_fees(instrument("equity"), "vip9", Decimal("1"))
    with pytest.raises(SpecError, match="no fees are known for option"):
        honest_fees(instrument("option"), "regular", Decimal("1"))


def test_the_shipped_desk_on_a_recording_uses_them(checkout):
    spec = tomllib.loads((checkout / "strategies/specs/mm_btcusdt_perp.toml").read_text("utf-8"))
    venue, honest = spec["venues"][0], honest_defaults()
    for name in ("latency", "queue_position", "liquidity_consumption"):
        assert venue[name] == honest["venue"][name]
    assert venue["fees"] in honest["fees"]["crypto_perpetual"].values()

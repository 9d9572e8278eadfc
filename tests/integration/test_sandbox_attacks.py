"""Every attack, run against the real engine: contained, or one of the two leaks that are known."""

import pytest

from ufos_sandbox import probes
from ufos_sandbox.limits import Limits
from ufos_sandbox.probes import load_probes, run_probes
from ufos_sandbox.sandbox import Sandbox

if not probes.attacks_folder().is_dir():
    pytest.skip("the attacks are part of a source checkout", allow_module_level=True)

pytest_plugins = ["tests.sandbox_fixtures"]
pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]
PROBES = load_probes(probes.attacks_folder())
AREAS = sorted({p.area for p in PROBES})
MEMORY_MB = 384


@pytest.mark.parametrize("area", AREAS)
def test_every_attack_ends_as_it_must(image, quotes, area):
    with Sandbox(Limits(memory_mb=MEMORY_MB), pool_size=0) as sandbox:
        results = run_probes(sandbox, [p for p in PROBES if p.area == area], quotes)
    wrong = [
        f"{r.probe.name}: {r.probe.must} It ended in {r.state}: {r.saw} {r.evidence}"
        for r in results
        if r.verdict != ("accepted" if r.probe.accepted else "contained")
    ]
    assert not wrong, "\n".join(wrong)
    assert {r.probe.name for r in results if r.verdict == "accepted"} == {
        p.name for p in PROBES if p.accepted and p.area == area
    }

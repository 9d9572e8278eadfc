"""Every attack, run against the real engine: contained, or one of the two leaks that are known."""

import pytest

from ufos_sandbox import probes
from ufos_sandbox.limits import Limits
from ufos_sandbox.probes import ProbeResult, load_probes, run_probes
from ufos_sandbox.sandbox import Sandbox

if not probes.attacks_folder().is_dir():
    pytest.skip("the attacks are part of a source checkout", allow_module_level=True)

pytest_plugins = ["tests.sandbox_fixtures"]
# The first test waits for the whole suite.
pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]
PROBES = load_probes(probes.attacks_folder())
MEMORY_MB = 384


@pytest.fixture(scope="module")
def results(image, quotes) -> dict[str, ProbeResult]:
    with Sandbox(Limits(memory_mb=MEMORY_MB)) as sandbox:
        return {r.probe.name: r for r in run_probes(sandbox, PROBES, quotes)}


@pytest.mark.parametrize("name", [p.name for p in PROBES])
def test_the_attack_ends_as_it_must(results, name):
    found = results[name]
    wanted = "accepted" if found.probe.accepted else "contained"
    assert found.verdict == wanted, f"{found.probe.must} It ended in {found.state}: {found.saw} {found.evidence}"

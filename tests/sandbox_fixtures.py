"""Fixtures of tests that need a real sandbox; a test module asks for them with `pytest_plugins`."""

from collections.abc import Iterator

import pytest

from tests.sandbox_engine import engine_or_skip, own_containers, wait_for
from ufos_sandbox.engine_api import Api
from ufos_sandbox.image.build import build
from ufos_sandbox.limits import Limits
from ufos_sandbox.samples import INSTRUMENT, sample_catalog
from ufos_sandbox.sandbox import Sandbox
from ufos_sandbox.slices import DataRequest


@pytest.fixture(scope="session")
def image() -> Iterator[Api]:
    """The connection to an engine that has the image of the code that is here."""
    with engine_or_skip() as api:
        build(api)
        yield api


@pytest.fixture(scope="module")
def sandbox(image: Api) -> Iterator[Sandbox]:
    """A sandbox with two warm containers; nothing of it is left afterwards."""
    with Sandbox(Limits(wall_s=20)) as made:
        yield made
    assert wait_for(lambda: not own_containers(image), 30), "containers were left behind"


@pytest.fixture(scope="session")
def quotes(tmp_path_factory: pytest.TempPathFactory) -> DataRequest:
    """3,000 quotes of a random walk."""
    return DataRequest(catalog=sample_catalog(tmp_path_factory.mktemp("market") / "sim"), instruments=(INSTRUMENT,))

"""A real PostgreSQL server for the tests that need one, and empty ledgers in either database."""

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

START_TIMEOUT_S = 40


class PostgresServer:
    """A server of its own in a temporary directory, reached by a Unix socket only; commits wait for the disk."""

    def __init__(self, binaries: Path) -> None:
        self.binaries = binaries
        self.root = Path(tempfile.mkdtemp(prefix="ufos-pg-"))
        self.prefix: list[str] = []
        if os.geteuid() == 0:  # the server refuses to run as root
            user = pwd.getpwnam("postgres")
            os.chown(self.root, user.pw_uid, user.pw_gid)
            self.prefix = ["runuser", "-u", "postgres", "--"]
        self.numbers = itertools.count(1)

    def call(self, program: str, *args: str) -> None:
        command = [*self.prefix, str(self.binaries / program), "-D", str(self.root / "data"), *args]
        with (self.root / "log").open("ab") as log:
            done = subprocess.run(
                command, cwd=self.root, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=START_TIMEOUT_S
            )
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{(self.root / 'log').read_text('utf-8', 'replace')[-3000:]}")

    def start(self) -> None:
        options = f"-k {self.root} -c listen_addresses= -c shared_buffers=16MB -c fsync=on -c max_connections=20"
        self.call("pg_ctl", "-w", "-s", "-l", str(self.root / "server.log"), "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        self.call("pg_ctl", "-w", "-s", "-m", mode, "stop")

    def url(self) -> str:
        """Make an empty schema and return the URL that leads to it."""
        import psycopg

        name = f"ledger_{next(self.numbers)}"
        with psycopg.connect(host=str(self.root), user="postgres", dbname="postgres", autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")  # pyright: ignore[reportArgumentType]
        return f"postgresql://postgres@/postgres?host={self.root}&options=-csearch_path%3D{name}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Debian's PostgreSQL; skipped where it is not installed."""
    pytest.importorskip("psycopg", reason="psycopg is not installed (extra `postgres`)")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if not found and not on_path:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    server = PostgresServer((found[-1] if found else Path(str(on_path))).parent)
    try:
        server.call("initdb", "-U", "postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8")
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(server.root, ignore_errors=True)


NewLedger = Callable[[], str]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def new_ledger(request: pytest.FixtureRequest, tmp_path: Path) -> NewLedger:
    """Return a function that gives the URL of a new, empty ledger."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres").url
    numbers = itertools.count(1)
    return lambda: f"sqlite:///{tmp_path / f'ledger{next(numbers)}.sqlite'}"


@pytest.fixture
def damage() -> Callable[..., Any]:
    """Return a function that changes a ledger behind its back, its guards taken off."""
    return damage_ledger


def damage_ledger(url: str, *statements: str, rows: int | None = 1) -> None:
    """Run statements on a ledger's database without its append-only guards; each must change `rows` rows."""
    import sqlalchemy as sa

    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET session_replication_role = replica")
        else:
            for (name,) in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").all():
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
        for statement in statements:
            changed = connection.exec_driver_sql(statement).rowcount
            assert rows is None or changed == rows, statement

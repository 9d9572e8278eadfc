"""Keys for the HTTP transport: shown once, stored as hashes, each with a name, scopes and an end."""

import hashlib
import json
import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from mcp.server.auth.provider import AccessToken

from ufos_mcp.settings import SCOPES
from ufos_nautilus.errors import BadInputError, DataError, LimitExceededError
from ufos_nautilus.limits import MCP_TOKENS_MAX

PREFIX: Final = "ufos_"
DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Key:
    """A stored key: the SHA-256 of its secret, whose it is, what it may and until when (UNIX seconds)."""

    name: str
    sha256: str
    scopes: tuple[str, ...]
    expires: int


class KeyFile:
    """Keys in a file that only its owner can read.

    Parameters
    ----------
    path : Path
        JSON; made with the first key.

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int] | None = None
        self._keys: list[Key] = []
        self._by_digest: dict[str, Key] = {}

    def read(self) -> list[Key]:
        """Return all keys, read again where the file changed.

        Raises
        ------
        DataError
            The file is damaged, or others can read it.

        """
        try:
            status = self.path.stat()
        except FileNotFoundError:
            self._stamp, self._keys, self._by_digest = None, [], {}
            return []
        if status.st_mode & 0o077:
            raise DataError(
                f"others can read {self.path}", expected="a file of its owner alone", next_step=f"chmod 600 {self.path}"
            )
        stamp = (status.st_mtime_ns, status.st_size)
        if stamp != self._stamp:
            try:
                rows = json.loads(self.path.read_text("utf-8"))["keys"]
                self._keys = [Key(r["name"], r["sha256"], tuple(r["scopes"]), int(r["expires"])) for r in rows]
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(f"{self.path} is damaged: {error}", expected="a file of `ufos mcp token`") from error
            self._by_digest = {key.sha256: key for key in self._keys}
            self._stamp = stamp
        return self._keys

    def find(self, sha256: str) -> Key | None:
        """Return the key of a digest, or None."""
        self.read()
        return self._by_digest.get(sha256)

    def add(self, name: str, scopes: Sequence[str], days: int) -> str:
        """Make a key and return its secret, which is stored nowhere.

        Raises
        ------
        BadInputError
            The name is taken, or a scope is none.

        """
        unknown = [s for s in scopes if s not in SCOPES]
        if unknown or not scopes:
            raise BadInputError(f"there is no scope {', '.join(unknown) or 'given'}", expected=", ".join(SCOPES))
        if not 1 <= days <= 3_650:
            raise BadInputError(f"a key for {days} days", expected="1 to 3650")
        keys = self.read()
        if any(k.name == name for k in keys) or not name.isascii() or not name.replace("-", "").isalnum():
            raise BadInputError(f"the name {name!r} is taken or no name", expected="new letters, digits and dashes")
        if len(keys) >= MCP_TOKENS_MAX:
            raise LimitExceededError(f"{len(keys)} keys", expected=f"at most {MCP_TOKENS_MAX}")
        secret = PREFIX + secrets.token_urlsafe(32)
        self._write([*keys, Key(name, digest(secret), tuple(scopes), int(time.time()) + days * DAY_S)])
        return secret

    def remove(self, name: str) -> None:
        """Take a key away; servers notice with the next request."""
        keys = self.read()
        left = [k for k in keys if k.name != name]
        if len(left) == len(keys):
            raise BadInputError(f"there is no key {name!r}", expected=", ".join(k.name for k in keys) or "a key")
        self._write(left)

    def _write(self, keys: Sequence[Key]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        scratch = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({"keys": [asdict(k) for k in keys]}, file, indent=1)
        scratch.replace(self.path)


class Verifier:
    """Tells the SDK whose a bearer token is.

    Parameters
    ----------
    keys : KeyFile
        Where keys are.

    """

    def __init__(self, keys: KeyFile) -> None:
        self._keys = keys

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return the access of a token, or None; it is looked up by its digest, which nobody can choose."""
        found = self._keys.find(digest(token))
        if found is None or found.expires <= time.time():
            return None
        return AccessToken(token=found.name, client_id=found.name, scopes=list(found.scopes), expires_at=found.expires)


def digest(secret: str) -> str:
    """Return what is stored of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()

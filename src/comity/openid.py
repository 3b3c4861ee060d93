# SPDX-License-Identifier: Apache-2.0
"""Shell: the settings of the OpenID provider by which people may sign in to the console, and its client secret.

Off, unless node.toml has a table for it:

[console.oidc]                  # optional; needs url in [console]
issuer = "https://sso.aurelia.example/realms/staff"     # as its tokens say it
client_id = "comity"
secret = "keys/oidc.secret"     # the file with the client secret, for the owner alone
acr = ["phr"]                   # optional: the ways of authenticating of which one is demanded
name = "the staff directory"    # optional: what people read on the button
"""

import os
import re
import stat
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from comity.errors import ConfigError, MalformedRequest

__all__ = ["OidcSetting", "read_client_secret", "read_oidc"]

_TABLE = "[console.oidc]"
_KNOWN = frozenset({"issuer", "client_id", "secret", "acr", "name"})
_HOST = r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?"
_ISSUER = re.compile(
    rf"(?:https://{_HOST}|http://(?:localhost|127\.0\.0\.1|\[::1\]))(?::[1-9][0-9]{{0,4}})?(?:/[A-Za-z0-9._~-]+)*/?",
    re.ASCII,
)
_WORD = re.compile(r"[!-~]{1,200}", re.ASCII)
_MAX_ACR, _MAX_ISSUER = 10, 300
_MAX_NAME = 60
_MIN_SECRET, _MAX_SECRET = 12, 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSetting:
    """The provider and what this console is to it; `acr` is empty where no way of authenticating is demanded."""

    issuer: str
    client_id: str
    secret: Path
    acr: tuple[str, ...] = ()
    name: str = "OpenID Connect"


def read_oidc(value: object, folder: Path, *, url: str | None) -> OidcSetting | None:
    """The setting in the table `oidc` of [console], whose `url` it needs; None where there is none.

    Raises:
        MalformedRequest: what is wrong in it.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise MalformedRequest(f"oidc is a table: write {_TABLE} on a line of its own, and its settings below it")
    if unknown := value.keys() - _KNOWN:
        raise MalformedRequest(f"{_TABLE} unknown setting {min(unknown)!r}; known are {', '.join(sorted(_KNOWN))}")
    if url is None:
        raise MalformedRequest(f"{_TABLE} needs url in [console]: the provider sends people back to that address alone")
    issuer, client_id, secret = (value.get(name) for name in ("issuer", "client_id", "secret"))
    if not isinstance(issuer, str) or len(issuer) > _MAX_ISSUER or not _ISSUER.fullmatch(issuer):
        raise MalformedRequest(
            f"{_TABLE} issuer is the https:// address of the provider as its tokens say it, without a query; http:// is"
            " for this machine alone"
        )
    if not isinstance(client_id, str) or not _WORD.fullmatch(client_id):
        raise MalformedRequest(f"{_TABLE} client_id is what the provider calls this console, without spaces")
    if not isinstance(secret, str) or not secret:
        raise MalformedRequest(f"{_TABLE} secret names the file with the client secret, for example keys/oidc.secret")
    return OidcSetting(
        issuer=issuer,
        client_id=client_id,
        secret=folder / secret,
        acr=_parse_acr(value.get("acr", [])),
        name=_parse_name(value.get("name", "OpenID Connect")),
    )


def read_client_secret(path: Path) -> str:
    """The client secret in the file, without a line end.

    Raises:
        ConfigError: it cannot be read, others can read or write it, or it is none.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read(_MAX_SECRET + 3)
    except OSError as error:
        raise ConfigError(
            f"{path}: the client secret of the OpenID provider cannot be read ({error.strerror or error}); put it there"
            " in a file for its owner alone (chmod 600)"
        ) from error
    if mode & 0o077:
        raise ConfigError(f"{path} can be read or written by others (mode {mode:o}); run: chmod 600 {path}")
    text = data.removesuffix(b"\n").removesuffix(b"\r").decode("ascii", "replace")
    if not _MIN_SECRET <= len(text) <= _MAX_SECRET or not all("!" <= letter <= "~" for letter in text):
        raise ConfigError(f"{path} does not hold a client secret: {_MIN_SECRET} to {_MAX_SECRET} letters, on one line")
    return text


def _parse_acr(value: object) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [None]
    found = tuple(item for item in listed if isinstance(item, str) and _WORD.fullmatch(item))
    if len(found) != len(listed) or len(found) > _MAX_ACR:
        raise MalformedRequest(f"{_TABLE} acr is a list of texts without spaces, at most {_MAX_ACR}")
    return found


def _parse_name(value: object) -> str:
    shown = isinstance(value, str) and not any(unicodedata.category(letter)[0] == "C" for letter in value)
    if not isinstance(value, str) or not shown or not 0 < len(value.strip()) <= _MAX_NAME:
        raise MalformedRequest(f"{_TABLE} name is a text of 1 to {_MAX_NAME} characters that show")
    return value.strip()

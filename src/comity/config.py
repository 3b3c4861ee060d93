# SPDX-License-Identifier: Apache-2.0
"""Shell: the settings of one node: `node.toml` in its folder, overridden by the environment, or the bad line.

    party = "aurelia"
    name = "Republic of Aurelia, Liaison Service"
    state = "XA"            # optional, ISO 3166-1 alpha-2
    listen = "127.0.0.1:8440"
    write_bytes_per_day = 268435456     # optional: what one partner may write here on one day, in UTC
    write_objects_per_day = 100000

`COMITY_LISTEN` overrides `listen`. Environment variables are read here and nowhere else.
"""

import json
import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comity.errors import ConfigError, MalformedRequest, NotFoundError
from comity.ids import PartyId, parse_party_id

__all__ = ["Address", "Settings", "format_address", "format_settings", "load_settings", "parse_address"]

_FIELDS = frozenset({"party", "name", "state", "listen", "write_bytes_per_day", "write_objects_per_day"})
_WRITE_BYTES = 256 * 1024 * 1024
_WRITE_OBJECTS = 100_000
_MIN_WRITE_BYTES = 10 * 1024 * 1024
"""One envelope of the greatest length that TAXII clients are told they may send must fit into a day."""
_ADDRESS = re.compile(r"(?:\[([0-9a-fA-F:]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})", re.ASCII)
_MAX_PORT = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A host and a TCP port; port 0 asks the system for a free one."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the operator set."""

    party: PartyId
    name: str
    state: str | None
    listen: Address
    write_bytes_per_day: int = _WRITE_BYTES
    write_objects_per_day: int = _WRITE_OBJECTS


def parse_address(text: str) -> Address:
    """The address in "HOST:PORT" or "[IPV6]:PORT".

    Raises:
        MalformedRequest: of another form, or a port over 65535.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match[3]) > _MAX_PORT:
        raise MalformedRequest(f"{text!r} is not an address of the form HOST:PORT, for example 127.0.0.1:8440")
    return Address(host=match[1] or match[2], port=int(match[3]))


def format_address(address: Address) -> str:
    """The text that `parse_address` reads as `address`."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.port}"


def format_settings(settings: Settings) -> str:
    """The text of `node.toml`; JSON strings are TOML basic strings."""
    lines = [f"party = {json.dumps(settings.party)}", f"name = {json.dumps(settings.name, ensure_ascii=False)}"]
    if settings.state is not None:
        lines.append(f"state = {json.dumps(settings.state)}")
    lines.append(f"listen = {json.dumps(format_address(settings.listen))}")
    return "\n".join(lines) + "\n"


def load_settings(folder: Path) -> Settings:
    """The settings of the node in `folder`.

    Raises:
        NotFoundError: there is no node there.
        ConfigError: the file, and what is wrong in it.
    """
    path = folder / "node.toml"
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFoundError(
            f"there is no node in {folder}; make one with `comity init {folder} --party ID --name NAME`"
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if unknown := values.keys() - _FIELDS:
        raise ConfigError(f"{path}: unknown setting {min(unknown)!r}; known are {', '.join(sorted(_FIELDS))}")
    if listen := os.environ.get("COMITY_LISTEN"):
        values["listen"] = listen
    for name in ("party", "name", "listen"):
        if not isinstance(values.get(name), str):
            raise ConfigError(f"{path}: {name} must be given, as a text in quotes")
    try:
        return Settings(
            party=parse_party_id(values["party"]),
            name=values["name"],
            state=values.get("state"),
            listen=parse_address(values["listen"]),
            write_bytes_per_day=_read_count(values, "write_bytes_per_day", _WRITE_BYTES, least=_MIN_WRITE_BYTES),
            write_objects_per_day=_read_count(values, "write_objects_per_day", _WRITE_OBJECTS, least=1),
        )
    except MalformedRequest as error:
        raise ConfigError(f"{path}: {error.detail}") from error


def _read_count(values: dict[str, Any], name: str, default: int, *, least: int) -> int:
    count = values.get(name, default)
    if not isinstance(count, int) or isinstance(count, bool) or count < least:
        raise MalformedRequest(f"{name} is a whole number of at least {least}")
    return count

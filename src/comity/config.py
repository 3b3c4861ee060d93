# SPDX-License-Identifier: Apache-2.0
"""Shell: the settings of one node: `node.toml` in its folder, overridden by the environment, or the bad line.

    party = "aurelia"
    name = "Republic of Aurelia, Liaison Service"
    state = "XA"            # optional, ISO 3166-1 alpha-2
    listen = "127.0.0.1:8440"
    admin = "127.0.0.1:9440"        # optional: health and metrics, on loopback alone
    authorities = "partners.pem"    # optional: whose certificates partners have to show, instead of the usual ones
    access_log = "access.log"       # optional: one line for each request; "stderr" for standard error
    write_bytes_per_day = 268435456     # optional: what one partner may write here on one day, in UTC
    write_objects_per_day = 100000
    content_days = 3650             # optional: how long log entries keep their content; without it, for ever
    cosignature_days = 30           # optional: how old what a witness says of a partner's log may be

    [tls]                           # optional: without it plain HTTP
    certificate = "tls/chain.pem"
    key = "tls/key.pem"

    [console]                       # optional: pages for this party's own people
    listen = "127.0.0.1:8460"
    url = "https://console.aurelia.example"     # optional: what people type; without it, that address by itself
                                    # [console.oidc], by which people may sign in: see `openid`

    [proxy]                         # optional: who may say from which address a request came
    address = "127.0.0.1"
    secret = "proxy.secret"

    [limits]                        # optional, every one of them: see `Limits`
    requests_per_second = 100

    [follow]                        # optional, every one of them: see `Follow`
    on = true

    [[witness]]                     # optional, as many as are asked to cosign the heads of this node's log
    party = "borealia"              # a partner, or:
    # key = "witness.north.example+0c5b7a10+BCrh…"
    # url = "https://witness.north.example"
    # logs = "own"                  # which logs it is shown: own, house (of a partner by itself) or all (of others)

Paths are relative to the folder of the node. `COMITY_LISTEN` overrides `listen`. Environment variables are read here
and nowhere else.
"""

import ipaddress
import json
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from comity.errors import ConfigError, MalformedNote, MalformedRequest, NotFoundError
from comity.ids import PartyId, parse_party_id
from comity.openid import OidcSetting, read_oidc
from comity.tlog.note import SignatureType, VerifierKey, parse_vkey

__all__ = [
    "Address",
    "ConsoleSetting",
    "Follow",
    "Limits",
    "Proxy",
    "Settings",
    "TlsFiles",
    "WitnessSetting",
    "check_passphrase",
    "find_passphrase_file",
    "format_address",
    "format_settings",
    "load_settings",
    "parse_address",
    "read_passphrase",
]

_FIELDS = frozenset(
    {"party", "name", "state", "listen", "admin", "authorities", "access_log", "tls", "console", "proxy", "limits"}
    | {"write_bytes_per_day", "write_objects_per_day", "witness", "content_days", "cosignature_days", "follow"}
)
_WRITE_BYTES = 256 * 1024 * 1024
_WRITE_OBJECTS = 100_000
_COSIGNATURE_DAYS, _LEAST_COSIGNATURE_DAYS = 30, 8
"""A giver has heads of logs that do not grow cosigned again after a week (`node.cosigning`)."""
_MIN_WRITE_BYTES = 10 * 1024 * 1024
"""One envelope of the greatest length that TAXII clients are told they may send must fit into a day."""
_ADDRESS = re.compile(r"(?:\[([0-9a-fA-F:]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})", re.ASCII)
_MAX_PORT = 65_535
_CONSOLE_URL = re.compile(r"(https://[a-z0-9.-]+|http://(localhost|127\.0\.0\.1|\[::1\]))(:(?!443$|80$)[0-9]{1,5})?")
_MAX_WITNESSES = 32
_MIN_PASSPHRASE, _MAX_PASSPHRASE = 12, 1_024
_MAX_LIMIT = 2**53 - 1
_FOLLOW = {
    "interval_seconds": (1, 86_400),
    "wait_seconds": (0, 600),
    "at_once": (1, 64),
    "bytes_per_day": (1, _MAX_LIMIT),
    "objects_per_day": (1, _MAX_LIMIT),
}
_MIN_HELD_BYTES = 40 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A host and a TCP port; port 0 asks the system for a free one."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Where the certificate chain and its private key lie, both as PEM."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSetting:
    """Where the console listens, the URL that people reach it by, without a path (None: that address), and `oidc`."""

    listen: Address
    url: str | None = None
    oidc: OidcSetting | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """The one address whose word counts on where a request came from, and the file with the secret that shows it."""

    address: str
    secret: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one asker can take of this node; every value is a whole number over 0.

    A party: `requests_per_second` (ten seconds' worth at once) and `bytes_per_minute` of answers. Who is not known:
    `unknown_per_minute` from one address and `unknown_total_per_minute` from all together. Connections: `connections`
    in all and `connections_per_address`. Seconds: `head_seconds` for a TLS handshake and for the head of a request,
    `body_seconds` for its body, `idle_seconds` between requests, `stop_seconds` for answers under way when the server
    is told to stop. `held_bytes`: of bodies that one process is being sent and works on. `wait_seconds`: how long a
    question of a party may wait for something to be released; `waits_per_party` and `waits`: how many do in one
    process; what is over them is answered at once.
    """

    requests_per_second: int = 100
    bytes_per_minute: int = 4 * 1024 * 1024 * 1024
    unknown_per_minute: int = 60
    unknown_total_per_minute: int = 6_000
    connections: int = 512
    connections_per_address: int = 64
    head_seconds: int = 10
    body_seconds: int = 60
    idle_seconds: int = 15
    stop_seconds: int = 4
    held_bytes: int = 256 * 1024 * 1024
    wait_seconds: int = 60
    waits_per_party: int = 16
    waits: int = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Follow:
    """How `comity serve` follows partners and sources by itself, if it is `on`, and how much they may bring in.

    `wait_seconds` is how long a question may wait at the node of a partner that knows how to wait (0: it is not asked
    to); others are asked every `interval_seconds`. `at_once` is how many long answers are read and taken in at a time.
    `bytes_per_day` and `objects_per_day` are what one partner or source may bring in that is new, on one day (UTC):
    pages with something new and each receipt that is kept, and versions that were not held (`node.allowance`).
    """

    on: bool = True
    interval_seconds: int = 60
    wait_seconds: int = 30
    at_once: int = 4
    bytes_per_day: int = 8 * 1024 * 1024 * 1024
    objects_per_day: int = 2_000_000


class WitnessedLogs(StrEnum):
    """Which of this party's logs a witness is shown.

    OWN are those of what the witness itself is given; HOUSE that of the house and those; ALL all there are.
    """

    OWN = "own"
    HOUSE = "house"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessSetting:
    """A witness that is asked: a partner's node, or by `key` and `url` (its submission prefix) one that is no node.

    `logs` says which logs it is shown, whose sizes it then knows.
    """

    party: PartyId | None = None
    key: VerifierKey | None = None
    url: str | None = None
    logs: WitnessedLogs = WitnessedLogs.HOUSE


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the operator set; `access_log` is a path, "stderr", or None for no such log.

    `content_days` is how long log entries keep their content (`node.purge`); None: for ever.
    `cosignature_days`: where witnesses are asked for, how old what they say may be for something to be taken in.

    `authorities` is a file of the certificates that partners' nodes are trusted by; None: those that every browser has.
    """

    party: PartyId
    name: str
    state: str | None
    listen: Address
    admin: Address | None = None
    authorities: Path | None = None
    access_log: str | None = None
    tls: TlsFiles | None = None
    console: ConsoleSetting | None = None
    proxy: Proxy | None = None
    limits: Limits = field(default_factory=Limits)
    write_bytes_per_day: int = _WRITE_BYTES
    write_objects_per_day: int = _WRITE_OBJECTS
    witnesses: tuple[WitnessSetting, ...] = ()
    content_days: int | None = None
    cosignature_days: int = _COSIGNATURE_DAYS
    follow: Follow = field(default_factory=Follow)


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
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
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
            admin=_parse_admin(_text(values, "admin")),
            authorities=folder / text if (text := _text(values, "authorities")) else None,
            access_log=_parse_log(_text(values, "access_log"), folder),
            tls=_parse_tls(values.get("tls"), folder),
            console=_parse_console(values.get("console"), folder),
            proxy=_parse_proxy(values.get("proxy"), folder),
            limits=_parse_limits(values.get("limits", {})),
            write_bytes_per_day=_read_count(values, "write_bytes_per_day", _WRITE_BYTES, least=_MIN_WRITE_BYTES),
            write_objects_per_day=_read_count(values, "write_objects_per_day", _WRITE_OBJECTS, least=1),
            witnesses=_parse_witnesses(values.get("witness", []), own=values["party"]),
            content_days=_read_count(values, "content_days", 0, least=1) if "content_days" in values else None,
            cosignature_days=_read_count(values, "cosignature_days", _COSIGNATURE_DAYS, least=_LEAST_COSIGNATURE_DAYS),
            follow=_parse_follow(values.get("follow", {})),
        )
    except MalformedRequest as error:
        raise ConfigError(f"{path}: {error.detail}") from error


def check_passphrase(passphrase: bytes) -> bytes:
    """The passphrase, long enough to be used for keys.

    Raises:
        ConfigError: it is short: whoever has a copy of the keys can try as many as he likes.
    """
    if len(passphrase) < _MIN_PASSPHRASE:
        raise ConfigError(f"a passphrase has at least {_MIN_PASSPHRASE} characters: take five or six words by dice")
    return passphrase


def find_passphrase_file(named: Path | None) -> Path | None:
    """The file with the passphrase of the keys: the one `named`, else the credential of the systemd service, else none.

    A service has it by `LoadCredential=comity-key-passphrase:…` (systemd.exec(5)).
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if named is not None or not folder:
        return named
    path = Path(folder) / "comity-key-passphrase"
    return path if path.is_file() else None


def read_passphrase(path: Path) -> bytes:
    """What the file holds, without a line end.

    Raises:
        ConfigError: it cannot be read, can be read or written by everybody, is empty or too long.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read(_MAX_PASSPHRASE + 3)
    except OSError as error:
        raise ConfigError(f"{path}: the passphrase of the keys cannot be read ({error.strerror or error})") from error
    # A service manager lets a service read it by a group of its own; everybody is too many.
    if mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
        raise ConfigError(f"{path} can be read or written by others (mode {mode:o}); run: chmod 600 {path}")
    passphrase = data.removesuffix(b"\n").removesuffix(b"\r")
    if not 0 < len(passphrase) <= _MAX_PASSPHRASE:
        raise ConfigError(f"{path} does not hold a passphrase of 1 to {_MAX_PASSPHRASE} bytes")
    return passphrase


def _text(values: Mapping[str, Any], name: str, *, table: str = "") -> str | None:
    value = values.get(name)
    if value is not None and not (isinstance(value, str) and value):
        raise MalformedRequest(f"{f'[{table}] ' if table else ''}{name} must be a text in quotes")
    return value


def _table(name: str, value: object, known: frozenset[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise MalformedRequest(f"{name} is a table: write [{name}] on a line of its own, and its settings below it")
    if unknown := value.keys() - known:
        raise MalformedRequest(f"[{name}] unknown setting {min(unknown)!r}; known are {', '.join(sorted(known))}")
    return value


def _texts(name: str, value: object, wanted: tuple[str, str]) -> tuple[str, str]:
    table = _table(name, value, frozenset(wanted))
    first, second = (_text(table, field, table=name) for field in wanted)
    if first is None or second is None:
        raise MalformedRequest(f"[{name}] needs both {wanted[0]} and {wanted[1]}")
    return first, second


def _parse_admin(text: str | None) -> Address | None:
    """The address for health and metrics: they name partners, so that they stay on this machine."""
    if text is None:
        return None
    address = parse_address(text)
    if not _is_loopback(address.host):
        raise MalformedRequest(
            f"admin is {text!r}, and what is told there names partners: give an address of this machine alone, for"
            " example 127.0.0.1:9440"
        )
    return address


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _parse_log(text: str | None, folder: Path) -> str | None:
    return text if text in {None, "stderr"} else str(folder / text)


def _parse_tls(value: object, folder: Path) -> TlsFiles | None:
    if value is None:
        return None
    certificate, key = _texts("tls", value, ("certificate", "key"))
    return TlsFiles(certificate=folder / certificate, key=folder / key)


def _parse_console(value: object, folder: Path) -> ConsoleSetting | None:
    if value is None:
        return None
    table = _table("console", value, frozenset({"listen", "url", "oidc"}))
    listen, url = _text(table, "listen", table="console"), _text(table, "url", table="console")
    if listen is None or not _is_loopback(parse_address(listen).host):
        raise MalformedRequest(
            "[console] listen is an address of this machine alone, as 127.0.0.1:8460; a proxy in front speaks TLS"
        )
    if url is not None and not _CONSOLE_URL.fullmatch(url):
        raise MalformedRequest(
            "[console] url is what browsers say: no path, no usual port, as https://console.aurelia.example"
        )
    return ConsoleSetting(listen=parse_address(listen), url=url, oidc=read_oidc(table.get("oidc"), folder, url=url))


def _parse_proxy(value: object, folder: Path) -> Proxy | None:
    if value is None:
        return None
    address, secret = _texts("proxy", value, ("address", "secret"))
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError as error:
        raise MalformedRequest(
            f"[proxy] address is {address!r}; give the IP address that the proxy has here"
        ) from error
    return Proxy(address=str(parsed), secret=folder / secret)


def _parse_limits(value: object) -> Limits:
    table = _table("limits", value, frozenset(item.name for item in fields(Limits)))
    for name, number in table.items():
        if not isinstance(number, int) or isinstance(number, bool) or not 0 < number <= _MAX_LIMIT:
            raise MalformedRequest(f"[limits] {name} must be a whole number from 1 to {_MAX_LIMIT}")
    if table.get("held_bytes", _MIN_HELD_BYTES) < _MIN_HELD_BYTES:
        raise MalformedRequest(
            f"[limits] held_bytes must be at least {_MIN_HELD_BYTES}: nobody is given more than half of it, and one"
            " envelope may have a quarter"
        )
    return Limits(**table)


def _parse_follow(value: object) -> Follow:
    table = dict(_table("follow", value, frozenset(item.name for item in fields(Follow))))
    if not isinstance(table.get("on", True), bool):
        raise MalformedRequest("[follow] on must be true or false")
    for name, (least, most) in _FOLLOW.items():
        number = table.get(name, least)
        if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= most:
            raise MalformedRequest(f"[follow] {name} must be a whole number from {least} to {most}")
    return Follow(**table)


def _parse_witnesses(value: object, *, own: str) -> tuple[WitnessSetting, ...]:
    if not isinstance(value, list) or len(value) > _MAX_WITNESSES:
        raise MalformedRequest(f"witness is a list of tables, at most {_MAX_WITNESSES}: write [[witness]] above each")
    found = tuple(_parse_witness(item) for item in value)
    names = [each.party or (each.key.name if each.key else "") for each in found]
    if own in names or len(set(names)) < len(names):
        raise MalformedRequest("[[witness]] a witness is listed twice, or is this party itself, which shows nothing")
    return found


def _parse_witness(value: object) -> WitnessSetting:
    table = _table("witness", value, frozenset({"party", "key", "url", "logs"}))
    party, text, url, logs = (_text(table, name, table="witness") for name in ("party", "key", "url", "logs"))
    if (party is None) is (text is None) or (text is None) is not (url is None):
        raise MalformedRequest("[[witness]] needs either party, or key and url")
    if logs not in {None, *WitnessedLogs} or (logs == WitnessedLogs.OWN and party is None):
        raise MalformedRequest(f"[[witness]] logs is house or all, and of a partner also own; not {logs!r}")
    if text is None:
        return WitnessSetting(party=parse_party_id(party or ""), logs=WitnessedLogs(logs or WitnessedLogs.HOUSE))
    try:
        key = parse_vkey(text)
    except MalformedNote as error:
        raise MalformedRequest(f"[[witness]] key: {error.detail}") from error
    if key.type is SignatureType.ED25519:
        raise MalformedRequest(f"[[witness]] key: that of {key.name} is one of a log, not of a witness")
    if url is None or not url.startswith(("https://", "http://")):
        raise MalformedRequest(f"[[witness]] url is {url!r}; it begins with https:// (or http:// on loopback)")
    return WitnessSetting(key=key, url=url.rstrip("/"), logs=WitnessedLogs(logs or WitnessedLogs.ALL))


def _read_count(values: dict[str, Any], name: str, default: int, *, least: int) -> int:
    count = values.get(name, default)
    if not isinstance(count, int) or isinstance(count, bool) or count < least:
        raise MalformedRequest(f"{name} is a whole number of at least {least}")
    return count

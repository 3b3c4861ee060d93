# SPDX-License-Identifier: Apache-2.0
"""The settings of an OpenID provider, and the file with its client secret."""

from pathlib import Path
from typing import Any

import pytest

from comity.config import load_settings
from comity.errors import ConfigError
from comity.node import backup
from comity.openid import OidcSetting, read_client_secret

HEAD = 'party = "aurelia"\nname = "A"\nlisten = "127.0.0.1:0"\n[console]\nlisten = "127.0.0.1:8460"\n'
URL = 'url = "https://console.aurelia.example"\n'
TABLE = (
    '[console.oidc]\nissuer = "https://sso.aurelia.example/realms/staff"\nclient_id = "comity"\nsecret = "keys/oidc"\n'
)


def load(folder: Path, text: str) -> OidcSetting | None:
    (folder / "node.toml").write_text(text, encoding="utf-8")
    console = load_settings(folder).console
    assert console is not None
    return console.oidc


def test_off_unless_it_is_there(tmp_path: Path) -> None:
    assert load(tmp_path, HEAD + URL) is None


def test_what_is_read(tmp_path: Path) -> None:
    read = load(tmp_path, HEAD + URL + TABLE + 'acr = ["phr", "phrh"]\nname = " the staff directory "\n')
    assert read == OidcSetting(
        issuer="https://sso.aurelia.example/realms/staff",
        client_id="comity",
        secret=tmp_path / "keys/oidc",
        acr=("phr", "phrh"),
        name="the staff directory",
    )
    plain = load(tmp_path, HEAD + URL + TABLE)
    assert plain is not None
    assert (plain.acr, plain.name) == ((), "OpenID Connect")


@pytest.mark.parametrize(
    "issuer", ["https://sso.example/", "https://sso.example:8443/a/b", "http://127.0.0.1:9", "http://localhost:9"]
)
def test_issuers(tmp_path: Path, issuer: str) -> None:
    read = load(tmp_path, HEAD + URL + TABLE.replace("https://sso.aurelia.example/realms/staff", issuer))
    assert read is not None
    assert read.issuer == issuer


@pytest.mark.parametrize(
    "issuer",
    [
        "http://sso.aurelia.example",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "https://user@sso.example",
        "https://sso.example?x=1",
        "https://sso.example#x",
        "https://SSO.example",
        "https://sso.example/a//b",
        "ftp://sso.example",
        "sso.example",
        "https://",
        "https://sso.example/" + "x" * 300,
        "",
    ],
)
def test_what_is_no_issuer(tmp_path: Path, issuer: str) -> None:
    with pytest.raises(ConfigError, match="issuer"):
        load(tmp_path, HEAD + URL + TABLE.replace("https://sso.aurelia.example/realms/staff", issuer))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("acr = 'phr'\n", "acr"),
        ("acr = ['']\n", "acr"),
        ("acr = ['a b']\n", "acr"),
        ("acr = [7]\n", "acr"),
        (f"acr = {['x'] * 11}\n", "acr"),
        ("name = ''\n", "name"),
        ("name = '\u202eevil'\n", "name"),
        (f"name = '{'x' * 61}'\n", "name"),
        ("client_secret = 'in the open'\n", "unknown setting 'client_secret'"),
    ],
)
def test_what_is_refused(tmp_path: Path, more: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load(tmp_path, HEAD + URL + TABLE + more)


@pytest.mark.parametrize("name", ["issuer", "client_id", "secret"])
def test_what_must_be_there(tmp_path: Path, name: str) -> None:
    kept = "".join(f"{line}\n" for line in TABLE.splitlines() if not line.startswith(name))
    with pytest.raises(ConfigError, match=name):
        load(tmp_path, HEAD + URL + kept)


def test_it_needs_the_url_of_the_console(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs url"):
        load(tmp_path, HEAD + TABLE)
    with pytest.raises(ConfigError, match="is a table"):
        load(tmp_path, HEAD + URL + "oidc = true\n")


def write(folder: Path, data: bytes, mode: int = 0o600) -> Path:
    path = folder / "oidc.secret"
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_the_secret_is_a_line(tmp_path: Path, end: bytes) -> None:
    assert read_client_secret(write(tmp_path, b"s" * 32 + end)) == "s" * 32


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620])
def test_a_secret_that_others_can_read_is_none(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigError, match="chmod 600"):
        read_client_secret(write(tmp_path, b"s" * 32, mode))


@pytest.mark.parametrize(
    "data", [b"", b"too few", b"s" * 1_025, b"two words of it", b"two\nlines-of-a-secret", b"\xff" * 32]
)
def test_what_is_no_secret(tmp_path: Path, data: bytes) -> None:
    path = write(tmp_path, data)
    with pytest.raises(ConfigError, match="does not hold") as caught:
        read_client_secret(path)
    assert not data or data.decode("latin-1") not in caught.value.detail


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_client_secret(tmp_path / "nothing")


def test_it_is_in_a_backup_with_the_keys_alone(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/oidc").write_text("s" * 32)
    load(tmp_path, HEAD + URL + TABLE)
    listed: Any = backup._list_files
    settings = load_settings(tmp_path)
    assert tmp_path / "keys/oidc" in listed(tmp_path, settings, secrets=True)
    assert tmp_path / "keys/oidc" not in listed(tmp_path, settings, secrets=False)

# SPDX-License-Identifier: Apache-2.0
"""The settings of a node: what can be set, what is there when nothing is, and what a bad line is told."""

from pathlib import Path

import pytest

from comity.config import Address, Limits, Proxy, TlsFiles, load_settings
from comity.errors import ConfigError

BASE = 'party = "aurelia"\nname = "Aurelia"\nlisten = "127.0.0.1:8440"\n'


def write(folder: Path, more: str) -> Path:
    (folder / "node.toml").write_text(BASE + more, encoding="utf-8")
    return folder


def test_a_file_of_an_older_version_is_as_it_was(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, ""))
    assert (settings.admin, settings.authorities, settings.access_log) == (None, None, None)
    assert (settings.tls, settings.proxy) == (None, None)
    assert settings.limits == Limits()


def test_a_byte_order_mark_before_the_settings_says_nothing(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, ""))
    (tmp_path / "node.toml").write_text(BASE, encoding="utf-8-sig")
    assert load_settings(tmp_path) == settings


def test_everything_that_can_be_set_is_read(tmp_path: Path) -> None:
    settings = load_settings(
        write(
            tmp_path,
            'admin = "[::1]:9440"\nauthorities = "ca.pem"\naccess_log = "logs/access.log"\n'
            '[tls]\ncertificate = "tls/chain.pem"\nkey = "/k.pem"\n'
            '[proxy]\naddress = "::1"\nsecret = "proxy.secret"\n[limits]\nrequests_per_second = 7\nstop_seconds = 30\n',
        )
    )
    assert settings.admin == Address(host="::1", port=9440)
    assert settings.authorities == tmp_path / "ca.pem"
    assert settings.access_log == str(tmp_path / "logs/access.log")
    assert settings.tls == TlsFiles(certificate=tmp_path / "tls/chain.pem", key=Path("/k.pem"))
    assert settings.proxy == Proxy(address="::1", secret=tmp_path / "proxy.secret")
    assert settings.limits == Limits(requests_per_second=7, stop_seconds=30)


def test_standard_error_is_no_file(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path, 'access_log = "stderr"\n')).access_log == "stderr"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("colour = 1\n", "unknown setting 'colour'; known are access_log, admin"),
        ("access_log = 1\n", "access_log must be a text in quotes"),
        ('access_log = ""\n', "access_log must be a text in quotes"),
        ('admin = "9440"\n', "'9440' is not an address of the form HOST:PORT"),
        ('admin = "0.0.0.0:9440"\n', "give an address of this machine alone"),
        ('admin = "localhost:9440"\n', "give an address of this machine alone"),
        ('admin = "192.0.2.1:9440"\n', "give an address of this machine alone"),
        ('tls = "x.pem"\n', r"tls is a table: write \[tls\] on a line of its own"),
        ('[tls]\ncertificate = "c.pem"\n', r"\[tls\] needs both certificate and key"),
        ('[tls]\ncertificate = "c.pem"\nkey = 1\n', r"\[tls\] key must be a text in quotes"),
        (
            '[tls]\ncertificate = "c"\nkey = "k"\nca = "x"\n',
            r"\[tls\] unknown setting 'ca'; known are certificate, key",
        ),
        ('[proxy]\naddress = "proxy.example"\nsecret = "s"\n', "give the IP address that the proxy has here"),
        ('[proxy]\naddress = "127.0.0.1"\n', r"\[proxy\] needs both address and secret"),
        ("[limits]\nspeed = 1\n", r"\[limits\] unknown setting 'speed'"),
        ("[limits]\nconnections = 0\n", r"\[limits\] connections must be a whole number from 1"),
        ("[limits]\nconnections = -1\n", r"\[limits\] connections must be a whole number from 1"),
        ("[limits]\nconnections = true\n", r"\[limits\] connections must be a whole number from 1"),
        ("[limits]\nconnections = 1.5\n", r"\[limits\] connections must be a whole number from 1"),
        ('[limits]\nconnections = "many"\n', r"\[limits\] connections must be a whole number from 1"),
    ],
)
def test_a_bad_line_is_told_what_where_and_what_to_do(tmp_path: Path, more: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as refused:
        load_settings(write(tmp_path, more))
    assert str(tmp_path / "node.toml") in refused.value.detail


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://console.aurelia.example", True),
        ("https://console.aurelia.example:8443", True),
        ("http://localhost:8460", True),
        ("http://[::1]:8460", True),
        # Browsers leave the usual port out of what they say, and nobody would be answered.
        ("https://console.aurelia.example:443", False),
        ("http://localhost:80", False),
        ("http://console.aurelia.example", False),
        ("https://console.aurelia.example/", False),
        ("https://someone@console.aurelia.example", False),
        ("https://Console.example", False),
    ],
)
def test_the_url_of_the_console_is_what_browsers_say(tmp_path: Path, url: str, good: bool) -> None:
    path = write(tmp_path, f'[console]\nlisten = "127.0.0.1:8460"\nurl = "{url}"\n')
    if good:
        console = load_settings(path).console
        assert console is not None
        assert console.url == url
    else:
        with pytest.raises(ConfigError, match=r"\[console\] url is what browsers say"):
            load_settings(path)


@pytest.mark.parametrize("listen", ["0.0.0.0:8460", "192.0.2.1:8460", "console.aurelia.example:8460"])
def test_the_console_listens_on_this_machine_alone(tmp_path: Path, listen: str) -> None:
    with pytest.raises(ConfigError, match="this machine alone"):
        load_settings(write(tmp_path, f'[console]\nlisten = "{listen}"\n'))

# SPDX-License-Identifier: Apache-2.0
"""Certificates: which are taken, which are refused and why; and what is spoken over a socket."""

import os
import shutil
import socket
import ssl
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from comity.config import TlsFiles
from comity.errors import ConfigError
from comity.node.clock import read_clock
from comity.taxii.tls import Tls, load_certificate
from tests.certificates import Authority
from tests.served import Served, format_request, read_all
from tests.worlds import World

MINUTE = 1 / 1_440


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.found(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def files(authority: Authority) -> TlsFiles:
    return authority.issue("aurelia")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, files: TlsFiles) -> Iterator[Served]:
    world = World(tmp_path_factory.mktemp("tls"))
    world.found("aurelia")
    node = world.nodes["aurelia"]
    node.settings = replace(node.settings, tls=files)
    with closing(world), Served.start(node) as served:
        yield served


# --- the files --------------------------------------------------------------------------------------------------------


def refuse(files: TlsFiles) -> str:
    with pytest.raises(ConfigError) as refused:
        load_certificate(files, now=read_clock())
    return refused.value.detail


def test_a_certificate_says_when_it_runs_out(files: TlsFiles) -> None:
    found = load_certificate(files, now=read_clock())
    assert 9 < (found.expires_at - read_clock()) / 86_400_000_000 <= 10


def test_what_is_missing_is_named(files: TlsFiles, tmp_path: Path) -> None:
    none = tmp_path / "none.pem"
    assert refuse(TlsFiles(certificate=none, key=files.key)).startswith(f"{none}: no certificate chain in PEM")
    assert refuse(TlsFiles(certificate=files.certificate, key=none)).startswith(f"{none}: no private key in PEM")


def test_what_is_something_else_is_named(files: TlsFiles, tmp_path: Path) -> None:
    text = tmp_path / "text.pem"
    text.touch(mode=0o600)
    text.write_text("nothing")
    assert refuse(TlsFiles(certificate=text, key=files.key)).startswith(f"{text}: no certificate chain in PEM")
    assert refuse(TlsFiles(certificate=files.certificate, key=text)).startswith(f"{text}: no private key in PEM")


def test_a_key_that_others_can_read_is_refused(authority: Authority) -> None:
    files = authority.issue("open")
    files.key.chmod(0o644)
    assert f"run: chmod 600 {files.key}" in refuse(files)


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked_for_it(authority: Authority) -> None:
    assert "the key has a passphrase" in refuse(authority.issue("locked", passphrase=b"secret"))


def test_a_key_of_another_certificate_is_refused(authority: Authority, files: TlsFiles) -> None:
    other = authority.issue("other")
    assert "do not go together" in refuse(TlsFiles(certificate=files.certificate, key=other.key))


@pytest.mark.parametrize(("starts", "days"), [(-2, -1), (1, 2), (-1, -MINUTE)])
def test_a_certificate_out_of_its_time_is_refused(authority: Authority, starts: float, days: float) -> None:
    assert "put a current one there" in refuse(authority.issue("late", starts=starts, days=days))


def test_a_bad_file_leaves_the_certificate_before_in_use(authority: Authority) -> None:
    files = authority.issue("changing")
    tls = Tls(files, read_clock)
    before = tls.certificate
    other = authority.issue("other")
    shutil.copy(other.certificate, files.certificate)
    with pytest.raises(ConfigError, match="do not go together"):
        tls.reload()
    assert tls.certificate is before
    Path(other.key).replace(files.key)
    assert tls.reload().expires_at >= before.expires_at
    assert tls.certificate is not before


# --- the wire ---------------------------------------------------------------------------------------------------------


def shake_hands(served: Served, authority: Authority, **versions: ssl.TLSVersion) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=authority.trusted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # naming an old version is the point
        for name, version in versions.items():
            setattr(context, name, version)
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context.wrap_socket(served.open_raw(), server_hostname="127.0.0.1")


def test_a_client_that_trusts_the_authority_is_answered(served: Served, authority: Authority) -> None:
    assert served.url.startswith("https://")
    context = ssl.create_default_context(cafile=authority.trusted)
    assert httpx.get(f"{served.url}/taxii2/", verify=context, timeout=60).status_code == 401
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{served.url}/taxii2/", timeout=60)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_are_spoken_with_forward_secrecy(
    served: Served, authority: Authority, version: ssl.TLSVersion
) -> None:
    with shake_hands(served, authority, minimum_version=version, maximum_version=version) as connection:
        cipher = connection.cipher()
        assert cipher is not None
        assert "GCM" in cipher[0] or "CHACHA20" in cipher[0]
        assert version is ssl.TLSVersion.TLSv1_3 or cipher[0].startswith("ECDHE-")
        assert connection.compression() is None
        connection.sendall(format_request("GET", "/", headers={"Connection": "close"}))
        assert read_all(connection).startswith(b"HTTP/1.1 404 ")


def test_older_versions_are_not_spoken(served: Served, authority: Authority) -> None:
    old = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        shake_hands(served, authority, minimum_version=old, maximum_version=old)


@pytest.mark.parametrize("suite", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA"])
def test_no_suite_of_the_black_list_is_taken(served: Served, authority: Authority, suite: str) -> None:
    context = ssl.create_default_context(cafile=authority.trusted)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{suite}:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        context.wrap_socket(served.open_raw(), server_hostname="127.0.0.1")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl program")
def test_no_early_data_is_offered(served: Served) -> None:
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{served.host}:{served.port}", "-tls1_3", "-ign_eof"],
        input=format_request("GET", "/", headers={"Connection": "close"}),
        capture_output=True,
        timeout=60,
        check=False,
    )
    told = done.stdout.decode()
    assert "Max Early Data: 0" in told
    assert "HTTP/1.1 404" in told


def test_plain_http_is_not_answered_on_the_port(served: Served) -> None:
    with served.open_raw() as connection:
        connection.sendall(format_request("GET", "/taxii2/", headers={}))
        assert b"HTTP" not in read_all(connection)


def test_noise_and_broken_handshakes_leave_no_line_in_the_log(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    for sent in (b"", b"\x16\x03\x01", os.urandom(300), b"GET / HTTP/1.1\r\n\r\n"):
        with served.open_raw() as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            read_all(connection)
    assert caplog.records == []

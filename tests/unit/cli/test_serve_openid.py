# SPDX-License-Identifier: Apache-2.0
"""A real serving process whose console has an OpenID provider, and those that do not start."""

import re
import signal
import socket
import sys
from collections.abc import Callable
from html import unescape
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from comity.cli.serve import _make_provider
from comity.config import load_settings
from comity.errors import NotInstalled
from comity.operations.reply import Exit
from tests.issuers import CLIENT, SECRET, serve_issuer
from tests.unit.cli.conftest import Party, Server
from tests.worlds import World

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

Serve = Callable[..., Server]


def configure(folder: Path, issuer: str, *, secret: str = SECRET) -> str:
    """The URL of the console that node.toml has from here on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = folder / "keys" / "oidc.secret"
    path.write_text(secret)
    path.chmod(0o600)
    with (folder / "node.toml").open("a") as file:
        file.write(f'\n[console]\nlisten = "127.0.0.1:{port}"\nurl = "http://localhost:{port}"\n')
        file.write(f'[console.oidc]\nissuer = "{issuer}"\nclient_id = "{CLIENT}"\nsecret = "keys/oidc.secret"\n')
    return f"http://localhost:{port}"


def test_the_page_to_sign_in_leads_to_the_provider_and_what_is_published_is_listed(
    aurelia: Party, serve: Serve
) -> None:
    with serve_issuer() as issuer:
        url = configure(aurelia.folder, issuer.url)
        server = serve(aurelia)
        with httpx.Client(base_url=url, trust_env=False, headers={"origin": url}) as client:
            assert "Sign in with OpenID Connect" in client.get("/sign-in").text
            page = client.post("/sign-in/openid", data={"next": "/"}).text
        (target,) = re.findall(r'content="0;url=([^"]+)"', page)
        parts = urlsplit(unescape(target))
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{issuer.url}/authorize"
        assert dict(parse_qsl(parts.query))["redirect_uri"] == f"{url}/sign-in/openid/return"
        assert server.stop(signal.SIGTERM) == 0
        assert server.faults == ""
    assert [person["account"] for person in aurelia.ask("person", "list")["people"]] == [None, None]


def test_a_provider_that_is_not_there_keeps_no_node_from_serving(aurelia: Party, serve: Serve) -> None:
    url = configure(aurelia.folder, "http://127.0.0.1:1")
    server = serve(aurelia)
    with httpx.Client(base_url=url, trust_env=False, headers={"origin": url}) as client:
        assert client.get("/sign-in").status_code == 200
        assert client.post("/sign-in/openid", data={"next": "/"}).status_code == 502
    assert server.stop(signal.SIGTERM) == 0
    assert server.faults == ""


def test_a_secret_that_is_none_is_said_at_the_start(aurelia: Party) -> None:
    configure(aurelia.folder, "https://sso.aurelia.example", secret="short")
    done = aurelia.do("serve")
    assert done.code == Exit.FAILED
    assert "does not hold a client secret" in done.err


def test_what_is_not_installed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    world.found("aurelia")
    configure(world.folder / "aurelia", "https://sso.aurelia.example")
    setting = load_settings(world.folder / "aurelia").console
    assert setting is not None
    # As it is where the extra was not installed: its import fails.
    monkeypatch.delitem(sys.modules, "comity.node.tokens", raising=False)
    for name in ("joserfc", "joserfc.jwk", "joserfc.jws", "joserfc.errors"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(NotInstalled, match=r"comity\[oidc\]"):
        _make_provider(world.nodes["aurelia"], setting)
    world.close()

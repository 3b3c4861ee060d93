# SPDX-License-Identifier: Apache-2.0
"""The documented nginx in front of a real console: the configuration is taken from the document, word for word."""

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.certificates import Authority
from tests.e2e.conftest import PATIENCE, Serving, wait_until
from tests.ports import find_port
from tests.worlds import World

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.e2e,
    pytest.mark.skipif(NGINX is None, reason="needs nginx: apt-get install nginx-light"),
]

DOCUMENT = (Path(__file__).parents[2] / "docs" / "howto" / "use-the-console.md").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """nginx in front of Aurelia's console."""

    url: str
    inner: str
    authority: Authority

    def ask(self, method: str, path: str, **headers: str) -> httpx.Response:
        context = ssl.create_default_context(cafile=self.authority.trusted)
        with httpx.Client(transport=httpx.HTTPTransport(verify=context), timeout=PATIENCE) as client:
            return client.request(method, f"{self.url}{path}", headers=headers)


def read_block(language: str) -> str:
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, flags=re.DOTALL | re.MULTILINE)
    return str(block)


def replace_each(text: str, *pairs: tuple[str, str]) -> str:
    """The documented text with the places of this test; each must stand in it."""
    for documented, here in pairs:
        assert documented in text
        text = text.replace(documented, here)
    return text


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def write_configuration(folder: Path, server: str) -> Path:
    temporary = "\n".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    who = "user root;\n" if os.getuid() == 0 else ""
    path = folder / "nginx.conf"
    path.write_text(
        f"{who}daemon off;\nworker_processes 1;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n"
        f"events {{ }}\nhttp {{\naccess_log off;\n{temporary}\n{server}}}\n",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def front(tmp_path: Path, serve: Callable[[Path], Serving]) -> Iterator[Front]:
    world = World(tmp_path)
    world.found("aurelia")
    world.close()
    port, inner = find_port(), find_port()
    url = f"https://127.0.0.1:{port}"
    setting = replace_each(
        read_block("toml"), ("127.0.0.1:8460", f"127.0.0.1:{inner}"), ("https://console.aurelia.example", url)
    )
    node = tmp_path / "aurelia"
    with (node / "node.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n{setting}")
    server = serve(node)
    assert server.console == url
    folder = tmp_path / "nginx"
    authority = Authority.found(folder)
    files = authority.issue("server")
    shutil.copy(files.certificate, folder / "console-chain.pem")
    shutil.copy(files.key, folder / "console-key.pem")
    block = replace_each(
        read_block("nginx"),
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("/etc/comity/", f"{folder}/"),
        ("127.0.0.1:8460", f"127.0.0.1:{inner}"),
    )
    process = subprocess.Popen(
        [str(NGINX), "-p", folder, "-c", write_configuration(folder, block)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        wait_until(lambda: process.poll() is not None or is_open(port))
        assert process.stderr is not None
        assert process.poll() is None, process.stderr.read().decode()
        yield Front(url=url, inner=f"http://127.0.0.1:{inner}", authority=authority)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)


def test_people_reach_the_console_by_tls(front: Front) -> None:
    answer = front.ask("GET", "/agreements?state=proposed")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Fagreements%3Fstate%3Dproposed")
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    style = front.ask("GET", "/static/comity.css")
    assert (style.status_code, style.headers["content-type"].split(";")[0]) == (200, "text/css")


def test_what_the_console_says_of_every_answer_goes_through(front: Front) -> None:
    headers = front.ask("GET", "/").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers or "uvicorn" not in headers["server"]


def test_another_host_is_not_answered(front: Front) -> None:
    assert front.ask("GET", "/", host="console.elsewhere.example").status_code == 421
    assert httpx.get(front.inner, trust_env=False, timeout=PATIENCE).status_code == 421


def test_a_form_is_taken_from_a_page_of_the_console_alone(front: Front) -> None:
    assert front.ask("POST", "/", origin="https://elsewhere.example").status_code == 403
    assert front.ask("POST", "/", origin=front.url).status_code == 401

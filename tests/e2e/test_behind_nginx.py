# SPDX-License-Identifier: Apache-2.0
"""The documented nginx in front of a real node: the configuration is taken from the document, word for word."""

import json
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

from comity.config import TlsFiles
from comity.ids import PartyId
from comity.node.parties import create_credential
from comity.taxii.wire import MAX_CONTENT_LENGTH, MEDIA_TYPE
from tests.certificates import Authority, write_private
from tests.e2e.conftest import PATIENCE, Serving, wait_until
from tests.ports import find_port
from tests.served import basic
from tests.worlds import World, make_object

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.e2e,
    pytest.mark.skipif(NGINX is None, reason="needs nginx: apt-get install nginx-light"),
]

DOCUMENT = Path(__file__).parents[2] / "docs" / "howto" / "behind-nginx.md"
SECRET = "f" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """nginx in front of Aurelia's node."""

    url: str
    node: Serving
    authority: Authority
    partner: TlsFiles
    password: str

    def ask(
        self, path: str, *, certificate: TlsFiles | None, come_from: str = "127.0.0.1", **headers: str
    ) -> httpx.Response:
        with self.connect(certificate, come_from=come_from) as client:
            return client.get(f"{self.url}{path}", headers=headers)

    def connect(self, certificate: TlsFiles | None, *, come_from: str = "127.0.0.1") -> httpx.Client:
        context = ssl.create_default_context(cafile=self.authority.trusted)
        if certificate is not None:
            context.load_cert_chain(certificate.certificate, certificate.key)
        transport = httpx.HTTPTransport(verify=context, local_address=come_from)
        return httpx.Client(transport=transport, timeout=PATIENCE)

    def addresses(self) -> list[str]:
        """The addresses in the access log of the node."""
        lines = (self.node.folder / "access.log").read_text(encoding="utf-8").splitlines()
        return [json.loads(line)["address"] for line in lines]


def read_blocks(language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )


def write_configuration(folder: Path, *, port: int, upstream: str) -> Path:
    """The documented server, with the places of this test for those of the document, and nothing else changed."""
    (server,) = read_blocks("nginx")
    for documented, here in (
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("/etc/comity/", f"{folder}/"),
        ("http://127.0.0.1:8440", upstream),
    ):
        assert documented in server
        server = server.replace(documented, here)
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
    write_private(folder / "comity-proxy-secret.conf", f'proxy_set_header X-Comity-Proxy "{SECRET}";\n'.encode())
    return path


@pytest.fixture
def front(tmp_path: Path, serve: Callable[[Path], Serving]) -> Iterator[Front]:
    world = World(tmp_path / "world")
    world.folder.mkdir()
    world.found("aurelia", "borealia")
    world.sign_all(world.terms())
    world.add("aurelia", make_object("held"))
    node = world.nodes["aurelia"]
    password = create_credential(node, PartyId("borealia"))
    world.close()
    (settings,) = read_blocks("toml")
    (_, proxy) = settings.split("\n\n")
    path = node.folder / "node.toml"
    more = f'access_log = "access.log"\n[limits]\nunknown_per_minute = 5\n{proxy}'
    path.write_text(path.read_text(encoding="utf-8") + more, encoding="utf-8")
    write_private(node.folder / "proxy.secret", f"{SECRET}\n".encode())
    server = serve(node.folder)

    folder = tmp_path / "nginx"
    authority = Authority.found(folder)
    files, partner = authority.issue("server"), authority.issue("partner")
    shutil.copy(files.certificate, folder / "chain.pem")
    shutil.copy(files.key, folder / "key.pem")
    shutil.copy(authority.trusted, folder / "partners.pem")
    port = find_port()
    configuration = write_configuration(folder, port=port, upstream=server.url)
    process = subprocess.Popen(
        [str(NGINX), "-p", folder, "-c", configuration], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        wait_until(lambda: process.poll() is not None or is_open(port))
        assert process.stderr is not None
        assert process.poll() is None, process.stderr.read().decode()
        yield Front(
            url=f"https://127.0.0.1:{port}", node=server, authority=authority, partner=partner, password=password
        )
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_client_certificate_is_one_gate_and_the_credential_the_other(front: Front, tmp_path: Path) -> None:
    known = basic("borealia", front.password)
    assert front.ask("/taxii2/borealia/", certificate=front.partner, **known).status_code == 200
    nothing = front.ask("/taxii2/borealia/", certificate=front.partner)
    assert (nothing.status_code, nothing.json()["title"]) == (404, "Not found")
    bare = [front.ask(path, certificate=None, **known) for path in ("/taxii2/borealia/", "/taxii2/", "/nothing/")]
    assert {answer.status_code for answer in bare} == {400}
    assert len({answer.content for answer in bare}) == 1
    outsider = Authority.found(tmp_path / "outsider").issue("outsider")
    assert front.ask("/taxii2/borealia/", certificate=outsider, **known).status_code == 400
    wait_until(lambda: len(front.addresses()) == 2)  # what nginx refused never came to the node


def test_an_envelope_as_long_as_the_node_says_that_it_takes_comes_to_the_node(front: Front) -> None:
    headers = {**basic("borealia", front.password), "Content-Type": MEDIA_TYPE, "Accept": MEDIA_TYPE}
    url = f"{front.url}/taxii2/borealia/collections/0/objects/"
    with front.connect(front.partner) as client:
        answer = client.post(url, headers=headers, content=b" " * MAX_CONTENT_LENGTH)
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, MEDIA_TYPE)
    wait_until(lambda: len(front.addresses()) == 1)


def test_the_node_goes_by_the_address_that_nginx_saw(front: Front) -> None:
    for number in range(8):
        wrong = basic("x", f"guess {number}")
        front.ask("/taxii2/", certificate=front.partner, come_from="127.0.0.5", **wrong)
    known = basic("borealia", front.password)
    assert front.ask("/taxii2/", certificate=front.partner, come_from="127.0.0.5", **known).status_code == 401
    assert front.ask("/taxii2/", certificate=front.partner, come_from="127.0.0.6", **known).status_code == 200
    wait_until(lambda: len(front.addresses()) == 10)
    assert front.addresses() == ["127.0.0.5"] * 9 + ["127.0.0.6"]


def test_nobody_but_nginx_can_name_an_address(front: Front) -> None:
    made_up = {"X-Real-IP": "203.0.113.9", "X-Comity-Proxy": "guess"}
    front.ask("/taxii2/", certificate=front.partner, come_from="127.0.0.5", **made_up)
    httpx.get(f"{front.node.url}/taxii2/", headers=made_up, timeout=PATIENCE)
    wait_until(lambda: len(front.addresses()) == 2)
    assert front.addresses() == ["127.0.0.5", "127.0.0.1"]

# SPDX-License-Identifier: Apache-2.0
"""The list of the ways out is the one in the code: whatever hands bytes over is in it, and nothing that is gone."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.ways_out import WAYS

PACKAGE = Path(__file__).parents[2] / "src" / "comity"
HAND_OVER = {
    *("send", "sendall", "sendto", "sendmsg", "sendfile", "write", "writelines", "writev", "pwrite", "pwritev"),
    *("write_bytes", "write_text", "write_pdf", "copyfile", "copyfileobj", "copy", "copy2", "copytree", "backup"),
    *("print", "echo", "secho", "echo_via_pager", "post", "request", "stream", "AsyncClient", "Client"),
    *("socket", "connect", "create_connection", "open_connection", "create_subprocess_exec", "Popen", "communicate"),
    *("create_subprocess_shell", "create_datagram_endpoint", "urlopen", "putrequest", "splice", "dump"),
}
CLIENTS = {f"{client}.{verb}" for client in ("client", "httpx") for verb in ("put", "patch", "delete", "get")}
"""Names that much else has too."""

TRANSACTIONS = ("store.write", "formatter.write")
"""Not a way out: a transaction, and the text of `--help`."""


def find_ways(source: str) -> Iterator[tuple[str, str]]:
    """The function in which each call that hands bytes over stands, and the call."""

    def walk(node: ast.AST, scope: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        for child in ast.iter_child_nodes(node):
            inner = scope
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = (*scope, child.name)
            if isinstance(child, ast.Call):
                called = ast.unparse(child.func)
                named = called.rpartition(".")[2] in HAND_OVER or called in CLIENTS
                if named and not called.endswith(TRANSACTIONS):
                    yield ".".join(scope), called
            yield from walk(child, inner)

    yield from walk(ast.parse(source), ())


def test_every_way_out_is_listed_and_every_one_listed_is_there() -> None:
    found = {
        f"{path.relative_to(PACKAGE).as_posix()} {scope}": called
        for path in sorted(PACKAGE.rglob("*.py"))
        for scope, called in find_ways(path.read_text(encoding="utf-8"))
    }
    new = {place: called for place, called in found.items() if place not in WAYS}
    assert not new, f"bytes leave here too; say in tests/faults/ways_out.py what is on record before: {new}"
    assert not WAYS.keys() - found.keys(), f"no longer there: {WAYS.keys() - found.keys()}"
    assert all(WAYS.values())


@pytest.mark.parametrize(
    "source",
    [
        "def f(s):\n    s.sendall(b'x')",
        "async def f(w):\n    w.write(b'x')\n    await w.drain()",
        "import httpx\ndef f():\n    with httpx.Client() as c:\n        pass",
        "class A:\n    def f(self):\n        Path('x').write_bytes(b'x')",
        "def f():\n    g(lambda: print('x'))",
    ],
)
def test_a_new_way_out_is_found(source: str) -> None:
    assert [scope for scope, _ in find_ways(source)] == [("A.f" if "class" in source else "f")]


def test_a_transaction_is_none() -> None:
    assert not [*find_ways("def f(node):\n    with node.store.write() as t:\n        t.run('x')")]

# SPDX-License-Identifier: Apache-2.0
"""Every command is documented where people look, and the program starts quickly."""

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from comity import cli
from comity.agreement.transitions import State
from comity.cli import run
from comity.cli.session import ActCommand
from comity.operations.reply import Exit

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
SERVING = {"apsw", "asyncio", "cryptography", "httpx", "rfc8785", "uvicorn", "comity.node.node", "comity.store"}
PRINTING = {"jinja2", "weasyprint"}
HEAVY = SERVING | PRINTING

PROMISED = """init serve
party export/party add/party repin/party list/party rotate/party renew/party revoke-key
party protect-keys/party unprotect-keys/party tls
credential create/credential list/credential revoke
object add/object look/object export/object files/object file/object show/object unkept
object list/object around/object given/object see/object recipients/matrix show/matrix see/explain/pull/reach/audit
agreement check/agreement preview/agreement diff
agreement propose/agreement list/agreement show/agreement status/agreement clarify/agreement answer/agreement accept
agreement reject/agreement withdraw/agreement suspend/agreement resume/agreement terminate/agreement leave
agreement admit/agreement accede/agreement export/agreement import
person add/person list/person remove/person renew/person invite/person sessions/person sign-out
approvals/approve/decline
agreement certificate/agreement test
classify add/classify remove/classify preview/classify show
rules preview/rules apply/rules end/rules list
list preview/list load/list versions/list show/list questions/list decide/list review
assessment write/assessment renew/assessment show/assessment list
article add/article list/article show/article text/article rules
article confirm/article strike/article correct/article make/article delete
necessity decide/necessity end/necessity list
identity candidates/identity same/identity differ/identity list
recall send/recall list/recall show/recall keep
consent request/consent grant/consent refuse/consent revoke/consent list/consent show
request send/request answer/request withdraw/request list/request show
agreement review/retention list/retention keep/retention delete/retention run/work
log prove/log figures/log list/log show/log verify
log checkpoint/log receipt/log refused/log relationships/log waive/verify
log reader add/log reader list/log reader remove
status/follow status/source add/source list/source drop/source pull
witness list/witness init/witness add-log/witness serve/witness show/witness verify-evidence
purge order/purge received/purge run/fsck/backup/restore/recover"""


def walk(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None
        yield from walk(child, (*path, name))


COMMANDS = dict(walk(cli._comity))


def test_exactly_the_promised_commands_exist() -> None:
    promised = {name for line in PROMISED.splitlines()[1:] for name in line.split("/")} | {"init", "serve"}
    assert {" ".join(path) for path in COMMANDS} == promised


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_has_an_example_of_the_command_itself(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*path, "--help"]) == 0
    text = capsys.readouterr().out
    _, _, example = text.partition("Example:")
    pattern = r"comity (--node \S+ )?(--as \S+ )?" + " ".join(path)
    assert re.search(pattern, example), text
    assert "--json" in text


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_command_and_its_options_are_in_the_document(path: tuple[str, ...]) -> None:
    heads = [line for line in DOCUMENT.splitlines() if re.match(rf"### `comity (--node DIR )?{' '.join(path)}\b", line)]
    assert len(heads) == 1
    command = COMMANDS[path]
    assert isinstance(command, ActCommand)
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name != "as_json":
            assert parameter.opts[0] in heads[0]


def test_every_exit_code_is_in_the_document() -> None:
    rows = set(re.findall(r"^\| (\d+) \|", DOCUMENT, re.MULTILINE))
    assert rows == {str(int(code)) for code in Exit}


def test_every_state_of_an_agreement_is_in_the_document() -> None:
    _, _, text = DOCUMENT.partition("`state` is one of ")
    assert set(re.findall(r"`([^`]+)`", text.partition("\n\n")[0])) == {state.value for state in State}


def run_and_list_modules(arguments: list[str]) -> tuple[str, set[str]]:
    """Standard output of the command in a process of its own, and the modules it loaded."""
    script = (
        "import sys, json; from comity.cli import run; code = run(sys.argv[1:]);"
        " print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code == 0, done.stderr
    return done.stdout, set(modules)


@pytest.mark.parametrize("arguments", [["--help"], ["agreement", "--help"], ["serve", "--help"]], ids=" ".join)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    text, modules = run_and_list_modules(arguments)
    assert "Usage: comity" in text
    assert modules & HEAVY == set()


def test_help_takes_less_than_a_fifth_of_a_second_of_cpu(tmp_path: Path) -> None:
    """As it does for people: with what Python compiled when it ran first."""
    compiled = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    compiled["PYTHONPYCACHEPREFIX"] = str(tmp_path)
    used = list[float]()
    while not used or (min(used) >= 0.2 and len(used) < 12):  # the least is that of the command, the rest the machine's
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "comity.cli", "--help"], check=True, capture_output=True, env=compiled)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(used) < 0.2


@pytest.mark.parametrize("module", ["comity", "comity.cli"])
def test_it_runs_as_a_module_where_it_is_not_on_the_path(module: str) -> None:
    at = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    told = subprocess.run(
        [sys.executable, "-m", module, "--version"], check=True, capture_output=True, text=True, env=at
    )
    assert told.stdout.startswith("comity ")
    asked = [sys.executable, "-m", module, "--node", "/nowhere", "log", "show", "0", "--json"]
    failed = subprocess.run(asked, check=False, capture_output=True, text=True, env=at)
    assert (failed.returncode, json.loads(failed.stderr)["error"]["code"]) == (Exit.NOT_FOUND, "not-found")


def test_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert re.fullmatch(r"comity \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["agreement", "clarify", "3f2a"], "--clause"),
        (["--json", "agreement", "list"], "--json"),
        (["nothing"], "nothing"),
        (["log", "list", "--last", "x"], "x"),
        (["agreement", "list"], "--node"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_command_is_a_usage_error(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COMITY_NODE", raising=False)
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert words in captured.err


def test_a_usage_error_is_one_document_with_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["agreement", "clarify", "3f2a", "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["error"]["code"] == "usage"

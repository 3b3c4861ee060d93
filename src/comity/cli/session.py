# SPDX-License-Identifier: Apache-2.0
"""Shell: from what was typed to what is printed.

A command gives `Session.carry_out` the operation's name and arguments. If a process serves the node, it is asked over
the control socket; else this process opens the store itself. Results go to standard output, errors to standard error;
with `--json` each is one JSON document.
"""

import contextlib
import json
import os
import stat
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from comity.cli.control import ask
from comity.cli.words.layout import printable
from comity.errors import ComityError, MalformedRequest, NotFoundError, StoreBusy
from comity.node.steps import Tell
from comity.operations.reply import Json, Reply, fail_with

__all__ = [
    "ActCommand",
    "PersonCommand",
    "Render",
    "Session",
    "ask_reason",
    "name_object",
    "read_input",
    "write_new",
    "write_parts",
    "write_private",
]

CarryOut = Callable[[str, Mapping[str, Json]], Reply]
"""What carries out an operation with its arguments."""

Render = Callable[[dict[str, Any]], str]
"""A result as people read it, without the last line end."""

MAX_INPUT_BYTES = 64 * 1024 * 1024

_MAX_BADGE_BYTES = 1_024

_PATIENCE_SECONDS = 10.0
"""How long a command waits for others that own the store in turn, or for a serving process that is just starting."""

_PAUSE_SECONDS = 0.05

_HELD_SECONDS = 2.0
"""How long a command of many acts keeps the node open: less than others wait for it."""


@dataclass(slots=True, kw_only=True)
class Session:
    """One run of the program. `badge` is the file of the person who acts; `role` and `why` are what the person said."""

    folder: Path | None = None
    badge: Path | None = None
    role: str | None = None
    why: str | None = None
    as_json: bool = False
    debug: bool = False
    passphrase_file: Path | None = None
    _passphrase: bytes | None = field(default=None, repr=False)

    def unlock(self) -> bytes:
        """The passphrase of the node's keys: from the file named, from the service manager's, or asked of a person.

        Raises:
            ConfigError: there is none of them, or the file cannot be used.
        """
        from comity.config import find_passphrase_file, read_passphrase
        from comity.errors import ConfigError

        if self._passphrase is None:
            path = find_passphrase_file(self.passphrase_file)
            if path is not None:
                self._passphrase = read_passphrase(path)
            elif sys.stdin.isatty():
                self._passphrase = str(click.prompt("passphrase of the keys", hide_input=True, err=True)).encode()
            else:
                raise ConfigError(
                    "the keys of this node are encrypted: name the file with the passphrase by"
                    " `comity --key-passphrase-file FILE …`, or set COMITY_KEY_PASSPHRASE_FILE"
                )
        return self._passphrase

    def choose_passphrase(self, file: Path | None) -> bytes:
        """The passphrase that keys are to be encrypted under: in the file, or typed twice.

        Raises:
            ConfigError: the file cannot be used, nobody can be asked, or it is too short.
        """
        from comity.config import check_passphrase, read_passphrase
        from comity.errors import ConfigError

        if file is not None:
            return check_passphrase(read_passphrase(file))
        if not sys.stdin.isatty():
            raise ConfigError("nobody can be asked for a passphrase here: name a file that holds it")
        typed = str(click.prompt("new passphrase for the keys", hide_input=True, confirmation_prompt=True, err=True))
        return check_passphrase(typed.encode())

    def node_folder(self) -> Path:
        """The folder of the node.

        Raises:
            MalformedRequest: none was named.
            NotFoundError: there is none.
        """
        if self.folder is None:
            raise MalformedRequest("name the folder of the node: comity --node DIR …, or set COMITY_NODE")
        try:
            found = (self.folder / "node.toml").is_file()
        except OSError as error:
            raise NotFoundError(f"{self.folder} cannot be looked into: {error.strerror or error}") from error
        if not found:
            raise NotFoundError(
                f"there is no node in {self.folder}; make one with `comity init {self.folder} --party ID --name NAME`"
            )
        return self.folder

    def carry_out(
        self,
        operation: str,
        arguments: Mapping[str, Json],
        *,
        seconds: float | None = None,
        tell: Tell | None = None,
    ) -> Reply:
        """What became of the operation, by the serving process or by this one; `seconds` is how long it may take there.

        `tell` is told meanwhile how much of how much is done, where the operation has a measure.

        Raises:
            ComityError: it could not be handed to either.
        """
        folder = self.node_folder()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            reply = ask(folder, operation, arguments, **({} if seconds is None else {"seconds": seconds}), tell=tell)
            if reply is not None:
                return reply
            try:
                return _carry_out_here(folder, operation, arguments, self.unlock, tell)
            except StoreBusy:
                if time.monotonic() > deadline:
                    raise
            time.sleep(_PAUSE_SECONDS)

    def carry_out_each(self, operation: str, many: Iterable[Mapping[str, Json]]) -> Generator[Reply]:
        """What became of each in turn, as `carry_out` has it. Where this process does it, the node stays open for some.

        Each is done whole before the next; what an earlier call did stays done.

        Raises:
            ComityError: one could not be handed to either process.
        """
        folder, waiting = self.node_folder(), iter(many)
        for arguments in waiting:
            if (reply := ask(folder, operation, arguments)) is not None:
                yield reply
                continue
            with contextlib.ExitStack() as stack:
                try:
                    carry_out = stack.enter_context(_open_here(folder, self.unlock))
                except StoreBusy:
                    carry_out = self.carry_out
                until = time.monotonic() + _HELD_SECONDS
                yield carry_out(operation, arguments)
                # Others want the node too.
                while time.monotonic() < until and (following := next(waiting, None)) is not None:
                    yield carry_out(operation, following)

    def run(self, operation: str, arguments: Mapping[str, Json], render: Render) -> int:
        """Carry out, print, and give the exit code."""
        return self.finish(self.carry_out(operation, arguments), render)

    def run_as(self, operation: str, arguments: Mapping[str, Json], render: Render) -> int:
        """Carry out in the name of the person whose badge was given, print, and give the exit code.

        Whose it is, and whether one is needed, the node decides. Without this method no badge is read or handed over.
        """
        return self.run(
            operation, {**arguments, "badge": self.read_badge(), "role": self.role, "why": self.why}, render
        )

    def read_badge(self) -> str | None:
        """The text of the badge that was named, if any.

        Raises:
            MalformedRequest: it cannot be read, can be read by others, or is none.
        """
        return None if self.badge is None else _read_badge(self.badge)

    def finish(self, reply: Reply, render: Render) -> int:
        """Print the result or the error, and give the exit code."""
        if reply.result is not None:
            self.show(reply.result, render)
        elif reply.error is not None:
            self.show_error(reply.error)
        return reply.code

    def fail(self, error: ComityError) -> int:
        """Print the error and give its exit code."""
        return self.finish(fail_with(error), lambda _: "")

    def show(self, result: dict[str, Json], render: Render) -> None:
        """Print a result."""
        if self.as_json:
            click.echo(json.dumps(result, ensure_ascii=False, indent=2))
        elif text := render(result):
            click.echo(text)

    def show_error(self, error: Mapping[str, Json]) -> None:
        """Print an error."""
        if self.as_json:
            click.echo(json.dumps({"error": error}, ensure_ascii=False), err=True)
            return
        where, message = error.get("where"), str(error["message"])
        place = f"{where}: " if where and str(where) not in message else ""
        lines = f"error: {place}{message}".split("\n")  # much of it can be another party's: a key in its file, say
        click.echo("\n".join(map(printable, lines)), err=True)

    @contextlib.contextmanager
    def show_progress(self, label: str) -> Iterator[Tell | None]:
        """What to tell how far the work is, while the block runs; None where nobody looks at standard error."""
        if self.as_json or not sys.stderr.isatty():
            yield None
            return
        with click.progressbar(length=1, label=printable(label), file=sys.stderr) as bar:

            def tell(done: int, of: int) -> None:
                bar.length = of
                bar.update(done - bar.pos)

            yield tell

    def note(self, text: str) -> None:
        """Say something to the person that is no part of the result."""
        if not self.as_json:
            click.echo(text, err=True)


class ActCommand(click.Command):
    """A command with an example in its help and the option --json."""

    def __init__(self, *args: Any, example: str, **kwargs: Any) -> None:  # noqa: ANN401 (click's own parameters)
        super().__init__(*args, **kwargs)
        self.example = example
        self.params.append(
            click.Option(
                ["--json", "as_json"],
                is_flag=True,
                expose_value=False,
                callback=_want_json,
                help="Print the result as one JSON document.",
            )
        )

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the example below the options, as it would be typed."""
        with formatter.section("Example"):
            for line in self.example.splitlines():
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


class PersonCommand(ActCommand):
    """A command that a person gives: with --role and --why, and the badge that `comity --as` names."""

    def __init__(self, *args: Any, example: str, **kwargs: Any) -> None:  # noqa: ANN401 (click's own parameters)
        super().__init__(*args, example=example, **kwargs)
        self.params[-1:-1] = [
            click.Option(
                ["--role"],
                metavar="R",
                expose_value=False,
                callback=_take_role,
                help="The role to act in, where you have several: legal, liaison or operator.",
            ),
            click.Option(
                ["--why"],
                metavar="TEXT",
                expose_value=False,
                callback=_take_why,
                help="Why; for this party's own record, not sent.",
            ),
        ]


name_object = click.argument("object_id", metavar="OBJECT")
"""Which object a command is about."""

ask_reason = click.option("--reason", metavar="TEXT", required=True, help="Why; it goes on record.")
"""Why a person says something of an object, or decides on it: kept in the log with who did, and sent to nobody."""


def _carry_out_here(
    folder: Path, operation: str, arguments: Mapping[str, Json], unlock: Callable[[], bytes], tell: Tell | None
) -> Reply:
    from comity.operations.acting import act_alone

    return act_alone(folder, operation, arguments, unlock, tell)


def _open_here(folder: Path, unlock: Callable[[], bytes]) -> AbstractContextManager[CarryOut]:
    from comity.operations.acting import open_alone

    return open_alone(folder, unlock)


def _want_json(ctx: click.Context, _: click.Parameter, value: Any) -> None:  # noqa: ANN401
    if value:
        ctx.find_object(Session).as_json = True  # type: ignore[union-attr] # `run` always gives one


def _take_role(ctx: click.Context, _: click.Parameter, value: Any) -> None:  # noqa: ANN401
    ctx.find_object(Session).role = value  # type: ignore[union-attr] # `run` always gives one


def _take_why(ctx: click.Context, _: click.Parameter, value: Any) -> None:  # noqa: ANN401
    ctx.find_object(Session).why = value  # type: ignore[union-attr] # `run` always gives one


def _read_badge(path: Path) -> str:
    """The text of a badge file, which only its owner may be able to read.

    Raises:
        MalformedRequest: it cannot be read, can be read by others, or is none.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read(_MAX_BADGE_BYTES + 1)
    except OSError as error:
        raise MalformedRequest(f"the badge {path} cannot be read: {error.strerror or error}", where="--as") from error
    if mode & 0o077:
        raise MalformedRequest(
            f"the badge {path} can be read by others (mode {mode:o}); run: chmod 600 {path}. If others may have"
            " read it, have it renewed",
            where="--as",
        )
    if len(data) > _MAX_BADGE_BYTES or not data.isascii():
        raise MalformedRequest(f"{path} is not a badge", where="--as")
    return data.decode("ascii")


def read_input(path: str) -> bytes:
    """The bytes of a file that was named on the command line; "-" is standard input.

    Raises:
        MalformedRequest: it cannot be read, or is over 64 MiB.
    """
    try:
        if path == "-":
            data = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
        else:
            with Path(path).open("rb") as file:
                data = file.read(MAX_INPUT_BYTES + 1)
    except OSError as error:
        raise MalformedRequest(f"{path} cannot be read: {error.strerror or error}") from error
    if len(data) > MAX_INPUT_BYTES:
        raise MalformedRequest(f"{path} is over {MAX_INPUT_BYTES} bytes; split it into several bundles")
    return data


def write_new(file: str, text: str) -> None:
    """Replace FILE in one step.

    Raises:
        MalformedRequest: it cannot be written.
    """
    path = Path(file)
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise MalformedRequest(f"{file} cannot be written: {error.strerror or error}") from error


def write_private(file: str, data: bytes) -> None:
    """Replace FILE in one step; only the owner of FILE can read it.

    Raises:
        MalformedRequest: it cannot be written.
    """
    path = Path(file)
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.unlink(missing_ok=True)
        temporary.touch(mode=0o600, exist_ok=False)
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        raise MalformedRequest(f"{file} cannot be written: {error.strerror or error}") from error


def write_parts(file: str, parts: Iterable[bytes], *, keep: Callable[[], bool]) -> None:
    """Replace FILE in one step by all of `parts`, one after another, if `keep` says so then; else leave it as it is.

    Only the owner of FILE can read it.

    Raises:
        MalformedRequest: it cannot be written.
    """
    path = Path(file)
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.unlink(missing_ok=True)
        temporary.touch(mode=0o600, exist_ok=False)
        with temporary.open("wb") as opened:
            for part in parts:
                opened.write(part)
        if keep():
            temporary.replace(path)
        temporary.unlink(missing_ok=True)
    except OSError as error:
        raise MalformedRequest(f"{file} cannot be written: {error.strerror or error}") from error

# SPDX-License-Identifier: Apache-2.0
"""Shell: the command line. `main` is the program; everything a command needs is imported when that command runs.

`commands` is what can be typed, `session` the way from there to what is printed. `operations` is what a node can be
asked to do, `acting` one operation and what must follow it before the answer. `control` asks the process that serves,
and `listener` is that process being asked; `serve` is that process. `words` are results as people read them, `reply` as
programs do, with the exit codes.
"""

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, cast

import click

from comity.cli.session import Session
from comity.errors import ComityError
from comity.operations.reply import Exit, Json, describe_bug

__all__ = ["main", "run"]

_INTERRUPTED = "interrupted; what was kept before stands"
_COMMANDS = {
    "init": "nodes:init",
    "serve": "nodes:serve",
    "party": "parties:party",
    "credential": "parties:credential",
    "object": "objects:objects",
    "article": "articles:article",
    "classify": "classify:classify",
    "rules": "classify:rules",
    "list": "classify:lists",
    "assessment": "classify:assessment",
    "necessity": "safeguards:necessity",
    "identity": "safeguards:identity",
    "person": "people:person",
    "agreement": "agreements:agreement",
    "approvals": "people:approvals",
    "approve": "people:approve",
    "decline": "people:decline",
    "explain": "objects:explain",
    "pull": "objects:pull",
    "status": "follow:show_status",
    "follow": "follow:follow",
    "source": "sources:source",
    "reach": "reach:reach",
    "matrix": "matrix:matrix",
    "retention": "retention:retention",
    "recall": "recalls:recall",
    "consent": "consents:consent",
    "request": "requests:request",
    "work": "retention:work",
    "log": "journal:log",
    "audit": "audit:audit",
    "verify": "receipts:verify",
    "witness": "witness:witness",
    "purge": "keeping:purge",
    "fsck": "keeping:fsck",
    "backup": "keeping:backup",
    "restore": "keeping:restore",
    "recover": "keeping:recover",
}


class _LazyGroup(click.Group):
    """Commands by name, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        return cast("click.Command", getattr(importlib.import_module(f"comity.cli.commands.{module}"), name))


@click.group(
    cls=_LazyGroup,
    epilog="Example: comity --node aurelia agreement status 3f2a",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--node",
    "folder",
    metavar="DIR",
    envvar="COMITY_NODE",
    show_envvar=True,
    type=click.Path(path_type=Path),
    help="The folder of the node.",
)
@click.option(
    "--as",
    "badge",
    metavar="BADGE",
    envvar="COMITY_AS",
    show_envvar=True,
    type=click.Path(path_type=Path),
    help="The badge of the person who acts.",
)
@click.option(
    "--key-passphrase-file",
    "passphrase_file",
    metavar="FILE",
    envvar="COMITY_KEY_PASSPHRASE_FILE",
    show_envvar=True,
    type=click.Path(path_type=Path),
    help="The passphrase of the node's keys, if they are encrypted.",
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error that should not happen.")
@click.version_option(package_name="comity", message="comity %(version)s")
@click.pass_obj
def _comity(
    session: Session, folder: Path | None, badge: Path | None, passphrase_file: Path | None, *, debug: bool
) -> None:
    """Share STIX objects with other authorities under signed agreements, with proof of every disclosure."""
    session.folder = folder
    session.badge = badge
    session.passphrase_file = passphrase_file
    session.debug = debug


def main() -> NoReturn:
    """Run the command that was typed and leave with its exit code."""
    _open_streams()
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        # As by ctrl-C: what is under way is undone, and what was started for it ends too. `serve` has its own.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output went away; Python must not fail again when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = Exit.FAILED
    sys.exit(code)


def _open_streams() -> None:
    """Have all three standard streams open, where whoever started this program closed one.

    Else the next file of the node would get its number, and into that would go what any library prints.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))  # the lowest number that is free: its


def run(arguments: Sequence[str]) -> int:
    """The exit code of the command that `arguments` are; results and errors are printed."""
    session = Session(as_json="--json" in arguments)
    try:
        # In this mode click gives back what the command function gave, or the exit code of --help and --version.
        return int(_comity.main(list(arguments), prog_name="comity", obj=session, standalone_mode=False) or Exit.DONE)
    except click.UsageError as error:
        return _show_usage(session, error)
    except click.ClickException as error:
        session.show_error({"code": "failed", "message": error.format_message(), "facts": {}})
        return Exit.FAILED
    except (click.Abort, KeyboardInterrupt):
        session.show_error({"code": "interrupted", "message": _INTERRUPTED, "facts": {}})
        return Exit.INTERRUPTED
    except ComityError as error:
        return session.fail(error)
    except (BrokenPipeError, SystemExit):
        raise
    except Exception as error:
        if session.debug:
            raise
        session.show_error(describe_bug(error))
        return Exit.FAILED


def _show_usage(session: Session, error: click.UsageError) -> int:
    if not session.as_json:
        error.show()
    else:
        facts: dict[str, Json] = {} if error.ctx is None else {"usage": error.ctx.get_usage()}
        session.show_error({"code": "usage", "message": error.format_message(), "facts": facts})
    return Exit.USAGE

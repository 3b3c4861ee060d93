# SPDX-License-Identifier: Apache-2.0
"""Shell: results and errors as programs read them, and the one table of exit codes.

Both sides of the control socket speak in these, and the side of the person must start quickly: nothing here may import
the store, the keys or the network.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from comity.errors import (
    AuthenticationError,
    ComityError,
    ConfigError,
    ConflictError,
    CorruptionError,
    MalformedError,
    MalformedRequest,
    NotFoundError,
    NotInstalled,
    PeerUnreachable,
    TransitionError,
    UnavailableError,
    VerificationError,
)

__all__ = [
    "EXIT_CODES",
    "Exit",
    "Json",
    "Reply",
    "describe_bug",
    "fail_with",
    "find_exit_code",
    "format_reply",
    "parse_reply",
]

# The alias of `comity.canonical`, said again: that module loads hashing and canonical JSON, which a client never needs.
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


class Exit(IntEnum):
    """What a command says by its exit code; a code not listed here is a failure too."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    NOT_AUTHENTICATED = 4
    NOT_FOUND = 5
    NOT_IN_THIS_STATE = 6
    VERIFICATION_FAILED = 7
    PEER_UNREACHABLE = 8
    WAITING = 9
    NOT_INSTALLED = 10
    CONFLICTS = 11
    INTERRUPTED = 130


EXIT_CODES: Mapping[type[ComityError], Exit] = {
    MalformedError: Exit.FAILED,
    MalformedRequest: Exit.USAGE,
    VerificationError: Exit.VERIFICATION_FAILED,
    AuthenticationError: Exit.NOT_AUTHENTICATED,
    TransitionError: Exit.NOT_IN_THIS_STATE,
    ConflictError: Exit.NOT_IN_THIS_STATE,
    NotFoundError: Exit.NOT_FOUND,
    UnavailableError: Exit.FAILED,
    PeerUnreachable: Exit.PEER_UNREACHABLE,
    ConfigError: Exit.FAILED,
    NotInstalled: Exit.NOT_INSTALLED,
    CorruptionError: Exit.VERIFICATION_FAILED,
}
"""Class of failure → exit code; a class that is not listed has the code of the nearest one above it. A refusal is no
failure and has its code from the operation (`Exit.REFUSED`, `Exit.CONFLICTS`); so has what waits for a second person
(`Exit.WAITING`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What became of an operation: `result` or `error`, never both, and the exit code."""

    code: int
    result: dict[str, Json] | None = None
    error: dict[str, Json] | None = None


def find_exit_code(error: ComityError) -> Exit:
    """The exit code of a failure, by the nearest class in EXIT_CODES."""
    return next(EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES)


def fail_with(error: ComityError) -> Reply:
    """The failure as a reply: {"code", "message", "facts"}, and "where" if the error names a place."""
    body: dict[str, Json] = {"code": error.code, "message": error.detail}
    if isinstance(error, MalformedError) and error.where:
        body["where"] = error.where
    body["facts"] = {name: value for name, value in error.facts.items() if name != "where"}
    return Reply(code=find_exit_code(error), error=body)


def describe_bug(error: Exception) -> dict[str, Json]:
    """The body of an error that nobody foresaw; the incident id is drawn here and named nowhere else.

    What the operating system could not do is no bug: a file that cannot be read or written is for the operator.
    """
    if isinstance(error, OSError) and not isinstance(error, ConnectionError):
        failed = UnavailableError(
            f"{error.filename or 'a file of this command'}: {error.strerror or error}. Whether the command was done is"
            " not known: see to the disk, look, and do it again if it was not"
        )
        return fail_with(failed).error or {}
    incident = secrets.token_hex(4)
    message = (
        f"this is a bug in Comity, incident {incident} ({type(error).__name__}); whether the command was done is not"
        " known. Look, and report what `comity --debug …` shows or the serving process wrote under this incident"
    )
    return {"code": "bug", "message": message, "facts": {"incident": incident}}


def format_reply(reply: Reply) -> bytes:
    """The reply as it goes over the control socket."""
    return json.dumps({"code": reply.code, "result": reply.result, "error": reply.error}).encode()


def parse_reply(data: bytes) -> Reply:
    """The reply in `data`.

    Raises:
        UnavailableError: it is not one, so that nobody knows what became of the command.
    """
    try:
        match json.loads(data):
            case {"code": int(code), "result": dict(result), "error": None}:
                return Reply(code=code, result=result)
            case {"code": int(code), "result": None, "error": dict(error)}:
                return Reply(code=code, error=error)
            case _:
                pass
    except (ValueError, RecursionError):
        pass
    raise UnavailableError("the serving process gave an answer that cannot be read; is it of another version?")

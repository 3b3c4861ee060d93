# SPDX-License-Identifier: Apache-2.0
"""Exit codes and replies: what scripts of others hold on to."""

import pytest

from comity import errors
from comity.cli.session import Session
from comity.errors import ComityError, LogMismatch, MalformedTerms, UnavailableError
from comity.operations.reply import (
    EXIT_CODES,
    Exit,
    Reply,
    describe_bug,
    fail_with,
    find_exit_code,
    format_reply,
    parse_reply,
)

EXPECTED = {
    "MalformedError": 1,
    "MalformedFile": 1,
    "MalformedArticle": 1,
    "MalformedJson": 1,
    "MalformedObject": 1,
    "MalformedTerms": 1,
    "MalformedManifest": 1,
    "MalformedMessage": 1,
    "MalformedNote": 1,
    "MalformedPolicy": 1,
    "MalformedRequest": 2,
    "MalformedScenario": 1,
    "MalformedReceipt": 1,
    "VerificationError": 7,
    "UnknownKey": 7,
    "BadSignature": 7,
    "ThresholdNotMet": 7,
    "DigestMismatch": 7,
    "Expired": 7,
    "ProofMismatch": 7,
    "LogMismatch": 7,
    "CertificateRefused": 7,
    "ReceiptRefused": 7,
    "AuthenticationError": 4,
    "TransitionError": 6,
    "ConflictError": 6,
    "NotFoundError": 5,
    "UnavailableError": 1,
    "PeerUnreachable": 8,
    "QuotaReached": 1,
    "RateLimited": 1,
    "StoreBusy": 1,
    "StoreFull": 1,
    "StoreUncertain": 1,
    "ConfigError": 1,
    "NotInstalled": 10,
    "CorruptionError": 7,
    "RolledBack": 7,
}


def find_subclasses(kind: type[ComityError]) -> set[type[ComityError]]:
    return {kind}.union(*(find_subclasses(child) for child in kind.__subclasses__()))


def test_every_class_of_failure_has_its_exit_code() -> None:
    kinds = find_subclasses(ComityError) - {ComityError}
    assert {kind.__name__: int(find_exit_code(kind("x"))) for kind in kinds} == EXPECTED


def test_every_class_of_the_tree_is_known_to_this_test() -> None:
    assert set(EXPECTED) | {"ComityError"} == set(errors.__all__)


def test_no_class_is_caught_by_a_row_for_everything() -> None:
    assert ComityError not in EXIT_CODES


def test_success_and_refusal_are_no_failures() -> None:
    assert {Exit.DONE, Exit.REFUSED} & set(EXIT_CODES.values()) == set()


def test_an_error_has_one_shape() -> None:
    reply = fail_with(MalformedTerms("channels: no such field", where="line 12"))
    assert reply.code == 1
    assert reply.result is None
    assert reply.error == {
        "code": "malformed-terms",
        "message": "channels: no such field",
        "where": "line 12",
        "facts": {},
    }


def test_facts_are_kept() -> None:
    error = fail_with(LogMismatch("entry 3 was altered", entry=3)).error
    assert error == {"code": "log-mismatch", "message": "entry 3 was altered", "facts": {"entry": 3}}


@pytest.mark.parametrize("reply", [Reply(code=0, result={"a": [1, "ü"]}), fail_with(LogMismatch("x", entry=1))])
def test_a_reply_survives_the_socket(reply: Reply) -> None:
    assert parse_reply(format_reply(reply)) == reply


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"code":0}', b'{"code":0,"result":{},"error":{}}', b"\xff"])
def test_what_is_no_reply_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(UnavailableError, match="cannot be read"):
        parse_reply(data)


def test_an_error_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Session().show_error({"message": "/\x1b]0;x\x07\x9b2J is a key that is unknown\nat line 2", "facts": {}})
    assert capsys.readouterr().err == "error: /\\x1b]0;x\\x07\\x9b2J is a key that is unknown\nat line 2\n"


def test_what_the_operating_system_cannot_do_is_no_bug() -> None:
    body = describe_bug(OSError(5, "Input/output error", "keys/log.pem"))
    assert body["code"] == "unavailable"
    message = str(body["message"])
    assert "keys/log.pem: Input/output error" in message
    assert "Whether the command was done is not known" in message
    assert {describe_bug(error)["code"] for error in (ValueError("x"), ConnectionResetError("gone"))} == {"bug"}

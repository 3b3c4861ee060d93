# SPDX-License-Identifier: Apache-2.0
"""Shell: operations on this party's own keys: other ones, a later end, a key called revoked, TLS keys."""

from comity.agreement.recognition import Refusal
from comity.errors import MalformedRequest
from comity.ids import parse_instant
from comity.node import rotation
from comity.node.cosigning import list_states, read_own_head
from comity.node.node import Node
from comity.node.outbox import list_waiting
from comity.node.people import Actor, Waiting
from comity.node.rotation import Rotated
from comity.operations.outcome import Arguments, Outcome
from comity.operations.parties import describe_manifest
from comity.operations.people import conclude_refused, conclude_waiting, describe_approvals, read_actor
from comity.operations.reply import Json
from comity.signing import Role

__all__ = ["describe_uncosigned", "describe_untold", "name_tls_keys", "renew", "revoke_key", "rotate"]

_MAX_DAYS = 3_650


def rotate(node: Node, arguments: Arguments) -> Outcome:
    """The next manifest, with other keys in the roles named, or in all."""
    roles = [_read_role(text) for text in arguments.texts("roles")] or list(Role)
    days, by = arguments.number("days", most=_MAX_DAYS), _read_actor(node, arguments)
    return _conclude(rotation.rotate_keys(node, roles, days=days, by=by))


def renew(node: Node, arguments: Arguments) -> Outcome:
    """The next manifest, with the same keys and a later end."""
    days, by = arguments.number("days", most=_MAX_DAYS), _read_actor(node, arguments)
    return _conclude(rotation.renew_manifest(node, days=days, by=by))


def name_tls_keys(node: Node, arguments: Arguments) -> Outcome:
    """The next manifest, with the same keys, and the TLS keys that this party's server may show."""
    from comity.taxii.tls import read_key_digest  # slow to load, and needed here alone

    files = arguments.texts("certificates")
    if bool(files) == arguments.flag("any"):
        raise MalformedRequest("name the certificates of this party's server, or say --any", where="FILE")
    keys = [read_key_digest(text.encode(), where=f"certificate {place}") for place, text in enumerate(files, start=1)]
    days, by = arguments.number("days", most=_MAX_DAYS), _read_actor(node, arguments)
    return _conclude(rotation.name_tls_keys(node, keys, days=days, by=by))


def revoke_key(node: Node, arguments: Arguments) -> Outcome:
    """The next manifest, in which a key is called revoked and another stands in its place."""
    role, since = _read_role(arguments.text("key_role")), parse_instant(arguments.text("since"))
    days, by = arguments.number("days", most=_MAX_DAYS), _read_actor(node, arguments)
    return _conclude(rotation.revoke_key(node, role, since=since, days=days, by=by))


def describe_untold(node: Node, result: dict[str, Json]) -> list[Json]:
    """Those of the partners told who have not acknowledged what waits for them."""
    told = result["told"]
    assert isinstance(told, list)  # noqa: S101 (see `_conclude`)
    return [
        {"party": item.party, "messages": item.messages, "problem": item.problem}
        for item in list_waiting(node)
        if item.party in told
    ]


def describe_uncosigned(node: Node) -> list[Json]:
    """The witnesses of this node that have not cosigned the head that there is, and why."""
    head = read_own_head(node)
    return [
        {
            "witness": state.witness.name,
            "problem": state.witness.problem or (state.problem[1] if state.problem else None),
        }
        for state in list_states(node)
        if head is None or state.size < head.size
    ]


def _read_actor(node: Node, arguments: Arguments) -> Actor | None:
    """The person who acts; nobody where no badge was given, which is enough while nobody is registered."""
    return None if arguments.by is None and arguments.optional("badge") is None else read_actor(node, arguments)


def _read_role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError as error:
        known = ", ".join(Role)
        raise MalformedRequest(f"{text[:80]!r} is not a role of keys; the roles are {known}", where="ROLE") from error


def _conclude(done: Rotated | Waiting | Refusal) -> Outcome:
    if isinstance(done, Refusal):
        return conclude_refused(done)
    if isinstance(done, Waiting):
        return conclude_waiting(done)
    told: list[Json] = list(done.told)
    return Outcome(
        result={
            **describe_manifest(done.manifest),
            "roles": list[Json](role.value for role in done.roles),
            "approvals": describe_approvals(done.approvals),
            "told": told,
        },
        tells=True,
    )

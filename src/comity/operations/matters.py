# SPDX-License-Identifier: Apache-2.0
"""Shell: operations on acts that wait for a second person: one shown with what was brought, completed, declined."""

import base64

from comity.agreement.people import find_need
from comity.agreement.recognition import Refusal
from comity.errors import MalformedRequest
from comity.node import lists, matters, necessity, people
from comity.node.classify import Classified
from comity.node.consent import Said
from comity.node.matters import COMPLETED_HERE, Brought
from comity.node.node import Node
from comity.node.people import PendingMatter
from comity.operations import agreements, classify, consents, safeguards
from comity.operations.lists import conclude_decided
from comity.operations.outcome import Arguments, Outcome
from comity.operations.people import conclude_refused, describe_approvals, describe_matter, read_actor
from comity.operations.reply import Json
from comity.operations.sight import may_see_matter

__all__ = ["approve", "decline", "find", "list_pending", "require_whole", "show"]

_NAME = 64
"""Characters of the whole name of an act that waits. Two acts can be made whose names begin alike: whoever saw one and
approves by less than the whole could be given the other."""


def list_pending(node: Node, arguments: Arguments) -> Outcome:
    """Every act that waits for somebody; of them what is for the person who asks, where one does.

    Each with the legal bases that the positions in it are on.
    """
    by = arguments.by
    found = [item for item in people.list_matters(node) if by is None or may_see_matter(by, item.kind)]
    return Outcome(
        result={"matters": [{**describe_matter(item, by=by), "bases": _describe_bases(node, item)} for item in found]}
    )


def show(node: Node, arguments: Arguments) -> Outcome:
    """One act that waits, and what the first person brought to it, as bytes in base64 (null: it takes none).

    `here` says whether it is completed by its name alone; `roles` are those in which the person who asks could approve
    it, and so decline it.
    """
    by = arguments.by
    found = find(node, arguments)
    need = find_need(found.matter.kind)
    roles = [role.value for role in need.roles if by is not None and role in by.roles] if need is not None else []
    kept = found.matter.kind not in {"propose", "counter", "accede"} or found.data is not None
    result: dict[str, Json] = {
        **describe_matter(found.matter, by=by),
        "bases": _describe_bases(node, found.matter),
        "brought": None if found.data is None else base64.b64encode(found.data).decode(),
        "here": found.matter.kind in COMPLETED_HERE and kept,
        "roles": list[Json](roles),
    }
    return Outcome(result=result)


def require_whole(name: str) -> None:
    """Do nothing for the whole name of an act that waits.

    Raises:
        MalformedRequest: it is less, by which another one could be meant.
    """
    if len(name) != _NAME:
        message = "name all 64 characters of what you approve, as `comity approvals` shows them: others can begin alike"
        raise MalformedRequest(message, where="matter")


def approve(node: Node, arguments: Arguments) -> Outcome:
    """Approve the very same, named in full: it is done, where that is all it waited for."""
    require_whole(arguments.text("matter"))
    found, by = find(node, arguments), read_actor(node, arguments)
    done = matters.approve_matter(node, found.matter.digest, by=by)
    match done:
        case Said():
            return consents.conclude(done)
        case necessity.Decided():
            return safeguards.conclude_decided(done)
        case lists.Decided():
            return conclude_decided(done)
        case Classified():
            return classify.conclude_classified(done)
        case _:
            return agreements.conclude(done)


def decline(node: Node, arguments: Arguments) -> Outcome:
    """End it for everybody: nobody's approval of it waits any more."""
    found, by = find(node, arguments), read_actor(node, arguments)
    done = matters.decline_matter(node, found.matter.digest, by=by, reason=arguments.text("reason"))
    if isinstance(done, Refusal):
        return conclude_refused(done)
    described = describe_matter(done.matter, by=None)
    return Outcome(
        result={
            **{name: described[name] for name in ("matter", "kind", "agreement", "title", "terms")},
            "declined_by": done.person,
            "role": done.role.value,
            "reason": done.reason,
            "approvals": describe_approvals(done.matter.approvals),
        }
    )


def find(node: Node, arguments: Arguments) -> Brought:
    """The act that `matter` names; where a person asks, one of that person's list, named in full."""
    by, name = arguments.by, arguments.text("matter")
    if by is not None and len(name) != _NAME:
        raise matters.say_gone()  # how many others there are is not for everybody
    found = matters.show_matter(node, name)
    if by is not None and not may_see_matter(by, found.matter.kind):
        raise matters.say_gone()
    return found


def _describe_bases(node: Node, matter: PendingMatter) -> list[Json]:
    return [
        {"party": basis.party, "kind": basis.kind, "reference": basis.reference}
        for basis in matters.read_bases(node, matter)
    ]

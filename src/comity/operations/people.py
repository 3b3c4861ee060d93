# SPDX-License-Identifier: Apache-2.0
"""Shell: operations on people: who is registered, who acts, and what waits for somebody."""

from collections.abc import Iterable

from comity.agreement.people import Approval, Badge, Person, format_badge, parse_badge, parse_role
from comity.agreement.recognition import Refusal
from comity.canonical import Json as AnyJson
from comity.ids import format_instant, parse_person_id
from comity.node import people
from comity.node.node import Node
from comity.node.people import Actor, PendingMatter, Waiting
from comity.operations.outcome import Arguments, Outcome
from comity.operations.reply import Exit, Json

__all__ = [
    "add",
    "conclude_refused",
    "conclude_waiting",
    "describe_approvals",
    "list_all",
    "list_pending",
    "read_actor",
    "read_badge",
    "remove",
    "renew",
]


def read_actor(node: Node, arguments: Arguments) -> Actor:
    """The person who asks, or whose badge is among the arguments; the role named and the reason.

    Raises:
        AuthenticationError: no badge, or not one of a person of this node.
        MalformedRequest: no badge at all in the bytes, or no such role.
    """
    role = arguments.optional("role")
    return Actor(
        person=arguments.by or people.identify(node, read_badge(arguments)),
        role=None if role is None else parse_role(role),
        why=arguments.optional("why"),
    )


def read_badge(arguments: Arguments) -> Badge | None:
    """The badge among the arguments, if any; nothing in it is believed yet.

    Raises:
        MalformedRequest: what is given as one is none.
    """
    text = arguments.optional("badge")
    return None if text is None else parse_badge(text.encode("utf-8", "surrogatepass"))


def conclude_refused(refusal: Refusal) -> Outcome:
    """A refusal of this party's own: the clause of its policy, or `people` where the person's roles do not fit."""
    refused: dict[str, Json] = {"clause": refusal.clause, "reason": refusal.reason}
    return Outcome(result={"refused": refused}, code=Exit.REFUSED)


def conclude_waiting(waiting: Waiting) -> Outcome:
    """An approval that is kept, and what it waits for. Nothing was signed, so nothing is sent."""
    facts = waiting.matter.facts
    return Outcome(
        result={
            "waits_for": waiting.missing.sentence,
            "kind": waiting.matter.kind,
            "agreement": waiting.matter.agreement,
            "title": facts.get("title"),
            "terms": facts.get("terms"),
            "matter": waiting.matter.digest,
            "approvals": describe_approvals(waiting.approvals),
            "expires_at": format_instant(waiting.expires_at),
        },
        code=Exit.WAITING,
    )


def describe_approvals(approvals: Iterable[Approval]) -> list[Json]:
    """Who said yes, as what, why and when."""
    return [
        {"person": item.person, "role": item.role.value, "reason": item.reason, "at": format_instant(item.at)}
        for item in approvals
    ]


def list_pending(node: Node, _: Arguments) -> Outcome:
    """Every act that waits for somebody."""
    return Outcome(result={"matters": [_describe_matter(item) for item in people.list_matters(node)]})


def add(node: Node, arguments: Arguments) -> Outcome:
    """A person now registered; the badge can be read in this answer and never again."""
    person = Person(
        id=parse_person_id(arguments.text("person")),
        name=arguments.text("name"),
        roles=frozenset(parse_role(role) for role in arguments.texts("roles")),
    )
    badge = people.add_person(node, person)
    return Outcome(result={**_describe_person(person), "badge": format_badge(badge).decode()})


def renew(node: Node, arguments: Arguments) -> Outcome:
    """The same person with another badge."""
    person = parse_person_id(arguments.text("person"))
    badge = people.renew_person(node, person)
    return Outcome(result={"person": person, "badge": format_badge(badge).decode()})


def remove(node: Node, arguments: Arguments) -> Outcome:
    """A person who acts no more, and how many approvals died with it."""
    person = parse_person_id(arguments.text("person"))
    return Outcome(result={"person": person, "approvals_dropped": people.remove_person(node, person)})


def list_all(node: Node, _: Arguments) -> Outcome:
    """Every person ever registered, in the order of adding."""
    listed: list[Json] = [
        {
            **_describe_person(item.person),
            "added_at": format_instant(item.added_at),
            "removed_at": None if item.removed_at is None else format_instant(item.removed_at),
        }
        for item in people.list_people(node)
    ]
    return Outcome(result={"people": listed})


def _describe_person(person: Person) -> dict[str, Json]:
    return {"person": person.id, "name": person.name, "roles": list[Json](sorted(person.roles))}


def _describe_matter(matter: PendingMatter) -> dict[str, Json]:
    facts: dict[str, AnyJson] = matter.facts if isinstance(matter.facts, dict) else {}
    return {
        "matter": matter.digest,
        "kind": matter.kind,
        "agreement": matter.agreement,
        "title": facts.get("title"),
        "terms": facts.get("terms"),
        "facts": facts,
        "approvals": describe_approvals(matter.approvals),
        "waits_for": matter.missing,
        "expires_at": format_instant(matter.expires_at),
    }

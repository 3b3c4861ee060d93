# SPDX-License-Identifier: Apache-2.0
"""Shell: operations on people: who is registered, who acts, and what waits for somebody."""

from collections.abc import Iterable

from comity.agreement.people import (
    Approval,
    Badge,
    Person,
    Satisfied,
    choose_role,
    find_need,
    format_badge,
    parse_badge,
    parse_role,
    weigh_approvals,
)
from comity.agreement.recognition import Refusal
from comity.canonical import Json as AnyJson
from comity.config import format_address
from comity.errors import AuthenticationError
from comity.ids import format_instant, parse_person_id
from comity.node import invitations, people, programs, sessions
from comity.node.node import Node
from comity.node.people import Actor, PendingMatter, Waiting
from comity.node.programs import StoredProgram
from comity.node.sessions import WaysIn
from comity.operations.outcome import Arguments, Outcome
from comity.operations.reply import Exit, Json

__all__ = [
    "add",
    "conclude_refused",
    "conclude_waiting",
    "describe_approvals",
    "describe_matter",
    "describe_program",
    "invite",
    "list_all",
    "list_sessions",
    "read_actor",
    "read_badge",
    "remove",
    "renew",
    "require_present",
    "sign_out",
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


def require_present(node: Node, arguments: Arguments) -> None:
    """Do nothing while who asks, a person or a program of one, is still there: between the steps of long work.

    Raises:
        AuthenticationError: the person was removed, signed out or invited anew since, or the program was ended.
    """
    program = arguments.optional("program")
    if program is not None and not programs.may_ask(node, program):
        raise AuthenticationError("this program may not ask any more; what was done stands")
    if arguments.by is None:
        return
    if not people.is_present(node, arguments.by.id):
        raise AuthenticationError(f"{arguments.by.id} is no person of this node any more; what was done stands")
    if program is None and node.shut_out[arguments.by.id] != arguments.shut_out:
        raise AuthenticationError(f"{arguments.by.id} was signed out since this began; what was done stands")


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


def invite(node: Node, arguments: Arguments) -> Outcome:
    """An invitation, whose code can be read in this answer and never again; `url` is where it is redeemed."""
    invitation = invitations.invite_person(node, parse_person_id(arguments.text("person")))
    console = node.settings.console
    at = None if console is None else console.url or f"http://{format_address(console.listen)}"
    return Outcome(
        result={
            "person": invitation.person.id,
            "code": invitation.code,
            "expires_at": format_instant(invitation.expires_at),
            # Behind the fragment, which no browser sends: the code stands in no log of a server or proxy.
            "url": None if at is None else f"{at}/enrol#{invitation.code}",
        }
    )


def list_sessions(node: Node, arguments: Arguments) -> Outcome:
    """Who is signed in to the console, which programs may ask it, and what happened at its door last (100 records)."""
    named = arguments.optional("person")
    person = None if named is None else parse_person_id(named)
    listed: list[Json] = [
        {
            "session": item.id,
            "person": item.person,
            "factor": item.factor,
            "began_at": format_instant(item.began_at),
            "used_at": format_instant(item.used_at),
        }
        for item in sessions.list_sessions(node, person)
    ]
    records: list[Json] = [
        {
            "at": format_instant(item.at),
            "person": item.person,
            "what": item.what,
            "factor": item.factor,
            "failed": item.failed,
        }
        for item in sessions.list_records(node, person)
    ]
    asking: list[Json] = [describe_program(item) for item in programs.list_programs(node, person)]
    return Outcome(result={"sessions": listed, "programs": asking, "records": records})


def describe_program(item: StoredProgram) -> dict[str, Json]:
    """A program, without its token, which nobody has but whoever was given it."""
    return {
        "program": item.id,
        "person": item.person,
        "name": item.name,
        "may": list[Json](sorted(item.may)),
        "made_at": format_instant(item.made_at),
        "expires_at": format_instant(item.expires_at),
        "used_at": None if item.used_at is None else format_instant(item.used_at),
    }


def sign_out(node: Node, arguments: Arguments) -> Outcome:
    """How many sessions and programs of the person were ended: all."""
    person = parse_person_id(arguments.text("person"))
    ended, stopped = sessions.sign_out(node, person)
    return Outcome(result={"person": person, "ended": ended, "programs": stopped})


def list_all(node: Node, _: Arguments) -> Outcome:
    """Every person ever registered, in the order of adding, and by what each can sign in to the console."""
    ways = sessions.read_ways_in(node)
    listed: list[Json] = [
        {
            **_describe_person(item.person),
            "added_at": format_instant(item.added_at),
            "removed_at": None if item.removed_at is None else format_instant(item.removed_at),
            **_describe_ways(ways[item.person.id]),
        }
        for item in people.list_people(node)
    ]
    return Outcome(result={"people": listed})


def _describe_person(person: Person) -> dict[str, Json]:
    return {"person": person.id, "name": person.name, "roles": list[Json](sorted(person.roles))}


def _describe_ways(ways: WaysIn) -> dict[str, Json]:
    return {
        "password": ways.password,
        "passkeys": ways.passkeys,
        "account": ways.account,
        "invited_until": None if ways.invited_until is None else format_instant(ways.invited_until),
        "last_sign_in": None if ways.last_at is None else format_instant(ways.last_at),
    }


def describe_matter(matter: PendingMatter, *, by: Person | None) -> dict[str, Json]:
    """An act that waits: all that would be signed, who approved it, and whether `by` would complete it."""
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
        "completes": None if by is None else _completes(matter, by),
    }


def _completes(matter: PendingMatter, person: Person) -> bool:
    """Whether the approval of this person is what it waits for."""
    need = find_need(matter.kind)
    role = None if need is None else choose_role(need, person, matter.approvals)
    if need is None or role is None:
        return False
    # Who has approved already counts once.
    own = Approval(person=person.id, role=role, reason=None, at=matter.expires_at)
    return isinstance(weigh_approvals(need, [*matter.approvals, own]), Satisfied)

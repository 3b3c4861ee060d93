# SPDX-License-Identifier: Apache-2.0
"""Shell: operations on receipts: those of this party's own disclosures, those of partners, and what was refused."""

import base64
from collections.abc import Iterable

from comity.agreement.recognition import Refusal
from comity.errors import NotFoundError
from comity.ids import format_instant, parse_party_id
from comity.node import delivery, journal, waiving
from comity.node import receipts as given
from comity.node.delivery import RefusedPage
from comity.node.node import Node
from comity.node.people import Waiting
from comity.node.waiving import Waiver
from comity.operations.outcome import Arguments, Outcome
from comity.operations.people import conclude_refused, conclude_waiting, describe_approvals, read_actor
from comity.operations.reply import Json
from comity.operations.sight import may_ask, say_nothing_there

__all__ = ["describe_waivers", "give", "list_refused", "waive"]

_MOST = 10**9


def give(node: Node, arguments: Arguments) -> Outcome:
    """A receipt: for an entry of this node's own log, or the one that a partner gave for its disclosure of a number."""
    giver = arguments.optional("from")
    if giver is None:
        entry = journal.find_entry(node, arguments.text("entry"))
        return Outcome(result={"giver": node.party, "receipt": given.write_receipt(node, entry.position).decode()})
    party, name = parse_party_id(giver), arguments.text("entry")
    if not (name.isascii() and name.isdigit() and len(name) < len(str(_MOST))):
        raise NotFoundError(f"{name[:80]!r} is no number of a disclosure; they are counted from 1")
    _, receipt = delivery.find_kept_receipt(node, party, int(name))
    return Outcome(result={"giver": party, "receipt": receipt.decode()})


def list_refused(node: Node, arguments: Arguments) -> Outcome:
    """What was refused of partners, oldest first; one of them with its bytes where a number is given.

    Who may not read agreements is told of whom, when, and which part of the receipt was wrong: the reason names terms,
    channels and objects, and the bytes are objects.
    """
    named = arguments.by is None or may_ask(arguments.by, "agreement.show")
    pages = delivery.list_refused_pages(node)
    listed: list[Json] = [_describe(number, page, named=named) for number, page in enumerate(pages, start=1)]
    if arguments.optional("number") is None:
        return Outcome(result={"refused": listed})
    if not named:
        raise say_nothing_there()
    number = arguments.text("number")
    found = next((page for place, page in enumerate(pages, start=1) if str(place) == number), None)
    if found is None:
        raise NotFoundError(f"there is no refused page {number[:20]}; `log refused` lists them")
    evidence: dict[str, Json] = {
        "page": _encode(found.page),
        "receipt": _encode(found.receipt),
        "proof": _encode(found.proof),
    }
    return Outcome(result={"refused": [_describe(int(number), found, named=True)], "evidence": evidence})


def waive(node: Node, arguments: Arguments) -> Outcome:
    """The disclosures of a partner that stand without receipts, once two people said so."""
    done = waiving.waive_receipts(
        node,
        parse_party_id(arguments.text("party")),
        through=arguments.number("through", most=_MOST),
        reason=arguments.text("reason"),
        by=read_actor(node, arguments),
    )
    if isinstance(done, Waiting):
        return conclude_waiting(done)
    if isinstance(done, Refusal):
        return conclude_refused(done)
    (waived,) = describe_waivers([done.waiver])
    return Outcome(result={"waived": waived, "approvals": describe_approvals(done.approvals)})


def describe_waivers(waived: Iterable[Waiver]) -> list[Json]:
    """What stands without receipts: which numbers of whom, since when, and the entry that says why."""
    return [
        {
            "giver": item.giver,
            "first": item.first,
            "through": item.through,
            "at": format_instant(item.at),
            "entry": item.entry,
        }
        for item in waived
    ]


def _describe(number: int, page: RefusedPage, *, named: bool) -> dict[str, Json]:
    return {
        "number": number,
        "at": format_instant(page.at),
        "giver": page.giver,
        "terms": page.terms if named else None,
        "channel": page.channel if named else None,
        "part": page.part,
        "reason": page.reason if named else f"{page.part}: it does not match",
    }


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")

# SPDX-License-Identifier: Apache-2.0
"""Shell: operations on sources: TAXII 2.1 servers that are no nodes, and the terms of receipt for what they give."""

from comity.agreement.recognition import Refusal
from comity.errors import MalformedRequest
from comity.ids import Digest, format_instant
from comity.node import sources
from comity.node.node import Node
from comity.node.people import Waiting
from comity.node.sources import MISP, SCHEMES, TAXII, Source, StoredSource
from comity.operations.follow import describe_pause
from comity.operations.objects import describe_bad
from comity.operations.outcome import Arguments, Outcome
from comity.operations.people import conclude_refused, conclude_waiting, read_actor
from comity.operations.reply import Json

__all__ = ["add", "drop", "list_all", "pull"]

_MANIFEST = "manifest.json"
"""What stands in the place of a collection for a feed of MISP."""


def add(node: Node, arguments: Arguments) -> Outcome:
    """The source that is followed from here on, or what its record still lacks."""
    credential, scheme = arguments.optional("credential"), arguments.optional("scheme") or SCHEMES[0]
    if scheme not in SCHEMES:
        raise MalformedRequest(f"{scheme!r} is not one of {', '.join(SCHEMES)}", where="--scheme")
    collection, misp = arguments.optional("collection"), arguments.flag("misp")
    if (collection is None) != misp:
        raise MalformedRequest("give the id of a collection, or --misp for a feed of MISP", where="--collection")
    wanted = StoredSource(
        name=arguments.text("name"),
        url=arguments.text("url"),
        collection=collection or _MANIFEST,
        record=Digest(""),
        document=b"",
        scheme=None if credential is None else scheme,
        credential=credential,
        kind=MISP if misp else TAXII,
    )
    match sources.add_source(node, wanted, arguments.data("terms"), by=read_actor(node, arguments)):
        case Refusal() as refused:
            return conclude_refused(refused)
        case Waiting() as waiting:
            return conclude_waiting(waiting)
        case Source() as source:
            return Outcome(result=_describe(node, source))


def drop(node: Node, arguments: Arguments) -> Outcome:
    """The source that is followed no more."""
    match sources.drop_source(node, arguments.text("name"), by=read_actor(node, arguments)):
        case Refusal() as refused:
            return conclude_refused(refused)
        case Waiting() as waiting:
            return conclude_waiting(waiting)
        case StoredSource() as stored:
            return Outcome(result={"source": stored.name, "url": stored.url, "collection": stored.collection})


def list_all(node: Node, _: Arguments) -> Outcome:
    """Every source that is followed, with what its record lets in."""
    return Outcome(result={"sources": [_describe(node, source) for source in sources.list_sources(node)]})


async def pull(node: Node, arguments: Arguments) -> Outcome:
    """What a source has that did not come yet, taken in."""
    from comity.calls import Room, open_client
    from comity.sources import pull_source

    name = arguments.text("name")
    async with open_client(node) as client:
        drawn = await pull_source(client, node, name, room=Room(1))
    result: dict[str, Json] = {
        "source": name,
        "pages": drawn.pages,
        "added": list[Json](drawn.added),
        "known": drawn.known,
        "bad": describe_bad(drawn.bad),
        "withheld": _describe_withheld(node, name),
    }
    return Outcome(result=result, checks=frozenset(drawn.added))


def _describe(node: Node, source: Source) -> dict[str, Json]:
    stored, terms = source.stored, source.terms
    return {
        "source": stored.name,
        "url": stored.url,
        "collection": stored.collection,
        "kind": stored.kind,
        "record": stored.record,
        "title": terms.title,
        "originator": terms.originator,
        "types": list[Json](sorted(terms.types)),
        "tlp_ceiling": terms.tlp_ceiling,
        "unmarked": terms.unmarked,
        "onward_to": list[Json](sorted(terms.onward_to)),
        "permitted_actions": terms.permitted_actions,
        "prohibited_uses": list[Json](sorted(terms.prohibited_uses)),
        "legal_bases": [{"kind": basis.kind, "reference": basis.reference} for basis in terms.legal_bases],
        "position": None if stored.position is None else format_instant(stored.position),
        "paused_until": describe_pause(sources.read_progress(node, stored), now=node.clock()),
        "withheld": _describe_withheld(node, stored.name),
    }


def _describe_withheld(node: Node, name: str) -> list[Json]:
    return [
        {"reason": item.reason, "count": item.count, "last": item.last_id, "at": format_instant(item.last_at)}
        for item in sources.list_withheld(node, name)
    ]

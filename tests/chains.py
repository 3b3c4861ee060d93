# SPDX-License-Identifier: Apache-2.0
"""Nodes that pass on what they were given, for tests: agreements along a chain, and pulls without the network."""

from collections.abc import Sequence

from comity.errors import ComityError
from comity.ids import Instant, PartyId
from comity.node import correspond
from comity.node.follow import plan_pull
from comity.node.gate import list_open_collections
from comity.node.outbox import list_due, settle
from comity.node.parties import add_party, export_manifest
from comity.node.poll import Page, PollRequest, Selection, VersionChoice, poll
from comity.node.receive import Received, receive_page
from comity.release.disclosure import Answer
from tests.worlds import World

__all__ = ["deliver_to", "give_all", "introduce", "pull_all", "sign_consent", "sign_onward"]


def introduce(world: World, pairs: Sequence[tuple[str, str]]) -> None:
    """Let each of a pair have the address of the other."""
    for one, other in pairs:
        for name, known in ((one, other), (other, one)):
            manifest = world.manifests[known]
            url = f"http://127.0.0.1:1/{known}"
            add_party(world.nodes[name], export_manifest(world.nodes[known]), digest=manifest.digest, url=url)


def sign_onward(
    world: World, giver: str, receiver: str, *, listed: Sequence[str], extra: str = "", title: str | None = None
) -> str:
    """The id of an agreement: `giver` gives `receiver` whatever it holds, to be passed on to `listed`."""
    originators = [*world.nodes, "own"]
    toml = world.terms(
        giver=giver,
        receivers=(receiver,),
        title=title or f"{giver} to {receiver}",
        extra=extra,
        channel_extra=f"originators = {originators}",
    )
    if listed:
        toml = toml.replace(b'onward = "none"', f'onward = "listed"\nreleasable_to = {[*listed]}'.encode())
    return world.sign_all(toml, proposer=giver)


def sign_consent(world: World, giver: str, receiver: str, *, extra: str = "", title: str | None = None) -> str:
    """As `sign_onward`, to be passed on by consent alone."""
    toml = world.terms(
        giver=giver,
        receivers=(receiver,),
        title=title or f"{giver} to {receiver}",
        extra=extra,
        channel_extra=f"originators = {[*world.nodes, 'own']}",
    )
    return world.sign_all(toml.replace(b'onward = "none"', b'onward = "originator_consent"'), proposer=giver)


def give_all(world: World, giver: str, receiver: str) -> dict[str, Page]:
    """What `giver` gives `receiver` now, by collection; disclosed, and not taken in."""
    return {
        collection.id: poll(
            world.nodes[giver],
            PollRequest(
                recipient=PartyId(receiver),
                collection=collection.id,
                answer=Answer.OBJECTS,
                selection=Selection(after=Instant(0), versions=VersionChoice(every=True)),
            ),
        )
        for collection in list_open_collections(world.nodes[giver], PartyId(receiver))
    }


def pull_all(world: World, giver: str, receiver: str) -> set[str]:
    """The ids of everything that `giver` gives `receiver` now, taken in without the network."""
    given = set[str]()
    for name, page in give_all(world, giver, receiver).items():
        (target,) = [item for item in plan_pull(world.nodes[receiver], PartyId(giver)) if item.collection == name]
        received = Received(
            giver=target.giver,
            terms=target.terms,
            channel=target.channel,
            collection=target.collection,
            added_after=None,
        )
        data = b'{"objects":[' + b",".join(item.data for item in page.items) + b"]}"
        receive_page(world.nodes[receiver], data, received)
        given |= {item.id for item in page.items}
    return given


def deliver_to(world: World, sender: str, *, away: Sequence[str] = ()) -> int:
    """How many messages of `sender` were taken, one try each; those to parties that are away stay."""
    taken = 0
    for message in list_due(world.nodes[sender], besides=[PartyId(name) for name in away]):
        try:
            correspond.receive_any(world.nodes[message.party], message.envelope)
        except ComityError as error:
            settle(world.nodes[sender], message, problem=error.detail)
        else:
            settle(world.nodes[sender], message, problem=None)
            taken += 1
    return taken

# SPDX-License-Identifier: Apache-2.0
"""Shell: operations on parties: this one's manifest, the partners' manifests, and credentials given to partners."""

from comity.cli.outcome import Arguments, Outcome
from comity.cli.reply import Json
from comity.ids import format_instant, parse_digest, parse_party_id
from comity.node import parties
from comity.node.node import Node
from comity.signing import Manifest, parse_manifest, parse_signed_document

__all__ = ["add", "create_credential", "describe_manifest", "export", "list_all"]


def export(node: Node, _: Arguments) -> Outcome:
    """This party's signed manifest, as text, and its digest."""
    envelope = parties.export_manifest(node)
    manifest = parse_manifest(parse_signed_document(envelope).payload)
    return Outcome(result={**describe_manifest(manifest), "manifest": envelope.decode()})


def add(node: Node, arguments: Arguments) -> Outcome:
    """The party that is now pinned."""
    digest, url = arguments.optional("digest"), arguments.optional("url")
    manifest = parties.add_party(
        node, arguments.data("manifest"), digest=None if digest is None else parse_digest(digest.lower()), url=url
    )
    return Outcome(result={**describe_manifest(manifest), "url": parties.find_party(node, manifest.party).url})


def list_all(node: Node, _: Arguments) -> Outcome:
    """Every party known here, this one among them."""
    listed: list[Json] = [
        {**describe_manifest(item.manifest), "url": item.url, "own": item.manifest.party == node.party}
        for item in parties.list_parties(node)
    ]
    return Outcome(result={"parties": listed})


def create_credential(node: Node, arguments: Arguments) -> Outcome:
    """A new credential; it can be read in this answer and never again."""
    party = parse_party_id(arguments.text("party"))
    return Outcome(result={"party": party, "credential": parties.create_credential(node, party)})


def describe_manifest(manifest: Manifest) -> dict[str, Json]:
    """The facts of a manifest."""
    return {
        "party": manifest.party,
        "name": manifest.name,
        "state": manifest.state,
        "digest": manifest.digest,
        "version": manifest.version,
        "expires_at": format_instant(manifest.expires_at),
    }

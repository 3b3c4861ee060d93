# SPDX-License-Identifier: Apache-2.0
"""Shell: operations on parties: this one's manifest, the partners' manifests, and credentials given to partners."""

from comity.agreement.recognition import Refusal
from comity.ids import Instant, format_instant, parse_digest, parse_instant, parse_party_id
from comity.node import parties, pinning
from comity.node.node import Node
from comity.node.parties import StoredCredential
from comity.node.people import Waiting
from comity.operations.outcome import Arguments, Outcome
from comity.operations.people import conclude_refused, conclude_waiting, describe_approvals, read_actor
from comity.operations.reply import Json
from comity.signing import Manifest, parse_manifest, parse_signed_document

__all__ = [
    "add",
    "create_credential",
    "describe_manifest",
    "export",
    "list_all",
    "list_credentials",
    "repin",
    "revoke_credential",
]

_MOST_VERSION = 2**53 - 1


def export(node: Node, arguments: Arguments) -> Outcome:
    """A signed manifest, as text, and its digest: this party's that is in force, or another one that is kept."""
    of, at = arguments.optional("of"), arguments.optional("at")
    number = arguments.optional_number("number", most=_MOST_VERSION)
    if of is None and at is None and number is None:
        envelope = parties.export_manifest(node)
    else:
        party = node.party if of is None else parse_party_id(of)
        envelope = parties.find_manifest(node, party, number=number, at=None if at is None else parse_instant(at))
    manifest = parse_manifest(parse_signed_document(envelope).payload)
    return Outcome(result={**describe_manifest(manifest), "manifest": envelope.decode()})


def add(node: Node, arguments: Arguments) -> Outcome:
    """The party that is now pinned."""
    digest, url = arguments.optional("digest"), arguments.optional("url")
    manifest = parties.add_party(
        node, arguments.data("manifest"), digest=None if digest is None else parse_digest(digest.lower()), url=url
    )
    return Outcome(result={**describe_manifest(manifest), "url": parties.find_party(node, manifest.party).url})


def repin(node: Node, arguments: Arguments) -> Outcome:
    """The party that is pinned anew, once two people said so, and what ended with it."""
    done = pinning.repin_party(
        node,
        arguments.data("manifest"),
        digest=parse_digest(arguments.text("digest").lower()),
        url=arguments.optional("url"),
        reason=arguments.text("reason"),
        by=read_actor(node, arguments),
    )
    if isinstance(done, Waiting):
        return conclude_waiting(done)
    if isinstance(done, Refusal):
        return conclude_refused(done)
    in_force: list[Json] = [{"agreement": agreement, "title": title} for agreement, title in done.in_force]
    return Outcome(
        result={
            **describe_manifest(done.manifest),
            "url": done.url,
            "before": done.before,
            "credentials_revoked": done.credentials,
            "log_begins_anew": done.anew,
            "receipts_set_aside": done.receipts,
            "in_force": in_force,
            "approvals": describe_approvals(done.approvals),
        }
    )


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
    days = arguments.number("days", most=parties.MAX_CREDENTIAL_DAYS)
    secret, credential = parties.issue_credential(node, party, days=days)
    return Outcome(result={**_describe_credential(credential, now=node.clock()), "credential": secret})


def list_credentials(node: Node, arguments: Arguments) -> Outcome:
    """Every credential ever given to partners, or to one."""
    party = arguments.optional("party")
    found = parties.list_credentials(node, None if party is None else parse_party_id(party))
    listed: list[Json] = [_describe_credential(item, now=node.clock()) for item in found]
    return Outcome(result={"credentials": listed})


def revoke_credential(node: Node, arguments: Arguments) -> Outcome:
    """A credential that lets nobody in any more."""
    revoked = parties.revoke_credential(node, arguments.text("id"))
    return Outcome(result=_describe_credential(revoked, now=node.clock()))


def describe_manifest(manifest: Manifest) -> dict[str, Json]:
    """The facts of a manifest."""
    return {
        "party": manifest.party,
        "name": manifest.name,
        "state": manifest.state,
        "digest": manifest.digest,
        "version": manifest.version,
        "expires_at": format_instant(manifest.expires_at),
        "tls": list[Json](manifest.tls),
    }


def _describe_credential(credential: StoredCredential, *, now: Instant) -> dict[str, Json]:
    def optional(at: Instant | None) -> str | None:
        return None if at is None else format_instant(at)

    day = credential.used_day
    return {
        "id": credential.id,
        "party": credential.party,
        "good": credential.is_good(now),
        "created_at": format_instant(credential.created_at),
        "expires_at": optional(credential.expires_at),
        "revoked_at": optional(credential.revoked_at),
        "last_used": None if day is None else format_instant(Instant(day * 86_400_000_000))[:10],
    }

# SPDX-License-Identifier: Apache-2.0
"""Pure: agreements as a scenario writes them become the documents that its parties sign.

The fields are those of an agreement in TOML (docs/spec/agreement-document.md). What only a computer could write is
filled in where it is left out: manifests, digests of documents, the version, and what it replaces. Nothing else is.
"""

from collections.abc import Iterator, Mapping

from comity.agreement.reader import Reader
from comity.agreement.terms import FORMAT, Terms, parse_terms
from comity.canonical import Json, canonical_bytes, sha256_digest
from comity.errors import MalformedError, MalformedScenario
from comity.ids import Digest, PartyId

__all__ = ["derive_digest", "draft_terms", "read_agreements"]

_MAX_AGREEMENTS = 64
_REPLACES = "replaces"


def derive_digest(what: str, name: str) -> Digest:
    """The digest of something that a scenario only names, always the same for the same name."""
    return sha256_digest(f"comity-scenario/1 {what} {name}".encode())


def read_agreements(fields: Reader, manifests: Mapping[PartyId, Digest]) -> dict[str, Terms]:
    """Every version by its name, in the order written; a version is written after the one it replaces."""
    known: dict[str, Terms] = {}
    for name, reader in fields.entries("agreements", most=_MAX_AGREEMENTS):
        known[name] = draft_terms(name, reader, known=known, manifests=manifests)
    return known


def draft_terms(name: str, reader: Reader, *, known: Mapping[str, Terms], manifests: Mapping[PartyId, Digest]) -> Terms:
    """The version `name`, whose text `reader` is.

    Raises:
        MalformedScenario: as terms are refused, with the place in the scenario.
    """
    fields = reader.open()
    value = reader.value
    assert isinstance(value, dict)  # noqa: S101 (it was opened)
    filled = {key: item for key, item in value.items() if key != _REPLACES}
    filled.setdefault("format", FORMAT)
    filled.setdefault("title", name)
    filled.setdefault("version", 1)
    if fields.has(_REPLACES):
        replaced = known.get(fields.text(_REPLACES))
        if replaced is None:
            raise fields.refuse(_REPLACES, f"names a version written above it: {', '.join(known) or 'there is none'}")
        lineage: dict[str, Json] = {"agreement": replaced.agreement_id, "supersedes": replaced.hash}
        filled |= lineage | {"version": replaced.version + 1}
    filled["parties"] = _fill_parties(filled.get("parties"), manifests)
    for field, key in (("assurances", "document"), ("texts", "digest")):
        if field in filled:
            filled[field] = _fill_digests(filled[field], field, key)
    try:
        terms = parse_terms(canonical_bytes(filled))
    except MalformedError as error:
        inside = error.where if error.where.startswith("/") else ""
        raise MalformedScenario(error.detail, where=f"{reader.where}{inside}") from error
    for index, party in enumerate(terms.parties):
        if party.id not in manifests:
            known_parties = ", ".join(sorted(manifests))
            raise MalformedScenario(
                f"{party.id} is not one of the parties of the scenario: {known_parties}",
                where=f"{reader.where}/parties/{index}",
            )
    return terms


def _fill_parties(written: Json, manifests: Mapping[PartyId, Digest]) -> Json:
    if not isinstance(written, list):
        return written
    return list(_each_party(written, manifests))


def _each_party(written: list[Json], manifests: Mapping[PartyId, Digest]) -> Iterator[Json]:
    for item in written:
        party: Json = {"id": item} if isinstance(item, str) else item
        if isinstance(party, dict) and isinstance(name := party.get("id"), str):
            # Who is no party of the scenario is refused afterwards, with the place.
            party = {"manifest": manifests.get(PartyId(name), derive_digest("manifest", name)), **party}
        yield party


def _fill_digests(written: Json, field: str, key: str) -> Json:
    if not isinstance(written, list):
        return written
    return [
        {key: derive_digest(field, str(index)), **item} if isinstance(item, dict) else item
        for index, item in enumerate(written)
    ]

# SPDX-License-Identifier: Apache-2.0
"""Shell: the operation `reach`. Fixpoint and proof run beside the event loop: answers to partners must not wait."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from comity.canonical import OBJECT_LIMITS, parse_json
from comity.errors import MalformedRequest, NotFoundError, UnavailableError
from comity.ids import PartyId, parse_party_id
from comity.node.node import Node
from comity.node.reach import Answer, Known, Reached, certify, find_reach, read_known
from comity.operations.outcome import Arguments, Outcome
from comity.operations.reply import Json
from comity.release.clauses import CLAUSES
from comity.release.proof import Proved, load_z3
from comity.release.reach import Box, Consent, Edge, Question, make_example
from comity.stix.labels import UNSPECIFIED, format_label
from comity.vocabulary import (
    HANDLING,
    KINDS,
    MARKINGS,
    PERSON_CLASSES,
    REGIONS,
    SPECIAL_CATEGORIES,
    STIX_TYPES,
    SUBJECT,
    TLP_LEVELS,
    TYPE,
)

__all__ = ["reach"]

_PROOF_SECONDS = 300.0


def _is_type(word: str) -> bool:
    return word in STIX_TYPES or (word.startswith("x-") and TYPE.fullmatch(word) is not None)


def _is_subject(word: str) -> bool:
    return SUBJECT.fullmatch(word) is not None


_ATTRIBUTES: Mapping[str, tuple[str, Callable[[str], bool], str]] = {
    "type": ("types", _is_type, "a STIX type"),
    "tlp": ("tlp_ceiling", TLP_LEVELS.__contains__, f"one of {', '.join(TLP_LEVELS)}"),
    "marking": ("markings", MARKINGS.__contains__, f"one of {', '.join(sorted(MARKINGS))}"),
    "subject": ("subjects", _is_subject, "scheme:id with unsc, stix or national"),
    "region": ("regions", REGIONS.__contains__, "an ISO 3166-1 alpha-2 code"),
    "kind": ("kinds", (KINDS | {UNSPECIFIED}).__contains__, f"one of {', '.join(sorted(KINDS | {UNSPECIFIED}))}"),
    "person_class": ("person_classes", PERSON_CLASSES.__contains__, f"one of {', '.join(sorted(PERSON_CLASSES))}"),
    "special_category": (
        "special_categories",
        SPECIAL_CATEGORIES.__contains__,
        f"one of {', '.join(sorted(SPECIAL_CATEGORIES))}",
    ),
    "handling": ("handling", HANDLING.__contains__, f"one of {', '.join(sorted(HANDLING))}"),
}
"""What may be said of the object: the clause it is for, what a word of it is, and how that is said to people."""


async def reach(node: Node, arguments: Arguments) -> Outcome:
    """Where such an object could end up; with `certify`, only what z3 confirms."""
    question, originators = _read_attributes(arguments.texts("attributes"))
    to = arguments.optional("to")
    wanted = None if to is None else parse_party_id(to)
    consent = Consent.REFUSED if arguments.flag("without_consent") else Consent.GRANTED
    if arguments.flag("certify"):
        load_z3()
    known = read_known(node, proposed=arguments.flag("proposed"))
    if wanted is not None and wanted not in known.parties:
        raise NotFoundError(f"{wanted} is no party that this node has pinned or that an agreement here names")
    answer = await asyncio.to_thread(find_reach, known, question, originators=originators, consent=consent)
    proofs = await _certify(answer) if arguments.flag("certify") else None
    return Outcome(
        result={
            "attributes": list[Json](arguments.texts("attributes")),
            "consent": consent.value,
            "agreements": _describe_counted(known),
            "reached": [_describe_reached(question, item) for item in answer.reached if wanted in {None, item.party}],
            "never": [party for party in answer.never if wanted in {None, party}],
            "certificate": [
                {"originator": one.originator, "boxes": [_describe_box(box) for box in one.boxes]}
                for one in answer.reaches
            ],
            "proof": None
            if proofs is None
            else {"solver": proofs[0].solver, "implications": sum(item.implications for item in proofs)},
        }
    )


async def _certify(answer: Answer) -> list[Proved]:
    """What z3 confirmed of each originator's objects, one after another."""
    try:
        async with asyncio.timeout(_PROOF_SECONDS):
            return [await asyncio.to_thread(certify, answer, one) for one in answer.reaches]
    except TimeoutError as error:
        raise UnavailableError(
            f"the proof was not done in {_PROOF_SECONDS:.0f} seconds; give more attributes, an originator first of all"
        ) from error


def _read_attributes(listed: Sequence[str]) -> tuple[Question, frozenset[PartyId]]:
    """The question, and the parties that may be the originator (none: any)."""
    words: dict[str, set[str]] = {}
    originators = set[PartyId]()
    for item in listed:
        name, equals, word = item.partition("=")
        if name == "originator" and equals:
            originators.add(parse_party_id(word))
            continue
        if name not in _ATTRIBUTES or not equals:
            names = ", ".join([*_ATTRIBUTES, "originator"])
            raise MalformedRequest(f"{item!r} is no attribute; write NAME=VALUE, with NAME one of {names}")
        clause, is_known, expected = _ATTRIBUTES[name]
        if not is_known(word):
            raise MalformedRequest(f"{word[:80]!r} is no value of {name}; give {expected}")
        words.setdefault(clause, set()).add(word)
    return {clause: frozenset(some) for clause, some in words.items()}, frozenset(originators)


def _describe_counted(known: Known) -> list[Json]:
    return [
        {
            "agreement": item.terms.agreement_id,
            "title": item.terms.title,
            "version": item.terms.version,
            "terms": item.terms.hash,
            "state": item.state.value,
        }
        for item in known.counted
    ]


def _describe_reached(question: Question, item: Reached) -> Json:
    example = make_example(question, item.chain, originator=item.originator)
    return {
        "party": item.party,
        "originator": item.originator,
        "chain": [_describe_edge(edge) for edge in item.chain],
        "example": parse_json(format_label(example), limits=OBJECT_LIMITS),
    }


def _describe_edge(edge: Edge) -> Json:
    return {
        "giver": edge.giver,
        "receiver": edge.receiver,
        "agreement": edge.agreement,
        "terms": edge.terms,
        "title": edge.title,
        "channel": edge.channel,
        "originators": list[Json](sorted(edge.restrictions.originators)),
    }


def _describe_box(box: Box) -> Json:
    said: dict[str, Json] = {
        clause.name: None if words is None else list[Json](sorted(words))
        for clause, words in zip(CLAUSES, box.says, strict=True)
    }
    return {"party": box.holder, "says": said}

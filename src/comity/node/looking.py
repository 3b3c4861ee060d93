# SPDX-License-Identifier: Apache-2.0
"""Shell: a file to be taken in, read once before anything of it is kept: which it is, and whether it is whole."""

import hashlib
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from comity.canonical import Json, canonical_bytes, sha256_digest
from comity.errors import MalformedFile, MalformedRequest
from comity.ids import Digest, PersonId
from comity.intake.cutting import Cutter
from comity.intake.formats import HEAD_BYTES, Format, recognise_format
from comity.intake.mapping import parse_mapping
from comity.intake.marking import TLP_WORDS
from comity.intake.misp_mapping import MISP_MAPPING
from comity.node.files import CHUNK_BYTES, File
from comity.node.steps import Steps
from comity.stix.tags import Tags, make_tags

__all__ = ["AS_RECEIVED", "MOST_BYTES", "WHOLE_BYTES", "Look", "Plan", "check_plan", "look_through", "name_act"]

MOST_BYTES: Final = 4 * 1024 * 1024 * 1024
"""Of one file."""

WHOLE_BYTES: Final = 64 * 1024 * 1024
"""STIX of up to so many bytes is one group."""

_CHUNKS_AT_ONCE: Final = 8

AS_RECEIVED: Final = frozenset({Format.STIX_21, Format.STIX_20})
"""STIX, whose objects are cut out of the file."""

_JSON: Final = AS_RECEIVED | {Format.MISP_EVENT, Format.FOLLOW_THE_MONEY}
_UTF_16: Final = frozenset({BOM_UTF16_LE, BOM_UTF16_BE, b"{\0", b"\0{", b"[\0", b"\0["})
"""How JSON begins in it."""

_MAPPED: Final = (Format.CSV, Format.TSV, Format.MISP_EVENT)
"""Formats of which a mapping can say something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked of a file besides reading it.

    `form` None: it is recognised. `mapping` is that of a table; `source` what a list or data set is called; `tags` and
    `tlp` are said of all that is in it.
    """

    form: Format | None = None
    mapping: bytes | None = None
    source: str | None = None
    tags: Tags = field(default_factory=make_tags)
    tlp: str | None = None
    person: PersonId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the first reading of a file showed."""

    digest: Digest
    bytes: int
    form: Format


def look_through(file: File, plan: Plan) -> Steps[Look]:
    """The digest, the size and the format of a file.

    Of STIX that is not taken in as one group it is seen whether it is whole: else its first objects would be kept
    before that shows.
    """
    digest, size, form = hashlib.sha256(), 0, plan.form
    cutter, problem, is_blank = Cutter(), None, True
    for number, chunk in enumerate(file.read(CHUNK_BYTES)):
        # Objects are looked for in what is STIX, which takes longer than to hash it.
        if number and (form in AS_RECEIVED or number % _CHUNKS_AT_ONCE == 0):
            yield
        if number == 0 and form is None:
            form = _recognise(chunk[:HEAD_BYTES], file.name, plan)
        if number == 0 and form in _JSON and chunk[:2] in _UTF_16:
            raise MalformedFile("it is written in UTF-16, and JSON is UTF-8 (RFC 8259); save it as UTF-8", where="1:1")
        is_blank = is_blank and not chunk.removeprefix(BOM_UTF8).strip()
        digest.update(chunk)
        size += len(chunk)
        if size > MOST_BYTES:
            raise MalformedFile(f"the file is over {MOST_BYTES} bytes, which is the bound; split it")
        if form in AS_RECEIVED and problem is None:
            problem = _feed(cutter, chunk)
    form = form or recognise_format(b"", file.name)
    if is_blank:
        raise MalformedFile("the file is empty; was it saved, or fetched, to its end?")
    if form is Format.STIX_20 or (form is Format.STIX_21 and size > WHOLE_BYTES):
        if problem is not None:
            raise problem
        cutter.close()
    return Look(digest=Digest(digest.hexdigest()), bytes=size, form=form)


def _feed(cutter: Cutter, chunk: bytes) -> MalformedFile | None:
    try:
        cutter.feed(chunk)
    except MalformedFile as error:
        return error
    return None


def _find_possible(plan: Plan) -> Sequence[Format]:
    return _MAPPED if plan.mapping is not None else tuple(Format)


def _recognise(head: bytes, name: str, plan: Plan) -> Format:
    """The format of a file that begins so, in the encoding that its mapping says.

    What is wrong with a mapping its reader says, but where the file is not told by it: then that may be why.
    """
    encoding, problem = "utf-8", None
    if plan.mapping is not None:
        try:
            encoding = parse_mapping(plan.mapping).encoding
        except MalformedFile as error:
            problem = error
    try:
        return recognise_format(head, name, among=_find_possible(plan), encoding=encoding)
    except MalformedFile:
        if problem is not None and MISP_MAPPING.encode() not in (plan.mapping or b""):
            raise problem from None
        raise


def check_plan(plan: Plan, form: Format) -> None:
    """Refuse what a person asked for and this format has no use for: it would be lost without a word."""
    if plan.mapping is not None and form not in _MAPPED:
        raise MalformedRequest(f"a mapping is for tables and MISP, and this file is {form.value}", where="--mapping")
    if plan.source is not None and form is not Format.FOLLOW_THE_MONEY:
        raise MalformedRequest(
            f"a source is for FollowTheMoney, and this file is {form.value}; a table says its own in the mapping",
            where="--source",
        )
    if plan.tlp is not None and plan.tlp not in TLP_WORDS:
        raise MalformedRequest(f"{plan.tlp[:80]!r} is no TLP level; use one of {', '.join(TLP_WORDS)}", where="--tlp")
    if plan.tlp is not None and form is Format.STIX_21:
        raise MalformedRequest(
            "objects of STIX 2.1 are kept as they were received, and each says its own marking; mark them in the file",
            where="--tlp",
        )


def name_act(look: Look, plan: Plan) -> Digest:
    """What was asked, in a digest."""
    tags: dict[str, Json] = {name: [*sorted(getattr(plan.tags, name))] for name in Tags.__slots__}
    asked: dict[str, Json] = {
        "digest": look.digest,
        "format": look.form.value,
        "mapping": None if plan.mapping is None else sha256_digest(plan.mapping),
        "source": plan.source,
        "tags": tags,
        "tlp": plan.tlp,
    }
    return sha256_digest(canonical_bytes(asked))

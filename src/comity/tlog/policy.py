# SPDX-License-Identifier: Apache-2.0
"""Pure: which logs are believed, and how many witnesses of which must have cosigned (C2SP tlog-policy).

Decides whether a note is a checkpoint of a log that is listed, cosigned as the quorum asks, and in the time that the
caller asks for: what was cosigned before or after it counts for nothing.

    log comity/arvenia+2dbb2a9d+AboKJw…
    witness borlund comity/borlund/witness+5f0d1a5c+BGmN… https://borlund.example/comity/witness
    witness north   witness.north.example+0c5b7a10+BCrh…
    group partners any borlund north
    quorum partners

Lines are in any order, except that a name is defined above the line that uses it. No groups are nested in a circle.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from comity.counting import say_count
from comity.errors import MalformedNote, MalformedPolicy, ThresholdNotMet, UnknownKey
from comity.ids import Instant, format_instant
from comity.tlog.cosignature import verify_cosignature, verify_log_signature
from comity.tlog.note import Checkpoint, Note, SignatureType, VerifierKey, parse_vkey

__all__ = ["Group", "PolicyLog", "PolicyWitness", "Quorum", "TrustPolicy", "parse_trust_policy", "verify_quorum"]

_NONE = "none"
_SECOND, _YEAR_10000 = 1_000_000, 253_402_300_800
_MAX_BYTES = 512 * 1024
_MAX_OF_A_KIND = 64
"""Of logs, of witnesses, of groups: the specification recommends at least 32 of each."""

_FORBIDDEN = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_SPACES = re.compile(r"[ \t]+")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_LOG_TYPES = frozenset({SignatureType.ED25519, SignatureType.ML_DSA_44_COSIGNATURE})
_WITNESS_TYPES = frozenset({SignatureType.ED25519_COSIGNATURE, SignatureType.ML_DSA_44_COSIGNATURE})


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyLog:
    """A log that is believed; the name of its key is its origin."""

    key: VerifierKey
    url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyWitness:
    """A witness that is believed, under a name that means something in this policy only."""

    name: str
    key: VerifierKey
    url: str | None
    """Its submission prefix (C2SP tlog-witness)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Witnesses and groups of which `threshold` must have cosigned."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustPolicy:
    """What must have signed a checkpoint. Names that are not UTF-8 keep their octets as lone surrogates."""

    logs: tuple[PolicyLog, ...]
    """May be empty: the log is then known from elsewhere."""
    witnesses: tuple[PolicyWitness, ...]
    groups: tuple[Group, ...]
    """In their order: each names only witnesses and groups before it."""
    quorum: str | None
    """The witness or group that must have cosigned; None: no cosignature is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quorum:
    """What a note was found to be: a checkpoint, the key its log signed it with, and who cosigned it when."""

    checkpoint: Checkpoint
    log: VerifierKey
    timestamps: dict[str, int]
    """Every witness of the policy that cosigned in time, also beyond the quorum, with its seconds since 1970."""


def parse_trust_policy(data: bytes) -> TrustPolicy:
    """The policy that the bytes of a file are.

    Stricter than the specification in two places: a key may not be that of a log and of a witness at once; and where a
    group asks for more than one of its members, no witness may stand behind two of them. Several keys of one name are
    one witness: an old and a next one, or one of each kind. They may stand in a group of which any is enough.

    Raises:
        MalformedPolicy: an unknown line, a name used before it is defined, defined twice or in two groups, a key
            listed twice or of a type that does not fit, a witness that would count twice, no quorum or two, or over a
            bound.
    """
    if len(data) > _MAX_BYTES:
        raise MalformedPolicy(f"a trust policy of {len(data)} bytes, where at most {_MAX_BYTES} are taken")
    if data and not data.endswith(b"\n"):
        raise MalformedPolicy("the last line of the trust policy does not end with a newline")
    reader = _Reader()
    for number, line in enumerate(data.split(b"\n")[:-1], start=1):
        where = f"line {number}"
        if _FORBIDDEN.search(line):
            raise MalformedPolicy(f"{where} of the trust policy holds a control character other than tab", where=where)
        words = _SPACES.split(line.decode("utf-8", errors="surrogateescape").strip(" \t"))
        if words[0] and not words[0].startswith("#"):
            reader.read(words, where=where)
    return reader.finish()


def verify_quorum(
    note: Note, policy: TrustPolicy, *, logs: Sequence[VerifierKey] = (), since: int = 0, until: int | None = None
) -> Quorum:
    """Who cosigned the note's checkpoint, after one of the policy's logs signed it and its quorum cosigned it.

    Cosignatures count from `since` to `until`, both in seconds since 1970 and included. `logs` are keys of logs known
    from elsewhere, believed beside those of the policy. Lines by other keys are passed over. A line by a known key that
    does not verify spoils the note, whether the quorum would be met without it or not.

    Raises:
        MalformedNote: the text is not a checkpoint.
        UnknownKey: no log that is believed signed it.
        BadSignature: a log or witness that is believed has a line in it that does not verify.
        ThresholdNotMet: too few witnesses cosigned it.
    """
    checkpoint, log = _verify_log(note, (*(entry.key for entry in policy.logs), *logs))
    timestamps: dict[str, int] = {}
    untimely: list[str] = []
    for witness in policy.witnesses:
        with suppress(UnknownKey):
            at = verify_cosignature(note, witness.key)
            if since <= at and (until is None or at <= until):
                timestamps[witness.name] = at
            else:
                untimely.append(f"{_show(witness.name)} at {_show_time(at)}")
    if policy.quorum is not None and policy.quorum not in _count(policy, timestamps):
        signed = ", ".join(map(_show, timestamps)) or "none"
        others = ", ".join(_show(witness.name) for witness in policy.witnesses if witness.name not in timestamps)
        others = others or "anybody else who counts"
        late = f"; cosigned at another time than counts: {', '.join(untimely)}" if untimely else ""
        raise ThresholdNotMet(
            f"the checkpoint over {say_count(checkpoint.size, 'entry')} is cosigned by {signed}, which is not the"
            f" quorum {_show(policy.quorum)}; not by {others}{late}"
        )
    return Quorum(checkpoint=checkpoint, log=log, timestamps=timestamps)


def _verify_log(note: Note, keys: Sequence[VerifierKey]) -> tuple[Checkpoint, VerifierKey]:
    found: list[tuple[Checkpoint, VerifierKey]] = []
    for key in keys:
        with suppress(UnknownKey):
            found.append((verify_log_signature(note, key), key))
    if not found:
        raise UnknownKey("the checkpoint is not signed by a log that the trust policy believes")
    return found[0]


def _count(policy: TrustPolicy, timestamps: dict[str, int]) -> frozenset[str]:
    """The witnesses that cosigned, and the groups that count as having done so."""
    reached = set(timestamps)
    # A group names only what stands before it: one pass decides all, however deep they are nested.
    for group in policy.groups:
        if sum(member in reached for member in group.members) >= group.threshold:
            reached.add(group.name)
    return frozenset(reached)


def _show_time(seconds: int) -> str:
    """The time as people read it; as a number where it is beyond any year that has four digits."""
    return format_instant(Instant(seconds * _SECOND)) if seconds < _YEAR_10000 else f"{seconds} seconds since 1970"


def _show(name: str) -> str:
    return name.encode("utf-8", errors="surrogateescape").decode("utf-8", errors="replace")


class _Reader:
    """The lines read so far."""

    def __init__(self) -> None:
        self._logs: list[PolicyLog] = []
        self._witnesses: list[PolicyWitness] = []
        self._groups: list[Group] = []
        self._quorum: list[str] = []
        self._names: set[str] = set()
        self._grouped: set[str] = set()
        self._keys: set[bytes] = set()
        self._behind: dict[str, frozenset[str]] = {}
        """By witness and group: the names of the keys by which it can be reached."""

    def read(self, words: Sequence[str], *, where: str) -> None:
        """Take one line; it has at least one word."""
        kinds: dict[str, Callable[..., None]] = {
            "log": self._read_log,
            "witness": self._read_witness,
            "group": self._read_group,
            "quorum": self._read_quorum,
        }
        kind = kinds.get(words[0])
        if kind is None:
            raise MalformedPolicy(f"{where} begins with none of {', '.join(kinds)}", where=where)
        kind(words[1:], where=where)

    def finish(self) -> TrustPolicy:
        """The policy, once all lines were read."""
        if not self._quorum:
            raise MalformedPolicy('the trust policy has no quorum; write "quorum NAME", or "quorum none"')
        name = self._quorum[0]
        return TrustPolicy(
            logs=tuple(self._logs),
            witnesses=tuple(self._witnesses),
            groups=tuple(self._groups),
            quorum=None if name == _NONE else name,
        )

    def _read_log(self, words: Sequence[str], *, where: str) -> None:
        if len(words) not in {1, 2}:
            raise MalformedPolicy(f"{where} is not: log VKEY [URL]", where=where)
        key = self._read_key(words[0], _LOG_TYPES, kind="log", where=where)
        self._logs.append(PolicyLog(key=key, url=_find_url(words[1:])))
        _check_count(self._logs, "logs", where=where)

    def _read_witness(self, words: Sequence[str], *, where: str) -> None:
        if len(words) not in {2, 3}:
            raise MalformedPolicy(f"{where} is not: witness NAME VKEY [URL]", where=where)
        self._define(words[0], where=where)
        key = self._read_key(words[1], _WITNESS_TYPES, kind="witness", where=where)
        self._behind[words[0]] = frozenset({key.name})
        self._witnesses.append(PolicyWitness(name=words[0], key=key, url=_find_url(words[2:])))
        _check_count(self._witnesses, "witnesses", where=where)

    def _read_group(self, words: Sequence[str], *, where: str) -> None:
        if len(words) < 3:  # noqa: PLR2004 (a name, a threshold, a member)
            raise MalformedPolicy(f"{where} is not: group NAME all|any|NUMBER MEMBER...", where=where)
        name, threshold, *members = words
        for member in members:
            self._check_defined(member, where=where)
            if member in self._grouped:
                raise MalformedPolicy(f"{where}: {_show(member)} is listed in a group already", where=where)
            self._grouped.add(member)
        self._define(name, where=where)
        needed = {"all": str(len(members)), "any": "1"}.get(threshold, threshold)
        if _NUMBER.fullmatch(needed) is None or int(needed) > len(members):
            raise MalformedPolicy(f"{where}: the threshold is not all, any, or 1 to {len(members)}", where=where)
        self._behind[name] = self._find_behind(members, int(needed), where=where)
        self._groups.append(Group(name=name, threshold=int(needed), members=tuple(members)))
        _check_count(self._groups, "groups", where=where)

    def _find_behind(self, members: Sequence[str], threshold: int, *, where: str) -> frozenset[str]:
        """The names of the keys behind all members; behind one member each, where several members are asked for."""
        found: set[str] = set()
        for member in members:
            twice = found & self._behind[member]
            if threshold > 1 and twice:
                raise MalformedPolicy(
                    f"{where}: {_show(min(twice))} would count twice; list its keys in a group of their own, of which"
                    " any is enough, and that group here",
                    where=where,
                )
            found |= self._behind[member]
        return frozenset(found)

    def _read_quorum(self, words: Sequence[str], *, where: str) -> None:
        if len(words) != 1:
            raise MalformedPolicy(f"{where} is not: quorum NAME", where=where)
        if self._quorum:
            raise MalformedPolicy(f"{where} is a second quorum", where=where)
        if words[0] != _NONE:
            self._check_defined(words[0], where=where)
        self._quorum.append(words[0])

    def _read_key(self, text: str, types: frozenset[SignatureType], *, kind: str, where: str) -> VerifierKey:
        try:
            key = parse_vkey(text)
        except MalformedNote as error:
            raise MalformedPolicy(f"{where}: {error.detail}", where=where) from error
        if key.type not in types:
            raise MalformedPolicy(f"{where}: a key of type {key.type:#04x} is not one of a {kind}", where=where)
        # By its bytes alone, as the specification says: another name does not make it the key of somebody else.
        if key.public_key in self._keys:
            raise MalformedPolicy(f"{where}: the key of {key.name} stands above already", where=where)
        self._keys.add(key.public_key)
        return key

    def _define(self, name: str, *, where: str) -> None:
        if name == _NONE or name in self._names:
            raise MalformedPolicy(f"{where}: the name {_show(name)} is taken", where=where)
        self._names.add(name)

    def _check_defined(self, name: str, *, where: str) -> None:
        if name not in self._names:
            raise MalformedPolicy(f"{where}: {_show(name)} is no witness or group defined above", where=where)


def _find_url(words: Sequence[str]) -> str | None:
    return words[0] if words else None


def _check_count(listed: Sequence[object], kind: str, *, where: str) -> None:
    if len(listed) > _MAX_OF_A_KIND:
        raise MalformedPolicy(f"{where}: more than {_MAX_OF_A_KIND} {kind}", where=where)

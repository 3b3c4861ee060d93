# SPDX-License-Identifier: Apache-2.0
"""Pure: every failure of Comity, grouped by who must act.

A refusal is a value (`release.decision.Withhold`, `agreement.recognition.Refusal`) and is never raised;
a failure is one of these. No class here knows of HTTP statuses or exit codes: `taxii.server` and `cli`
each hold the one table that translates.

    ComityError
    ├─ MalformedError            the sender must fix the bytes; `where` is a place in them
    │  ├─ MalformedJson          not strict JSON, or over a bound
    │  ├─ MalformedObject        not a STIX 2.1 object we can keep
    │  ├─ MalformedFile          not a file of the format that it is said to be in
    │  ├─ MalformedTerms         not an agreement document
    │  ├─ MalformedManifest      not a party manifest
    │  ├─ MalformedMessage       not a message of one node to another
    │  ├─ MalformedArticle       not an article whose text can be read
    │  ├─ MalformedNote          not a signed note or checkpoint
    │  ├─ MalformedPolicy        not a trust policy for logs and witnesses
    │  ├─ MalformedReceipt       not a receipt for a disclosure
    │  ├─ MalformedScenario      not a scenario of agreements under test
    │  └─ MalformedRequest       a bad parameter in a request or command
    ├─ VerificationError         do not trust it; tell the operator
    │  ├─ UnknownKey             signed by nobody we know
    │  ├─ BadSignature           a signature does not verify
    │  ├─ ThresholdNotMet        too few distinct keys signed
    │  ├─ DigestMismatch         the bytes are not the ones that were pinned
    │  ├─ Expired                a manifest or token is past its time
    │  ├─ ProofMismatch          a log proof does not lead to the root
    │  ├─ LogMismatch            a log entry, tile, opening or checkpoint was altered
    │  ├─ ReceiptRefused         a receipt does not show what it is said to show
    │  └─ CertificateRefused     what a certificate claims does not follow from it
    ├─ AuthenticationError       who asks is not known
    ├─ TransitionError           not in this state
    ├─ ConflictError             another thing already stands under this name
    ├─ NotFoundError             no such thing *for this party*
    ├─ UnavailableError          try later
    │  ├─ PeerUnreachable        a partner's node did not answer
    │  ├─ QuotaReached           a giver has brought in today as much as it may
    │  ├─ RateLimited            a party asks for more than it may at once
    │  ├─ StoreBusy              another process owns the store
    │  ├─ StoreFull              the disk has no room; nothing was changed
    │  └─ StoreUncertain         the disk failed while it committed; done or not
    ├─ ConfigError               this node's operator must fix a file or setting
    │  └─ NotInstalled           an optional part is asked for that is not there
    └─ CorruptionError           our own store does not add up; stop serving
       └─ RolledBack             the store is older than the last signed checkpoint
"""

from typing import ClassVar

__all__ = [
    "AuthenticationError",
    "BadSignature",
    "CertificateRefused",
    "ComityError",
    "ConfigError",
    "ConflictError",
    "CorruptionError",
    "DigestMismatch",
    "Expired",
    "LogMismatch",
    "MalformedArticle",
    "MalformedError",
    "MalformedFile",
    "MalformedJson",
    "MalformedManifest",
    "MalformedMessage",
    "MalformedNote",
    "MalformedObject",
    "MalformedPolicy",
    "MalformedReceipt",
    "MalformedRequest",
    "MalformedScenario",
    "MalformedTerms",
    "NotFoundError",
    "NotInstalled",
    "PeerUnreachable",
    "ProofMismatch",
    "QuotaReached",
    "RateLimited",
    "ReceiptRefused",
    "RolledBack",
    "StoreBusy",
    "StoreFull",
    "StoreUncertain",
    "ThresholdNotMet",
    "TransitionError",
    "UnavailableError",
    "UnknownKey",
    "VerificationError",
]


class ComityError(Exception):
    """A failure: `code` is stable, `detail` says what, where and what to do in one sentence."""

    code: ClassVar[str] = "error"

    def __init__(self, detail: str, **facts: str | int) -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts = facts


class MalformedError(ComityError):
    """The sender must fix the bytes. `where` is a JSON pointer, a line, or a parameter name."""

    code = "malformed"

    def __init__(self, detail: str, *, where: str = "", **facts: str | int) -> None:
        super().__init__(detail, **({"where": where} if where else {}), **facts)
        self.where = where


class MalformedJson(MalformedError):
    """Not strict JSON (RFC 8259 with unique keys), or over a bound."""

    code = "malformed-json"


class MalformedObject(MalformedError):
    """Not a STIX 2.1 object that can be kept."""

    code = "malformed-object"


class MalformedFile(MalformedError):
    """Not a file of the format that it is said to be in, or over a bound of it; nothing of it was kept."""

    code = "malformed-file"


class MalformedTerms(MalformedError):
    """Not an agreement document."""

    code = "malformed-terms"


class MalformedManifest(MalformedError):
    """Not a party manifest."""

    code = "malformed-manifest"


class MalformedMessage(MalformedError):
    """Not a message of one node to another."""

    code = "malformed-message"


class MalformedNote(MalformedError):
    """Not a signed note or checkpoint (C2SP signed-note, tlog-checkpoint)."""

    code = "malformed-note"


class MalformedArticle(MalformedError):
    """Not an article whose text can be read: of another format, damaged, empty, or over a bound."""

    code = "malformed-article"


class MalformedPolicy(MalformedError):
    """Not a trust policy for logs and witnesses (C2SP tlog-policy)."""

    code = "malformed-policy"


class MalformedReceipt(MalformedError):
    """Not a receipt for a disclosure (comity-receipt/1)."""

    code = "malformed-receipt"


class MalformedScenario(MalformedError):
    """Not a scenario of agreements under test."""

    code = "malformed-scenario"


class MalformedRequest(MalformedError):
    """A bad parameter in a request or command."""

    code = "malformed-request"


class VerificationError(ComityError):
    """Do not trust it; tell the operator."""

    code = "verification-failed"


class UnknownKey(VerificationError):
    """Signed by nobody this node has pinned."""

    code = "unknown-key"


class BadSignature(VerificationError):
    """A signature does not verify over these bytes."""

    code = "bad-signature"


class ThresholdNotMet(VerificationError):
    """Too few distinct keys of the role signed."""

    code = "threshold-not-met"


class DigestMismatch(VerificationError):
    """The bytes are not the ones that were pinned."""

    code = "digest-mismatch"


class Expired(VerificationError):
    """A manifest or an access token is past its time."""

    code = "expired"


class ProofMismatch(VerificationError):
    """An inclusion or consistency proof does not lead to the root (RFC 6962 §2.1)."""

    code = "proof-mismatch"


class LogMismatch(VerificationError):
    """A log entry, tile, opening or checkpoint was altered; `facts["entry"]` says which entry where one is to blame."""

    code = "log-mismatch"


class ReceiptRefused(VerificationError):
    """A receipt does not show what it is said to show; `facts["part"]` names the part that does not match."""

    code = "receipt-refused"


class CertificateRefused(VerificationError):
    """What a certificate claims does not follow from it, or could not be shown to."""

    code = "certificate-refused"


class AuthenticationError(ComityError):
    """Who asks is not known."""

    code = "not-authenticated"


class TransitionError(ComityError):
    """The act is not possible in this state."""

    code = "not-in-this-state"


class ConflictError(ComityError):
    """Another thing already stands under this name."""

    code = "conflict"


class NotFoundError(ComityError):
    """No such thing for whoever asks; the same answer as "exists but not for you"."""

    code = "not-found"


class UnavailableError(ComityError):
    """Try again later."""

    code = "unavailable"


class PeerUnreachable(UnavailableError):
    """A partner's node did not answer, or not in TAXII."""

    code = "peer-unreachable"


class QuotaReached(UnavailableError):
    """A giver has brought in today as much as it may."""

    code = "quota-reached"


class RateLimited(UnavailableError):
    """A party asks for more than it may at once; `facts["retry_after"]` is in seconds."""

    code = "rate-limited"


class StoreBusy(UnavailableError):
    """Another process owns the store."""

    code = "store-busy"


class StoreFull(UnavailableError):
    """The disk has no room; the act was undone whole."""

    code = "store-full"


class StoreUncertain(UnavailableError):
    """The disk failed while the act was committed: all of it is on record or nothing; nothing of it has left."""

    code = "store-uncertain"


class ConfigError(ComityError):
    """This node's operator must fix a file or setting."""

    code = "config"


class NotInstalled(ConfigError):
    """An optional part is asked for that is not installed here; the message says how to get it."""

    code = "not-installed"


class CorruptionError(ComityError):
    """Our own store does not add up; stop serving."""

    code = "corrupt"


class RolledBack(CorruptionError):
    """The store is older than the last checkpoint this node signed."""

    code = "rolled-back"

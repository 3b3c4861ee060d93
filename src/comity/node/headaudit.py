# SPDX-License-Identifier: Apache-2.0
"""Shell: heads of the logs of others that are kept, cosigned by this party or seen, held against what signed them.

What a partner or a log that is witnessed shows next is held against these. So each must be what a log key of its party
has signed, whether that is revoked by now or not, filed under what it says; and of a log that has not ended, one as
great as the tree of each receipt from it must be kept.
"""

from collections.abc import Iterator
from contextlib import suppress

from comity.counting import say_count
from comity.errors import BadSignature, LogMismatch, MalformedError, UnknownKey, VerificationError
from comity.node.keyaudit import KeyAudit
from comity.signing import Role
from comity.store import Transaction, audited
from comity.store.audited import KeptHead
from comity.tlog.note import parse_checkpoint, parse_note, verify_note
from comity.tlog.origin import parse_origin

__all__ = ["HeadAudit"]


class HeadAudit:
    """The heads of others that are in `transaction`."""

    def __init__(self, transaction: Transaction, keys: KeyAudit) -> None:
        self._transaction = transaction
        self._keys = keys

    def finish(self) -> Iterator[str]:
        """What is wrong with them."""
        for head in audited.iterate_heads(self._transaction):
            try:
                self._verify(head)
            except (MalformedError, VerificationError) as error:
                what = f"the head of {head.origin} over {say_count(head.size, 'entry')} that was {head.how}"
                yield f"{what} was altered: {error.detail}"
        for origin, shown, seen in audited.list_behind(self._transaction):
            shows = f"a receipt shows {say_count(shown, 'entry')} of {origin}"
            yield f"{shows}, and the greatest head kept as seen is over {seen}"

    def _verify(self, head: KeptHead) -> None:
        """Nothing, when the head is filed under what its log has signed.

        Raises:
            MalformedError, VerificationError: it is not.
        """
        note = parse_note(head.checkpoint)
        said = parse_checkpoint(note.text)
        if (said.origin, said.size) != (head.origin, head.size) or head.root not in {None, said.root}:
            raise LogMismatch("it is filed under something that it does not say")
        party = parse_origin(head.origin)
        for key in {key for manifest in self._keys.chain_of(party) for key in manifest.roles[Role.LOG].keys}:
            with suppress(UnknownKey, BadSignature):
                verify_note(note, said.origin, key)
                return
        raise LogMismatch(f"no log key of {party} has signed it")

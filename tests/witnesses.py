# SPDX-License-Identifier: Apache-2.0
"""Logs of fictional parties, with histories that fork, and what they ask witnesses for."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from comity.tlog.merkle import consistency_proof, root_hash
from comity.tlog.note import (
    Checkpoint,
    SignatureType,
    VerifierKey,
    format_checkpoint,
    format_note,
    sign_note,
)
from comity.tlog.witness import format_add_checkpoint
from tests.signers import SeedSigner
from tests.trees import TileStore

__all__ = ["History", "make_leaves"]


def make_leaves(count: int, *, branch: str = "", start: int = 0) -> list[bytes]:
    """Hashes to stand for leaf hashes, others in every branch."""
    return [sha256(f"{branch}:{number}".encode()).digest() for number in range(start, start + count)]


@dataclass
class History:
    """One history of a log that may have several: `length` leaves, of which the first `common` are in each branch."""

    length: int
    origin: str = "comity/arvenia"
    branch: str = ""
    common: int = 0
    key_name: str = "arvenia log"
    tiles: TileStore = field(init=False)

    def __post_init__(self) -> None:
        own = make_leaves(self.length - self.common, branch=self.branch, start=self.common)
        self.tiles = TileStore([make_leaves(self.common) + own])
        self.signer = SeedSigner(self.key_name)

    @property
    def key(self) -> VerifierKey:
        return VerifierKey(name=self.origin, type=SignatureType.ED25519, public_key=self.signer.public_key)

    def root(self, size: int) -> bytes:
        return root_hash(self.tiles.read, size)

    def checkpoint(self, size: int) -> bytes:
        text = format_checkpoint(Checkpoint(origin=self.origin, size=size, root=self.root(size)))
        return format_note(sign_note(text, self.origin, self.signer))

    def proof(self, old_size: int, size: int) -> tuple[bytes, ...]:
        return consistency_proof(self.tiles.read, old_size, size)

    def request(self, old_size: int, size: int, *, proof: Sequence[bytes] | None = None) -> bytes:
        """What the log asks a witness for."""
        shown = self.proof(old_size, size) if proof is None else proof
        return format_add_checkpoint(old_size, shown, self.checkpoint(size))

# SPDX-License-Identifier: Apache-2.0
"""Whatever is rotated, renewed, revoked or protected, and wherever the process dies meanwhile: the node opens again,
signs by what its manifest names, its log verifies from the first entry to the last, and its partner can follow."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from comity import keys
from comity.config import Address
from comity.errors import ConfigError
from comity.ids import PartyId
from comity.keys import Keyring
from comity.node import correspond
from comity.node.founding import found_node
from comity.node.journal import verify_folder
from comity.node.node import Node, open_node
from comity.node.outbox import list_due, settle
from comity.node.parties import add_party, export_manifest, find_party
from comity.node.rotation import protect_keys, renew_manifest, revoke_key, rotate_keys
from comity.signing import Manifest, Role
from comity.store import SqliteStore

OWN, PARTNER = PartyId("aurelia"), PartyId("borealia")
PASSPHRASES = (None, b"correct horse battery", b"staple and another word")
ROLES = st.lists(st.sampled_from(list(Role)), min_size=1, max_size=4, unique=True)
STEPS = st.one_of(st.none(), st.integers(0, 14))


class Died(BaseException):
    """The process ends here."""


class Rotations(RuleBasedStateMachine):
    """One node that changes its keys, and a partner that hears of it now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(keys, "_COST", 1 << 4)
        self.patch.setattr("resource.setrlimit", lambda *_: None)
        self.folder = Path(tempfile.mkdtemp())
        here = Address(host="127.0.0.1", port=0)
        for party in (OWN, PARTNER):
            found_node(self.folder / party, party=party, name=party, state=None, listen=here)
        self.passphrases: tuple[bytes | None, ...] = (None,)
        self.node, self.partner = self._open(), open_node(self.folder / PARTNER)
        self.version, self.versions = 1, {1}
        for node, other in ((self.node, self.partner), (self.partner, self.node)):
            digest = find_party(other, other.party).manifest.digest
            add_party(node, export_manifest(other), digest=digest, url=None)

    def teardown(self) -> None:
        self.node.close()
        self.partner.close()
        self.patch.undo()
        shutil.rmtree(self.folder)

    @rule(roles=ROLES, step=STEPS)
    def rotate(self, roles: list[Role], step: int | None) -> None:
        self._change(lambda: rotate_keys(self.node, roles, by=None), step)

    @rule(step=STEPS)
    def renew(self, step: int | None) -> None:
        self._change(lambda: renew_manifest(self.node, by=None), step)

    @rule(role=st.sampled_from(list(Role)), step=STEPS)
    def revoke(self, role: Role, step: int | None) -> None:
        self._change(lambda: revoke_key(self.node, role, since=self.node.clock(), by=None), step)

    @rule(passphrase=st.sampled_from(PASSPHRASES), step=STEPS)
    def protect(self, passphrase: bytes | None, step: int | None) -> None:
        died = self._die_at(lambda: protect_keys(self.node, passphrase), step)
        # Where it died either may be the one; the new one, where both are.
        self.passphrases = (passphrase, *self.passphrases) if died else (passphrase,)
        if died:
            self._reopen()

    @rule()
    def restart(self) -> None:
        self._reopen()

    @precondition(lambda self: bool(list_due(self.node)))
    @rule()
    def deliver(self) -> None:
        for message in list_due(self.node):
            taken = correspond.receive_any(self.partner, message.envelope)
            assert isinstance(taken, Manifest)
            settle(self.node, message, problem=None)
        assert find_party(self.partner, OWN).manifest == self._own()

    @invariant()
    def signs_by_its_manifest(self) -> None:
        roles = self._own().roles
        assert {role: signer.public_key for role, signer in self.node.signers.items()} == {
            role: roles[role].keys[0] for role in Role
        }

    @invariant()
    def its_log_verifies(self) -> None:
        for node in (self.node, self.partner):
            assert verify_folder(node.folder).manifest == find_party(node, node.party).manifest.digest

    def _own(self) -> Manifest:
        return find_party(self.node, OWN).manifest

    def _change(self, act: Callable[[], object], step: int | None) -> None:
        before = self._own().version
        died = self._die_at(act, step)
        if died:
            self._reopen()
        assert self._own().version in ({before, before + 1} if died else {before + 1})

    def _open(self) -> Node:
        """Open as whoever knows every passphrase that may be the one: the newest is tried first."""
        problem: BaseException | None = None
        for passphrase in dict.fromkeys(self.passphrases):
            unlock = None if passphrase is None else (lambda given=passphrase: given)
            try:
                node = open_node(self.folder / OWN, unlock)
            except ConfigError as error:
                problem = problem or error
                continue
            self.passphrases = (passphrase, *(item for item in self.passphrases if item != passphrase))
            return node
        assert problem is not None
        raise problem

    def _reopen(self) -> None:
        self.node.store.close()
        self.node = self._open()

    def _die_at(self, act: Callable[[], object], step: int | None) -> bool:
        """Whether the process died before the operation of this number that changes what is on the disk."""
        left = [step]

        def tick() -> None:
            if left[0] is not None:
                left[0] -= 1
                if left[0] < 0:
                    raise Died

        def before(real: Callable[..., object]) -> Callable[..., object]:
            def doing(*args: object, **more: object) -> object:
                tick()
                return real(*args, **more)

            return doing

        with pytest.MonkeyPatch.context() as patched:
            for name in ("_write", "_sync"):
                patched.setattr(keys, name, before(getattr(keys, name)))
            patched.setattr(Path, "replace", before(Path.replace))
            patched.setattr(Path, "unlink", before(Path.unlink))
            patched.setattr(SqliteStore, "write", before(SqliteStore.write))
            patched.setattr(Node, "_seal", before(Node._seal))
            patched.setattr(Node, "keep_head", before(Node.keep_head))
            patched.setattr(Keyring, "drop", lambda *_: None)
            try:
                act()
            except Died:
                return True
        return False


Rotations.TestCase.settings = settings(
    max_examples=25, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
TestRotations = pytest.mark.slow(Rotations.TestCase)

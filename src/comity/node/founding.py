# SPDX-License-Identifier: Apache-2.0
"""Shell: a folder becomes a node: settings, keys, a manifest, an empty store, a policy that recognises nothing."""

import shutil
from pathlib import Path

from comity.config import Address, Settings, format_settings
from comity.errors import ConfigError, ConflictError
from comity.ids import Instant, PartyId
from comity.keys import create_keys
from comity.node.clock import draw_bytes, read_clock
from comity.node.heads import sign_head, write_head
from comity.node.rotation import LIFETIME_DAYS
from comity.signing import (
    MANIFEST_TYPE,
    Manifest,
    Role,
    RoleKeys,
    Signer,
    format_manifest,
    format_signed_document,
    parse_manifest,
    sign_document,
)
from comity.store import SqliteStore, parties
from comity.tlog.merkle import EMPTY_ROOT
from comity.tlog.origin import first_origin

__all__ = ["found_node"]

_MANIFEST_LIFETIME = Instant(LIFETIME_DAYS * 86_400 * 1_000_000)

_POLICY = """\
# What this party recognises. Empty means: nothing, so that no agreement can be accepted or be in force here.
# A legal officer decides what stands in this file; Comity only applies it and never says that something is lawful.
#
# [[recognised]]
# kind = "unsc_resolution"     # unsc_resolution, article_51, host_consent, treaty, mou, mlat, domestic_law
# reference = "S/RES/9101"     # or "*" for every reference of this kind
#
# refused_frameworks = ["coalition-dawn"]   # write this line above the first [[recognised]]
"""


def found_node(
    folder: Path, *, party: PartyId, name: str, state: str | None, listen: Address, passphrase: bytes | None = None
) -> Manifest:
    """The manifest of the new node in `folder`, which must be absent or empty.

    The node is built beside its place and moved there at the end: a crash leaves no half of a node under its name.

    Raises:
        ConflictError: something is there already; nothing was changed.
        ConfigError: nothing can be made there; nothing was left behind.
        StoreFull: no room; nothing was left behind.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConflictError(f"{folder} is not empty; name a new folder, or remove the old node yourself")
    building = folder.with_name(f".{folder.name}.founding")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(mode=0o700)
        settings = Settings(party=party, name=name, state=state, listen=listen)
        manifest = _build(building, settings, passphrase=passphrase)
        if folder.exists():
            folder.rmdir()
        building.rename(folder)
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be made ({error.strerror or error}); nothing was left there. See to room and permissions,"
            " or name another folder"
        ) from error
    finally:
        # Gone already where it became the node.
        shutil.rmtree(building, ignore_errors=True)
    return manifest


def _build(folder: Path, settings: Settings, *, passphrase: bytes | None) -> Manifest:
    now = read_clock()
    (folder / "node.toml").write_text(format_settings(settings), encoding="utf-8")
    (folder / "recognition.toml").write_text(_POLICY, encoding="utf-8")
    signers = create_keys(folder / "keys", passphrase, draw_bytes)
    manifest, envelope = _sign_manifest(settings, signers, now=now)
    store = SqliteStore.open(folder / "store.db")
    try:
        with store.write() as transaction:
            parties.put_party(transaction, manifest, envelope=envelope, url=None, now=now)
            parties.write_meta(transaction, "cursor_key", draw_bytes(32).hex())
    finally:
        store.close()
    write_head(folder, sign_head(first_origin(settings.party), 0, EMPTY_ROOT, signer=signers[Role.LOG]))
    return manifest


def _sign_manifest(settings: Settings, signers: dict[Role, Signer], *, now: Instant) -> tuple[Manifest, bytes]:
    payload = format_manifest(
        party=settings.party,
        name=settings.name,
        state=settings.state,
        version=1,
        previous=None,
        issued_at=now,
        expires_at=Instant(now + _MANIFEST_LIFETIME),
        roles={role: RoleKeys(keys=(signer.public_key,), threshold=1) for role, signer in signers.items()},
    )
    document = sign_document(MANIFEST_TYPE, payload, [signers[Role.MANIFEST]])
    return parse_manifest(payload), format_signed_document(document)

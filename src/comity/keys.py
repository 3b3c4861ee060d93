# SPDX-License-Identifier: Apache-2.0
"""Shell: private keys at rest, opened as signers: one Ed25519 key for each role, and that of a stand-alone witness.

They stand in `keys/ROLE.pem`, mode 0600, and are not encrypted at rest in this version: whoever can read the folder can
sign as the party. THREATMODEL says so.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from comity.errors import ConfigError
from comity.signing import Role, Signer

__all__ = ["FileSigner", "create_key", "create_keys", "open_key", "open_keys"]


class FileSigner:
    """Signs with a key held in this process's memory."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @property
    def public_key(self) -> bytes:
        """The 32 raw bytes of the public key."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature over `message`."""
        return self._key.sign(message)


def create_keys(folder: Path) -> dict[Role, Signer]:
    """A new key for every role, written to `folder`, which must not exist."""
    folder.mkdir(mode=0o700)
    return {role: create_key(_path(folder, role)) for role in Role}


def create_key(path: Path) -> Signer:
    """A new key, written to `path`, where nothing may be."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    return FileSigner(key)


def open_keys(folder: Path) -> Mapping[Role, Signer]:
    """The signer of every role; without that of WITNESS where there is no such key.

    Raises:
        ConfigError: a key is missing, damaged, or readable by others than its owner.
    """
    return {role: open_key(path) for role in Role if (path := _path(folder, role)).exists() or role is not Role.WITNESS}


def open_key(path: Path) -> Signer:
    """The signer whose key lies at `path`.

    Raises:
        ConfigError: the key is missing, damaged, or readable by others than its owner.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise ConfigError(f"{path} can be read by others (mode {mode:o}); run: chmod 600 {path}")
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path}: the private key cannot be read ({error}); restore it from your backup") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path}: not an Ed25519 private key; restore it from your backup")
    return FileSigner(key)


def _path(folder: Path, role: Role) -> Path:
    return folder / f"{role.value}.pem"

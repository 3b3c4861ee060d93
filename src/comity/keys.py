# SPDX-License-Identifier: Apache-2.0
"""Shell: private keys at rest, opened as signers: one Ed25519 key for each role, and that of a stand-alone witness.

They stand in `keys/ROLE.pem`, mode 0600, as PKCS#8: plain, or encrypted under a passphrase (PBES2 with scrypt and
AES-256-CBC, RFC 8018 §6.2, RFC 7914 §7). Whoever can read a plain one can sign as the party. THREATMODEL says so.

A key that is to take the place of another is written beside it first, as `keys/ROLE.next.pem`. Which of the two signs
is said by the manifest in the store, and by which of them the passphrase opens: so there is no moment at which a crash
leaves a folder that cannot be opened. The owner of the node puts such a folder in order when it opens it.

`keys/sign-in.pem` is of no role and no manifest: what people sign in by is sealed under it, so that a stolen store
alone gives nothing to guess passwords by. It is made at first need and kept as the others are.
"""

import base64
import os
import resource
import stat
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.x509 import ObjectIdentifier

from comity.errors import ConfigError
from comity.signing import Role, RoleKeys, Signer

__all__ = ["FileSigner", "Keyring", "NoKeys", "create_key", "create_keys", "encrypt_key", "open_key"]

# scrypt with 16 MiB, eight times over (OWASP Password Storage: as good as once over 128 MiB). More memory at once is
# more than OpenSSL's own programs read.
_COST, _BLOCK, _PARALLEL = 1 << 14, 8, 8

_ENCRYPTED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
_SIGN_IN = "sign-in"
_NO_CORE = 1
"""Bytes of a core dump: with 0 a program that takes dumps by a pipe would still be given one (core(5))."""


class FileSigner:
    """Signs with a key held in this process's memory."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._public_key = key.public_key().public_bytes_raw()

    @property
    def public_key(self) -> bytes:
        """The 32 raw bytes of the public key."""
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature over `message`."""
        return self._key.sign(message)


class Keyring:
    """The keys in one folder. `unlock` gives the passphrase, and is asked once, if any key is encrypted.

    `draw` gives so many random bytes.
    """

    def __init__(self, folder: Path, unlock: Callable[[], bytes] | None, draw: Callable[[int], bytes]) -> None:
        self.folder = folder
        self._draw = draw
        self._unlock = unlock
        self._passphrase: bytes | None = None
        self._sealing: bytes | None = None

    @property
    def passphrase(self) -> bytes | None:
        """What opens the keys, for a process that this one starts; None while none that is encrypted was opened."""
        return self._passphrase

    def open(self, named: Mapping[Role, RoleKeys]) -> Mapping[Role, Signer]:
        """The signer of every role whose public key is among those `named` for the role.

        Raises:
            ConfigError: a key is missing, damaged, readable by others, not named, or not opened by the passphrase.
        """
        return {role: FileSigner(self._find(role, of.keys)[1]) for role, of in named.items() if self._has(role)}

    def open_sealing(self) -> bytes:
        """The 32 bytes that seal what people sign in by; made when they are first asked for.

        Raises:
            ConfigError: as `open`; or there is no room to write them.
        """
        if self._sealing is None:
            path = _path(self.folder, _SIGN_IN)
            if not path.exists():
                try:
                    self._write_staged({_SIGN_IN: Ed25519PrivateKey.generate()}, self._passphrase)
                    self.adopt([_SIGN_IN])
                except OSError as error:
                    raise ConfigError(f"{path} cannot be written ({error.strerror}); see to room and rights") from error
            seed = self.load(path).private_bytes_raw()
            # What is kept is a key of a signature scheme in its form alone: nothing is ever signed with it.
            self._sealing = HKDF(hashes.SHA256(), 32, salt=None, info=b"comity-sign-in/1").derive(seed)
        return self._sealing

    def has_sealing(self) -> bool:
        """Whether these bytes were asked for before: where not, nobody signs in by anything that they seal."""
        return self._sealing is not None or _path(self.folder, _SIGN_IN).exists()

    def settle(self, named: Mapping[Role, RoleKeys]) -> None:
        """Finish what a crash has left: a staged key that is the one `named` takes its place, any other is deleted.

        For the owner of the node alone, after `open`.
        """
        for role in Role:
            staged = _staged(self.folder, role)
            if not staged.exists():
                continue
            if role in named and self._find(role, named[role].keys)[0] == staged:
                staged.replace(_path(self.folder, role))
            else:
                staged.unlink()
        self._settle_sign_in()
        _sync(self.folder)

    def _settle_sign_in(self) -> None:
        """The same for the one that no manifest names: the staged one counts where the other is not opened."""
        current, staged = _path(self.folder, _SIGN_IN), _staged(self.folder, _SIGN_IN)
        if not staged.exists():
            return
        try:
            self.load(current)
        except ConfigError:
            if current.exists():
                self.load(staged)
                staged.replace(current)
                return
        staged.unlink()

    def stage(self, roles: Collection[Role], named: Mapping[Role, RoleKeys]) -> dict[Role, Signer]:
        """A new key for each of the roles, on the disk beside the one it may follow, protected as those are."""
        self.settle(named)
        keys = {role: Ed25519PrivateKey.generate() for role in roles}
        self._write_staged({role.value: key for role, key in keys.items()}, self._passphrase)
        return {role: FileSigner(key) for role, key in keys.items()}

    def adopt(self, roles: Collection[str]) -> None:
        """Let the staged keys take their places; those before are gone. A crash in between is mended by `settle`."""
        for role in roles:
            _staged(self.folder, role).replace(_path(self.folder, role))
        _sync(self.folder)

    def drop(self, roles: Collection[str]) -> None:
        """Delete the staged keys."""
        for role in roles:
            _staged(self.folder, role).unlink(missing_ok=True)

    def protect(self, named: Mapping[Role, RoleKeys], passphrase: bytes | None) -> None:
        """Encrypt every key under `passphrase`; with None leave them plain. The keys themselves stay the same.

        After a crash the folder opens by the passphrase before, or by the new one; by the new one always, once the
        first key has taken its place.

        Raises:
            ConfigError: as `open`; or what was written cannot be read again, and nothing was changed.
        """
        self.settle(named)
        # Written first and put in place last: whichever passphrase opens the keys of all roles opens this one too.
        sign_in = _path(self.folder, _SIGN_IN)
        keys: dict[str, Ed25519PrivateKey] = {_SIGN_IN: self.load(sign_in)} if sign_in.exists() else {}
        keys |= {role.value: self._find(role, of.keys)[1] for role, of in named.items() if self._has(role)}
        try:
            self._write_staged(keys, passphrase)
            self._verify_staged(keys, passphrase)
        except BaseException:
            self.drop([*Role, _SIGN_IN])
            raise
        self.adopt(list(reversed(keys)))
        self._passphrase = passphrase

    def list_plain(self) -> tuple[Path, ...]:
        """The keys that lie in the folder without encryption, staged ones among them."""
        places = [place(self.folder, role) for role in (*Role, _SIGN_IN) for place in (_path, _staged)]
        return tuple(path for path in places if path.exists() and not path.read_bytes().startswith(_ENCRYPTED))

    def verify_plain(self) -> None:
        """Return if every key is there, none can be read by others, and those that are plain are keys.

        Raises:
            ConfigError: one is not so. Of one that is encrypted no more is known without its passphrase.
        """
        for path in (_path(self.folder, role) for role in (*Role, _SIGN_IN) if self._has(role)):
            try:
                encrypted = _read(path).startswith(_ENCRYPTED)
            except OSError as error:
                raise _explain(path, error) from error
            if not encrypted:
                self.load(path)

    def load(self, path: Path) -> Ed25519PrivateKey:
        """The private key in one file.

        Raises:
            ConfigError: as `open`.
        """
        try:
            data = _read(path)
            passphrase = self._ask_passphrase(path) if data.startswith(_ENCRYPTED) else None
            key = serialization.load_pem_private_key(data, password=passphrase)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise _explain(path, error) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigError(f"{path}: not an Ed25519 private key; restore it from your backup")
        return key

    def _has(self, role: str) -> bool:
        """Whether a key of the role has to be there: a node can do without one to witness by, and one to sign in by."""
        needed = role not in {Role.WITNESS, _SIGN_IN}
        return needed or _path(self.folder, role).exists() or _staged(self.folder, role).exists()

    def _find(self, role: Role, keys: Collection[bytes]) -> tuple[Path, Ed25519PrivateKey]:
        """The file of the role that holds one of `keys`, and the private key in it."""
        current, staged = _path(self.folder, role), _staged(self.folder, role)
        problem: ConfigError | None = None
        # The first one is looked at again: between the two looks another process may have put the second in its place.
        for path in (current, staged, current) if staged.exists() else (current,):
            try:
                key = self.load(path)
            except ConfigError as error:
                problem = problem or error
                continue
            if key.public_key().public_bytes_raw() in keys:
                return path, key
            problem = problem or ConfigError(
                f"keys/{role}.pem is not a key that this party's manifest names; restore keys and store from one backup"
            )
        assert problem is not None  # noqa: S101 (at least one file was looked at)
        raise problem

    def _verify_staged(self, keys: Mapping[str, Ed25519PrivateKey], passphrase: bytes | None) -> None:
        """Read again what was written, as it will be read."""
        again = Keyring(self.folder, None if passphrase is None else lambda: passphrase, self._draw)
        for role, key in keys.items():
            path = _staged(self.folder, role)
            if again.load(path).public_key() != key.public_key():
                raise ConfigError(f"{path} was not written well; is the disk in order?")

    def _ask_passphrase(self, path: Path) -> bytes:
        if self._passphrase is None:
            if self._unlock is None:
                raise ConfigError(
                    f"{path} is encrypted: name the file with the passphrase by `comity --key-passphrase-file FILE`, or"
                    " set COMITY_KEY_PASSPHRASE_FILE"
                )
            self._passphrase = self._unlock()
            # From here on the memory of this process is worth stealing.
            resource.setrlimit(resource.RLIMIT_CORE, (_NO_CORE, _NO_CORE))
        return self._passphrase

    def _write_staged(self, keys: Mapping[str, Ed25519PrivateKey], passphrase: bytes | None) -> None:
        for role, key in keys.items():
            path = _staged(self.folder, role)
            path.unlink(missing_ok=True)
            _write(path, _format_key(key, passphrase, self._draw))
        _sync(self.folder)


class NoKeys(Keyring):
    """The keys of a copy that has none: nothing is signed there."""

    def open(self, named: Mapping[Role, RoleKeys]) -> Mapping[Role, Signer]:  # noqa: ARG002 (none of them is there)
        """No signer of any role."""
        return {}


def create_keys(folder: Path, passphrase: bytes | None, draw: Callable[[int], bytes]) -> dict[Role, Signer]:
    """A new key for every role, written to `folder`, which must not exist; encrypted where a passphrase is given."""
    folder.mkdir(mode=0o700)
    signers: dict[Role, Signer] = {}
    for role in Role:
        key = Ed25519PrivateKey.generate()
        _write(_path(folder, role), _format_key(key, passphrase, draw))
        signers[role] = FileSigner(key)
    _sync(folder)
    return signers


def create_key(path: Path) -> Signer:
    """A new key, plain, written to `path`, where nothing may be."""
    key = Ed25519PrivateKey.generate()
    _write(path, _format_key(key, None, bytes))
    return FileSigner(key)


def open_key(path: Path) -> Signer:
    """The signer whose key lies at `path`, plain.

    Raises:
        ConfigError: the key is missing, damaged, or readable by others than its owner.
    """
    return FileSigner(Keyring(path.parent, None, bytes).load(path))


# --- PKCS#8 -----------------------------------------------------------------------------------------------------------
# What `cryptography` writes by itself derives the key with 2,048 rounds of PBKDF2, and cannot be told otherwise. It
# reads scrypt, as OpenSSL does. So the structure is written here, by its own encoder of ASN.1, and read by it.


@asn1.sequence
class _ScryptParameters:
    salt: bytes
    cost: int
    block: int
    parallel: int


@asn1.sequence
class _Scrypt:
    algorithm: ObjectIdentifier
    parameters: _ScryptParameters


@asn1.sequence
class _Aes:
    algorithm: ObjectIdentifier
    initial: bytes


@asn1.sequence
class _Pbes2Parameters:
    derivation: _Scrypt
    encryption: _Aes


@asn1.sequence
class _Pbes2:
    algorithm: ObjectIdentifier
    parameters: _Pbes2Parameters


@asn1.sequence
class _EncryptedPrivateKeyInfo:
    algorithm: _Pbes2
    data: bytes


_PBES2 = ObjectIdentifier("1.2.840.113549.1.5.13")
_SCRYPT = ObjectIdentifier("1.3.6.1.4.1.11591.4.11")
_AES_256_CBC = ObjectIdentifier("2.16.840.1.101.3.4.1.42")


def encrypt_key(key: Ed25519PrivateKey, passphrase: bytes, *, salt: bytes, initial: bytes) -> bytes:
    """The key as PKCS#8 in PEM, encrypted with AES-256-CBC under what scrypt makes of the passphrase.

    `salt` and `initial` are 16 random bytes each, never used before.
    """
    derived = Scrypt(salt=salt, length=32, n=_COST, r=_BLOCK, p=_PARALLEL).derive(passphrase)
    padder, encryptor = padding.PKCS7(128).padder(), Cipher(algorithms.AES(derived), modes.CBC(initial)).encryptor()
    plain = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    data = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    derivation = _Scrypt(
        algorithm=_SCRYPT,
        parameters=_ScryptParameters(salt=salt, cost=_COST, block=_BLOCK, parallel=_PARALLEL),
    )
    parameters = _Pbes2Parameters(derivation=derivation, encryption=_Aes(algorithm=_AES_256_CBC, initial=initial))
    der = asn1.encode_der(
        _EncryptedPrivateKeyInfo(algorithm=_Pbes2(algorithm=_PBES2, parameters=parameters), data=data)
    )
    text = base64.b64encode(der)
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return b"\n".join([_ENCRYPTED, *lines, _ENCRYPTED.replace(b"BEGIN", b"END"), b""])


def _format_key(key: Ed25519PrivateKey, passphrase: bytes | None, draw: Callable[[int], bytes]) -> bytes:
    if passphrase is not None:
        return encrypt_key(key, passphrase, salt=draw(16), initial=draw(16))
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _explain(path: Path, error: Exception) -> ConfigError:
    if "password" in str(error).lower():
        return ConfigError(
            f"{path} is not opened by the passphrase that was given: it is another one, or a damaged file"
        )
    return ConfigError(f"{path}: the private key cannot be read ({error}); restore it from your backup")


def _read(path: Path) -> bytes:
    """The bytes of a key.

    Raises:
        ConfigError: it can be read by others than its owner.
        OSError: it cannot be read.
    """
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise ConfigError(f"{path} can be read by others (mode {mode:o}); run: chmod 600 {path}")
    return path.read_bytes()


def _write(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Let the names in the folder be on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _path(folder: Path, role: str) -> Path:
    return folder / f"{role}.pem"


def _staged(folder: Path, role: str) -> Path:
    return folder / f"{role}.next.pem"

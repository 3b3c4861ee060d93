# SPDX-License-Identifier: Apache-2.0
"""Shell: TLS under the HTTP server: the certificate, taken anew without a pause, and a layer that holds nothing back.

TLS 1.2 or 1.3 with forward secrecy and authenticated encryption, so none of the suites of RFC 7540 Appendix A, and no
early data: OpenSSL accepts none unless told to, and nothing here tells it (TAXII 2.1 §8.2.2). Client certificates are
not asked for.

asyncio keeps what was written to a TLS connection in three places: plain text not yet encrypted, records not yet handed
to the socket's transport, and what that transport could not hand to the operating system. Its own layer counts the
first two alone, so that "all is written" would be said of up to 64 KiB that are still here. `ExactTls` counts all three
and lets the third hold nothing back. This rests on the inside of `asyncio.sslproto`; the tests named under DRAIN see
it.
"""

import asyncio
import datetime as dt
import ssl
import stat
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from comity.canonical import sha256_digest
from comity.config import TlsFiles
from comity.errors import ConfigError, MalformedRequest
from comity.ids import Digest, Instant, format_instant

__all__ = ["Door", "ExactTls", "Tls", "TlsCertificate", "find_key_digest", "load_certificate", "read_key_digest"]

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2; those of 1.3 are all of this kind."""

_CLOSE_SECONDS = 1.0
"""How long a closed connection waits for the other side's last word."""


class Door(Protocol):
    """Who decides whether a connection may be there, before anything is read of it."""

    def admit(self, transport: asyncio.Transport) -> bool:
        """Whether a new connection may stay."""

    def closed(self, transport: asyncio.Transport) -> None:
        """Take note that a connection is gone, admitted or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsCertificate:
    """A certificate chain and its key, ready for new connections, and when the first of the chain runs out."""

    context: ssl.SSLContext
    expires_at: Instant


def load_certificate(files: TlsFiles, *, now: Instant) -> TlsCertificate:
    """The certificate in `files`.

    Raises:
        ConfigError: a file is missing, is no PEM, can be read by others (the key), has a passphrase (the key), belongs
            to another certificate (the key), or is past or before its time (the certificate).
    """
    first = _read_first(files.certificate)
    begins_at, expires_at = _instant(first.not_valid_before_utc), _instant(first.not_valid_after_utc)
    if not begins_at <= now < expires_at:
        raise ConfigError(
            f"{files.certificate}: the certificate is good from {format_instant(begins_at)} to"
            f" {format_instant(expires_at)}, and it is {format_instant(now)}; put a current one there"
        )
    _check_key(files.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    try:
        context.load_cert_chain(files.certificate, files.key)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(
            f"{files.certificate} and {files.key} do not go together ({error}); the first holds the certificate and"
            " those between it and the authority, the second its private key"
        ) from error
    return TlsCertificate(context=context, expires_at=expires_at)


def find_key_digest(certificate: bytes) -> Digest | None:
    """The SHA-256 of the public key of a certificate in DER (SubjectPublicKeyInfo); None where it cannot be read."""
    try:
        return _digest_key(x509.load_der_x509_certificate(certificate))
    except (ValueError, UnsupportedAlgorithm):
        return None


def read_key_digest(pem: bytes, *, where: str) -> Digest:
    """The same of the first certificate in PEM.

    Raises:
        MalformedRequest: there is none.
    """
    try:
        return _digest_key(x509.load_pem_x509_certificates(pem)[0])
    except (ValueError, UnsupportedAlgorithm) as error:
        raise MalformedRequest(f"{where}: no certificate in PEM can be read there ({error})", where=where) from error


def _digest_key(certificate: x509.Certificate) -> Digest:
    encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return sha256_digest(certificate.public_key().public_bytes(encoding, form))


class Tls:
    """The certificate that new connections get; those that stand keep the one they began with."""

    def __init__(self, files: TlsFiles, clock: Callable[[], Instant]) -> None:
        """Load it.

        Raises:
            ConfigError: as `load_certificate`.
        """
        self._files = files
        self._clock = clock
        self.certificate = load_certificate(files, now=clock())

    def reload(self) -> TlsCertificate:
        """The certificate that lies in the files now, in use from here on.

        Raises:
            ConfigError: as `load_certificate`; the one before stays in use.
        """
        self.certificate = load_certificate(self._files, now=self._clock())
        return self.certificate

    def wrap(self, protocol: asyncio.Protocol, door: Door, *, handshake_seconds: int) -> "ExactTls":
        """A TLS layer around `protocol` for one new connection."""
        return ExactTls(protocol, self.certificate.context, door, handshake_seconds=handshake_seconds)


class ExactTls(SSLProtocol):
    """asyncio's TLS layer, whose write buffer counts what its transport has not handed to the operating system."""

    def __init__(
        self, protocol: asyncio.Protocol, context: ssl.SSLContext, door: Door, *, handshake_seconds: int
    ) -> None:
        super().__init__(
            asyncio.get_running_loop(),
            protocol,
            context,
            None,  # type: ignore[arg-type] # nobody waits for the handshake
            server_side=True,
            ssl_handshake_timeout=handshake_seconds,
            ssl_shutdown_timeout=_CLOSE_SECONDS,
        )
        self._door = door
        self._beneath: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake, if the connection may be there."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (a TCP connection)
        self._beneath = transport
        # This layer is told whenever that buffer is not empty, and again when it is.
        transport.set_write_buffer_limits(high=0)
        if self._door.admit(transport):
            super().connection_made(transport)
        else:
            transport.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection."""
        if self._beneath is not None:
            self._door.closed(self._beneath)
        super().connection_lost(exc)

    def _get_write_buffer_size(self) -> int:
        beneath = 0 if self._beneath is None else self._beneath.get_write_buffer_size()
        return int(super()._get_write_buffer_size() + beneath)  # type: ignore[misc] # the library's own inside


def _read_first(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())[0]
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: no certificate chain in PEM can be read there ({error})") from error


def _check_key(path: Path) -> None:
    """Fail with what is wrong: OpenSSL would ask the terminal for a passphrase, and let others read the key."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise ConfigError(f"{path} can be read by others (mode {mode:o}); run: chmod 600 {path}")
        serialization.load_pem_private_key(path.read_bytes(), password=None)
    except TypeError as error:
        raise ConfigError(
            f"{path}: the key has a passphrase, and nobody is there to type it; store it without one"
        ) from error
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path}: no private key in PEM can be read there ({error})") from error


def _instant(moment: dt.datetime) -> Instant:
    return Instant(int(moment.timestamp()) * 1_000_000)

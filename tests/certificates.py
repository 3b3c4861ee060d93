# SPDX-License-Identifier: Apache-2.0
"""Certificates made for a test: an authority, and what it signs for servers and clients."""

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from comity.config import TlsFiles

__all__ = ["Authority", "write_private"]

_DAY = dt.timedelta(days=1)
_NOW = dt.datetime.now(dt.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A fictional certificate authority, in a folder of its own."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def found(cls, folder: Path, *, name: str = "Fictional Authority") -> "Authority":
        """A new one; `ca.pem` in its folder is what clients trust."""
        folder.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _begin(name, issuer=name, key=key, days=30, starts=-1)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return cls(folder=folder, key=key, certificate=certificate)

    @property
    def trusted(self) -> Path:
        """The file that clients trust."""
        return self.folder / "ca.pem"

    def issue(self, name: str, *, days: float = 10, starts: float = -1, passphrase: bytes | None = None) -> TlsFiles:
        """The files of a certificate for 127.0.0.1, for servers and clients, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = self.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        certificate = (
            _begin(name, issuer=str(issuer), key=key, days=days, starts=starts)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
            )
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .sign(self.key, hashes.SHA256())
        )
        files = TlsFiles(certificate=self.folder / f"{name}.pem", key=self.folder / f"{name}.key")
        files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        encryption = (
            serialization.NoEncryption() if passphrase is None else serialization.BestAvailableEncryption(passphrase)
        )
        write_private(
            files.key, key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        )
        return files


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read."""
    path.touch(mode=0o600)
    path.write_bytes(data)


def _begin(
    name: str, *, issuer: str, key: ec.EllipticCurvePrivateKey, days: float, starts: float
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOW + starts * _DAY)
        .not_valid_after(_NOW + days * _DAY)
    )

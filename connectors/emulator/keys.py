"""The certificate and the host key of the emulator's doors: made once in a folder, and used again from there."""

import datetime
import ipaddress
import os
from pathlib import Path
from typing import NamedTuple

import asyncssh
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

YEARS = 10


class Keys(NamedTuple):
    """Files: `certificate` for clients to trust, `tls` with its key too, `host` the private key of SFTP."""

    certificate: Path
    tls: Path
    host: Path

    def host_key(self) -> str:
        """The public host key in one line, as OpenSSH writes it."""
        return " ".join(asyncssh.read_private_key(self.host).export_public_key().decode().split()[:2])


def made_once(folder: Path) -> Keys:
    """The keys in `folder`; those that are not there are made."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    keys = Keys(folder / "certificate.pem", folder / "tls.pem", folder / "host_key")
    if not keys.host.exists():
        _write(keys.host, asyncssh.generate_private_key("ssh-ed25519").export_private_key())
    if not keys.tls.exists() or not keys.certificate.exists():
        private, certificate = _certificate()
        _write(keys.tls, private + certificate)
        _write(keys.certificate, certificate)
    return keys


def _certificate() -> tuple[bytes, bytes]:
    """A private key and a certificate of its own for this machine, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Offline Portal vendor emulator")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), *(x509.IPAddress(ipaddress.ip_address(one)) for one in ("127.0.0.1", "::1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365 * YEARS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, certificate.public_bytes(Encoding.PEM)


def _write(path: Path, content: bytes) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    draft.replace(path)

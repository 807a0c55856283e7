"""Biometric vectors at rest: sealed with AES-256-GCM when a key file is configured."""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from pathlib import Path
from typing import Final

from streamproc.config.secret_file import complaint
from streamproc.core.errors import InputError

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class Seal:
    """Seals and opens byte strings, each bound to the name that it is kept under."""

    def __init__(self, key: bytes) -> None:
        # Here and not above: most nodes have no key file, and their verbs need not wait for it.
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._cipher = AESGCM(key)
        self._names = hmac.digest(key, b"names of sealed things", "sha256")
        self._invalid = InvalidTag

    @classmethod
    def from_file(cls, path: Path) -> Seal:
        """Read a key: 32 raw bytes, or the same as hex or base64 (``openssl rand -hex 32 > FILE``).

        Raises InputError when the file cannot be read, holds no such key, or others may read it.
        """
        try:
            data = path.read_bytes()
            wrong = complaint(path)
        except OSError as error:
            raise InputError(f"faces.key_file: {path} cannot be read ({error.strerror})") from error
        if wrong is not None:
            raise InputError(f"faces.key_file: {wrong}")
        return cls(_key(data, path))

    def seal(self, plain: bytes, name: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, name.encode())

    def alias(self, name: str) -> str:
        """The same for the same name; tells nothing about it to who has not the key."""
        return hmac.digest(self._names, name.encode(), "sha256").hex()

    def open(self, sealed: bytes, name: str) -> bytes:
        """Raises InputError when it was sealed with another key or tampered with."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode())
        except self._invalid as error:
            raise InputError(
                "faces.key_file: this key does not open the stored face vectors; give the key they were stored with"
            ) from error


def _key(data: bytes, path: Path) -> bytes:
    if len(data) == KEY_BYTES:
        return data
    text = data.strip()
    for decode in (bytes.fromhex, base64.b64decode):
        try:
            key = decode(text.decode("ascii"))
        except (ValueError, binascii.Error, UnicodeDecodeError):
            continue
        if len(key) == KEY_BYTES:
            return key
    raise InputError(f"faces.key_file: {path} holds no 32-byte key; make one with: openssl rand -hex 32 > {path}")

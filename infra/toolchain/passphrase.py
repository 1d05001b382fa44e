# SPDX-License-Identifier: Apache-2.0
"""Tells whether a passphrase is the one that a stack's secrets are encrypted with.

Pulumi's passphrase provider keeps in the state ``v1:<salt>:<check>``; the check is the word ``pulumi``,
encrypted with the key (pulumi/sdk/go/common/resource/config/crypt.go: PBKDF2-HMAC-SHA256, AES-256-GCM).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from infra.toolchain.errors import IntegrityError

_ITERATIONS = 1_000_000
_KEY_BYTES = 32
_KNOWN_WORD = b"pulumi"


def salt_of(state: Path) -> str | None:
    """Return the passphrase provider's salt in a stack file; None when the stack uses another provider.

    Raises:
        IntegrityError: When the file is not the JSON that Pulumi writes.
    """
    try:
        latest = (json.loads(state.read_text()).get("checkpoint") or {}).get("latest") or {}
        provider = latest.get("secrets_providers") or {}
        salt = (provider.get("state") or {}).get("salt") if provider.get("type") == "passphrase" else None
    except (ValueError, AttributeError) as error:
        raise IntegrityError(f"{state} is damaged: {error}") from error
    return str(salt) if salt else None


def fits(passphrase: str, salt: str) -> bool:
    """Tell whether `passphrase` opens the check word in `salt` (takes some tenths of a second by design).

    Raises:
        IntegrityError: When `salt` has not the form ``v1:<salt>:v1:<nonce>:<ciphertext>``.
    """
    parts = re.fullmatch(r"v1:([^:]+):v1:([^:]+):([^:]+)", salt)
    if parts is None:
        raise IntegrityError("the passphrase salt in the state has an unknown form")
    try:
        seed, nonce, sealed = (base64.b64decode(part, validate=True) for part in parts.groups())
    except binascii.Error as error:
        raise IntegrityError(f"the passphrase salt in the state is damaged: {error}") from error
    key = hashlib.pbkdf2_hmac("sha256", passphrase.encode(), seed, _ITERATIONS, _KEY_BYTES)
    try:
        return AESGCM(key).decrypt(nonce, sealed, None) == _KNOWN_WORD
    except InvalidTag:
        return False

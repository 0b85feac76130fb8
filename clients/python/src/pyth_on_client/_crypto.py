"""Encrypts programs and passwords in the format of docs/zero-knowledge.md."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import os
import struct
from typing import Optional, Union

from argon2.low_level import Type, hash_secret_raw
from nacl import bindings


@dataclasses.dataclass(frozen=True)
class KeyCost:
    """The cost of the key derivation with Argon2id. The defaults are those of RFC 9106."""

    time: int = 3
    memory_kib: int = 65536
    parallelism: int = 4


def encrypt(
    code: Union[str, bytes],
    password: Union[str, bytes],
    language: str = "python",
    name: Optional[str] = None,
    cost: KeyCost = KeyCost(),
    *,
    salt: Optional[bytes] = None,
    nonce: Optional[bytes] = None,
) -> dict:
    """Encrypt a program. If name is given, the server runs the program only under this name.

    The parameters salt and nonce are for tests. By default they are random.
    """
    salt, nonce = salt or os.urandom(16), nonce or os.urandom(24)
    key = hash_secret_raw(to_bytes(password), salt, cost.time, cost.memory_kib, cost.parallelism, 32, Type.ID, 0x13)
    data = f"pyth-on/zk/1/{language}" + ("" if name is None else f"/{name}")
    ciphertext = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(to_bytes(code), data.encode(), nonce, key)
    payload = {
        "version": 1,
        "language": language,
        "kdf": {
            "name": "argon2id",
            "salt": to_text(salt),
            "time": cost.time,
            "memoryKiB": cost.memory_kib,
            "parallelism": cost.parallelism,
        },
        "cipher": {"name": "xchacha20-poly1305", "nonce": to_text(nonce)},
        "ciphertext": to_text(ciphertext),
    }
    if name is not None:
        payload["name"] = name
    return payload


def seal(password: Union[str, bytes], public_key: bytes, sandbox_id: str, *, ephemeral: Optional[bytes] = None) -> bytes:
    """Encrypt a password for one sandbox with HPKE (RFC 9180), base mode.

    The algorithms are DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and ChaCha20Poly1305. The
    parameter ephemeral is for tests. By default it is random.
    """
    private = ephemeral or os.urandom(32)
    encapsulated = bindings.crypto_scalarmult_base(private)
    shared = bindings.crypto_scalarmult(private, public_key)

    kem = b"KEM" + struct.pack(">H", 0x0020)
    secret = _expand(kem, _extract(kem, b"", b"eae_prk", shared), b"shared_secret", encapsulated + public_key, 32)

    suite = b"HPKE" + struct.pack(">HHH", 0x0020, 0x0001, 0x0003)
    context = b"\0" + _extract(suite, b"", b"psk_id_hash", b"") + _extract(suite, b"", b"info_hash", b"pyth-on/zk/sealed/1")
    prk = _extract(suite, secret, b"secret", b"")
    key = _expand(suite, prk, b"key", context, 32)
    nonce = _expand(suite, prk, b"base_nonce", context, 12)
    return encapsulated + bindings.crypto_aead_chacha20poly1305_ietf_encrypt(to_bytes(password), sandbox_id.encode(), nonce, key)


def _extract(suite, salt, label, ikm):
    return hmac.new(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, hashlib.sha256).digest()


def _expand(suite, prk, label, info, size):
    # One round of HKDF-Expand is enough, because size is at most 32 bytes (the output
    # of SHA-256).
    info = struct.pack(">H", size) + b"HPKE-v1" + suite + label + info
    return hmac.new(prk, info + b"\1", hashlib.sha256).digest()[:size]


def to_bytes(value: Union[str, bytes]) -> bytes:
    return value.encode() if isinstance(value, str) else value


def to_text(value: bytes) -> str:
    return base64.b64encode(value).decode()

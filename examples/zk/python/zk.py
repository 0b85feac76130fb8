"""Encrypts programs for Pyth-On in the format of docs/zero-knowledge.md.

This module needs only Python 3.9. It derives the key from the password with
`argon2-cffi` or `cryptography` if one of them is installed. Without both, this takes
minutes with the recommended parameters.
"""

import base64
import hashlib
import hmac
import os
import struct

MASK = 0xFFFFFFFF
MASK64 = 0xFFFFFFFFFFFFFFFF


def encrypt(code, password, language, name=None, time=3, memory_kib=65536, parallelism=4, salt=None, nonce=None):
    """Encrypt a program and return the payload to send as JSON.

    The code and the password are bytes. If a name is given, the server stores and runs
    the program only under this name.
    """
    salt = os.urandom(16) if salt is None else salt
    nonce = os.urandom(24) if nonce is None else nonce
    key = argon2id(password, salt, time, memory_kib, parallelism, 32)
    payload = {
        "version": 1,
        "language": language,
        "kdf": {
            "name": "argon2id",
            "salt": text(salt),
            "time": time,
            "memoryKiB": memory_kib,
            "parallelism": parallelism,
        },
        "cipher": {"name": "xchacha20-poly1305", "nonce": text(nonce)},
        "ciphertext": text(xchacha20_poly1305(key, nonce, code, associated_data(language, name))),
    }
    if name is not None:
        payload["name"] = name
    return payload


def associated_data(language, name=None):
    bound = "pyth-on/zk/1/" + language
    if name is not None:
        bound += "/" + name
    return bound.encode()


def seal(password, public_key, sandbox_id, ephemeral=None):
    """Seal a password for a sandbox.

    The method is HPKE (RFC 9180) in base mode with DHKEM(X25519, HKDF-SHA256),
    HKDF-SHA256 and ChaCha20Poly1305.
    """
    ephemeral = os.urandom(32) if ephemeral is None else ephemeral
    encapsulated = x25519(ephemeral, (9).to_bytes(32, "little"))
    shared = x25519(ephemeral, public_key)
    if shared == bytes(32):
        raise ValueError("the public key is of low order")

    kem = b"KEM" + struct.pack(">H", 0x0020)
    prk = labeled_extract(kem, b"", b"eae_prk", shared)
    secret = labeled_expand(kem, prk, b"shared_secret", encapsulated + public_key, 32)

    suite = b"HPKE" + struct.pack(">HHH", 0x0020, 0x0001, 0x0003)
    context = b"\0"
    context += labeled_extract(suite, b"", b"psk_id_hash", b"")
    context += labeled_extract(suite, b"", b"info_hash", b"pyth-on/zk/sealed/1")
    prk = labeled_extract(suite, secret, b"secret", b"")
    key = labeled_expand(suite, prk, b"key", context, 32)
    nonce = labeled_expand(suite, prk, b"base_nonce", context, 12)
    return encapsulated + chacha20_poly1305(key, nonce, password, sandbox_id.encode())


def text(b):
    return base64.b64encode(b).decode()


# This part contains HKDF-SHA256 with labels (RFC 9180, section 4).


def labeled_extract(suite, salt, label, ikm):
    return hmac.new(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, "sha256").digest()


def labeled_expand(suite, prk, label, info, size):
    # One round of HKDF-Expand is enough, because size is at most 32 bytes (the output
    # of SHA-256).
    info = struct.pack(">H", size) + b"HPKE-v1" + suite + label + info
    return hmac.new(prk, info + b"\1", "sha256").digest()[:size]


# This part contains X25519 (RFC 7748, section 5).


def x25519(private, public):
    p = 2**255 - 19
    k = int.from_bytes(private, "little") & ~7 & (1 << 254) - 1 | 1 << 254
    u = int.from_bytes(public, "little") & (1 << 255) - 1
    x2, z2, x3, z3, swap = 1, 0, u, 1, 0
    for t in range(254, -1, -1):
        bit = k >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % p, b * b % p, d * a % p, c * b % p
        x3, z3 = (da + cb) ** 2 % p, u * (da - cb) ** 2 % p
        x2, z2 = aa * bb % p, (aa - bb) * (aa + 121665 * (aa - bb)) % p
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, p - 2, p) % p).to_bytes(32, "little")


# This part contains XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) and
# ChaCha20-Poly1305 (RFC 8439).


def xchacha20_poly1305(key, nonce, plaintext, data):
    subkey = hchacha20(key, nonce[:16])
    return chacha20_poly1305(subkey, bytes(4) + nonce[16:], plaintext, data)


def chacha20_poly1305(key, nonce, plaintext, data):
    ciphertext = chacha20(key, 1, nonce, plaintext)
    one_time = chacha20(key, 0, nonce, bytes(32))
    message = pad16(data) + pad16(ciphertext) + struct.pack("<QQ", len(data), len(ciphertext))
    return ciphertext + poly1305(one_time, message)


def pad16(b):
    return b + bytes(-len(b) % 16)


def quarter(s, a, b, c, d):
    s[a] = s[a] + s[b] & MASK
    x = s[d] ^ s[a]
    s[d] = (x << 16 | x >> 16) & MASK
    s[c] = s[c] + s[d] & MASK
    x = s[b] ^ s[c]
    s[b] = (x << 12 | x >> 20) & MASK
    s[a] = s[a] + s[b] & MASK
    x = s[d] ^ s[a]
    s[d] = (x << 8 | x >> 24) & MASK
    s[c] = s[c] + s[d] & MASK
    x = s[b] ^ s[c]
    s[b] = (x << 7 | x >> 25) & MASK


def rounds(s):
    for _ in range(10):
        quarter(s, 0, 4, 8, 12)
        quarter(s, 1, 5, 9, 13)
        quarter(s, 2, 6, 10, 14)
        quarter(s, 3, 7, 11, 15)
        quarter(s, 0, 5, 10, 15)
        quarter(s, 1, 6, 11, 12)
        quarter(s, 2, 7, 8, 13)
        quarter(s, 3, 4, 9, 14)


CONSTANTS = struct.unpack("<4I", b"expand 32-byte k")


def hchacha20(key, nonce):
    s = [*CONSTANTS, *struct.unpack("<8I", key), *struct.unpack("<4I", nonce)]
    rounds(s)
    return struct.pack("<8I", *s[:4], *s[12:])


def chacha20(key, counter, nonce, message):
    out = bytearray()
    for i in range(0, len(message), 64):
        start = [*CONSTANTS, *struct.unpack("<8I", key), counter + i // 64, *struct.unpack("<3I", nonce)]
        s = list(start)
        rounds(s)
        stream = struct.pack("<16I", *(x + y & MASK for x, y in zip(s, start)))
        out += bytes(x ^ y for x, y in zip(message[i : i + 64], stream))
    return bytes(out)


def poly1305(key, message):
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    s = int.from_bytes(key[16:], "little")
    a = 0
    for i in range(0, len(message), 16):
        a = (a + int.from_bytes(message[i : i + 16] + b"\1", "little")) * r % (2**130 - 5)
    return (a + s & (1 << 128) - 1).to_bytes(16, "little")


# This part contains Argon2id, version 0x13 (RFC 9106).


def argon2id(password, salt, time, memory_kib, parallelism, size):
    try:
        from argon2.low_level import Type, hash_secret_raw
    except ImportError:
        pass
    else:
        return hash_secret_raw(password, salt, time, memory_kib, parallelism, size, Type.ID, 0x13)
    try:
        from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

        kdf = Argon2id(salt=salt, length=size, iterations=time, lanes=parallelism, memory_cost=memory_kib)
    except Exception:  # The package is missing or too old, or its OpenSSL is too old.
        return slow_argon2id(password, salt, time, memory_kib, parallelism, size)
    return kdf.derive(password)


def slow_argon2id(password, salt, time, memory_kib, lanes, size, secret=b"", data=b""):
    """Compute Argon2id in pure Python. Optional inputs are for the RFC's test vector."""
    h0 = struct.pack("<6I", lanes, size, memory_kib, time, 0x13, 2)
    for field in (password, salt, secret, data):
        h0 += struct.pack("<I", len(field)) + field
    h0 = hashlib.blake2b(h0).digest()

    segment = memory_kib // (4 * lanes)
    length = 4 * segment
    blocks = [[None] * length for _ in range(lanes)]
    for lane in range(lanes):
        for i in (0, 1):
            blocks[lane][i] = struct.unpack("<128Q", long_hash(h0 + struct.pack("<II", i, lane), 1024))

    for turn in range(time):
        for part in range(4):
            for lane in range(lanes):
                fill(blocks, turn, part, lane, time, segment)

    last = blocks[0][-1]
    for lane in range(1, lanes):
        last = [x ^ y for x, y in zip(last, blocks[lane][-1])]
    return long_hash(struct.pack("<128Q", *last), size)


def fill(blocks, turn, part, lane, time, segment):
    lanes, length = len(blocks), len(blocks[0])
    row = blocks[lane]
    zero = (0,) * 128
    # In the first half of the first pass, the indexes of the reference blocks do not
    # depend on the password (Argon2id).
    independent = turn == 0 and part < 2
    for i in range(2 if turn == 0 and part == 0 else 0, segment):
        at = part * segment + i
        previous = row[at - 1]
        if independent:
            if i % 128 == 0 or turn == 0 and part == 0 and i == 2:
                source = (turn, lane, part, lanes * length, time, 2, i // 128 + 1) + (0,) * 121
                addresses = compress(zero, compress(zero, source))
            pseudo = addresses[i % 128]
        else:
            pseudo = previous[0]
        j1, j2 = pseudo & MASK, pseudo >> 32
        other = lane if turn == 0 and part == 0 else j2 % lanes
        area = part * segment if turn == 0 else length - segment
        if other == lane:
            area += i - 1
        elif i == 0:
            area -= 1
        start = 0 if turn == 0 or part == 3 else (part + 1) * segment
        reference = (start + area - 1 - (area * (j1 * j1 >> 32) >> 32)) % length
        made = compress(previous, blocks[other][reference])
        if turn:
            made = [x ^ y for x, y in zip(made, row[at])]
        row[at] = made


def long_hash(message, size):
    message = struct.pack("<I", size) + message
    if size <= 64:
        return hashlib.blake2b(message, digest_size=size).digest()
    out = b""
    v = hashlib.blake2b(message).digest()
    while size - len(out) > 64:
        out += v[:32]
        left = size - len(out)
        v = hashlib.blake2b(v, digest_size=min(left, 64)).digest()
    return out + v


def compress(x, y):
    r = [a ^ b for a, b in zip(x, y)]
    z = list(r)
    for i in range(0, 128, 16):
        permute(z, range(i, i + 16))
    for i in range(0, 16, 2):
        permute(z, [i + j + k for j in range(0, 128, 16) for k in (0, 1)])
    return [a ^ b for a, b in zip(r, z)]


def permute(z, at):
    v = [z[i] for i in at]
    for a, b, c, d in (
        (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
        (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
    ):  # fmt: skip
        p, q, r, s = v[a], v[b], v[c], v[d]
        p = p + q + 2 * (p & MASK) * (q & MASK) & MASK64
        s ^= p
        s = s >> 32 | (s & MASK) << 32
        r = r + s + 2 * (r & MASK) * (s & MASK) & MASK64
        q ^= r
        q = q >> 24 | (q << 40 & MASK64)
        p = p + q + 2 * (p & MASK) * (q & MASK) & MASK64
        s ^= p
        s = s >> 16 | (s << 48 & MASK64)
        r = r + s + 2 * (r & MASK) * (s & MASK) & MASK64
        q ^= r
        q = q >> 63 | (q << 1 & MASK64)
        v[a], v[b], v[c], v[d] = p, q, r, s
    for i, value in zip(at, v):
        z[i] = value

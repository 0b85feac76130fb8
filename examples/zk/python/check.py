"""Checks zk.py against the published vectors.

Usage: check.py [--slow] VECTORS
"""

import base64
import json
import sys

import zk


def check(what, got, want):
    if got != want:
        sys.exit(f"{what}: got {got}, want {want}")


def check_argon2():
    # This test vector is from RFC 9106, section 5.3.
    got = zk.slow_argon2id(b"\1" * 32, b"\2" * 16, 3, 32, 4, 32, b"\3" * 8, b"\4" * 12)
    check("RFC 9106", got.hex(), "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659")


def check_hpke():
    # This test vector is from RFC 9180, appendix A.2.1.1. Compare only the first 32
    # bytes (the encapsulated key), because they do not depend on the info string.
    private = bytes.fromhex("f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600")
    public = bytes.fromhex("4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a")
    sealed = zk.seal(b"", public, "", private)
    check("RFC 9180", sealed[:32].hex(), "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a")


def main():
    slow, path = sys.argv[1] == "--slow", sys.argv[-1]
    with open(path, encoding="utf-8") as f:
        vectors = json.load(f)
    check_argon2()
    check_hpke()
    for v in vectors["programs"]:
        want = v["payload"]
        kdf, cipher = want["kdf"], want["cipher"]
        cost = kdf["time"], kdf["memoryKiB"], kdf["parallelism"]
        if slow or kdf["memoryKiB"] <= 1024:
            got = zk.slow_argon2id(v["password"].encode(), base64.b64decode(kdf["salt"]), *cost, 32)
            check(v["comment"] + ", key", got.hex(), v["keyHex"])
        got = zk.xchacha20_poly1305(
            bytes.fromhex(v["keyHex"]),
            base64.b64decode(cipher["nonce"]),
            v["code"].encode(),
            zk.associated_data(want["language"], want.get("name")),
        )
        check(v["comment"] + ", ciphertext", zk.text(got), want["ciphertext"])
        if kdf["memoryKiB"] <= 1024:
            got = zk.encrypt(
                v["code"].encode(),
                v["password"].encode(),
                want["language"],
                want.get("name"),
                *cost,
                salt=base64.b64decode(kdf["salt"]),
                nonce=base64.b64decode(cipher["nonce"]),
            )
            check(v["comment"], got, want)
    for v in vectors["sealed"]:
        ephemeral = bytes.fromhex(v["ephemeralPrivateKeyHex"])
        got = zk.seal(v["password"].encode(), base64.b64decode(v["publicKey"]), v["sandboxId"], ephemeral)
        check(v["comment"], zk.text(got), v["sealedPassword"])
    print("ok")


if __name__ == "__main__":
    main()

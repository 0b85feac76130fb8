"""Encrypts a program on this machine, stores it on a Pyth-On server, and runs it there.

Usage: run.py [--memory-kib N] [--time N] NAME FILE

The master password is the first line of standard input. This program sends it
encrypted, and only the sandbox that runs FILE can decrypt it. Set PYTH_ON_URL to the
address of the server and PYTH_ON_API_KEY to an API key.
"""

import argparse
import base64
import json
import os
import sys
import urllib.request

import zk

LANGUAGES = {".py": "python", ".js": "javascript", ".ts": "typescript"}


def call(method, path, body=None):
    request = urllib.request.Request(
        os.environ["PYTH_ON_URL"] + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"x-api-key": os.environ["PYTH_ON_API_KEY"], "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--memory-kib", type=int, default=65536)
    parser.add_argument("--time", type=int, default=3)
    parser.add_argument("name")
    parser.add_argument("file")
    args = parser.parse_args()

    password = sys.stdin.buffer.readline().rstrip(b"\n")
    with open(args.file, "rb") as f:
        code = f.read()
    language = LANGUAGES[os.path.splitext(args.file)[1]]
    payload = zk.encrypt(code, password, language, args.name, args.time, args.memory_kib)
    call("PUT", "/api/v1/zk/code/" + args.name, payload)

    sandbox = call("POST", "/api/v1/zk/sandboxes")
    sealed = zk.seal(password, base64.b64decode(sandbox["publicKey"]), sandbox["sandboxId"])
    result = call(
        "POST",
        "/api/v1/zk/execute/" + args.name,
        {"sandboxId": sandbox["sandboxId"], "sealedPassword": zk.text(sealed)},
    )
    sys.stdout.write(result["stdout"])
    sys.stderr.write(result["stderr"])
    if "error" in result:
        sys.stderr.write(result["error"]["name"] + ": " + result["error"]["message"] + "\n")
    return result.get("exitCode", 1)


if __name__ == "__main__":
    sys.exit(main())

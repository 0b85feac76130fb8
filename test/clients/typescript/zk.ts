// Encrypts a program as docs/zero-knowledge.md describes.

import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { argon2id } from '@noble/hashes/argon2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');

/** Encrypts a program in Python that is bound to no name. */
export function encrypt(code: string, password: string) {
  const salt = crypto.getRandomValues(new Uint8Array(16));
  const nonce = crypto.getRandomValues(new Uint8Array(24));
  const kdf = { name: 'argon2id' as const, salt: base64(salt), time: 1, memoryKiB: 8192, parallelism: 1 };
  const key = argon2id(utf8ToBytes(password), salt, { t: kdf.time, m: kdf.memoryKiB, p: kdf.parallelism, dkLen: 32 });
  const cipher = xchacha20poly1305(key, nonce, utf8ToBytes('pyth-on/zk/1/python'));
  return {
    version: 1,
    language: 'python' as const,
    kdf,
    cipher: { name: 'xchacha20-poly1305' as const, nonce: base64(nonce) },
    ciphertext: base64(cipher.encrypt(utf8ToBytes(code))),
  };
}

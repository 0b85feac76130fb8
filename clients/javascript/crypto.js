// Encrypts programs and passwords in the format of docs/zero-knowledge.md.

import { chacha20poly1305, xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { argon2idAsync } from '@noble/hashes/argon2.js';
import { expand, extract } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js';

/** The cost of the key derivation that RFC 9106 recommends. */
export const defaultKeyCost = Object.freeze({ time: 3, memoryKiB: 65536, parallelism: 4 });

const random = (size) => crypto.getRandomValues(new Uint8Array(size));
const bytes = (value) => (typeof value === 'string' ? utf8ToBytes(value) : value);
const uint16 = (n) => Uint8Array.of(n >> 8, n & 255);

export async function encrypt(code, password, options = {}) {
  const { language = 'python', name, cost = defaultKeyCost, salt = random(16), nonce = random(24) } = options;
  const { time, memoryKiB, parallelism } = cost;
  const key = await argon2idAsync(bytes(password), salt, { t: time, m: memoryKiB, p: parallelism, dkLen: 32 });
  const data = `pyth-on/zk/1/${language}${name === undefined ? '' : `/${name}`}`;
  return {
    version: 1,
    language,
    ...(name !== undefined && { name }),
    kdf: { name: 'argon2id', salt: toBase64(salt), time, memoryKiB, parallelism },
    cipher: { name: 'xchacha20-poly1305', nonce: toBase64(nonce) },
    ciphertext: toBase64(xchacha20poly1305(key, nonce, utf8ToBytes(data)).encrypt(bytes(code))),
  };
}

/**
 * HPKE (RFC 9180) in base mode with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and
 * ChaCha20Poly1305.
 */
export async function seal(password, publicKey, sandboxId, ephemeral = random(32)) {
  const { encapsulated, shared } = await exchange(ephemeral, publicKey);

  const kem = concatBytes(utf8ToBytes('KEM'), uint16(0x0020));
  const eae = labeledExtract(kem, '', 'eae_prk', shared);
  const secret = labeledExpand(kem, eae, 'shared_secret', concatBytes(encapsulated, publicKey), 32);

  const suite = concatBytes(utf8ToBytes('HPKE'), uint16(0x0020), uint16(0x0001), uint16(0x0003));
  const context = concatBytes(
    new Uint8Array(1),
    labeledExtract(suite, '', 'psk_id_hash', ''),
    labeledExtract(suite, '', 'info_hash', 'pyth-on/zk/sealed/1'),
  );
  const prk = labeledExtract(suite, secret, 'secret', '');
  const cipher = chacha20poly1305(
    labeledExpand(suite, prk, 'key', context, 32),
    labeledExpand(suite, prk, 'base_nonce', context, 12),
    utf8ToBytes(sandboxId),
  );
  return concatBytes(encapsulated, cipher.encrypt(bytes(password)));
}

/** X25519 (RFC 7748). The platform implements it, and refuses public keys of low order. */
async function exchange(ephemeral, publicKey) {
  const algorithm = { name: 'X25519' };
  // The private key as PKCS #8 (RFC 8410, section 7).
  const header = Uint8Array.from([48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 110, 4, 34, 4, 32]);
  const mine = await crypto.subtle.importKey('pkcs8', concatBytes(header, ephemeral), algorithm, true, ['deriveBits']);
  const { x } = await crypto.subtle.exportKey('jwk', mine);
  const theirs = await crypto.subtle.importKey('raw', publicKey, algorithm, false, []);
  const shared = await crypto.subtle.deriveBits({ name: 'X25519', public: theirs }, mine, 256);
  return { encapsulated: fromBase64(x.replaceAll('-', '+').replaceAll('_', '/')), shared: new Uint8Array(shared) };
}

// HKDF-SHA256 with labels (RFC 9180, section 4).

function labeledExtract(suite, salt, label, ikm) {
  return extract(sha256, concatBytes(utf8ToBytes('HPKE-v1'), suite, utf8ToBytes(label), bytes(ikm)), bytes(salt));
}

function labeledExpand(suite, prk, label, info, size) {
  return expand(sha256, prk, concatBytes(uint16(size), utf8ToBytes('HPKE-v1'), suite, utf8ToBytes(label), info), size);
}

export function toBase64(value) {
  let text = '';
  for (const byte of value) text += String.fromCharCode(byte);
  return btoa(text);
}

export const fromBase64 = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

// Checks zk.js against the published vectors.
//
// Usage: node check.js VECTORS

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { argon2id } from '@noble/hashes/argon2.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { associatedData, encrypt, fromBase64, key, seal, toBase64 } from './zk.js';

// RFC 9106, section 5.3.
const filled = (value, size) => new Uint8Array(size).fill(value);
const rfc9106 = argon2id(filled(1, 32), filled(2, 16), {
  t: 3, m: 32, p: 4, dkLen: 32, key: filled(3, 8), personalization: filled(4, 12),
});
assert.equal(bytesToHex(rfc9106), '0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659');

const vectors = JSON.parse(readFileSync(process.argv[2], 'utf8'));
for (const v of vectors.programs) {
  const { language, name, kdf, cipher } = v.payload;
  const cost = { time: kdf.time, memoryKiB: kdf.memoryKiB, parallelism: kdf.parallelism };
  const salt = fromBase64(kdf.salt);
  assert.equal(associatedData(language, name), v.associatedData, v.comment);
  assert.equal(bytesToHex(key(v.password, salt, cost)), v.keyHex, v.comment);
  assert.deepEqual(encrypt(v.code, v.password, language, name, cost, salt, fromBase64(cipher.nonce)), v.payload, v.comment);
}
for (const v of vectors.sealed) {
  const sealed = await seal(v.password, fromBase64(v.publicKey), v.sandboxId, hexToBytes(v.ephemeralPrivateKeyHex));
  assert.equal(toBase64(sealed), v.sealedPassword, v.comment);
}
console.log('ok');

// Encrypts, decrypts and seals in the browser. The page loads this module only for
// encrypted programs, because it contains the libraries for Argon2id and XChaCha20.
import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { argon2idAsync } from "@noble/hashes/argon2.js";
import { encrypt as encryptCode, fromBase64, seal as sealPassword, toBase64, type Payload } from "pyth-on/crypto.js";

// Unicode can encode the same letter in several ways, which would be different passwords.
// So convert passwords to the form NFC.
const normal = (password: string) => password.normalize("NFC");

export function encrypt(code: string, password: string, language: string, name: string): Promise<Payload> {
  return encryptCode(code, normal(password), { language, name });
}

export async function seal(password: string, publicKey: string, sandboxId: string): Promise<string> {
  return toBase64(await sealPassword(normal(password), fromBase64(publicKey), sandboxId));
}

// decrypt returns the program with the name and the language. It throws an Error if the
// password is wrong, or if the server sent another program.
export async function decrypt(p: Payload, password: string, expected: { name: string; language: string }): Promise<string> {
  if ((p.name !== undefined && p.name !== expected.name) || p.language !== expected.language) throw new Error("The server sent another program than the one that you selected.");
  const { time, memoryKiB, parallelism, salt } = p.kdf;
  // The server accepts no larger values, so somebody has changed these values.
  if (!(time <= 10 && memoryKiB <= 262_144 && parallelism <= 16)) throw new Error("The server sent a program whose key needs too much time or memory.");
  const text = new TextEncoder();
  const key = await argon2idAsync(text.encode(normal(password)), fromBase64(salt), { t: time, m: memoryKiB, p: parallelism, dkLen: 32 });
  const data = `pyth-on/zk/1/${p.language}${p.name === undefined ? "" : `/${p.name}`}`;
  try {
    return new TextDecoder().decode(xchacha20poly1305(key, fromBase64(p.cipher.nonce), text.encode(data)).decrypt(fromBase64(p.ciphertext)));
  } catch {
    throw new Error("The password is wrong, or somebody has changed the encrypted program.");
  }
}

// The module that encrypts programs and passwords. The program tools/web takes it from
// the folder clients/javascript.
declare module "pyth-on/crypto.js" {
  export interface Payload {
    version: 1;
    language: string;
    name?: string;
    kdf: { name: "argon2id"; salt: string; time: number; memoryKiB: number; parallelism: number };
    cipher: { name: "xchacha20-poly1305"; nonce: string };
    ciphertext: string;
  }
  export function encrypt(code: string, password: string, options: { language: string; name: string }): Promise<Payload>;
  export function seal(password: string, publicKey: Uint8Array, sandboxId: string): Promise<Uint8Array>;
  export function toBase64(value: Uint8Array): string;
  export function fromBase64(text: string): Uint8Array;
}

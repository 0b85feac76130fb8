// Checks the inclusion proof of an audit entry (RFC 9162, section 2.1.3.2) and the signed
// checkpoint (C2SP tlog-checkpoint and signed-note) with the browser's own cryptography.

export interface Entry {
  id: string;
  sequence: number;
  timestamp: string;
  action: string;
  resource?: string;
  outcome: "success" | "denied" | "failure";
  actor: { userId: string; credential: string; keyPrefix?: string };
  ip: string;
  userAgent: string;
  requestId: string;
  details: Record<string, unknown>;
  hash: string;
}

export interface Proof {
  entry: Entry;
  record: string;
  index: number;
  treeSize: number;
  hashes: string[];
  checkpoint: string;
  key: string;
}

export interface Step {
  name: string;
  ok: boolean;
  detail: string;
}

const bytesOf = (base64: string) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
const base64Of = (data: Uint8Array) => btoa(String.fromCharCode(...data));

async function sha256(...parts: Uint8Array[]): Promise<Uint8Array> {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", all));
}

const leafPrefix = Uint8Array.of(0), nodePrefix = Uint8Array.of(1);

// rootOf returns the root that a leaf and the hashes of its proof have. It throws an
// Error if the number of hashes is wrong. Sizes can exceed 32 bits, so it divides numbers
// instead of shifting bits.
export async function rootOf(record: Uint8Array, index: number, size: number, hashes: Uint8Array[]): Promise<Uint8Array> {
  if (!(index >= 0 && index < size)) throw new Error("The entry is outside the tree.");
  const half = (n: number) => Math.floor(n / 2);
  let hash = await sha256(leafPrefix, record);
  let fn = index, sn = size - 1;
  for (const h of hashes) {
    if (sn === 0 || h.length !== 32) throw new Error("The proof has too many hashes, or a hash has a wrong length.");
    if (fn % 2 === 1 || fn === sn) {
      hash = await sha256(nodePrefix, h, hash);
      while (fn % 2 === 0 && fn !== 0) (fn = half(fn)), (sn = half(sn));
    } else hash = await sha256(nodePrefix, hash, h);
    fn = half(fn);
    sn = half(sn);
  }
  if (sn !== 0) throw new Error("The proof has too few hashes.");
  return hash;
}

// isSigned checks the signature of a checkpoint with a verifier key: name+hash+base64 of
// the byte 1 and the public key.
async function isSigned(checkpoint: string, key: string): Promise<boolean> {
  const [name, , encoded] = splitKey(key);
  const data = bytesOf(encoded);
  if (data.length !== 33 || data[0] !== 1) throw new Error("The key is not a verifier key. Use the output of pyth-on audit key.");
  const [text, signatures] = checkpoint.split("\n\n");
  const publicKey = await crypto.subtle.importKey("raw", data.slice(1), { name: "Ed25519" }, false, ["verify"]);
  for (const line of (signatures ?? "").split("\n")) {
    if (!line.startsWith(`— ${name} `)) continue;
    const signature = bytesOf(line.slice(name.length + 3)).slice(4);
    if (await crypto.subtle.verify({ name: "Ed25519" }, publicKey, signature, new TextEncoder().encode(text + "\n"))) return true;
  }
  return false;
}

function splitKey(key: string): [string, string, string] {
  const first = key.indexOf("+"), second = key.indexOf("+", first + 1);
  if (second < 0) throw new Error("The key is not a verifier key. Use the output of pyth-on audit key.");
  return [key.slice(0, first), key.slice(first + 1, second), key.slice(second + 1)];
}

// describes returns true if the record contains what the page shows about the entry.
function describes(record: Record<string, unknown>, e: Entry): boolean {
  const same = (a: unknown, b: unknown) => JSON.stringify(a ?? "") === JSON.stringify(b ?? "");
  return (
    same(record.id, e.id) && same(record.action, e.action) && same(record.outcome, e.outcome) && same(record.sequence, e.sequence) && same(record.resource, e.resource) &&
    same(record.user, e.actor.userId) && same(record.ip, e.ip) && same(record.userAgent, e.userAgent) && same(record.requestId, e.requestId) && same(record.credential, e.actor.credential) && same(record.keyPrefix, e.actor.keyPrefix) &&
    sorted(record.details) === sorted(e.details) && Math.abs(Date.parse(String(record.time)) - Date.parse(e.timestamp)) <= 1
  );
}

// sorted returns JSON with sorted names.
function sorted(value: unknown): string {
  return JSON.stringify(value, (_, v) => (v && typeof v === "object" && !Array.isArray(v) ? Object.fromEntries(Object.entries(v).sort(([a], [b]) => (a < b ? -1 : 1))) : v));
}

// check checks all parts of a proof for an entry that the page shows. pinned is the key
// that the user has from the operator, or empty.
export async function check(shown: Entry, p: Proof, pinned: string): Promise<Step[]> {
  const record = bytesOf(p.record);
  const key = pinned || p.key;
  const steps: Step[] = [];
  const add = async (name: string, run: () => Promise<string> | string) => {
    try {
      steps.push({ name, ok: true, detail: await run() });
    } catch (error) {
      steps.push({ name, ok: false, detail: (error as Error).message });
    }
  };
  await add("The record is the entry that you see", () => {
    if (!describes(JSON.parse(new TextDecoder().decode(record)), shown)) throw new Error("The record has other values than the entry.");
    return "The record has the same values as the entry.";
  });
  await add("The entry is in the tree", async () => {
    const root = await rootOf(record, p.index, p.treeSize, p.hashes.map(bytesOf));
    const [name] = splitKey(key);
    const [text] = p.checkpoint.split("\n\n");
    if (text !== `${name}\n${p.treeSize}\n${base64Of(root)}`) throw new Error("The hashes lead to another root than the one in the checkpoint.");
    return `${p.hashes.length} hashes lead from entry ${p.index} to the root of a tree with ${p.treeSize} entries.`;
  });
  await add("The checkpoint is signed", async () => {
    if (!(await isSigned(p.checkpoint, key))) throw new Error("The signature of the checkpoint does not belong to this key.");
    return pinned ? "The signature belongs to the key that you entered." : "The signature belongs to the key that the server sent. To be sure, enter the key from the operator.";
  });
  return steps;
}

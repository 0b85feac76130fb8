// Encrypts a program on this machine, stores it on a Pyth-On server, and runs it
// there.
//
// Usage: node run.js [--memory-kib N] [--time N] NAME FILE
//
// The master password is the first line of standard input. This program sends it
// encrypted, and only the sandbox that runs FILE can decrypt it. Set PYTH_ON_URL to
// the address of the server and PYTH_ON_API_KEY to an API key.

import { readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { parseArgs } from 'node:util';
import { encrypt, fromBase64, recommended, seal, toBase64 } from './zk.js';

const languages = { '.py': 'python', '.js': 'javascript', '.ts': 'typescript' };

async function call(method, path, body) {
  const response = await fetch(process.env.PYTH_ON_URL + path, {
    method,
    headers: { 'x-api-key': process.env.PYTH_ON_API_KEY, 'Content-Type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

const { values, positionals } = parseArgs({
  options: { 'memory-kib': { type: 'string' }, time: { type: 'string' } },
  allowPositionals: true,
});
const [name, file] = positionals;
const cost = { ...recommended };
if (values['memory-kib']) cost.memoryKiB = Number(values['memory-kib']);
if (values.time) cost.time = Number(values.time);

const [password] = readFileSync(0, 'utf8').split('\n');
const payload = encrypt(readFileSync(file), password, languages[extname(file)], name, cost);
await call('PUT', `/api/v1/zk/code/${name}`, payload);

const { sandboxId, publicKey } = await call('POST', '/api/v1/zk/sandboxes');
const sealed = await seal(password, fromBase64(publicKey), sandboxId);
const result = await call('POST', `/api/v1/zk/execute/${name}`, { sandboxId, sealedPassword: toBase64(sealed) });
process.stdout.write(result.stdout);
process.stderr.write(result.stderr);
if (result.error) console.error(`${result.error.name}: ${result.error.message}`);
process.exitCode = result.exitCode ?? 1;

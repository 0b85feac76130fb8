// Calls the API with the client that Hey API generates.
//
// Usage: node hey.js URL

import assert from 'node:assert/strict';
import { client } from './gen/hey/client.gen.js';
import * as api from './gen/hey/index.js';
import { encrypt } from './zk.js';

const random = () => crypto.randomUUID();
client.setConfig({ baseUrl: process.argv[2]! });

const account = await api.registerAccount({ body: { email: `${random()}@example.org`, password: random() } });
assert.equal(account.response?.status, 201);
client.setConfig({ auth: account.data!.apiKey! });

/** Runs a program and returns its result, which is not a stream. */
async function execute(body: api.ExecuteRequest) {
  const { data, error } = await api.runProgram({ body });
  assert.ok(data && typeof data !== 'string', error?.detail);
  return data;
}

// Run a program.
const run = await execute({ code: 'import sys\nprint(6 * 7, sys.argv[1])', args: ['x'], labels: ['client'] });
assert.equal(run.status, 'succeeded');
assert.equal(run.stdout, '42 x\n');
const bad = await api.runProgram({ body: { code: '' } });
assert.equal(bad.error?.code, 'invalid_request');

// Stream a program.
const stream = await api.runProgram({
  body: { code: 'print("one")' },
  headers: { Accept: 'text/event-stream' },
  parseAs: 'text',
});
assert.match(String(stream.data), /^id: 1\nevent: start\n/);
assert.match(String(stream.data), /\nevent: end\n/);

// Store a secret and use it.
const secret = await api.putSecret({ path: { name: 'API_TOKEN' }, body: { value: 's3cr3t-t0ken' } });
assert.equal(secret.response?.status, 201);
const used = await execute({ code: "import os\nprint(os.environ['API_TOKEN'])" });
assert.equal(used.stdout, '[secret:API_TOKEN]\n');

// Use a session with files.
const session = await api.createSession({ body: {} });
const id = session.data!.id;
const written = await api.writeSessionFile({ path: { id, path: 'in.txt' }, body: new Blob(['hello']) });
assert.equal(written.response?.status, 201);
for (const code of ["text = open('in.txt').read().upper()", "open('out.txt', 'w').write(text)"]) {
  assert.equal((await execute({ code, sessionId: id })).status, 'succeeded');
}
const file = await api.readSessionFile({ path: { id, path: 'out.txt' }, parseAs: 'text' });
assert.equal(String(file.data), 'HELLO');
const deleted = await api.deleteSession({ path: { id } });
assert.equal(deleted.response?.status, 204);

// List the packages.
const packages = await api.listPackages({ query: { language: 'python' } });
assert.ok(packages.data!.packages);

// Store and run an encrypted program.
const masterPassword = random();
const stored = await api.storeEncryptedProgram({ path: { name: 'report' }, body: encrypt("print('sealed')", masterPassword) });
assert.equal(stored.response?.status, 201);
const sealed = await api.runEncryptedProgram({ path: { name: 'report' }, body: { masterPassword } });
assert.ok(sealed.data && typeof sealed.data !== 'string');
assert.equal(sealed.data.stdout, 'sealed\n');

// Page through the audit log.
let entries = 0;
let pages = 0;
let cursor: string | undefined;
do {
  const page: { data?: api.AuditList } = await api.listAuditEntries({ query: { limit: 2, cursor } });
  entries += page.data!.entries.length;
  pages++;
  cursor = page.data!.nextCursor;
} while (cursor);
assert.ok(pages >= 3 && entries >= 6, `${entries} entries on ${pages} pages`);

console.log('ok');

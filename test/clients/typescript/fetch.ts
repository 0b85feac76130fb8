// Calls the API with openapi-fetch and the types of openapi-typescript.
//
// Usage: node fetch.js URL

import assert from 'node:assert/strict';
import createClient from 'openapi-fetch';
import type { paths } from './gen/schema.js';
import { encrypt } from './zk.js';

const baseUrl = process.argv[2]!;
const random = () => crypto.randomUUID();

const anonymous = createClient<paths, 'application/json'>({ baseUrl });
const account = await anonymous.POST('/api/register', { body: { email: `${random()}@example.org`, password: random() } });
assert.equal(account.response.status, 201);
const headers = { 'x-api-key': account.data!.apiKey! };
const client = createClient<paths, 'application/json' | 'application/problem+json'>({ baseUrl, headers });
const streams = createClient<paths, 'text/event-stream'>({ baseUrl, headers });
const files = createClient<paths, '*/*'>({ baseUrl, headers });

// Run a program.
const run = await client.POST('/api/v1/execute', { body: { code: 'import sys\nprint(6 * 7, sys.argv[1])', args: ['x'], labels: ['client'] } });
assert.equal(run.data?.status, 'succeeded');
assert.equal(run.data.stdout, '42 x\n');
const bad = await client.POST('/api/v1/execute', { body: { code: '' } });
assert.equal(bad.error?.code, 'invalid_request');

// Stream a program.
const stream = await streams.POST('/api/v1/execute', {
  body: { code: 'print("one")\nprint("two")' },
  headers: { Accept: 'text/event-stream' },
  parseAs: 'stream',
});
const events = await new Response(stream.data).text();
assert.match(events, /^id: 1\nevent: start\n/);
assert.match(events, /\nevent: end\n/);

// Store a secret and use it.
const secret = await client.PUT('/api/v1/secrets/{name}', { params: { path: { name: 'API_TOKEN' } }, body: { value: 's3cr3t-t0ken' } });
assert.equal(secret.response.status, 201);
const used = await client.POST('/api/v1/execute', { body: { code: "import os\nprint(os.environ['API_TOKEN'])" } });
assert.equal(used.data?.stdout, '[secret:API_TOKEN]\n');

// Use a session with files.
const session = await client.POST('/api/v1/sessions', { body: {} });
const id = session.data!.id;
const written = await client.PUT('/api/v1/sessions/{id}/files/{path}', {
  params: { path: { id, path: 'in.txt' } },
  body: 'hello',
  bodySerializer: (text) => text,
  headers: { 'Content-Type': 'application/octet-stream' },
});
assert.equal(written.response.status, 201);
for (const code of ["text = open('in.txt').read().upper()", "open('out.txt', 'w').write(text)"]) {
  const inSession = await client.POST('/api/v1/execute', { body: { code, sessionId: id } });
  assert.equal(inSession.data?.status, 'succeeded');
}
const file = await files.GET('/api/v1/sessions/{id}/files/{path}', { params: { path: { id, path: 'out.txt' } }, parseAs: 'text' });
assert.equal(file.data, 'HELLO');
const deleted = await client.DELETE('/api/v1/sessions/{id}', { params: { path: { id } } });
assert.equal(deleted.response.status, 204);

// List the packages.
const packages = await client.GET('/api/v1/packages', { params: { query: { language: 'python' } } });
assert.ok(packages.data!.packages);

// Store and run an encrypted program.
const masterPassword = random();
const stored = await client.PUT('/api/v1/zk/code/{name}', {
  params: { path: { name: 'report' } },
  body: encrypt("print('sealed')", masterPassword),
});
assert.equal(stored.response.status, 201);
const sealed = await client.POST('/api/v1/zk/execute/{name}', { params: { path: { name: 'report' } }, body: { masterPassword } });
assert.equal(sealed.data?.stdout, 'sealed\n');

// Page through the audit log.
let entries = 0;
let pages = 0;
let cursor: string | undefined;
do {
  const page = await client.GET('/api/v1/audit', { params: { query: { limit: 2, cursor } } });
  entries += page.data!.entries.length;
  pages++;
  cursor = page.data!.nextCursor;
} while (cursor);
assert.ok(pages >= 3 && entries >= 6, `${entries} entries on ${pages} pages`);

console.log('ok');

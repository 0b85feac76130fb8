// Checks the library without a server: node --test check.js. VECTORS is the path of the
// test vectors.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

import { ApiError, Client, ConnectionLostError, UnknownServerError, encrypt, seal } from 'pyth-on';

const vectors = JSON.parse(readFileSync(process.env.VECTORS, 'utf8'));
const fromBase64 = (text) => new Uint8Array(Buffer.from(text, 'base64'));

/** Returns a client that receives the given answers, and the list of the requests that it sends. */
function scripted(...answers) {
  const seen = [];
  const fetch = async (url, options) => {
    seen.push({ url, ...options });
    const answer = answers[seen.length - 1];
    if (answer instanceof Error) throw answer;
    return answer;
  };
  return { client: new Client('http://server.test/', { apiKey: 'pyapi_test', fetch }), seen };
}

const json = (body, status = 200) => new Response(JSON.stringify(body), { status, headers: { 'Content-Type': 'application/json' } });
const problem = (status, code, headers) =>
  new Response(JSON.stringify({ status, code, title: 'Title', detail: 'What happened.', requestId: 'req_1' }), { status, headers });
const stream = (text) => new Response(text, { headers: { 'Content-Type': 'text/event-stream' } });
const collect = async (all) => {
  const items = [];
  for await (const item of all) items.push(item);
  return items;
};

test('programs match the vectors', async () => {
  assert.ok(vectors.programs.length > 0);
  for (const { comment, code, password, payload } of vectors.programs) {
    const { time, memoryKiB, parallelism, salt } = payload.kdf;
    const got = await encrypt(code, password, {
      language: payload.language,
      name: payload.name,
      cost: { time, memoryKiB, parallelism },
      salt: fromBase64(salt),
      nonce: fromBase64(payload.cipher.nonce),
    });
    assert.deepEqual(got, payload, comment);
  }
});

test('sealed passwords match the vectors', async () => {
  assert.ok(vectors.sealed.length > 0);
  for (const v of vectors.sealed) {
    const got = await seal(v.password, fromBase64(v.publicKey), v.sandboxId, new Uint8Array(Buffer.from(v.ephemeralPrivateKeyHex, 'hex')));
    assert.equal(Buffer.from(got).toString('base64'), v.sealedPassword, v.comment);
  }
});

test('salt and nonce are random', async () => {
  const cost = { time: 1, memoryKiB: 8, parallelism: 1 };
  assert.notDeepEqual(await encrypt('1', 'p', { cost }), await encrypt('1', 'p', { cost }));
});

test('requests without effect are repeated', async () => {
  const { client, seen } = scripted(problem(429, 'rate_limited', { 'Retry-After': '0' }), problem(503, 'overloaded'), json({ email: 'e' }));
  assert.equal((await client.me()).email, 'e');
  assert.deepEqual(seen.map((r) => [r.url, r.headers['x-api-key'], r.redirect]), Array(3).fill(['http://server.test/api/v1/me', 'pyapi_test', 'manual']));
});

test('other errors are thrown at once', async () => {
  for (const [status, code, headers] of [[400, 'invalid_request'], [429, 'quota_exceeded', { 'Retry-After': '3600' }], [503, 'unavailable', { 'Retry-After': '0' }], [500, 'internal']]) {
    const { client, seen } = scripted(problem(status, code, headers));
    await assert.rejects(client.run('1'), (e) => e instanceof ApiError && e.status === status && e.code === code && e.requestId === 'req_1');
    assert.equal(seen.length, 1);
  }
});

test('a lost connection is repeated with the same key', async () => {
  const { client, seen } = scripted(new TypeError('fetch failed'), json({ id: 's' }, 201));
  assert.equal((await client.openSession()).id, 's');
  assert.ok(seen[0].headers['Idempotency-Key']);
  assert.equal(seen[0].headers['Idempotency-Key'], seen[1].headers['Idempotency-Key']);
  const lost = scripted(new TypeError('fetch failed'), json({}));
  await assert.rejects(lost.client.run('1'), TypeError);
  assert.equal(lost.seen.length, 1);
});

test('options of runs become the request', async () => {
  const { client, seen } = scripted(json({}));
  await client.run('1', { secrets: [], store: false, files: { a: Uint8Array.of(0), b: 'x' } });
  assert.deepEqual(JSON.parse(seen[0].body), {
    code: '1',
    secrets: [],
    store: false,
    files: [{ path: 'a', content: 'AA==', encoding: 'base64' }, { path: 'b', content: 'x' }],
  });
});

const begin = 'id: 1\nevent: start\ndata: {"id":"r"}\n\n: keep-alive\n\nid: 2\nevent: stdout\ndata: {"text":"ä"}\n\nid: 3\nevent: later\ndata: {}\n\n';
const rest = 'id: 4\nevent: file\ndata: {"path":"a","content":"YQ==","encoding":"base64","mediaType":"t"}\n\nid: 5\nevent: end\ndata: {"status":"succeeded"}\n\n';
const events = [
  { type: 'start', id: 'r' },
  { type: 'stdout', text: 'ä' },
  { type: 'file', path: 'a', mediaType: 't', content: Uint8Array.of(97) },
  { type: 'end', run: { status: 'succeeded' } },
];

test('streams are decoded from chunks of any size', async () => {
  const bytes = new TextEncoder().encode(begin + rest);
  const body = new ReadableStream({
    start(controller) {
      for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
      controller.close();
    },
  });
  const { client, seen } = scripted(new Response(body));
  assert.deepEqual(await collect(client.stream('1')), events);
  assert.equal(seen[0].headers.Accept, 'text/event-stream');
});

test('streams report failures', async () => {
  await assert.rejects(collect(scripted(stream(begin)).client.stream('1')), ConnectionLostError);
  const failed = stream('event: error\ndata: {"code":"draining","status":503,"title":"Stopping"}\n\n');
  await assert.rejects(collect(scripted(failed).client.stream('1')), (e) => e.code === 'draining');
});

test('leaving the loop closes the connection', async () => {
  let canceled = false;
  const body = new ReadableStream({
    start: (controller) => controller.enqueue(new TextEncoder().encode(begin)),
    cancel: () => void (canceled = true),
  });
  for await (const event of scripted(new Response(body)).client.stream('1')) {
    assert.equal(event.type, 'start');
    break;
  }
  assert.ok(canceled);
});

test('events continue after a lost connection', async () => {
  const { client, seen } = scripted(stream(begin), stream(rest));
  assert.deepEqual(await collect(client.events('r')), events);
  assert.equal(seen[1].headers['Last-Event-ID'], '3');
});

test('lists follow the cursor', async () => {
  const { client, seen } = scripted(json({ executions: [{ id: 'a' }], nextCursor: 'x' }), json({ executions: [{ id: 'b' }] }));
  assert.deepEqual((await collect(client.executions({ label: 'n' }))).map((r) => r.id), ['a', 'b']);
  assert.equal(seen[1].url, 'http://server.test/api/v1/executions?label=n&cursor=x');
});

test('answers of other servers are errors', async () => {
  for (const answer of [new Response('<html>'), new Response('no', { status: 404 }), new Response(null, { status: 302 })]) {
    await assert.rejects(scripted(answer).client.me(), UnknownServerError);
  }
});

test('names cannot leave their path', async () => {
  const { client, seen } = scripted(new Response('{}'));
  for (const name of ['', '.', '..']) {
    await assert.rejects(client.deleteSecret(name), TypeError);
  }
  assert.equal(seen.length, 0);
});

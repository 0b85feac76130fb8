// Uses the tools of a server with the SDK of the protocol, first over HTTP, and then with
// the command `pyth-on mcp`. Usage: client.mjs URL KEY PYTH-ON. It prints "ok".
import assert from 'node:assert/strict'
import {Client} from '@modelcontextprotocol/sdk/client/index.js'
import {StdioClientTransport} from '@modelcontextprotocol/sdk/client/stdio.js'
import {StreamableHTTPClientTransport} from '@modelcontextprotocol/sdk/client/streamableHttp.js'

const [url, key, program] = process.argv.slice(2)
const png = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64')

const text = result => result.content.filter(c => c.type === 'text').map(c => c.text).join('\n')

/** Connects a client, runs the function, and closes the client. */
async function using(transport, run) {
  const client = new Client({name: 'pyth-on-test', version: '1'})
  await client.connect(transport)
  try {
    await run((name, args = {}, options) => client.callTool({name, arguments: args}, undefined, options), client)
  } finally {
    await client.close()
  }
}

async function useTools(call, client) {
  const {tools} = await client.listTools()
  assert.equal(tools.length, 9)

  const {structuredContent: {session_id}} = await call('session_create', {language: 'python'})
  await call('run_code', {session_id, code: 'x = 41'})
  const value = await call('run_code', {session_id, code: 'print("hi")\nx + 1'})
  assert.equal(value.structuredContent.value, '42')
  assert.match(text(value), /^stdout:\nhi\n\nvalue:\n42\n\nstatus: succeeded, exit code 0/)

  const picture = await call('run_code', {
    session_id, code: `class Picture:\n  def _repr_png_(self):\n    import base64\n    return base64.b64decode("${png.toString('base64')}")\nPicture()`,
  })
  const image = picture.content.find(c => c.type === 'image')
  assert.deepEqual([image.mimeType, Buffer.from(image.data, 'base64')], ['image/png', png])

  await call('file_write', {session_id, path: 'data/in.txt', content: 'grüße\n'})
  const command = await call('run_command', {session_id, command: 'tr a-z A-Z < data/in.txt > out.txt; echo done >&2; exit 3'})
  assert.equal(command.isError, true)
  assert.deepEqual([command.structuredContent.exit_code, command.structuredContent.stderr], [3, 'done\n'])
  assert.match(text(await call('file_list', {session_id})), /data\/in\.txt/)
  assert.match((await call('file_read', {session_id, path: 'out.txt'})).structuredContent.text, /^GR/)

  const notes = []
  await call('run_code', {session_id, code: 'import time\nfor i in range(3):\n  print("step", i, flush=True)\n  time.sleep(0.6)'}, {onprogress: p => notes.push(p.message)})
  assert.match(notes.join(''), /step 0\nstep 1\nstep 2/)

  const cancel = new AbortController()
  setTimeout(() => cancel.abort('enough'), 1000)
  const begin = Date.now()
  await assert.rejects(call('run_code', {session_id, code: 'import time\nn = 0\nwhile True:\n  n += 1\n  time.sleep(0.01)'}, {signal: cancel.signal}))
  // Runs of a session wait for each other, so the canceled run has ended.
  assert.ok(Number((await call('run_code', {session_id, code: 'n'})).structuredContent.value) > 0)
  assert.ok(Date.now() - begin < 20_000, 'the run was not canceled')

  const closed = await call('session_close', {session_id})
  assert.equal(closed.isError ?? false, false)
  assert.equal((await call('run_code', {session_id, code: 'x'})).isError, true)
}

const headers = {Authorization: `Bearer ${key}`}
await using(new StreamableHTTPClientTransport(new URL('/mcp', url), {requestInit: {headers}}), useTools)
await using(new StdioClientTransport({command: program, args: ['mcp'], env: {...process.env, PYTH_ON_SERVER: url, PYTH_ON_API_KEY: key}}), useTools)
await assert.rejects(using(new StreamableHTTPClientTransport(new URL('/mcp', url), {requestInit: {headers: {Authorization: 'Bearer pyapi_wrong'}}}), useTools), /401|no valid|not valid/i)
console.log('ok')

// Creates, lists, connects to and ends sandboxes with the library e2b. The library reads
// E2B_API_URL, E2B_SANDBOX_URL and E2B_API_KEY. It prints "ok".
import assert from 'node:assert/strict'
import {Sandbox, SandboxNotFoundError} from 'e2b'

const sandbox = await Sandbox.create({metadata: {run: 'a b&c', kind: 'test'}, timeoutMs: 120_000, envs: {COLOUR: 'blue'}})
const other = await Sandbox.create('code-interpreter-v1')
assert.equal(await sandbox.isRunning(), true)

const details = await sandbox.getInfo()
assert.equal(details.sandboxId, sandbox.sandboxId)
assert.deepEqual(details.metadata, {run: 'a b&c', kind: 'test'})
assert.equal(details.state, 'running')
const left = () => sandbox.getInfo().then(d => d.endAt - Date.now())
assert.ok(await left() > 60_000 && await left() <= 120_000)
await sandbox.setTimeout(300_000)
assert.ok(await left() > 200_000)
await Sandbox.connect(sandbox.sandboxId, {timeoutMs: 1_000})
assert.ok(await left() > 200_000, 'connect never shortens the life of a sandbox')

const list = async (opts = {}) => {
  const paginator = Sandbox.list(opts)
  const ids = []
  while (paginator.hasNext) {
    ids.push(...(await paginator.nextItems()).map(s => s.sandboxId))
  }
  return ids
}
assert.deepEqual(await list(), [other.sandboxId, sandbox.sandboxId])
assert.deepEqual(await list({limit: 1}), [other.sandboxId, sandbox.sandboxId])
assert.deepEqual(await list({query: {metadata: {run: 'a b&c'}}}), [sandbox.sandboxId])
assert.deepEqual(await list({query: {metadata: {run: 'x'}}}), [])
assert.deepEqual(await list({query: {state: ['paused']}}), [])

for (const [what, refused] of Object.entries({
  pause: () => sandbox.pause(),
  snapshot: () => sandbox.createSnapshot(),
  fork: () => sandbox.fork(),
  network: () => sandbox.updateNetwork({allowOut: []}),
  metrics: () => sandbox.getMetrics(),
})) {
  await assert.rejects(refused, /501: /, what)
}
await assert.rejects(Sandbox.create('my-template'), /404: template .* not found/)
await assert.rejects(Sandbox.create({lifecycle: {onTimeout: 'pause'}}), /400: autoPause is not supported/)
await assert.rejects(Sandbox.create({volumeMounts: {'/data': 'v'}}), /400: volumeMounts is not supported/)

assert.equal(await other.kill(), true)
assert.equal(await other.kill(), false)
assert.equal(await other.isRunning(), false)
await assert.rejects(Sandbox.connect(other.sandboxId), SandboxNotFoundError)
await assert.rejects(other.files.list('/'), /not found/)

// A sandbox ends after its time-out, even if no request arrives.
const short = await Sandbox.create({timeoutMs: 1_000})
while (await short.isRunning()) {
  await new Promise(resolve => setTimeout(resolve, 200))
}
await assert.rejects(short.getInfo(), SandboxNotFoundError)

await sandbox.kill()
console.log('ok')

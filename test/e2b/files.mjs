// Uses the files of a sandbox with the library e2b. It prints "ok".
import assert from 'node:assert/strict'
import {FileNotFoundError, Sandbox} from 'e2b'

const sandbox = await Sandbox.create()
const {files} = sandbox

const written = await files.write('data/a.txt', 'grüße\n')
assert.deepEqual([written.name, written.path, written.type], ['a.txt', '/home/user/data/a.txt', 'file'])
assert.equal(await files.read('/home/user/data/a.txt'), 'grüße\n')
assert.deepEqual(await files.read('data/a.txt', {format: 'bytes'}), new TextEncoder().encode('grüße\n'))
await files.write([{path: 'data/b.bin', data: new Uint8Array([0, 255, 1]).buffer}, {path: '/home/user/empty', data: ''}])
assert.deepEqual(await files.read('data/b.bin', {format: 'bytes'}), new Uint8Array([0, 255, 1]))
assert.equal(await files.read('empty'), '')
await files.write('packed.txt', 'x'.repeat(100_000), {gzip: true})
assert.equal((await files.read('packed.txt')).length, 100_000)
await assert.rejects(files.read('missing'), FileNotFoundError)
await assert.rejects(files.read('a', {user: 'root'}), /root/)

assert.equal(await files.exists('data/a.txt'), true)
assert.equal(await files.exists('data/c.txt'), false)
const entry = await files.getInfo('data/a.txt')
assert.deepEqual([entry.name, entry.type, entry.size, entry.path], ['a.txt', 'file', 8, '/home/user/data/a.txt'])
const names = async (...args) => (await files.list(...args)).map(e => e.path).sort()
assert.deepEqual(await names('data'), ['/home/user/data/a.txt', '/home/user/data/b.bin'])
assert.ok((await names('/home/user', {depth: 2})).includes('/home/user/data/a.txt'))
assert.equal(await files.makeDir('data'), false)

const events = []
const watch = await files.watchDir('data', e => events.push(`${e.type} ${e.name}`))
await files.write('data/new.txt', '1')
while (!events.includes('create new.txt')) {
  await new Promise(resolve => setTimeout(resolve, 50))
}
await watch.stop()

await files.remove('data/b.bin')
assert.deepEqual(await names('data'), ['/home/user/data/a.txt', '/home/user/data/new.txt'])

const get = (url, options) => fetch(url, options).then(async r => [r.status, await r.text()])
assert.deepEqual(await get(await sandbox.downloadUrl('data/a.txt', {useSignatureExpiration: 60})), [200, 'grüße\n'])
const form = new FormData()
form.append('file', new Blob(['by form']), 'ignored')
const [status] = await get(await sandbox.uploadUrl('data/form.txt'), {method: 'POST', body: form})
assert.equal(status, 200)
assert.equal(await files.read('data/form.txt'), 'by form')
const expired = await sandbox.downloadUrl('data/a.txt', {useSignatureExpiration: -1})
assert.equal((await get(expired))[0], 401)
const wrong = new URL(await sandbox.downloadUrl('data/a.txt'))
wrong.searchParams.set('path', 'data/form.txt')
assert.equal((await get(wrong))[0], 401)

await sandbox.kill()
assert.equal((await get(await sandbox.downloadUrl('data/a.txt')))[0], 401)
console.log('ok')

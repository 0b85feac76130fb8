// Runs code in contexts with the library @e2b/code-interpreter. It prints "ok".
import assert from 'node:assert/strict'
import {Sandbox} from '@e2b/code-interpreter'

const sandbox = await Sandbox.create({envs: {COLOUR: 'blue'}})

await sandbox.runCode('x = 41')
const seen = []
const run = await sandbox.runCode('print("grüße")\nx + 1', {onStdout: m => seen.push(m.line), onResult: r => seen.push(r.text)})
assert.equal(run.text, '42')
assert.deepEqual(run.logs, {stdout: ['grüße\n'], stderr: []})
assert.deepEqual(seen, ['grüße\n', '42'])
assert.equal(run.executionCount, 2)
assert.equal(run.error, undefined)
assert.equal((await sandbox.runCode('"text"')).text, 'text')

const env = 'import os\nos.environ["COLOUR"] + os.environ.get("SIZE", "")'
assert.equal((await sandbox.runCode(env)).text, 'blue')
assert.equal((await sandbox.runCode(env, {envs: {SIZE: 'big'}})).text, 'bluebig')

const failed = await sandbox.runCode('import sys\nprint("e", file=sys.stderr)\nint("a")')
assert.equal(failed.error.name, 'ValueError')
assert.match(failed.error.value, /invalid literal/)
assert.match(failed.error.traceback, /int\("a"\)/)
assert.equal(failed.logs.stderr[0], 'e\n')

const rich = await sandbox.runCode(`
class Picture:
    def _repr_png_(self):
        import base64
        return base64.b64decode("iVBORw0KGgo=")
    def _repr_html_(self):
        return "<b>picture</b>"
display(Picture())
{"a": [1, 2]}
`)
assert.equal(rich.results.length, 2)
assert.equal(rich.results[0].png, 'iVBORw0KGgo=')
assert.equal(rich.results[0].html, '<b>picture</b>')
assert.equal(rich.results[0].isMainResult, false)
assert.equal(rich.text, "{'a': [1, 2]}")

// If the client stops waiting, the server interrupts the run. The context must continue
// to work.
await assert.rejects(sandbox.runCode('n = 0\nwhile True: n += 1', {timeoutMs: 1_000}), /timed out/)
assert.ok(Number((await sandbox.runCode('n')).text) > 0)

const context = await sandbox.createCodeContext({cwd: '/home/user/deep/er'})
assert.equal(context.language, 'python')
assert.equal(context.cwd, '/home/user/deep/er')
await sandbox.runCode('x = 1', {context})
assert.equal((await sandbox.runCode('x', {context})).text, '1')
assert.match((await sandbox.runCode('import os\nos.getcwd()', {context})).text, /deep\/er$/)
assert.equal((await sandbox.runCode('x')).text, '41')
assert.deepEqual((await sandbox.listCodeContexts()).map(c => c.language), ['python', 'python'])
await sandbox.restartCodeContext(context)
assert.equal((await sandbox.runCode('x', {context})).error.name, 'NameError')
await sandbox.removeCodeContext(context)
await assert.rejects(sandbox.runCode('x', {context}), /not found/)

const script = await sandbox.runCode('const y = 20; y * 2 + 2', {language: 'js'})
assert.equal(script.text, '42')
assert.equal((await sandbox.runCode('y', {language: 'javascript'})).text, '20')
await assert.rejects(sandbox.runCode('1', {language: 'r'}), /400/)

await sandbox.kill()
await assert.rejects(sandbox.runCode('1'), /not found/)
console.log('ok')

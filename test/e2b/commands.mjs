// Runs commands and terminals in a sandbox with the library e2b. It prints "ok".
import assert from 'node:assert/strict'
import {CommandExitError, Sandbox, TimeoutError} from 'e2b'

const sandbox = await Sandbox.create({envs: {COLOUR: 'blue'}})
const {commands, files, pty} = sandbox

const lines = []
const run = await commands.run('echo out; echo err >&2; echo $COLOUR$SIZE; pwd', {envs: {SIZE: 'big'}, cwd: '/tmp', onStdout: l => lines.push(l)})
assert.deepEqual([run.exitCode, run.stdout, run.stderr], [0, 'out\nbluebig\n/tmp\n', 'err\n'])
assert.equal(lines.join(''), run.stdout)
await assert.rejects(commands.run('echo partly; exit 3'), e => e instanceof CommandExitError && e.exitCode === 3 && e.stdout === 'partly\n')
await assert.rejects(commands.run('kill -9 $$'), e => e.exitCode === -1 && /signal: killed/.test(e.error))
await assert.rejects(commands.run('true', {cwd: '/none'}), /not a directory/)
await assert.rejects(commands.run('true', {user: 'root'}), /root/)

// Commands, files and code share one home directory.
await files.write('data/a.txt', '1\n2\n')
assert.equal((await commands.run('wc -l < data/a.txt; echo new > b.txt')).stdout.trim(), '2')
assert.equal(await files.read('/home/user/b.txt'), 'new\n')
assert.equal((await commands.run('head -c 3000000 /dev/zero | tr "\\0" x')).stdout.length, 3_000_000)

// A command in the background has input, and can be listed, joined and killed.
const background = await commands.run('while read line; do echo "got $line"; done; echo ended', {background: true, stdin: true})
assert.ok((await commands.list()).some(p => p.pid === background.pid && p.cmd === '/bin/bash'))
const joined = await commands.connect(background.pid)
await commands.sendStdin(background.pid, 'one\n')
await background.sendStdin('two\n')
await background.closeStdin()
assert.equal((await background.wait()).stdout, 'got one\ngot two\nended\n')
assert.equal((await joined.wait()).stdout, 'got one\ngot two\nended\n')
const sleeper = await commands.run('sleep 1000', {background: true})
assert.equal(await sleeper.kill(), true)
await assert.rejects(sleeper.wait(), /signal: killed/)
assert.equal(await commands.kill(sleeper.pid), false)
assert.deepEqual((await commands.list()).filter(p => p.pid === sleeper.pid), [])
await assert.rejects(commands.run('sleep 1000', {timeoutMs: 1_000}), TimeoutError)
while ((await commands.list()).some(p => p.args.includes('sleep 1000'))) {
  await new Promise(resolve => setTimeout(resolve, 100))
}

// A command continues if its client disconnects.
const left = await commands.run('sleep 0.5; echo late > late.txt', {background: true})
await left.disconnect()
while (!await files.exists('late.txt')) {
  await new Promise(resolve => setTimeout(resolve, 100))
}

let screen = ''
const decoder = new TextDecoder()
const terminal = await pty.create({cols: 80, rows: 24, onData: data => { screen += decoder.decode(data, {stream: true}) }})
const type = text => pty.sendInput(terminal.pid, new TextEncoder().encode(text))
const shows = async pattern => {
  while (!pattern.test(screen)) {
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}
await type('stty size\n')
await shows(/24 80/)
await pty.resize(terminal.pid, {cols: 100, rows: 40})
await type('stty size; echo $TERM\n')
await shows(/40 100[^]*xterm-256color/)
await type('exit 4\n')
await assert.rejects(terminal.wait(), e => e.exitCode === 4)

// Files outside of the home directory, directories, and watching.
await files.write('/tmp/outside/a.txt', 'outside')
assert.equal(await files.read('/tmp/outside/a.txt'), 'outside')
assert.equal(await files.makeDir('new/dir'), true)
assert.equal(await files.makeDir('new/dir'), false)
const moved = await files.rename('/tmp/outside/a.txt', 'new/dir/b.txt')
assert.deepEqual([moved.path, moved.type, moved.size, moved.owner], ['/home/user/new/dir/b.txt', 'file', 7, 'user'])
assert.deepEqual((await files.list('/tmp/outside')).length, 0)
assert.deepEqual((await files.list('new', {depth: 2})).map(e => `${e.type} ${e.path}`), ['dir /home/user/new/dir', 'file /home/user/new/dir/b.txt'])
await commands.run('ln -s dir new/link')
const link = await files.getInfo('new/link')
assert.deepEqual([link.type, link.symlinkTarget], ['symlink', 'dir'])
await files.remove('new')
assert.equal(await files.exists('new'), false)

const events = []
const watch = await files.watchDir('data', e => events.push(`${e.type} ${e.name}`), {recursive: true})
await commands.run('mkdir data/deep; sleep 0.5; echo 1 > data/deep/c.txt; sleep 0.5; rm data/a.txt')
while (!['create deep', 'create deep/c.txt', 'remove a.txt'].every(e => events.includes(e))) {
  await new Promise(resolve => setTimeout(resolve, 50))
}
await watch.stop()
await assert.rejects(files.watchDir('none', () => {}), /not/)

assert.ok(await commands.run('git --version').then(r => r.exitCode === 0, e => e.exitCode === 127))
// The command can fail before the answer to "kill" arrives, so handle its error early.
const hang = assert.rejects(commands.run('sleep 1000', {timeoutMs: 0}))
await new Promise(resolve => setTimeout(resolve, 300))
await sandbox.kill()
await hang
console.log('ok')

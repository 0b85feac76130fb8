// Prints what a program can see of its process, without what differs between processes.
const fs = require('fs');
const net = require('net');
const show = (name, ...values) => console.log(name, JSON.stringify(values));
const names = (object) => Reflect.ownKeys(object).map(String).sort();

show('globals', names(globalThis));
for (const type of [Object, Array, Function, String, Number, Promise, Map, RegExp, Error, ArrayBuffer, Buffer, JSON, Math, Reflect, Atomics, WebAssembly]) {
  show('type', type.name, names(type), type.prototype && names(type.prototype), Object.isFrozen(type));
}
show('process', names(process), process.argv, process.execArgv, process.title, process.exitCode, process.pid, process.ppid, process.cwd(), process.umask());
show('directory', fs.readlinkSync('/proc/self/cwd'), fs.readdirSync('.').sort());
show('listeners', process.eventNames().map(String), process.stdout.eventNames().map(String), process.getMaxListeners());
show('environment', process.env);
show('modules', Object.keys(require.cache), Object.keys(require.extensions), module.paths, require('module').builtinModules.length, process.moduleLoadList.length);
show('active', process.getActiveResourcesInfo(), process._getActiveHandles().length, process._getActiveRequests().length);
show('errors', Error.stackTraceLimit, typeof Error.prepareStackTrace, new Error('x').stack.split('\n').length);
show('warnings', process.noDeprecation, process.throwDeprecation, process.traceDeprecation);
show('timers', setTimeout(() => {}, 1).hasRef(), typeof setImmediate(() => {}));
show('domain', require('async_hooks').executionAsyncId(), require('async_hooks').triggerAsyncId(), new (require('async_hooks').AsyncResource)('x').asyncId());
show('regexp', RegExp.$1, RegExp.lastMatch);
show('symbols', Symbol.keyFor(Symbol.for('left')), typeof Symbol.prototype.left);
show('heap', process.memoryUsage().external < 8 << 20, process.memoryUsage().heapUsed < 12 << 20, require('v8').getHeapStatistics().number_of_native_contexts);
show('used', process.cpuUsage().user < 1e7, process.resourceUsage().maxRSS < 200_000);
show('locale', new Date(0).toString(), Intl.DateTimeFormat().resolvedOptions().timeZone, (1234.5).toLocaleString());
show('workers', require('worker_threads').threadId, require('worker_threads').isMainThread, require('worker_threads').getEnvironmentData('left'));
show('crypto', require('crypto').getFips(), require('crypto').getDefaultCipherList?.());
show('dns', require('dns').getDefaultResultOrder(), require('net').getDefaultAutoSelectFamily());

for (const fd of fs.readdirSync('/proc/self/fd').map(Number).sort((a, b) => a - b)) {
  let target;
  try {
    target = fs.readlinkSync(`/proc/self/fd/${fd}`).replace(/\d+/, 'N');
  } catch {
    continue; // It was open for the list.
  }
  show('descriptor', fd, target, fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8').match(/flags:.*/)?.[0]);
}
const status = fs.readFileSync('/proc/self/status', 'utf8').split('\n');
show('status', status.filter((line) => /^(Name|State|TracerPid|Uid|Gid|FDSize|Threads|Sig|Shd|Cap|NoNewPrivs|Seccomp)/.test(line)));
for (const id of fs.readdirSync('/proc/self/task')) {
  show('thread', id, fs.readFileSync(`/proc/self/task/${id}/comm`, 'utf8'), fs.readFileSync(`/proc/self/task/${id}/status`, 'utf8').split('\n').filter((line) => /^(Sig|Shd|Cap)/.test(line)));
}
for (const name of ['comm', 'oom_score_adj', 'limits', 'cmdline', 'environ', 'cgroup']) {
  show(name, fs.readFileSync(`/proc/self/${name}`, 'utf8').split('\0').sort());
}
for (const place of ['/work', '/tmp', '/dev/shm', '/home/sandbox', '/run', '/dev']) {
  const { mode, uid, nlink } = fs.statSync(place);
  const { blocks, bfree, files, ffree } = fs.statfsSync(place);
  show('files', place, fs.readdirSync(place).sort(), mode, uid, nlink, blocks, bfree, files, ffree);
}
show('others', fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name)));
show('sockets', ['unix', 'tcp', 'udp'].map((name) => fs.readFileSync(`/proc/net/${name}`, 'utf8').split('\n').length));
// This starts a thread that reads certificates, so it comes last.
show('proxy', require('http').globalAgent.maxSockets === Infinity, require('https').globalAgent.options.rejectUnauthorized);

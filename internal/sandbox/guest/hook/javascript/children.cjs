'use strict';
// This module finds processes in /proc and sends signals to them.

const fs = require('fs');

const { Number, process } = globalThis;
const { readFileSync, readdirSync } = fs;
const { apply } = Reflect;
const uncurry = (method) => (self, ...list) => apply(method, self, list);
const lastIndexOf = uncurry(String.prototype.lastIndexOf);
const slice = uncurry(String.prototype.slice);
const split = uncurry(String.prototype.split);
const { isInteger } = Number;
const { kill } = process;

/**
 * Returns the fields after the name in the stat file of a process or thread: state,
 * parent and so on. Returns [] if the process has ended.
 */
function stat(path) {
  try {
    const text = readFileSync(`/proc/${path}/stat`, 'latin1');
    return split(slice(text, lastIndexOf(text, ')') + 2), ' ');
  } catch {
    return [];
  }
}

/** Returns whether the program's thread waits in the kernel. */
function isBlocked() {
  return stat(`${process.pid}/task/${process.pid}`)[0] !== 'R';
}

function list() {
  const found = [];
  const names = readdirSync('/proc');
  for (let i = 0; i < names.length; i++) {
    const pid = Number(names[i]);
    if (!isInteger(pid)) continue;
    const fields = stat(names[i]);
    found[found.length] = { pid, isDead: fields[0] === 'Z', parent: Number(fields[1]), start: Number(fields[19]) };
  }
  return found;
}

/** Sends a signal to the processes with these IDs and to all their descendants. */
function signal(pids, name) {
  const processes = list();
  for (let i = 0; i < pids.length; i++) {
    for (let j = 0; j < processes.length; j++) {
      if (processes[j].parent === pids[i]) pids[pids.length] = processes[j].pid;
    }
  }
  for (let i = 0; i < pids.length; i++) {
    try {
      apply(kill, process, [pids[i], name]);
    } catch {
      // Ignore the error: the process has ended.
    }
  }
}

/** Sends a signal to the newest child process and to all its descendants. */
function signalAwaited(name) {
  let newest;
  const processes = list();
  for (let i = 0; i < processes.length; i++) {
    const { pid, parent, start, isDead } = processes[i];
    if (parent !== process.pid || isDead) continue;
    if (newest === undefined || start > newest.start || (start === newest.start && pid > newest.pid)) newest = processes[i];
  }
  if (newest !== undefined) signal([newest.pid], name);
}

module.exports = { isBlocked, signal, signalAwaited };

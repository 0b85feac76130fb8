'use strict';
// Makes the checkpoint to which the sandbox's kernel restores the interpreter after a
// program (package rollback).

const fs = require('fs');
const { internals } = require('./internals.cjs');

// Offsets of reads with a special meaning: Offset and Reseeded of package abi.
const OFFSET = 0x706f0001;
const RESEEDED = 0x706f0002;

// The error number by which the kernel reports that it has restored the interpreter
// (EALREADY).
const RESTORED = -114;

/**
 * Makes a checkpoint. It returns once for each run. `control` is the descriptor of the
 * control socket. If the kernel does not permit a checkpoint, the function has no
 * effect. Returns whether the kernel has restored the interpreter.
 */
function makeCheckpoint(control) {
  const buffer = new Uint8Array(1);
  fs.readSync(control, buffer, 0, 1); // The agent has registered this process.
  const { crypto } = internals();
  if (crypto?.ECDH === undefined) return false;
  let restored = false;
  try {
    // Without permission this fails, because a socket has no offsets.
    fs.readSync(control, buffer, 0, 1, OFFSET);
  } catch (error) {
    restored = error.errno === RESTORED;
    if (!restored) return false;
  }
  // Now the kernel makes OpenSSL get a new seed with its next value. A key needs no asynchronous
  // resource, whose number the program would see.
  new crypto.ECDH('prime256v1').generateKeys();
  try {
    fs.readSync(control, buffer, 0, 1, RESEEDED);
  } catch {
    process.reallyExit(1); // The seed is not new.
  }
  return restored;
}

module.exports = { makeCheckpoint };

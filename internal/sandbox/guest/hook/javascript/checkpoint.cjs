'use strict';
// This module makes a checkpoint of the interpreter. After each program, the sandbox's
// kernel restores the interpreter to this checkpoint (package rollback).

const fs = require('fs');
const { internals } = require('./internals.cjs');

// These offsets of a read have a special meaning for the sandbox's kernel. They equal the
// constants Offset and Reseeded in package abi.
const OFFSET = 0x706f0001;
const RESEEDED = 0x706f0002;

// RESTORED is the error number EALREADY. With this error, the kernel reports that it has
// restored the interpreter.
const RESTORED = -114;

/**
 * Makes a checkpoint. The function returns once for each run. `control` is the descriptor
 * of the control socket. If the kernel does not permit a checkpoint, the function has no
 * effect. Returns whether the kernel has restored the interpreter.
 */
function makeCheckpoint(control) {
  const buffer = new Uint8Array(1);
  fs.readSync(control, buffer, 0, 1); // The agent has registered this process.
  const { crypto } = internals();
  if (crypto?.ECDH === undefined) return false;
  let restored = false;
  try {
    // This read makes the checkpoint. If the kernel does not permit a checkpoint, the
    // read fails, because a socket does not support offsets.
    fs.readSync(control, buffer, 0, 1, OFFSET);
  } catch (error) {
    restored = error.errno === RESTORED;
    if (!restored) return false;
  }
  // The kernel now makes OpenSSL get a new seed when OpenSSL draws its next random value.
  // So generate a key, which draws a value. Unlike other functions of Node, the
  // generation of a key creates no asynchronous resource. Node numbers such resources,
  // and the program could see that a number is missing.
  new crypto.ECDH('prime256v1').generateKeys();
  try {
    fs.readSync(control, buffer, 0, 1, RESEEDED);
  } catch {
    process.reallyExit(1); // The seed is not new.
  }
  return restored;
}

module.exports = { makeCheckpoint };

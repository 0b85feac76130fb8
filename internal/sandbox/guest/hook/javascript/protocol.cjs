'use strict';
// This module encodes and decodes frames between the agent and Node's hooks.
//
// The codec is the same as in the agent's package protocol. A frame consists of one byte
// for the kind, four bytes for the length of the payload, and the payload. The payload is
// a sequence of fields. Before each field, there are four bytes with the length of the
// field. Lengths are big endian. This module calls no function that a program may have
// replaced.

const { Buffer } = require('buffer');

const { apply } = Reflect;
const { alloc, concat, from } = Buffer;
const uncurry = (method) => (self, ...list) => apply(method, self, list);
const subarray = uncurry(Buffer.prototype.subarray);
const readUInt32BE = uncurry(Buffer.prototype.readUInt32BE);
const writeUInt32BE = uncurry(Buffer.prototype.writeUInt32BE);

// HEADER is the size in bytes of a frame's kind and length.
const HEADER = 5;
const kinds = { hello: 0x48, result: 0x44, report: 0x52, ended: 0x78 };

/** Returns a frame with these fields, which are strings or buffers. */
function frame(kind, fields) {
  const header = alloc(HEADER);
  header[0] = kind;
  const parts = [header];
  let size = 0;
  for (let i = 0; i < fields.length; i++) {
    const field = typeof fields[i] === 'string' ? from(fields[i]) : fields[i];
    const length = alloc(4);
    writeUInt32BE(length, field.length);
    parts[parts.length] = length;
    parts[parts.length] = field;
    size += 4 + field.length;
  }
  writeUInt32BE(header, size, 1);
  return concat(parts);
}

/**
 * Returns the size of the frame at the start of the bytes. Returns Infinity if its
 * header is incomplete.
 */
function frameSize(bytes) {
  return bytes.length < HEADER ? Infinity : HEADER + readUInt32BE(bytes, 1);
}

/** Returns the fields of a message, or the elements of a list. */
function fieldsOf(payload) {
  const fields = [];
  for (let at = 0; at < payload.length;) {
    const end = at + 4 + readUInt32BE(payload, at);
    fields[fields.length] = subarray(payload, at + 4, end);
    at = end;
  }
  return fields;
}

/** Returns the fields of a complete frame. */
function open(bytes) {
  return fieldsOf(subarray(bytes, HEADER));
}

module.exports = { HEADER, fieldsOf, frame, frameSize, kinds, open };

import { fromBase64 } from './crypto.js';
import { ApiError } from './errors.js';

/** Reads a stream of server-sent events: id, name and data. */
export async function* messages(body) {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of chunks(body)) {
    text += decoder.decode(chunk, { stream: true });
    const blocks = text.split('\n\n');
    text = blocks.pop();
    for (const block of blocks) {
      const message = { id: 0, event: '', data: '' };
      for (const line of block.split('\n')) {
        const at = line.indexOf(':');
        const name = line.slice(0, at);
        const value = line.slice(at + 1).replace(/^ /, '');
        if (name === 'id') message.id = Number(value);
        if (name === 'event' || name === 'data') message[name] += value;
      }
      if (message.event) yield { id: message.id, name: message.event, data: JSON.parse(message.data) };
    }
  }
}

/** Reads the chunks of a body. It cancels the body when the loop ends, even in browsers without iterable streams. */
async function* chunks(body) {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** Returns the event in a message; undefined if this version does not know it. */
export function eventOf({ name, data }) {
  switch (name) {
    case 'start':
      return { type: 'start', id: data.id };
    case 'stdout':
    case 'stderr':
      return { type: name, text: data.text };
    case 'result':
      return { type: 'result', value: data };
    case 'file':
      return { type: 'file', path: data.path, mediaType: data.mediaType, content: contentOf(data) };
    case 'end':
      return { type: 'end', run: data };
    case 'error':
      throw new ApiError(data);
  }
  return undefined;
}

/** Returns the bytes of an output file. */
export function contentOf(file) {
  return file.encoding === 'base64' ? fromBase64(file.content) : new TextEncoder().encode(file.content);
}

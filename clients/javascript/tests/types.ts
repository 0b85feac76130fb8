// Uses the library with its types. The test only compiles this file.

import { ApiError, Client, contentOf, encrypt, type ExecuteResponse, type Language } from 'pyth-on';

export async function use(client: Client): Promise<string> {
  const language: Language = 'python';
  const run: ExecuteResponse = await client.run('1', { language, secrets: [], files: { a: new Uint8Array() } });
  for await (const event of client.stream('1')) {
    if (event.type === 'stdout') return event.text;
    if (event.type === 'end' && event.run.exitCode !== undefined) return String(event.run.exitCode + 1);
  }
  await using session = await client.openSession({ idleTimeoutMs: 1000 });
  const file: Uint8Array = await session.readFile('a');
  try {
    await client.storeEncrypted('n', '1', 'p', { cost: (await encrypt('1', 'p')).kdf });
    // @ts-expect-error The language does not exist.
    await client.run('1', { language: 'cobol' });
    // @ts-expect-error The field exists only if a signal did not end the program.
    const code: number = run.exitCode;
    if (code > 0) return run.stderr;
  } catch (error) {
    if (error instanceof ApiError && error.code === 'not_found') return error.requestId;
  }
  for await (const { id } of client.executions({ state: 'running' })) return id;
  return run.files.map((f) => contentOf(f).length + file.length).join();
}

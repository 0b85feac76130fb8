/** An error of the server (RFC 9457). Its code is stable. */
export class ApiError extends Error {
  constructor(problem, retryAfterMs) {
    super(`${problem.detail ?? problem.title} (${problem.status} ${problem.code})`);
    this.name = 'ApiError';
    this.code = problem.code;
    this.status = problem.status;
    this.detail = problem.detail ?? problem.title;
    this.requestId = problem.requestId;
    this.errors = problem.errors ?? [];
    this.retryAfterMs = retryAfterMs;
  }
}

/** The connection was lost before the run ended. */
export class ConnectionLostError extends Error {
  constructor() {
    super('the connection was lost before the run ended');
    this.name = 'ConnectionLostError';
  }
}

/** The answer is not from a Pyth-On server. */
export class UnknownServerError extends Error {
  constructor(status) {
    super(`the answer ${status} is not from a Pyth-On server; check the address of the server`);
    this.name = 'UnknownServerError';
  }
}

/** Returns the error in a response. */
export async function errorOf(response) {
  let problem;
  try {
    problem = await response.json();
  } catch {
    return new UnknownServerError(response.status);
  }
  if (typeof problem?.code !== 'string') return new UnknownServerError(response.status);
  const seconds = response.headers.get('retry-after');
  return new ApiError(problem, seconds ? Number(seconds) * 1000 : undefined);
}

import { call, get, markRenewed } from "./client";
import type { Login } from "./types";

// The browser keeps the credentials in cookies that scripts cannot read. The mark says
// only that there may be a login. Without the mark, the page does not ask the server for
// the login. So the first visit causes no failed request.
const mark = "pyth-on.login";

export async function currentLogin(): Promise<Login | undefined> {
  if (!localStorage.getItem(mark)) return undefined;
  try {
    return await get<Login>("/api/v1/login-cookie");
  } catch (error) {
    if ((error as { status?: number }).status === 401) return undefined;
    throw error;
  }
}

async function store(refreshToken: string): Promise<Login> {
  const login = await call<Login>("POST", "/api/v1/login-cookie", { refreshToken });
  localStorage.setItem(mark, "1");
  markRenewed();
  return login;
}

// logIn needs a code if the account has a second factor.
export async function logIn(email: string, password: string, code?: string): Promise<Login> {
  const { refreshToken } = await call<{ refreshToken: string }>("POST", "/api/login", { email, password, ...(code && { code }) });
  return store(refreshToken);
}

// logInWith exchanges a sign-in at the OIDC provider for a login.
export async function logInWith(signIn: string, verifier: string, code?: string): Promise<Login> {
  const { refreshToken } = await call<{ refreshToken: string }>("POST", "/api/oidc/login", { signIn, verifier, ...(code && { code }) });
  return store(refreshToken);
}

export async function register(email: string, password: string, invite?: string): Promise<Login> {
  const { refreshToken } = await call<{ refreshToken: string }>("POST", "/api/register", { email, password, ...(invite && { invite }) });
  return store(refreshToken);
}

export async function logOut(): Promise<void> {
  await call("DELETE", "/api/v1/login-cookie");
  forget();
}

// forget removes what the page stored about the user.
export function forget(): void {
  localStorage.removeItem(mark);
  sessionStorage.clear();
}

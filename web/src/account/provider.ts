// The sign-in at an OIDC provider. The browser leaves the page, and returns with a code in
// the fragment of the address. Only the tab that began the sign-in can use this code,
// because only this tab has the verifier.

const key = "pyth-on.signin";

interface Begun {
  verifier: string;
  // links is true if the sign-in adds an identity to the account of the user.
  links: boolean;
  // hash is the fragment of the address to which the user returns.
  hash: string;
}

export interface SignIn extends Begun {
  // signIn is the code for the exchange. It is absent if the sign-in failed.
  signIn?: string;
  error?: string;
}

// leaveForProvider opens the provider in this tab.
export async function leaveForProvider(path: string, links: boolean): Promise<void> {
  if (!window.crypto.subtle) throw new Error("The browser cannot sign in at a provider without HTTPS. Open this page with HTTPS.");
  const verifier = base64url(crypto.getRandomValues(new Uint8Array(32)));
  const challenge = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  const begun: Begun = { verifier, links, hash: location.hash };
  sessionStorage.setItem(key, JSON.stringify(begun));
  const query = new URLSearchParams({ codeChallenge: base64url(new Uint8Array(challenge)), returnTo: "/" });
  location.assign(`${path}?${query}`);
}

function base64url(data: Uint8Array): string {
  return btoa(String.fromCharCode(...data)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

// returnedSignIn returns the sign-in from which the browser returns, or undefined.
export function returnedSignIn(hash: string): SignIn | undefined {
  const match = /^#signin(-error)?=([\w.~-]+)$/.exec(hash);
  if (!match) return undefined;
  const begun = sessionStorage.getItem(key);
  sessionStorage.removeItem(key);
  const value = match[2];
  if (!begun) return { verifier: "", links: false, hash: "", error: "not_begun" };
  return { ...(JSON.parse(begun) as Begun), ...(match[1] ? { error: value } : { signIn: value }) };
}

// explain returns the message for an error code of a sign-in.
export function explain(code: string, provider: string): string {
  switch (code) {
    case "forbidden":
      return `${provider} or this server refused the sign-in. Ask an administrator of the server whether you may use it.`;
    case "not_begun":
      return "This sign-in began in another tab. Sign in again.";
    case "rate_limited":
      return "There are too many sign-ins at the moment. Wait a minute, and sign in again.";
    case "identity_not_linked":
      return `An account with your e-mail address exists. Sign in with its password, and link ${provider} on the page Account.`;
    default:
      return `The sign-in at ${provider} failed (${code}). Try again.`;
  }
}

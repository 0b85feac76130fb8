"use strict";
const [kind, code] = location.hash.slice(1).split("=");
const reset = kind === "reset";
const form = document.querySelector("form"), message = document.querySelector("p[role=status]");
const email = form.elements.email, password = form.elements.password;
// Remove the code from the address bar, so that it does not stay in the history.
history.replaceState(null, "", location.pathname);
if (!["reset", "setup", "invite"].includes(kind) || !code) {
  form.hidden = true;
  message.textContent = "This page needs a complete link. Open the link again, or ask an administrator for a new one.";
}
document.querySelector("h1").textContent = reset ? "Set a new password" : "Create an account";
email.closest("label").hidden = reset;
email.required = !reset;
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const [path, body] = reset
    ? ["/api/password/reset", { token: code, newPassword: password.value }]
    : ["/api/register", { email: email.value, password: password.value, invite: code }];
  message.textContent = "Please wait.";
  try {
    const response = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    if (!response.ok) {
      message.textContent = (await response.json()).detail || "The request failed. Try again later.";
      return;
    }
    form.hidden = true;
    message.textContent = reset ? "The new password is set. You can log in with it." : "The account exists. Log in to get an API key.";
  } catch {
    message.textContent = "The server does not answer. Try again later.";
  }
});

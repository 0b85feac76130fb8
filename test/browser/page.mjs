// Uses the page as a person does. Arguments: the address of the server, the link for the
// first administrator, and the address of the OIDC provider.
import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import { admin } from "./admin.mjs";
import { ask } from "./ask.mjs";
import { accessible, check, fits, glance, looks, open } from "./browser.mjs";
import { encrypted } from "./encrypted.mjs";
import { late } from "./late.mjs";
import { provider } from "./provider.mjs";
import { records } from "./records.mjs";
import { work } from "./work.mjs";

const [origin, setupLink, providerURL] = process.argv.slice(2);
const email = "ada@example.org", password = "correct horse battery staple";
const { browser, newContext, faults } = await open(origin, providerURL);
const context = await newContext();
const page = await context.newPage();

const runButton = (p = page) => p.getByRole("button", { name: "Run", exact: true });
const output = (p = page) => p.getByRole("log", { name: "Output" });

// write replaces the program in the editor.
async function write(code, p = page) {
  const editor = p.getByRole("textbox", { name: "Program" });
  await editor.click();
  await p.keyboard.press("Control+a");
  await p.keyboard.insertText(code);
}

// run starts the program, and waits for the result unless status is empty.
async function run(code, { status = "Succeeded", p = page } = {}) {
  await write(code, p);
  const address = p.url();
  await runButton(p).click();
  if (!status) return;
  // The address contains the ID of the run. Before it changes, the page can show the
  // result of the previous run.
  await p.waitForURL((to) => to.href !== address);
  await p.getByRole("status").getByText(status, { exact: true }).waitFor();
}

async function choose(language, p = page) {
  await p.getByLabel("Language").selectOption(language);
}

await check("first: the link makes the first administrator, who runs a plot", async () => {
  let bytes = 0;
  const sizes = [];
  page.on("requestfinished", (r) => {
    if (new URL(r.url()).pathname.match(/^\/(page\/.*|account|)$/)) sizes.push(r.sizes().then((s) => (bytes += s.responseBodySize)));
  });
  await page.goto(setupLink);
  assert.ok(!(await page.evaluate(() => location.href)).includes("setup="), "the code stays in the address");
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("New password", { exact: true }).fill(password);
  await looks(page, "setup");
  await page.getByRole("button", { name: "Create account" }).click();
  await page.getByRole("textbox", { name: "Program" }).waitFor();
  await Promise.all(sizes);
  // These bytes include the editor.
  assert.ok(bytes > 5_000 && bytes <= 300_000, `the first load has ${bytes} bytes`);
  // A new user sees an example program in the editor.
  await page.getByRole("textbox", { name: "Program" }).getByText("print(").first().waitFor();
  await looks(page, "run-empty");
  await page.getByRole("button", { name: "Examples" }).click();
  await glance(page, "run-examples");
  await page.getByRole("menuitem", { name: "Plot" }).click();
  await runButton().click();
  const picture = page.getByRole("img", { name: "Result 1, a picture" });
  await picture.waitFor();
  assert.ok(await picture.evaluate((i) => i.naturalWidth > 100), "the plot is empty");
  await looks(page, "run-plot");
});

await check("no credential is in the storage of the page", async () => {
  const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  assert.doesNotMatch(stored, /eyJ|pyapi_|pyrt|refresh/i);
  const cookies = await context.cookies();
  // The browser deletes the cookie with the token when the token expires.
  assert.ok(cookies.some((c) => c.name.includes("refresh")), "the login has no cookie");
  for (const c of cookies) assert.deepEqual([c.httpOnly, c.sameSite], [true, "Strict"], c.name);
});

await check("the output has colours, carriage returns, text from right to left and emoji", async () => {
  await run(`import sys
for i in range(3): print(f"\\r\\x1b[32m{i} of 2\\x1b[0m", end="", flush=True)
print("\\nשלום עולם 👩‍🔬🚀")
print("\\x1b[1;31mbad\\x1b[0m", file=sys.stderr)`);
  await output().getByText("2 of 2").waitFor();
  assert.equal(await output().getByText("0 of 2").count(), 0);
  assert.match(await output().getByText("2 of 2").getAttribute("class"), /fg-green/);
  assert.match(await output().getByText("bad").getAttribute("class"), /fg-red.*bold/);
  const line = output().getByText("שלום עולם 👩‍🔬🚀");
  assert.equal(await line.evaluate((e) => getComputedStyle(e).direction), "rtl");
  await accessible(page, "coloured output");
});

await check("a program gets arguments, input, environment and files, and returns files", async () => {
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByLabel("Arguments").fill("--name 'Ada Lovelace'");
  await page.getByLabel("Standard input").fill("from stdin");
  await page.getByLabel("Environment").fill("COLOUR=blue");
  await page.locator("input[type=file]").setInputFiles([
    { name: "in.csv", mimeType: "text/csv", buffer: Buffer.from("city,people\nOslo,700000\n") },
    { name: "raw.bin", mimeType: "application/octet-stream", buffer: Buffer.from([0xff, 0xfe, 0x00]) },
  ]);
  await page.getByText("raw.bin").waitFor();
  await page.getByLabel("Files to return").fill("*.csv");
  await page.getByLabel("Labels").fill("from the page");
  await looks(page, "run-settings");
  await run(`import os, sys
print(sys.argv[1:], sys.stdin.read(), os.environ["COLOUR"], len(open("raw.bin", "rb").read()))
open("out.csv", "w").write(open("in.csv").read() + "Bergen,290000\\n")`);
  await output().getByText("['--name', 'Ada Lovelace'] from stdin blue 3").waitFor();
  const file = page.getByRole("listitem").filter({ hasText: "out.csv" });
  await file.getByRole("button", { name: "Show" }).click();
  await file.getByRole("cell", { name: "290000" }).waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), file.getByRole("button", { name: "Download" }).click()]);
  assert.equal(download.suggestedFilename(), "out.csv");
  await page.getByLabel("Time in s").fill("never");
  await runButton().click();
  await page.getByRole("alert").getByText("Time in s").or(page.getByRole("alert").getByText("Time limit must be a number above 0.")).waitFor();
  for (const label of ["Arguments", "Standard input", "Environment", "Files to return", "Time in s", "Labels"]) await page.getByLabel(label).fill("");
  for (const name of ["in.csv", "raw.bin"]) await page.getByRole("button", { name: `Remove ${name}` }).click();
  await page.getByRole("button", { name: "Settings" }).click();
});

await check("Copy as shows the request in each language", async () => {
  for (const [name, part] of [["curl", "curl -sS " + origin], ["Python", "urllib.request"], ["JavaScript", "await fetch"], ["Go", "package main"]]) {
    await page.getByRole("button", { name: "Copy as" }).click();
    await page.getByRole("menuitem", { name }).click();
    await page.getByRole("dialog").getByText(part).waitFor();
    if (name === "curl") await looks(page, "copy-as");
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
  }
});

await check("the keyboard runs, stops and leaves the editor", async () => {
  await write("while True: pass");
  await page.keyboard.press("Control+Enter");
  await page.getByText("Running", { exact: true }).waitFor();
  await page.keyboard.press("Control+.");
  await page.getByText("Stopped", { exact: true }).waitFor();
  await page.getByRole("textbox", { name: "Program" }).focus();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Tab");
  assert.ok(await page.evaluate(() => !document.activeElement?.shadowRoot), "the editor keeps the focus");
});

await check("Stop before the answer of the server offers Run again", async () => {
  // The request stays open until the page aborts it.
  await page.route("**/api/v1/execute", () => {});
  const aborted = page.waitForEvent("requestfailed", (r) => r.url().endsWith("/api/v1/execute"));
  await write("print('not sent')");
  await runButton().click();
  await page.getByRole("button", { name: "Stop", exact: true }).click();
  await aborted;
  await runButton().waitFor();
  await page.getByRole("heading", { name: "No output yet" }).waitFor();
  await page.unroute("**/api/v1/execute");
  await run("print('sent')");
  await output().getByText("sent", { exact: true }).waitFor();
});

await check("JavaScript and TypeScript run", async () => {
  await choose("typescript");
  await run("enum A { x = 41 }\nconsole.log('ts', A.x + 1)");
  await output().getByText("ts 42").waitFor();
  await choose("javascript");
  await run("[{ a: 1, b: 'two' }]");
  await page.getByRole("cell", { name: "two" }).waitFor();
  await choose("python");
});

await check("an exception shows its traceback", async () => {
  await run("def f():\n    return 1 / 0\nf()", { status: "Failed" });
  await output().getByText("ZeroDivisionError: division by zero").waitFor();
  await page.getByText("exit code 1").waitFor();
  await glance(page, "run-failed");
});

await check("HTML of a program cannot reach the page, the API or other windows", async () => {
  const opened = [];
  context.on("page", (p) => opened.push(p.url()));
  // The browser reports requests that the policy blocks, but they have no response.
  const answers = [];
  const seen = (r) => answers.push(r.url());
  page.on("response", seen);
  const address = page.url();
  const html = `<p id="out">waiting</p><script>
    const results = {};
    const attempt = async (name, f) => { try { results[name] = String(await f()); } catch (e) { results[name] = "blocked"; } };
    (async () => {
      await attempt("cookie", () => document.cookie || "empty");
      await attempt("localStorage", () => localStorage.length);
      await attempt("sessionStorage", () => sessionStorage.length);
      await attempt("indexedDB", () => new Promise((ok, bad) => { const r = indexedDB.open("x"); r.onsuccess = ok; r.onerror = bad; }));
      await attempt("parent", () => parent.document.title);
      await attempt("top", () => { top.location = "/docs?stolen"; return "navigated"; });
      await attempt("fetch", () => fetch("${origin}/api/v1/keys", { credentials: "include" }).then((r) => r.status));
      await attempt("request", () => new Promise((ok, bad) => { const x = new XMLHttpRequest(); x.open("GET", "${origin}/api/v1/me"); x.withCredentials = true; x.onload = ok; x.onerror = bad; x.send(); }));
      await attempt("beacon", () => navigator.sendBeacon("${origin}/api/v1/keys", "x") ? new Promise((ok, bad) => setTimeout(bad, 50)) : Promise.reject());
      await attempt("socket", () => new Promise((ok, bad) => { const w = new WebSocket("ws://" + new URL("${origin}").host + "/"); w.onopen = ok; w.onerror = bad; }));
      await attempt("image", () => new Promise((ok, bad) => { const i = new Image(); i.onload = ok; i.onerror = bad; i.src = "${origin}/page/icon.svg?stolen"; }));
      await attempt("script", () => new Promise((ok, bad) => { const s = document.createElement("script"); s.onload = ok; s.onerror = bad; s.src = "${origin}/page/x.js"; document.body.append(s); }));
      await attempt("frame", () => new Promise((ok, bad) => { const f = document.createElement("iframe"); f.src = "${origin}/api/v1/me"; f.onload = () => { try { ok(f.contentDocument.body.textContent); } catch (e) { bad(e); } }; document.body.append(f); }));
      await attempt("open", () => { const w = window.open("${origin}/"); if (!w) throw 0; return "opened"; });
      await attempt("link", () => { const a = document.createElement("a"); a.href = "${origin}/docs?link"; a.target = "_blank"; document.body.append(a); a.click(); throw 0; });
      await attempt("form", () => { const f = document.createElement("form"); f.action = "${origin}/api/v1/keys"; f.method = "post"; document.body.append(f); f.submit(); throw 0; });
      await attempt("alert", () => { alert(1); throw 0; });
      await attempt("worker", () => new Promise((ok, bad) => { const w = new Worker("data:text/javascript,postMessage(1)"); w.onmessage = ok; w.onerror = bad; }));
      parent.postMessage({ ready: true, height: "1e9", html: "<b>from the program</b>" }, "*");
      parent.postMessage({ height: 1e9 }, "*");
      document.getElementById("out").textContent = "done " + JSON.stringify(results);
    })();
  </script>`;
  await run(`from pyth_on.display import HTML\nHTML(${JSON.stringify(html)})`);
  const frame = page.frameLocator("iframe[title='Result 1']");
  const text = await frame.getByText(/^done/).textContent();
  const results = JSON.parse(text.slice(5));
  assert.ok(Object.keys(results).length >= 18, text);
  for (const [name, result] of Object.entries(results)) assert.equal(result, "blocked", name);
  assert.equal(page.url().split("#")[0], address.split("#")[0]);
  assert.deepEqual(opened, []);
  const height = (await page.locator("iframe[title='Result 1']").boundingBox()).height;
  assert.ok(height <= 610, `the frame is ${height} pixels high`);
  const reached = answers.filter((u) => /stolen|link|\/keys|\/me$|x\.js/.test(u));
  assert.deepEqual(reached, []);
  // The frame opens the API itself. The policy of the page and the cookies must stop
  // this: the API must refuse the request.
  const answer = page.waitForResponse((r) => r.url().endsWith("/api/v1/me"));
  await run(`from pyth_on.display import HTML\nHTML("<script>location.href = '${origin}/api/v1/me'</script>")`);
  assert.equal((await answer).status(), 401, "the frame read the account");
  page.off("response", seen);
});

await check("a run continues after a reload of the page", async () => {
  await write(`import time
for i in range(900):
    print("line", i, flush=True)
    time.sleep(0.3)`);
  await runButton().click();
  await output().getByText("line 1", { exact: true }).waitFor();
  await page.reload();
  await output().getByText("line 1", { exact: true }).waitFor();
  const seen = await output().getByText(/^line \d+/).count();
  await output().getByText(`line ${seen + 1}`, { exact: true }).waitFor();
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByText("Stopped", { exact: true }).waitFor();
  assert.match(await page.getByRole("textbox", { name: "Program" }).textContent(), /range\(900\)/);
});

await check("the page connects again after an offline moment", async () => {
  await context.setOffline(true);
  await run("print('back again')", { status: "" });
  await page.getByRole("alert").getByText("The server does not answer.").waitFor();
  await glance(page, "run-offline");
  await context.setOffline(false);
  await runButton().click();
  await output().getByText("back again").waitFor();
});

await check("5 MB of output at once stay fast", async () => {
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByLabel("Output in MiB").fill("8");
  await page.getByRole("button", { name: "Settings" }).click();
  await run(`import sys
sys.stdout.write("".join(f"{i:06d} " + "x" * 43 + "\\n" for i in range(100_000)))`);
  await output().getByText(/^099999/).waitFor();
  const rows = await output().locator(".row").count();
  assert.ok(rows < 500, `${rows} rows are in the document`);
  await output().evaluate((e) => (e.scrollTop = 0));
  await output().getByText(/^000000/).waitFor();
  // Print one line of a million characters.
  await run(`print("y" * 1_000_000)`);
  await output().getByText("more characters").waitFor();
});

await check("a table of 10,000 rows shows page by page", async () => {
  await run(`from pyth_on.display import JSON\nJSON([{"n": i, "square": i * i} for i in range(10_000)])`);
  await page.getByText("Rows 1 to 100 of 10,000 rows").waitFor();
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByRole("cell", { name: "10201", exact: true }).waitFor();
  await page.getByRole("button", { name: "square" }).click();
  await page.getByRole("button", { name: "square" }).click();
  await page.getByRole("button", { name: "Previous" }).click();
  await page.getByRole("cell", { name: "99980001", exact: true }).waitFor();
  await looks(page, "run-table");
});

const person = { page, origin, run, output, email, password, newContext };
await work(person);
await late(person);
await provider(person);
await encrypted(person);
await ask(person);
await records(person);
await admin(person);
await page.goto("/");

// expireToken deletes the cookie with the token.
const expireToken = () => context.addCookies([{ name: "pyth-on-token-" + new URL(origin).port, value: "-", url: origin, expires: 1 }]);

await check("two tabs renew an expired login together", async () => {
  const other = await context.newPage();
  await other.goto("/");
  await other.getByRole("textbox", { name: "Program" }).waitFor();
  for (let i = 0; i < 3; i++) {
    await expireToken();
    await Promise.all([run(`print("a${i}")`), run(`print("b${i}")`, { p: other })]);
  }
  await output(other).getByText("b2").waitFor();
  await expireToken();
  await other.reload();
  await output(other).getByText("b2").waitFor();
  await other.close();
});

await check("an ended login asks for the password and keeps the program", async () => {
  await write("print('kept')");
  await context.clearCookies();
  await runButton().click();
  await page.getByText("Your login has ended.").waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await looks(page, "sign-in-ended");
  const form = page.getByRole("form", { name: "Sign in" });
  assert.equal(await form.getByLabel("E-mail").inputValue(), email);
  await form.getByLabel("Password").fill("wrong password");
  await form.getByRole("button", { name: "Sign in", exact: true }).click();
  await form.getByRole("alert").waitFor();
  await form.getByLabel("Password").fill(password);
  await page.keyboard.press("Enter");
  await form.waitFor({ state: "detached" });
  await runButton().click();
  await output().getByText("kept").waitFor();
  // A sign-in in one tab is enough for the other tab.
  const other = await context.newPage();
  await other.goto("/");
  await other.getByRole("textbox", { name: "Program" }).waitFor();
  await context.clearCookies();
  for (const p of [page, other]) {
    await runButton(p).click();
    await p.getByText("Your login has ended.").waitFor();
  }
  await form.getByLabel("Password").fill(password);
  await page.keyboard.press("Enter");
  await other.getByText("Your login has ended.").waitFor({ state: "detached" });
  await other.close();
});

await check("an ended login keeps an open dialog and loads the list", async () => {
  await page.goto("/#/secrets");
  await page.getByText("No secrets yet").waitFor();
  await page.getByRole("button", { name: "Add a secret" }).click();
  await page.getByLabel("Name").fill("KEPT");
  await page.getByLabel("Value").fill("typed before the end");
  await context.clearCookies();
  await page.getByRole("button", { name: "Save" }).click();
  const form = page.getByRole("form", { name: "Sign in" });
  await form.getByLabel("Password").fill(password);
  await page.keyboard.press("Enter");
  await form.waitFor({ state: "detached" });
  assert.equal(await page.getByLabel("Value").inputValue(), "typed before the end");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("cell", { name: "KEPT", exact: true }).waitFor();
  await page.getByRole("button", { name: "Delete KEPT" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.getByText("No secrets yet").waitFor();
  await page.goto("/#/run");
  // If a list could not load because the login had ended, it loads after the sign-in.
  await context.clearCookies();
  await page.goto("/#/keys");
  await form.getByLabel("Password").fill(password);
  await page.keyboard.press("Enter");
  await page.getByText("No keys").or(page.getByRole("table")).waitFor();
  assert.equal(await page.getByRole("alert").count(), 0);
  await page.goto("/#/run");
});

// restart asks the test to kill the server and to start it again.
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
async function restart() {
  console.log("restart");
  await lines.next();
}

await check("the page connects to a server that has started again", async () => {
  await write("import time\nprint('before', flush=True)\ntime.sleep(250)");
  await runButton().click();
  await output().getByText("before", { exact: true }).waitFor();
  await restart();
  await page.getByRole("status").getByText("Killed", { exact: true }).waitFor();
  await run("print('after')");
  await output().getByText("after", { exact: true }).waitFor();
});

await check("signing out deletes the cookies and the program", async () => {
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Password").waitFor();
  assert.deepEqual(await context.cookies(), []);
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  await looks(page, "sign-in");
});

await check("the page says what to do if the server does not answer", async () => {
  await page.route("**/api", (route) => route.abort());
  await page.reload();
  await page.getByRole("alert").getByText("The server does not answer.").waitFor();
  await glance(page, "server-offline");
  await page.unroute("**/api");
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByRole("button", { name: "Create an account" }).click();
  await glance(page, "register");
  await page.getByRole("button", { name: "Sign in with an account" }).click();
  await page.getByRole("button", { name: "Forgot your password?" }).click();
  await glance(page, "forgot");
  await page.goto("/docs");
  await page.goto("/#confirm=stale");
  await page.getByRole("heading", { name: "Confirm your e-mail address" }).waitFor();
  await page.getByRole("button", { name: "Confirm address" }).click();
  await page.getByRole("alert").waitFor();
  await glance(page, "confirm-refused");
});

assert.deepEqual(faults, []);
await browser.close();
process.stdin.destroy();

// Checks the pages for runs, sessions, packages, secrets, keys and the account.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { check, glance, looks, rowsAre } from "./browser.mjs";

export async function work({ page, origin, run, output, email, password }) {
  const open = (name) => page.getByRole("navigation").getByRole("link", { name, exact: true }).click();
  const title = (name) => page.getByRole("heading", { level: 1, name }).waitFor();

  await check("secrets are added, used, hidden, replaced and deleted", async () => {
    await open("Secrets");
    await page.getByText("No secrets yet").waitFor();
    await looks(page, "secrets-empty");
    await page.getByRole("button", { name: "Add a secret" }).click();
    await page.getByLabel("Name").fill("API_TOKEN");
    await page.getByLabel("Value").fill("hunter2-hunter2");
    await page.getByLabel("Description").fill("for the weather");
    await glance(page, "secret-add");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("cell", { name: "API_TOKEN", exact: true }).waitFor();
    await looks(page, "secrets");
    await page.goto("/#/run");
    await run("import os; print('token:', os.environ['API_TOKEN'])");
    await output().getByText("token: [secret:API_TOKEN]").waitFor();
    await page.getByText("The server replaced 1 value of secrets.").waitFor();
    await open("Secrets");
    await page.getByRole("button", { name: "Replace API_TOKEN" }).click();
    await page.getByLabel("Value").fill("another-value");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Delete API_TOKEN" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByText("No secrets yet").waitFor();
  });

  await check("runs are listed, filtered, opened, compared, run again and deleted", async () => {
    await page.goto("/#/run");
    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByLabel("Labels").fill("compare");
    await run("print('one')\nprint('same')");
    await run("print('two')\nprint('same')");
    await open("Runs");
    await title("Runs");
    await page.getByRole("table").getByText("Failed").first().waitFor();
    await looks(page, "runs");
    await page.getByLabel("Result", { exact: true }).selectOption("failed");
    await rowsAre(page, (rows) => rows.every((r) => r.includes("Failed")));
    // A list that loads while the user types must not remove the text.
    let answer;
    const typed = new Promise((resolve) => (answer = resolve));
    await page.route(/executions\?/, (route) => typed.then(() => route.continue()));
    await page.getByLabel("Result", { exact: true }).selectOption("");
    await page.getByLabel("Label", { exact: true }).fill("compare");
    answer();
    await rowsAre(page, (rows) => rows.length > 2 && rows.some((r) => r.includes("Succeeded")));
    await page.unroute(/executions\?/);
    await page.keyboard.press("Enter");
    await page.waitForURL(/label=compare/);
    await rowsAre(page, (rows) => rows.length === 2);
    await page.getByLabel("Label", { exact: true }).fill("no run has it");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "No run matches" }).waitFor();
    await glance(page, "runs-none");
    await page.getByLabel("Label", { exact: true }).fill("compare");
    await page.keyboard.press("Enter");
    await rowsAre(page, (rows) => rows.length === 2);
    for (const box of await page.getByRole("checkbox").all()) await box.check();
    await page.getByRole("button", { name: "Compare", exact: true }).click();
    await title("Compare two runs");
    const code = page.locator("section").filter({ has: page.getByRole("heading", { name: "Code" }) });
    await code.locator(".old", { hasText: "print('one')" }).waitFor();
    await code.locator(".new", { hasText: "print('two')" }).waitFor();
    await code.locator(".same", { hasText: "print('same')" }).waitFor();
    await looks(page, "compare");
    await page.getByRole("link", { name: "First run" }).click();
    await output().getByText("one").waitFor();
    await looks(page, "run-record");
    await page.getByRole("button", { name: "Run again" }).click();
    await page.getByRole("status").getByText("Succeeded").waitFor();
    await output().getByText("one").waitFor();
    await page.goBack();
    await page.getByRole("button", { name: "Delete" }).click();
    await glance(page, "run-delete");
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await title("Runs");
  });

  await check("a session keeps variables and files like a notebook", async () => {
    await open("Sessions");
    await page.getByText("No open sessions").waitFor();
    await glance(page, "sessions-empty");
    await page.getByRole("button", { name: "Open a session" }).click();
    await glance(page, "session-open");
    await page.getByRole("button", { name: "Open", exact: true }).click();
    await title("Python session");
    const cell = (n) => page.getByRole("region", { name: `Cell ${n}` });
    const type = async (n, code) => {
      await page.getByRole("textbox", { name: `Code of cell ${n}` }).click();
      await page.keyboard.press("Control+a");
      await page.keyboard.insertText(code);
    };
    await type(1, "total = sum(range(10))\nopen('note.txt', 'w').write('hello')");
    await page.keyboard.press("Shift+Enter");
    const variables = page.getByRole("region", { name: "Variables" });
    await variables.getByText("total").waitFor();
    await variables.getByText("45", { exact: true }).waitFor();
    const files = page.getByRole("region", { name: "Files" });
    await files.getByText("note.txt").waitFor();
    await type(2, "total + 1");
    await page.keyboard.press("Control+Enter");
    await cell(2).getByText("46", { exact: true }).waitFor();
    await page.locator("input[type=file]").setInputFiles({ name: "up.csv", mimeType: "text/csv", buffer: Buffer.from("a,b\n1,2\n") });
    await files.getByText("up.csv").waitFor();
    await page.getByRole("button", { name: "Add a cell", exact: true }).click();
    await type(3, "print(open('up.csv').read(), flush=True)\nwhile True: pass");
    await page.keyboard.press("Control+Enter");
    await cell(3).getByText("1,2").waitFor();
    await page.getByRole("button", { name: "Interrupt" }).click();
    await cell(3).getByText("KeyboardInterrupt").first().waitFor();
    await looks(page, "notebook");
    await page.reload();
    await cell(2).getByText("46", { exact: true }).waitFor();
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download note.txt" }).click()]);
    assert.equal(download.suggestedFilename(), "note.txt");
    await page.getByRole("button", { name: "Restart" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Restart" }).click();
    await page.getByText("No files yet.").waitFor();
    await page.getByRole("button", { name: "Run cell 2" }).click();
    await cell(2).getByText("name 'total' is not defined").first().waitFor();
    await open("Sessions");
    await page.getByRole("link", { name: "Python" }).waitFor();
    await looks(page, "sessions");
    await page.getByRole("button", { name: /^Close the session/ }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Close", exact: true }).last().click();
    await page.getByText("No open sessions").waitFor();
  });

  await check("packages are installed with progress, used and removed", async () => {
    await open("Packages");
    await page.getByLabel("Language").selectOption("javascript");
    await page.getByText("No packages for JavaScript").waitFor();
    await glance(page, "packages-empty");
    await page.getByLabel("Package", { exact: true }).fill("left-pad@1.3.0");
    await page.getByRole("button", { name: "Install" }).click();
    await page.getByRole("button", { name: "Remove left-pad" }).waitFor();
    await looks(page, "packages");
    await page.getByLabel("Package", { exact: true }).fill("not a package");
    await page.getByRole("button", { name: "Install" }).click();
    await page.getByRole("alert").waitFor();
    await glance(page, "packages-refused");
    await page.getByRole("button", { name: "Remove left-pad" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
    await page.getByText("No packages for JavaScript").waitFor();
    await page.goto("/#/run");
    await run("import no_such_module", { status: "Failed" });
    await page.getByRole("link", { name: "Install no_such_module" }).click();
    await title("Packages");
    assert.equal(await page.getByLabel("Package", { exact: true }).inputValue(), "no_such_module");
  });

  await check("a key is created, shown once, works, and is deleted", async () => {
    await open("API keys");
    await page.getByRole("button", { name: "Create a key" }).click();
    await page.getByLabel("Name").fill("ci");
    await page.getByLabel("Manage packages").uncheck();
    await looks(page, "key-create");
    await page.getByRole("button", { name: "Create", exact: true }).click();
    const key = await page.getByRole("dialog").locator("code").textContent();
    assert.match(key, /^pyapi_\w{38}$/);
    await glance(page, "key-made");
    const list = () => fetch(origin + "/api/v1/executions", { headers: { "x-api-key": key } }).then((r) => r.status);
    assert.equal(await list(), 200);
    await page.getByRole("button", { name: "Done" }).click();
    await page.getByRole("button", { name: "Delete ci" }).waitFor();
    assert.ok(!(await page.content()).includes(key), "the page still shows the key");
    await looks(page, "keys");
    await page.getByRole("button", { name: "Delete ci" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByRole("button", { name: "Delete ci" }).waitFor({ state: "detached" });
    assert.equal(await list(), 401);
  });

  await check("the account ends other logins and changes the password and the address", async () => {
    await fetch(origin + "/api/login", { method: "POST", headers: { "Content-Type": "application/json", "User-Agent": "curl/8" }, body: JSON.stringify({ email, password }) });
    await open("Account");
    await page.getByText("this browser").waitFor();
    await looks(page, "account");
    await page.getByRole("button", { name: "End the login of curl" }).click();
    await page.getByRole("button", { name: "End the login of curl" }).waitFor({ state: "detached" });
    const form = (name) => page.getByRole("form", { name });
    await form("Password").getByLabel("Current password").fill("wrong password");
    await form("Password").getByLabel("New password").fill(password + "!");
    await form("Password").getByRole("button").click();
    await form("Password").getByRole("alert").waitFor();
    for (const [from, to] of [[password, password + "!"], [password + "!", password]]) {
      await form("Password").getByLabel("Current password").fill(from);
      await form("Password").getByLabel("New password").fill(to);
      await form("Password").getByRole("button").click();
      await form("Password").getByText("The password is changed.").waitFor();
      assert.equal(await form("Password").getByLabel("New password").inputValue(), "");
    }
    await form("E-mail address").getByLabel("New address").fill("ada@example.com");
    await form("E-mail address").getByLabel("Password").fill(password);
    await form("E-mail address").getByRole("button").click();
    await page.getByText("The address is changed.").waitFor();
    await page.getByText("ada@example.com").first().waitFor();
    await form("E-mail address").getByLabel("New address").fill(email);
    await form("E-mail address").getByLabel("Password").fill(password);
    await form("E-mail address").getByRole("button").click();
    await page.getByText(email).first().waitFor();
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download" }).click()]);
    assert.equal(download.suggestedFilename(), "pyth-on-export.zip");
    for (const address of ["/#/nowhere", "/#/%"]) {
      await page.goto(address);
      await page.getByText("This page does not exist").waitFor();
    }
    await glance(page, "not-found");
    await page.goto("/#/runs/00000000-0000-7000-8000-000000000000");
    await page.getByRole("alert").waitFor();
    await glance(page, "run-missing");
    await page.goto("/#/run");
  });

  await check("a second factor is set up, asked for at the next sign-in, and removed", async () => {
    await open("Account");
    await page.getByRole("button", { name: "Set up a second factor" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Your password").fill(password);
    await dialog.getByRole("button", { name: "Continue" }).click();
    const secret = await dialog.locator("code").textContent();
    await dialog.getByLabel("Code").fill("000000");
    await looks(page, "second-factor");
    await dialog.getByLabel("Code").fill(totp(secret));
    await dialog.getByRole("button", { name: "Enable" }).click();
    const codes = (await dialog.locator("pre").textContent()).split("\n");
    assert.ok(codes.length >= 8, codes.join());
    await glance(page, "recovery-codes");
    await dialog.getByRole("button", { name: "Done" }).click();
    await page.getByText(/^Enabled since/).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    const signIn = page.getByRole("form", { name: "Sign in" });
    await signIn.getByLabel("E-mail").fill(email);
    await signIn.getByLabel("Password").fill(password);
    await page.keyboard.press("Enter");
    await signIn.getByLabel("Code").fill(codes[0]);
    await looks(page, "sign-in-code");
    await page.keyboard.press("Enter");
    await open("Account");
    await page.getByRole("button", { name: "Remove the second factor" }).click();
    await dialog.getByLabel("Your password").fill(password);
    await dialog.getByLabel("Code").fill(codes[1]);
    await dialog.getByRole("button", { name: "Remove" }).click();
    await page.getByRole("button", { name: "Set up a second factor" }).waitFor();
    await page.goto("/#/run");
  });
}

// totp returns the current code for a secret in base32 (RFC 6238).
function totp(secret) {
  const bits = [...secret.replace(/[\s=]/g, "")].map((c) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const mac = createHmac("sha1", key).update(counter).digest();
  return String((mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

// Checks that late answers, and lists that load again, do not undo the actions of the
// user.
import assert from "node:assert/strict";
import { check, glance } from "./browser.mjs";

export async function late({ page, output, run }) {
  const title = (name) => page.getByRole("heading", { level: 1, name }).waitFor();
  const dialog = page.getByRole("dialog");
  const program = (p = page) => p.getByRole("textbox", { name: "Program" });

  // hold delays the matching requests until the caller calls the returned function.
  async function hold(url, method = "GET", p = page) {
    let release;
    const released = new Promise((resolve) => (release = resolve));
    const held = p.waitForRequest((r) => url.test(r.url()) && r.method() === method);
    await p.route(url, (route) => (route.request().method() === method ? released.then(() => route.continue()) : route.continue()));
    return async () => {
      const answer = p.waitForResponse((r) => url.test(r.url()) && r.request().method() === method);
      await held;
      release();
      await (await answer).finished();
      await p.unroute(url);
    };
  }

  // call sends a request like another program of the user. If the token has expired, call
  // renews the token and sends the request again.
  const call = (...request) =>
    page.evaluate(async ([method, path, body]) => {
      const send = () => fetch(path, { method, ...(body && { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }) });
      const renew = () => fetch("/api/v1/login-cookie", { method: "POST" }).then(() => localStorage.setItem("pyth-on.renewed", String(Date.now())));
      let response = await send();
      if (response.status === 401) {
        await navigator.locks.request("pyth-on.renew", renew);
        response = await send();
      }
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status}`);
    }, request);

  await check("a late answer does not close the dialog of another secret", async () => {
    for (const name of ["FIRST", "SECOND"]) await call("PUT", `/api/v1/secrets/${name}`, { value: "some value" });
    await page.goto("/#/secrets");
    await page.getByRole("button", { name: "Delete FIRST" }).click();
    const release = await hold(/secrets\/FIRST$/, "DELETE");
    await dialog.getByRole("button", { name: "Delete" }).click();
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("button", { name: "Delete FIRST" }).and(page.locator(":focus")).waitFor();
    await page.getByRole("button", { name: "Delete SECOND" }).click();
    await release();
    await page.getByRole("button", { name: "Delete FIRST" }).waitFor({ state: "detached" });
    await dialog.getByRole("heading", { name: "Delete SECOND?" }).waitFor();
    await glance(page, "secret-delete");
    // The row with the button that opened the dialog disappears. The focus must then move
    // to the page.
    await dialog.getByRole("button", { name: "Delete" }).focus();
    await page.keyboard.press("Enter");
    await page.getByText("No secrets yet").waitFor();
    await page.locator("#content:focus").waitFor();
  });

  await check("the packages of a language are not those of another one", async () => {
    await page.goto("/#/packages");
    await page.getByText("No packages for Python").waitFor();
    const release = await hold(/packages\?language=javascript/);
    await page.getByLabel("Language").selectOption("javascript");
    await page.getByText("Loading…").waitFor();
    assert.equal(await page.getByText(/^No packages for/).count(), 0);
    await release();
    await page.getByText("No packages for JavaScript").waitFor();
    // The field is disabled while the server installs the package. Afterwards, the field
    // must have the focus again.
    const name = page.getByLabel("Package", { exact: true });
    await name.fill("not a package");
    await name.press("Enter");
    await page.getByRole("alert").waitFor();
    await name.and(page.locator(":focus")).waitFor();
  });

  await check("a new page begins at its top, and going back leads to the old place", async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    await page.goto("/#/runs");
    await page.locator("tbody tr").nth(5).waitFor();
    await page.locator("tbody tr").last().getByRole("link").click();
    await page.getByRole("heading", { level: 1, name: "Run", exact: true }).waitFor();
    assert.equal(await page.evaluate(() => scrollY), 0);
    await page.goBack();
    await page.waitForFunction(() => scrollY > 500);
    await page.setViewportSize({ width: 1360, height: 850 });
  });

  await check("typing continues when the editor has loaded", async () => {
    const other = await page.context().newPage();
    const release = await hold(/\/page\/codemirror-/, "GET", other);
    await other.goto("/#/run");
    await program(other).fill("print('early'");
    await program(other).press("End");
    await release();
    await other.locator(".code textarea").waitFor({ state: "detached" });
    await other.keyboard.type(" + ' late')");
    assert.equal(await program(other).textContent(), "print('early' + ' late')");
    await other.close();
  });

  await check("the address of a run shows its program in a new tab, but keeps what the user writes", async () => {
    await page.goto("/#/run");
    await run("print('shared')");
    const path = new RegExp(`executions/${page.url().split("/").pop()}$`);
    const other = await page.context().newPage();
    await other.goto(page.url());
    await output(other).getByText("shared").waitFor();
    await program(other).getByText("print('shared')").waitFor();
    await other.evaluate(() => sessionStorage.clear());
    const release = await hold(path, "GET", other);
    await other.reload();
    await other.locator(".code textarea").waitFor({ state: "detached" });
    await program(other).click();
    await other.keyboard.type("# mine");
    await release();
    await other.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    assert.match(await program(other).textContent(), /# mine/);
    await other.close();
  });

  await check("files that load slowly do not replace other files", async () => {
    await page.getByRole("button", { name: "Settings" }).click();
    await page.evaluate(() => {
      const read = File.prototype.arrayBuffer;
      const small = new Promise((resolve) => (window.smallIsThere = resolve));
      File.prototype.arrayBuffer = async function () {
        if (this.name === "slow.txt") await small;
        return read.call(this);
      };
    });
    const input = page.locator("input[type=file]");
    const file = (name) => ({ name, mimeType: "text/plain", buffer: Buffer.from(name) });
    await input.setInputFiles(file("slow.txt"));
    await input.setInputFiles(file("fast.txt"));
    await page.getByRole("button", { name: "Remove fast.txt" }).waitFor();
    await page.evaluate(() => window.smallIsThere());
    for (const name of ["slow.txt", "fast.txt"]) await page.getByRole("button", { name: `Remove ${name}` }).click();
    await page.getByRole("button", { name: "Settings" }).click();
    await page.reload();
  });

  await check("the page says that a run does not stop", async () => {
    await run("while True: pass", { status: "" });
    await page.getByText("Running", { exact: true }).waitFor();
    await page.route("**/cancel", (route) => route.abort());
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByRole("alert").getByText("The server does not answer.").waitFor();
    await page.unroute("**/cancel");
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByText("Stopped", { exact: true }).waitFor();
    assert.equal(await page.getByRole("alert").count(), 0);
  });

  await check("the cells of a notebook stay when the session has ended", async () => {
    await page.goto("/#/sessions");
    await page.getByRole("button", { name: "Open a session" }).click();
    await page.getByRole("button", { name: "Open", exact: true }).click();
    await title("Python session");
    const cell = (n) => page.getByRole("textbox", { name: `Code of cell ${n}` });
    await cell(1).click();
    await page.keyboard.insertText("x = 1");
    await page.keyboard.press("Shift+Enter");
    await cell(2).click();
    await page.keyboard.insertText("x + 1");
    // Shift+Enter moves the focus to the next cell, even if this cell already exists.
    await cell(1).click();
    await page.keyboard.press("Shift+Enter");
    await cell(2).and(page.locator(":focus")).waitFor();
    await page.keyboard.press("End");
    await page.keyboard.insertText("00");
    assert.equal(await cell(2).textContent(), "x + 100");
    const ended = page.url().split("/").pop();
    await call("DELETE", `/api/v1/sessions/${ended}`);
    await page.getByRole("button", { name: "Run cell 2" }).click();
    await page.getByText("This session has ended, with its variables").waitFor();
    await glance(page, "notebook-ended");
    await page.reload();
    await cell(2).filter({ hasText: "x + 100" }).waitFor();
    await page.getByRole("button", { name: "Continue in a new session" }).click();
    await page.getByRole("button", { name: "Interrupt" }).waitFor();
    assert.ok(!page.url().endsWith(ended));
    await page.getByRole("button", { name: "Run all" }).click();
    await page.getByRole("region", { name: "Cell 2" }).getByText("101", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Close", exact: true }).click();
    await dialog.getByRole("button", { name: "Close", exact: true }).last().click();
    await page.getByText("No open sessions").waitFor();
    await page.goto("/#/run");
  });
}

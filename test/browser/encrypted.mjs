// Checks encrypted programs: neither the program nor the password may leave the page.
import assert from "node:assert/strict";
import { check, looks } from "./browser.mjs";

const code = `import sys\nsecret_formula = "two thirds of the moon"\nprint(len(secret_formula), sys.argv[1:])`;
const password = "granite-walrus-teapot-57";

export async function encrypted({ page, output }) {
  const sent = [];
  const record = (r) => sent.push(`${r.url()} ${r.postData() ?? ""}`);
  const panel = page.getByRole("region", { name: "What left this page" });
  const open = (name) => page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name, exact: true }).click();
  const result = () => page.getByRole("region", { name: "Output", exact: true });

  await check("a program is encrypted in the browser, stored and run", async () => {
    page.on("request", record);
    await open("Encrypted programs");
    await page.getByText("No encrypted programs yet").waitFor();
    await looks(page, "encrypted-empty");
    await page.getByRole("button", { name: "Encrypt a program" }).click();
    await page.getByLabel("Name").fill("formula");
    await page.getByRole("textbox", { name: "Program", exact: true }).click();
    await page.keyboard.insertText(code);
    await page.getByLabel("Password of the program").fill(password);
    await looks(page, "encrypted-new");
    await page.getByRole("button", { name: "Encrypt and store" }).click();
    await page.getByRole("link", { name: "formula", exact: true }).waitFor();
    await looks(page, "encrypted");
    await page.getByRole("link", { name: "Run formula" }).click();
    await page.getByLabel("Password of the program").fill("not the password");
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await result().getByText("DecryptionError").first().waitFor();
    await page.getByLabel("Password of the program").fill(password);
    await page.getByRole("button", { name: /^Settings/ }).click();
    await page.getByLabel("Arguments").fill("one two");
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await output().getByText("22 ['one', 'two']").waitFor();
    await page.getByRole("button", { name: /^Settings/ }).click();
    await looks(page, "encrypted-run");
  });

  await check("the list of requests is complete, and has neither the program nor the password", async () => {
    await panel.getByText("No request contains your programs or passwords.").waitFor();
    page.off("request", record);
    const text = sent.join("\n");
    const base64 = Buffer.from(code).toString("base64");
    for (const part of [password, "secret_formula", "two thirds", Buffer.from(password).toString("base64").slice(0, 24), base64.slice(4, 40)]) assert.ok(!text.includes(part), `${part} left the page`);
    const paths = sent.map((r) => new URL(r.split(" ")[0]).pathname).filter((p) => p.startsWith("/api/"));
    const listed = (await panel.locator("summary code").allTextContents()).map((t) => t.split(" ")[1]);
    for (const path of new Set(paths)) assert.ok(listed.includes(path), `${path} is not in the list`);
    assert.ok(listed.some((p) => p.startsWith("/api/v1/zk/execute/")), listed.join());
  });

  await check("the list of requests detects a password and requests that it does not know", async () => {
    // The request contains a field with this name, so the page must find the password in
    // the request.
    await page.getByLabel("Password of the program").fill("sealedPassword");
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await panel.getByText("contains a password").first().waitFor();
    await panel.getByText("Not clean").waitFor();
    await page.evaluate(() => fetch("/api/health?unknown").then((r) => r.text()));
    await panel.getByText("not made by this page").waitFor();
  });

  await check("an encrypted program is decrypted in the browser, changed and deleted", async () => {
    await open("Encrypted programs");
    await page.getByRole("button", { name: "Change formula" }).click();
    await page.getByLabel("Password of the program").fill("not the password");
    await page.getByRole("button", { name: "Decrypt here" }).click();
    await page.getByRole("alert").getByText("The password is wrong").waitFor();
    const forgeries = {
      "another program": (p) => ({ ...p, name: "other" }),
      "too much time or memory": (p) => ({ ...p, kdf: { ...p.kdf, memoryKiB: 1 << 24 } }),
    };
    for (const [message, forge] of Object.entries(forgeries)) {
      await page.route("**/zk/code/formula", async (route) => {
        const response = await route.fetch();
        await route.fulfill({ response, json: forge(await response.json()) });
      });
      await page.getByRole("button", { name: "Decrypt here" }).click();
      await page.getByRole("alert").getByText(message).waitFor();
      await page.unroute("**/zk/code/formula");
    }
    await page.getByLabel("Password of the program").fill(password);
    await page.getByRole("button", { name: "Decrypt here" }).click();
    await page.getByText("two thirds of the moon").waitFor();
    await page.getByRole("textbox", { name: "Program", exact: true }).click();
    await page.keyboard.press("Control+a");
    await page.keyboard.insertText("print('changed program')");
    await page.getByRole("button", { name: "Encrypt and store" }).click();
    await page.getByRole("link", { name: "Run formula" }).click();
    await page.getByLabel("Password of the program").fill(password);
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await output().getByText("changed program").waitFor();
    await open("Encrypted programs");
    await page.getByRole("button", { name: "Delete formula" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByText("No encrypted programs yet").waitFor();
  });
}

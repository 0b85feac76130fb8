// Checks the pages for administrators.
import assert from "node:assert/strict";
import { check, glance, looks } from "./browser.mjs";

export async function admin({ page, newContext }) {
  const open = (name) => page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name, exact: true }).click();
  const title = (name, p = page) => p.getByRole("heading", { level: 1, name }).waitFor();
  const dialog = page.getByRole("dialog");
  const bob = { email: "bob@example.org", password: "another long password" };
  let other;

  await check("an administrator creates a user, who sets a password with the link", async () => {
    await open("Users");
    await title("Users");
    await page.getByRole("button", { name: "Create a user" }).click();
    await dialog.getByLabel("E-mail").fill(bob.email);
    await glance(page, "user-create");
    await dialog.getByRole("button", { name: "Create", exact: true }).click();
    const link = await dialog.locator("code").textContent();
    await looks(page, "user-link");
    await dialog.getByRole("button", { name: "Done" }).click();
    await looks(page, "users");
    other = await (await newContext()).newPage();
    await other.goto(link);
    await glance(other, "password-link");
    await other.getByLabel("New password", { exact: true }).fill(bob.password);
    await other.getByRole("button", { name: "Set password" }).click();
    await other.getByLabel("E-mail").fill(bob.email);
    await other.getByLabel("Password").fill(bob.password);
    await other.getByRole("button", { name: "Sign in", exact: true }).click();
    await other.getByRole("textbox", { name: "Program" }).waitFor();
    assert.equal(await other.getByRole("link", { name: "Users" }).count(), 0);
    await other.goto("/#/users");
    await other.getByText("This page does not exist").waitFor();
  });

  await check("an administrator sees what runs, and stops it", async () => {
    await other.goto("/#/run");
    await other.getByRole("textbox", { name: "Program" }).click();
    await other.keyboard.press("Control+a");
    await other.keyboard.insertText("import time\nprint('started', flush=True)\ntime.sleep(250)");
    await other.getByRole("button", { name: "Run", exact: true }).click();
    await other.getByRole("log").getByText("started").waitFor();
    await open("Now");
    await title("Now");
    await page.getByRole("cell", { name: bob.email, exact: true }).waitFor();
    await looks(page, "now");
    await page.getByRole("button", { name: `Stop the run of ${bob.email}` }).click();
    await other.getByText("Stopped", { exact: true }).waitFor();
    await page.getByText("Nothing runs and nothing waits.").waitFor();
    await glance(page, "now-idle");
  });

  await check("an administrator changes the limits of a user, disables and deletes the user", async () => {
    await open("Users");
    await page.getByLabel("Search").fill("bob");
    await page.keyboard.press("Enter");
    await page.getByRole("link", { name: bob.email }).click();
    await title(bob.email);
    await page.getByLabel("Runs a day").fill("0");
    await page.getByRole("button", { name: "Save the limits" }).click();
    await page.getByRole("button", { name: "Save the limits" }).and(page.locator(":disabled")).waitFor();
    await looks(page, "user");
    await other.getByRole("button", { name: "Run", exact: true }).click();
    await other.getByRole("alert").waitFor();
    await page.getByLabel("Runs a day").fill("");
    await page.getByRole("button", { name: "Save the limits" }).click();
    await page.getByLabel("Role").selectOption("admin");
    await page.getByLabel("Role").and(page.locator(":enabled")).waitFor();
    await page.getByLabel("Role").selectOption("user");
    await page.getByRole("button", { name: "Make a link for a new password" }).click();
    assert.match(await dialog.locator("code").textContent(), /#reset=/);
    await dialog.getByRole("button", { name: "Done" }).click();
    await page.getByRole("button", { name: "Disable" }).click();
    await looks(page, "user-disable");
    await dialog.getByRole("button", { name: "Disable" }).click();
    await page.getByText("Disabled", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Enable" }).click();
    await page.getByText("Enabled", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Delete the account" }).click();
    await dialog.getByRole("button", { name: "Delete the account" }).click();
    await title("Users");
    await page.getByRole("link", { name: bob.email }).waitFor({ state: "detached" });
    await other.context().close();
  });

  await check("an administrator invites a person", async () => {
    await page.getByRole("button", { name: "Invite a person" }).click();
    await dialog.getByLabel("E-mail").fill("carol@example.org");
    await glance(page, "invite-create");
    await dialog.getByRole("button", { name: "Create the link" }).click();
    const link = await dialog.locator("code").textContent();
    await dialog.getByRole("button", { name: "Done" }).click();
    await page.getByRole("button", { name: "Delete the invite carol@example.org" }).waitFor();
    const guest = await (await newContext()).newPage();
    await guest.goto(link);
    await guest.getByText("You have an invite to this server.").waitFor();
    await glance(guest, "invite");
    await guest.context().close();
    await page.getByRole("button", { name: "Delete the invite carol@example.org" }).click();
    await page.getByRole("button", { name: "Delete the invite carol@example.org" }).waitFor({ state: "detached" });
  });

  await check("an administrator sees the settings and the backups", async () => {
    await open("Settings");
    await title("Settings");
    await page.getByLabel("Search").fill("token ttl");
    const row = page.getByRole("row").filter({ hasText: "token-ttl" }).first();
    await row.getByText("10s").waitFor();
    await row.getByText("flag").waitFor();
    await page.getByLabel("Search").fill("");
    await looks(page, "settings");
    await open("Backups");
    await page.getByText("The server knows of no backup.").waitFor();
    await looks(page, "backups");
  });
}

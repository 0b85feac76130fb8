// Checks the sign-in at an OIDC provider.
import assert from "node:assert/strict";
import { check, glance, looks } from "./browser.mjs";

export async function provider({ page, email, password }) {
  const button = page.getByRole("button", { name: "Sign in with Example" });
  const account = () => page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Account" });

  await check("a sign-in at the provider needs a linked account", async () => {
    await page.goto("/#/account");
    await page.getByRole("button", { name: "Sign out" }).click();
    await button.waitFor();
    await looks(page, "sign-in-provider");
    await button.click();
    await page.getByRole("alert").getByText("An account with your e-mail address exists.").waitFor();
    await glance(page, "sign-in-unlinked");
    assert.ok(!page.url().includes("signin="), "the code stays in the address");
    await page.getByLabel("E-mail").fill(email);
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    await account().click();
    await page.getByRole("button", { name: "Link Example" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Your password").fill("wrong password");
    await dialog.getByRole("button", { name: "Link", exact: true }).click();
    await dialog.getByRole("alert").waitFor();
    await looks(page, "link-provider");
    await dialog.getByLabel("Your password").fill(password);
    await dialog.getByRole("button", { name: "Link", exact: true }).click();
    await page.getByRole("button", { name: `Unlink ${email}` }).waitFor();
  });

  await check("a linked person signs in at the provider and returns to the same place", async () => {
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.goto("/#/secrets");
    await button.click();
    await page.getByRole("heading", { level: 1, name: "Secrets" }).waitFor();
    await account().click();
    await page.getByRole("button", { name: `Unlink ${email}` }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Unlink" }).click();
    await page.getByText("You sign in with your password.").waitFor();
  });

  await check("a sign-in of another tab is refused", async () => {
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.goto("/docs");
    await page.goto("/#signin=%"); // The page still opens.
    await page.getByLabel("E-mail").waitFor();
    await page.goto("/docs");
    await page.goto("/#signin=pysignin_stolen");
    await page.getByRole("alert").getByText("began in another tab").waitFor();
    await page.getByLabel("E-mail").fill(email);
    await page.getByLabel("Password").fill(password);
    await page.keyboard.press("Enter");
    await account().waitFor();
  });
}

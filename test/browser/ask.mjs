// Checks the page Ask. The model is a fake with fixed answers: its first program fails.
import assert from "node:assert/strict";
import { check, looks } from "./browser.mjs";

export async function ask({ page }) {
  await check("Ask shows the attempts of the model and their differences", async () => {
    await page.goto("/#/ask");
    await page.getByLabel("What should the program do?").fill("חשב 21 * 2 🧮");
    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByLabel("Attempts").selectOption("2");
    await looks(page, "ask-settings");
    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByRole("button", { name: "Ask", exact: true }).click();
    const first = page.getByRole("region", { name: "Attempt 1" }), second = page.getByRole("region", { name: "Attempt 2" });
    await first.getByText("ZeroDivisionError: division by zero").first().waitFor();
    await second.getByText("42", { exact: true }).waitFor();
    await page.getByRole("status").getByText("2 attempts").waitFor();
    await first.getByText("Failed", { exact: true }).first().waitFor();
    await second.getByText("Succeeded", { exact: true }).first().waitFor();
    assert.equal(await second.getByText("שלום 🚀").evaluate((e) => getComputedStyle(e).direction), "rtl");
    await second.getByText("Differences from attempt 1").click();
    await second.locator(".old", { hasText: "print(1 / 0)" }).waitFor();
    await second.locator(".new", { hasText: "print(21 * 2)" }).waitFor();
    await looks(page, "ask");
    await second.getByRole("button", { name: "Open in Run" }).click();
    await page.getByRole("textbox", { name: "Program" }).getByText("print(21 * 2)").waitFor();
  });

  await check("Ask says what to do if the server has no model", async () => {
    await page.route(/\/api$/, async (route) => {
      const response = await route.fetch();
      const info = await response.json();
      await route.fulfill({ response, json: { ...info, features: info.features.filter((f) => f !== "generate") } });
    });
    await page.goto("/#/ask");
    await page.reload();
    await page.getByRole("heading", { name: "This server has no model" }).waitFor();
    await looks(page, "ask-unavailable");
    await page.unroute(/\/api$/);
    await page.goto("/#/run");
    await page.reload();
  });
}

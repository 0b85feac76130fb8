// Checks the pages for usage, the audit log and the reference of the API.
import assert from "node:assert/strict";
import { check, looks, rowsAre } from "./browser.mjs";

export async function records({ page, origin }) {
  const title = (name) => page.getByRole("heading", { level: 1, name }).waitFor();

  await check("the usage has plots, tables with the same numbers, and limits", async () => {
    await page.goto("/#/usage");
    await title("Usage");
    const plot = page.getByRole("img", { name: /^Runs: \d+ in all, at most \d+ on / });
    await plot.waitFor();
    const total = Number(/Runs: (\d+) in all/.exec(await plot.getAttribute("aria-label"))[1]);
    const cells = await page.getByRole("region", { name: "Usage by language" }).locator("td[data-label=Runs]").allTextContents();
    assert.equal(cells.reduce((n, text) => n + Number(text), 0), total);
    assert.ok(total > 0, `${total} runs`);
    await page.getByRole("progressbar", { name: "Open sessions" }).waitFor();
    await looks(page, "usage");
    await page.getByLabel("Period").selectOption("365");
    await page.locator("svg g").nth(364).waitFor({ state: "attached" });
  });

  await check("the audit log is filtered, paged, and proved in the browser", async () => {
    await page.goto("/#/audit");
    await title("Audit log");
    const rows = page.locator("tbody tr");
    await rows.nth(49).waitFor();
    await page.getByRole("button", { name: "Load more" }).click();
    await rows.nth(50).waitFor();
    await looks(page, "audit");
    // When a list loads again, it loads as many pages as it had before.
    const again = page.waitForResponse((r) => r.url().includes("/api/v1/audit?") && r.url().includes("cursor="));
    await page.getByRole("button", { name: "Refresh", exact: true }).click();
    await (await again).finished();
    assert.ok((await rows.count()) > 50, "the second page is gone");
    const { components } = await (await fetch(origin + "/openapi.json")).json();
    const known = components.schemas.AuditAction.enum.filter((a) => !a.startsWith("audit.")).sort();
    const offered = (await page.getByLabel("Action").locator("option").allTextContents()).filter((a) => a !== "All").sort();
    assert.deepEqual(offered, known);
    await page.getByLabel("Outcome").selectOption("denied");
    await page.getByLabel("Action").selectOption("user.login");
    await rowsAre(page, (texts) => texts.every((t) => t.includes("user.login") && t.includes("Denied")));
    await page.getByLabel("Outcome").selectOption("");
    await page.getByLabel("Action").selectOption("zk.executed");
    await rowsAre(page, (texts) => texts.every((t) => t.includes("zk.executed")));
    const proof = page.waitForResponse((r) => r.url().endsWith("/proof") && r.ok());
    await rows.getByRole("button", { name: "zk.executed" }).first().click();
    const { key } = await (await proof).json();
    const checks = page.getByRole("dialog").getByRole("list", { name: "Checks" });
    await checks.getByText("Correct", { exact: true }).nth(2).waitFor();
    await looks(page, "audit-proof");
    const pinned = page.getByLabel("Verifier key from the operator");
    await pinned.fill(key);
    await pinned.blur();
    await checks.getByText("belongs to the key that you entered").waitFor();
    const other = key.slice(0, -4) + (key.endsWith("AAAA") ? "BBBB" : "AAAA");
    await pinned.fill(other);
    await pinned.blur();
    await checks.getByText("Wrong", { exact: true }).waitFor();
    await pinned.fill("");
    await pinned.blur();
    await page.getByRole("button", { name: "Done" }).click();
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save a checkpoint" }).click()]);
    assert.match(download.suggestedFilename(), /^checkpoint-\d+\.txt$/);
  });

  await check("the browser refuses a forged proof", async () => {
    const forgeries = {
      "other values than the entry": (p) => ({ ...p, record: Buffer.from(Buffer.from(p.record, "base64").toString().replace('"success"', '"denied"')).toString("base64") }),
      "another root": (p) => ({ ...p, index: p.index ^ 1 }),
      "too few hashes": (p) => ({ ...p, hashes: p.hashes.slice(1) }),
      "too many hashes": (p) => ({ ...p, hashes: [...p.hashes, p.hashes[0]] }),
      "does not belong to this key": (p) => ({ ...p, checkpoint: p.checkpoint.replace(/\n\d+\n/, "\n5\n") }),
    };
    for (const [message, forge] of Object.entries(forgeries)) {
      await page.route("**/proof", async (route) => {
        const response = await route.fetch();
        // If the token has expired, the page renews the login and sends the request again.
        await route.fulfill(response.ok() ? { response, json: forge(await response.json()) } : { response });
      });
      await page.locator("tbody tr").first().getByRole("button").click();
      await page.getByRole("dialog").getByText(message).waitFor();
      await page.getByRole("button", { name: "Done" }).click();
      await page.unroute("**/proof");
    }
  });

  await check("the reference of the API shows operations and sends requests", async () => {
    await page.goto("/#/api");
    await title("API");
    await looks(page, "reference-start");
    await page.getByLabel("Search").fill("execute");
    await page.getByRole("link", { name: "POST Run a program", exact: true }).click();
    await page.getByRole("heading", { name: "Run a program", exact: true }).waitFor();
    await page.getByText("Fields of limits", { exact: true }).first().click();
    await page.getByText("memoryBytes").first().waitFor();
    const form = page.getByRole("form", { name: "Try it" });
    await form.getByLabel("Body").fill('{"code": "print(6 * 7)"}');
    await form.getByRole("button", { name: "Send" }).click();
    await form.getByRole("status").getByText('"stdout": "42\\n"').waitFor();
    await looks(page, "reference");
    await form.getByLabel("Body").fill('{"code": 1}');
    await form.getByRole("button", { name: "Send" }).click();
    await form.getByRole("status").getByText("400", { exact: true }).waitFor();
    await form.getByRole("status").getByText("invalid_request").first().waitFor();
    await page.getByLabel("Search").fill("secrets/{name}");
    await page.getByRole("link", { name: /^DELETE / }).click();
    await form.getByLabel("name").fill("NO_SUCH_SECRET");
    await form.getByRole("button", { name: "Send" }).click();
    await form.getByRole("status").getByText("404", { exact: true }).waitFor();
    await page.goto("/#/api/readAccountExport");
    await form.getByRole("button", { name: "Send" }).click();
    await form.getByRole("status").getByText("does not show content of the type application/zip").waitFor();
    // The page must show each operation.
    await page.getByLabel("Search").fill("");
    const { paths } = await (await fetch(origin + "/openapi.json")).json();
    for (const operation of Object.values(paths).flatMap((p) => Object.values(p)).filter((o) => o.operationId)) {
      await page.goto(`/#/api/${operation.operationId}`);
      await page.getByRole("heading", { level: 2, name: operation.summary, exact: true }).waitFor();
    }
  });
}

// Opens a server in a session through its signed address. The argument is JSON with the
// addresses: the API, the path of the server below it, a page of the server that uses a
// WebSocket, and an address that expires within a second.
import assert from "node:assert/strict";
import { open } from "./browser.mjs";

const { api, path, page: address, expired } = JSON.parse(process.argv[2]);
const { browser, newContext } = await open(api, api);
const context = await newContext();
const page = await context.newPage();

await page.goto(address);
assert.equal(await page.title(), "preview");
await page.getByText("echo hello").waitFor();
assert.ok(!page.url().includes("signature"), `the signature stays in ${page.url()}`);
assert.equal(await page.evaluate(() => document.cookie), "");
console.log("ok a page with a WebSocket");

await page.reload();
await page.getByText("echo hello").waitFor();
console.log("ok the cookie");

// The page cannot read the API, and the API does not serve the page.
const read = await page.evaluate((url) => fetch(url).then((r) => r.status, (e) => e.name), api + "/api/v1/sessions");
assert.equal(read, "TypeError");
assert.equal((await page.goto(api + path)).status(), 401);
console.log("ok the origin of the API");

const other = await (await newContext()).newPage();
assert.equal((await other.goto(new URL("/page", address).href)).status(), 401);
console.log("ok a browser without the signature");

for (;;) {
  const status = (await other.goto(expired)).status();
  if (status === 401) break;
  assert.equal(status, 200);
}
assert.match(await other.locator("body").innerText(), /expired/);
console.log("ok the expiry");
await browser.close();

// The browser of the tests, and checks that every page must pass.
import fs from "node:fs";
import { createRequire } from "node:module";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const axe = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

// timeout limits each wait in milliseconds. It is long, because the machine may run many
// other tests. While you write a test, set a shorter limit with the environment variable
// PATIENCE.
const timeout = Number(process.env.PATIENCE ?? 180_000);

// open starts the browser, and returns a function that opens contexts, each with separate
// cookies. It collects reports of the Content-Security-Policy, errors of scripts, and
// requests to other hosts than origin and provider.
export async function open(origin, provider) {
  const browser = await chromium.launch({ timeout, executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  const faults = [];
  const newContext = async () => {
    const context = await browser.newContext({ viewport: { width: 1360, height: 850 }, baseURL: origin, acceptDownloads: true });
    context.setDefaultTimeout(timeout);
    opened.push(context);
    await watch(context, [origin, provider], faults);
    return context;
  };
  return { browser, newContext, faults };
}

async function watch(context, origins, faults) {
  await context.exposeFunction("reportViolation", (text) => faults.push("policy: " + text));
  await context.addInitScript(() => {
    if (window !== top) return;
    addEventListener("securitypolicyviolation", (e) => window.reportViolation(`${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber} ${e.target?.outerHTML?.slice(0, 200)}`));
  });
  context.on("page", (page) => {
    page.on("pageerror", (e) => faults.push("script: " + e.stack));
    page.on("request", (r) => {
      const { protocol, origin: to } = new URL(r.url());
      if (protocol.startsWith("http") && !origins.includes(to)) faults.push("request: " + r.url());
    });
  });
}

// accessible fails if axe finds a fault on the page.
export async function accessible(page, name) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const text = violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.target.join(" ") + " " + n.failureSummary.split("\n")[1]).join("; ")}`);
  assert.deepEqual(text, [], `axe on ${name}`);
}

// rowsAre waits until the table has rows, and the function "test" returns true for the
// texts of the rows. It is not enough to wait until a row is gone, because a list also
// has no rows while it loads.
export async function rowsAre(page, test) {
  for (const end = Date.now() + timeout; ; ) {
    const texts = await page.locator("tbody tr").allInnerTexts();
    if (texts.length && test(texts)) return;
    assert.ok(Date.now() < end, `the rows of the table are ${JSON.stringify(texts)}`);
    await page.waitForTimeout(50);
  }
}

// fits fails if the page is wider than the window.
export async function fits(page, name) {
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= window, `${name} is ${wide} pixels wide in a window of ${window}`);
}

// appeared waits until the page has its main part. After goto(), the page can still be empty,
// because it first asks the server who is signed in.
async function appeared(page) {
  await page.locator("main").waitFor({ state: "attached" });
  await page.locator("h1").first().waitFor({ state: "attached" });
}

const pictures = process.env.SCREENSHOTS;

// glance checks a part of a page quickly. Use it if another check covers a part with the
// same style. It checks only dark colours and a narrow window, because each check takes
// time. With SCREENSHOTS it does the same as looks.
export async function glance(page, name) {
  if (pictures) return looks(page, name);
  await appeared(page);
  await page.emulateMedia({ colorScheme: "dark", reducedMotion: "reduce" });
  await page.setViewportSize({ width: 360, height: 740 });
  await fits(page, name);
  await accessible(page, name);
  await page.setViewportSize({ width: 1360, height: 850 });
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
}

// looks checks a page in light and dark colours, in a wide and a narrow window, and at a
// zoom of 200 %. With SCREENSHOTS it stores pictures.
export async function looks(page, name) {
  await appeared(page);
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    for (const [kind, width, height] of [["wide", 1360, 850], ["narrow", 360, 740], ["zoomed", 680, 425]]) {
      await page.setViewportSize({ width, height });
      await fits(page, `${name} (${kind})`);
      if (pictures && kind !== "zoomed") await page.screenshot({ path: `${pictures}/${name}-${colorScheme}-${kind}.png` });
    }
    await page.setViewportSize({ width: 1360, height: 850 });
    await accessible(page, `${name} (${colorScheme})`);
  }
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
}

// ONLY is a regular expression that selects checks by name.
const only = process.env.ONLY;
const opened = [];

// check runs one test and prints its time.
export async function check(name, run) {
  if (only && !new RegExp(only).test(name) && !name.startsWith("first")) return;
  const start = Date.now();
  try {
    await run();
  } catch (error) {
    console.log(`FAIL ${name}`);
    for (const [i, page] of opened.flatMap((c) => c.pages()).entries()) {
      console.log(page.url(), await page.locator("body").innerText({ timeout: 10_000 }).catch(String));
      if (pictures) await page.screenshot({ path: `${pictures}/failed-${i}.png` }).catch(() => {}); // The page can have crashed.
    }
    throw error;
  }
  console.log(`ok ${name} ${Date.now() - start} ms`);
}

// Measures the page with Lighthouse, before and after the sign-in. Arguments: the address
// of the server, and the link for the first administrator. With --mobile, Lighthouse
// simulates a slow phone, and a low score does not fail.
import { spawn } from "node:child_process";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import lighthouse, { desktopConfig } from "lighthouse";
import { chromium } from "playwright-core";

const [origin, setupLink, device] = process.argv.slice(2);
const isMobile = device === "--mobile";
const least = 95;

// connect waits for the port that the browser writes to a file.
async function connect(profile) {
  for (let i = 0; ; i++) {
    try {
      const port = Number((await fs.readFile(path.join(profile, "DevToolsActivePort"), "utf8")).split("\n")[0]);
      return { port, browser: await chromium.connectOverCDP(`http://127.0.0.1:${port}`) };
    } catch (error) {
      if (i === 300) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

const profile = await fs.mkdtemp(path.join(os.tmpdir(), "lighthouse-"));
const args = ["--headless=new", "--no-sandbox", "--remote-debugging-port=0", `--user-data-dir=${profile}`, "about:blank"];
const chrome = spawn(process.env.CHROMIUM ?? "/usr/bin/chromium", args, { stdio: "ignore" });
const ended = new Promise((resolve) => chrome.on("exit", resolve));
let isGood = true;

async function measure(name, address, port) {
  const { lhr } = await lighthouse(address, { port, disableStorageReset: true, logLevel: "error" }, isMobile ? undefined : desktopConfig);
  const scores = Object.values(lhr.categories).map((c) => [c.title, Math.round(c.score * 100)]);
  console.log(`${name}: ${scores.map(([title, score]) => `${title} ${score}`).join(", ")}; interactive after ${lhr.audits.interactive.displayValue}`);
  if (scores.length < 4 || scores.some(([, score]) => score < least)) {
    isGood = false;
    for (const a of Object.values(lhr.audits)) if (a.score !== null && a.score < 0.9) console.log(`  ${a.id}: ${a.displayValue ?? a.title}`);
  }
}

try {
  const { port, browser } = await connect(profile);
  await measure("sign-in", origin + "/", port);
  const page = await browser.contexts()[0].newPage();
  await page.goto(setupLink);
  await page.getByLabel("E-mail").fill("ada@example.org");
  await page.getByLabel("New password", { exact: true }).fill("correct horse battery staple");
  await page.getByRole("button", { name: "Create account" }).click();
  await page.getByRole("textbox", { name: "Program" }).waitFor();
  for (const name of ["run", "runs", "usage", "api"]) await measure(name, `${origin}/#/${name}`, port);
  await browser.close();
} finally {
  chrome.kill();
  await ended;
  await fs.rm(profile, { recursive: true, force: true });
}
if (!isGood && !isMobile) {
  console.error(`A score is below ${least}.`);
  process.exitCode = 1;
}

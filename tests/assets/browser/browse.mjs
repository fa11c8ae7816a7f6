// A browser that does as it is told, and says what came of it.
//
// PACKAGES is where npm has put the packages, CHROMIUM the browser; the argument is a list of steps as JSON. Each
// step is told of in one line of JSON: { text, errors, responses }.
import { createRequire } from "node:module";
import process from "node:process";

const { chromium } = createRequire(`${process.env.PACKAGES}/`)("playwright-core");

// Root has no sandbox to put it into, and containers have little shared memory.
const args = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args });
const page = await (await browser.newContext()).newPage();

let errors = [];
let responses = [];
page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
page.on("pageerror", (error) => errors.push(String(error)));
page.on("requestfailed", (request) => errors.push(`${request.url()}: ${request.failure()?.errorText}`));

// The protocol itself tells what came from the browser's own cache.
const network = await page.context().newCDPSession(page);
await network.send("Network.enable");
const kept = new Set();
network.on("Network.requestServedFromCache", ({ requestId }) => kept.add(requestId));
network.on("Network.responseReceived", ({ requestId, response }) => {
  const headers = Object.fromEntries(Object.entries(response.headers).map(([name, value]) => [name.toLowerCase(), value]));
  const cached = response.fromDiskCache || kept.has(requestId);
  responses.push({ path: new URL(response.url).pathname, status: response.status, cached, headers });
});

const doing = {
  open: (url) => page.goto(url, { waitUntil: "networkidle" }),
  click: (selector) => page.click(selector),
};
try {
  for (const [what, of] of JSON.parse(process.argv[2])) {
    await doing[what](of);
    await page.waitForSelector("#app[data-ready]");
    const text = await page.textContent("#app");
    console.log(JSON.stringify({ text, errors, responses }));
    [errors, responses] = [[], []];
  }
} finally {
  await browser.close();
}

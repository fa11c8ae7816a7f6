// A browser that does as it is told, and says what came of it.
//
// PACKAGES is where npm has put the packages, CHROMIUM the browser; the argument is a list of steps as JSON. Each
// step is told of in one line of JSON: { text, errors, responses }. With PICTURES, a folder, each leaves a picture there.
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
// What came over the network itself: a 304, where the page gets the 200 that the browser had.
const wires = new Map();
const lowercase = (headers) => Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
network.on("Network.responseReceivedExtraInfo", ({ requestId, statusCode, headers }) =>
  wires.set(requestId, { status: statusCode, headers: lowercase(headers) }));
network.on("Network.requestServedFromCache", ({ requestId }) => kept.add(requestId));
network.on("Network.responseReceived", ({ requestId, response, hasExtraInfo }) => {
  const cached = response.fromDiskCache || kept.has(requestId);
  const { pathname: path } = new URL(response.url);
  responses.push({ path, status: response.status, cached, headers: lowercase(response.headers), requestId, hasExtraInfo });
});
// The two are told of in any order.
async function told() {
  while (responses.some((it) => it.hasExtraInfo && !it.cached && !wires.has(it.requestId)))
    await new Promise((resume) => setTimeout(resume, 5));
  return responses.map(({ requestId, hasExtraInfo, ...it }) => ({ ...it, wire: it.cached ? null : wires.get(requestId) ?? null }));
}

const doing = {
  open: (url) => page.goto(url, { waitUntil: "networkidle" }),
  click: (selector) => page.click(selector),
  reload: () => page.reload({ waitUntil: "networkidle" }),
};
let step = 0;
try {
  for (const [what, of] of JSON.parse(process.argv[2])) {
    await doing[what](of);
    await page.waitForSelector("#app[data-ready]");
    const text = await page.textContent("#app");
    step += 1;
    if (process.env.PICTURES) await page.screenshot({ path: `${process.env.PICTURES}/${step}.png` });
    console.log(JSON.stringify({ text, errors, responses: await told() }));
    [errors, responses] = [[], []];
  }
} finally {
  await browser.close();
}

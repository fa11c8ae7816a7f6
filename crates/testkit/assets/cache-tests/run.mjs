// Runs the tests of the npm package `http-cache-tests`, and writes what came of them to results.json: a list of
// {id, kind, needs, result}, where `needs` are the tests without which this one says nothing, and `result` is true, or the
// kind of failure and what was seen.
//
// PACKAGES is where npm has put the packages. BASE is the URL of the cache; TESTS the ids of those to run, as a JSON list,
// all if it is empty. Without BASE nothing is run: RESULTS names one of the results that come with the package.

import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const { PACKAGES, BASE, TESTS, RESULTS } = process.env;
const suite = `${PACKAGES}/node_modules/http-cache-tests`;
const load = (path) => import(pathToFileURL(`${suite}/${path}`));

const { default: suites } = await load('tests/index.mjs');
const { default: surrogates } = await load('tests/surrogate-control.mjs');
const all = [...suites, surrogates].flatMap(({ tests }) => tests).filter((test) => !test.browser_only);

async function run() {
  const chosen = JSON.parse(TESTS);
  const tests = all.filter(({ id }) => chosen.length === 0 || chosen.includes(id));
  // The suite sends fields that the fetch of node itself forbids.
  const { default: fetch } = await import(pathToFileURL(createRequire(`${suite}/`).resolve('node-fetch')));
  const { runTests, getResults } = await load('client/runner.mjs');
  await runTests([{ tests }], fetch, false, BASE);
  return getResults();
}

const results = BASE ? await run() : JSON.parse(readFileSync(`${suite}/results/${RESULTS}.json`));
const told = all
  .filter(({ id }) => id in results)
  .map(({ id, kind = 'required', depends_on: needs = [] }) => ({ id, kind, needs, result: results[id] }));
writeFileSync('results.json', JSON.stringify(told));

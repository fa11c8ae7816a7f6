#!/usr/bin/env python3
"""Limits counted in Redis: what they cost while it is there, and what its loss costs requests.

A gateway and a real Redis on loopback. The same load without a limit, with one limit, with four, and leased; then the
store is stopped (SIGSTOP), killed, and started again empty, each in the middle of a run. Every run checks its premise:
no answer but 200, every request counted by the limit, one script for each request where that is claimed.

usage: store.py [--seconds N] [--connections N] [--bin DIR]
"""

import argparse
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from compare import NGINX_BACKEND, cpu, free_port, start, stop, wait_for

CONFIG = """
server: {{ threads: 1 }}
listeners: [{{ name: main, bind: "127.0.0.1:{port}", max_requests_per_connection: 100000000 }}]
admin: {{ bind: "127.0.0.1:{admin}" }}
access_log: off
stores: {{ shared: {{ redis: "redis://127.0.0.1:{redis}", timeout: 50ms }} }}
upstreams: {{ backend: {{ targets: ["127.0.0.1:{backend}"] }} }}
ratelimit: {{ store: shared, consistency: {consistency}, on_store_error: local }}
routing:
  routes:
    - name: bench
      match: {{ path: "/v1/bench/{{id}}" }}
      upstream: backend
      plugins: {{ ratelimit: {policy} }}
"""
ONE = "{ name: flood, rate: 100000000/s, per: client }"
FOUR = f"{ONE}, {{ name: day, quota: 1000000000/day, per: client }}, {{ name: window, rate: 100000000/m, algorithm: fixed_window, per: client }}, {{ name: route, rate: 100000000/s, per: route }}"


def ask(port, *command):
    """One command to Redis, its answer as text."""
    with socket.create_connection(("127.0.0.1", port), 5) as s:
        s.sendall(b"*%d\r\n" % len(command) + b"".join(b"$%d\r\n%s\r\n" % (len(c), c.encode()) for c in command))
        text = b""
        while not text.endswith(b"\r\n") or len(text) < 5:
            text += s.recv(65536)
        return text.decode(errors="replace")


def scripts(port):
    found = re.search(r"cmdstat_evalsha:calls=(\d+)", ask(port, "INFO", "commandstats"))
    return int(found.group(1)) if found else 0


def metric(admin, series):
    with socket.create_connection(("127.0.0.1", admin), 5) as s:
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        text = b"".join(iter(lambda: s.recv(65536), b"")).decode()
    return sum(float(v) for v in re.findall(rf"^{series}(?:{{.*}})? (\S+)", text, re.M))


def load(port, seconds, connections):
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", f"http://127.0.0.1:{port}/v1/bench/7"]
    out = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60).stdout
    assert "Non-2xx" not in out and "Socket errors" not in out, out
    percentile = lambda p: microseconds(re.search(rf"^\s+{p}%\s+(\S+)", out, re.M).group(1))
    return int(re.search(r"(\d+) requests in", out).group(1)), percentile(50), percentile(99)


def microseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]


class Redis:
    def __init__(self, dir):
        self.dir, self.port = dir, free_port()
        self.start()

    def start(self):
        log = open(os.path.join(self.dir, "redis.out"), "ab")
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.process = start(command, log)
        wait_for(self.port, self.process, "redis-server")

    def signal(self, which):
        self.process.send_signal(which)

    def kill(self):
        self.process.kill()
        self.process.wait()


def run(args, dir, backend, redis, name, policy, consistency="strict", during=None):
    """One load: requests per second, CPU of gateway and store for a request, latencies."""
    port, admin = free_port(), free_port()
    path = os.path.join(dir, "tidegate.yaml")
    with open(path, "w") as f:
        f.write(CONFIG.format(port=port, admin=admin, redis=redis.port, backend=backend, policy=policy, consistency=consistency))
    log = open(os.path.join(dir, "tidegate.out"), "ab")
    gateway = start([os.path.join(args.bin, "tidegate"), "run", "--config", path], log)
    try:
        wait_for(port, gateway, "tidegate")
        load(port, 1, args.connections)
        before, store_before, calls = cpu(gateway.pid), cpu(redis.process.pid), scripts(redis.port)
        timer = threading.Timer(args.seconds / 2, during) if during else None
        if timer:
            timer.start()
        requests, half, most = load(port, args.seconds, args.connections)
        if timer:
            timer.join()
        after = cpu(gateway.pid)
        gateway_us = (sum(after) - sum(before)) * 1e6 / requests
        counted = metric(admin, "tidegate_ratelimit_requests_total")
        assert policy == "off" or counted >= requests, f"{name}: {requests} requests, {counted} counted"
        store_us, per_request = float("nan"), float("nan")
        if not during:
            store_us = (sum(cpu(redis.process.pid)) - sum(store_before)) * 1e6 / requests
            per_request = (scripts(redis.port) - calls) / requests
        lost = metric(admin, "tidegate_ratelimit_store_lost_total")
        print(f"{name:24} {requests / args.seconds:8.0f} {gateway_us:9.1f} {store_us:9.1f} {per_request:8.3f} {half:8.0f} {most:8.0f} {lost:9.0f}")
        if during:
            seen_again(admin, redis)
        return most
    finally:
        stop(gateway)


def seen_again(admin, redis):
    """The store, back, is used again: else the next run would measure nothing."""
    if redis.process.poll() is not None:
        redis.start()
    redis.signal(signal.SIGCONT)
    deadline = time.monotonic() + 20
    while metric(admin, "tidegate_store_up") != 1:
        assert time.monotonic() < deadline, "the gateway does not see that the store is back"
        time.sleep(0.1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--bin", default="target/release")
    args = parser.parse_args()
    for tool in ("nginx", "wrk", "redis-server"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is missing: install it with your package manager")
    dir = tempfile.mkdtemp(prefix="tidegate-store-")
    os.chmod(dir, 0o755)
    backend = free_port()
    with open(os.path.join(dir, "backend.conf"), "w") as f:
        f.write(NGINX_BACKEND.format(dir=dir, port=backend, body="x" * 100))
    server = start(["nginx", "-e", f"{dir}/backend.err", "-c", f"{dir}/backend.conf"], subprocess.DEVNULL)
    redis = Redis(dir)
    try:
        wait_for(backend, server, "the backend")
        print(f"{'':24} {'req/s':>8} {'CPU us':>9} {'store us':>9} {'scripts':>8} {'p50 us':>8} {'p99 us':>8} {'decided alone':>9}")
        one, four = f"{{ limits: [{ONE}] }}", f"{{ limits: [{FOUR}] }}"
        floor = run(args, dir, backend, redis, "no limit", "off")
        run(args, dir, backend, redis, "one limit", one)
        run(args, dir, backend, redis, "four limits", four)
        run(args, dir, backend, redis, "one limit, leased", one, "{ leased: { batch: 1% } }")
        for name, fault in (("stopped half-way", lambda: redis.signal(signal.SIGSTOP)), ("killed half-way", redis.kill)):
            most = run(args, dir, backend, redis, name, one, during=fault)
            print(f"  p99 {most - floor:+.0f} us over no limit at all")
    finally:
        redis.signal(signal.SIGCONT)
        stop(redis.process)
        stop(server)
    shutil.rmtree(dir, ignore_errors=True)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""What balancing does for clients, in front of real servers on loopback.

One server of three works ten times as slowly as the others, one request after the other. The same load goes through
each algorithm: how much of it the slow server gets, and what the slowest percent of the clients waits. Then a split
of 10 to 90 over at least 100,000 requests. Every run checks its premise: no answer but 200, and as many requests at
the servers as the clients sent.

usage: balance.py [--seconds N] [--connections N] [--bin DIR]
"""

import argparse
import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from compare import NGINX_BACKEND, free_port, start, stop, wait_for

FAST, SLOW = 0.002, 0.020

CONFIG = """
server: {{ threads: 1 }}
listeners: [{{ name: main, bind: "127.0.0.1:{port}", max_requests_per_connection: 100000000 }}]
admin: {{ bind: "127.0.0.1:{admin}" }}
access_log: off
upstreams:
{upstreams}
routing:
  routes: [{{ name: bench, {service} }}]
"""


async def serve(port, seconds):
    """A server that does one thing at a time."""
    busy = asyncio.Lock()

    async def connection(reader, writer):
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                async with busy:
                    await asyncio.sleep(seconds)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", port)
    await server.serve_forever()


def scrape(admin):
    with socket.create_connection(("127.0.0.1", admin), 5) as s:
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return b"".join(iter(lambda: s.recv(65536), b"")).decode()


def total(text, name, label=""):
    lines = (line for line in text.splitlines() if line.startswith(name + "{") and label in line)
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def settled(admin):
    """The metrics, once every request has ended: those that wrk left half-way too."""
    deadline = time.monotonic() + 20
    while total(text := scrape(admin), "tidegate_upstream_in_flight") > 0:
        assert time.monotonic() < deadline, "requests don't end"
        time.sleep(0.05)
    return text


def sent(text, label):
    """Requests that a target, or all of an upstream, was sent."""
    return total(text, "tidegate_upstream_requests_total", label)


def wrk(port, seconds, connections):
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", f"http://127.0.0.1:{port}/"]
    out = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60).stdout
    assert "Non-2xx" not in out and "Socket errors" not in out, out
    number, unit = re.search(r"^\s+99%\s+([\d.]+)(us|ms|s)", out, re.M).groups()
    return int(re.search(r"(\d+) requests in", out).group(1)), float(number) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]


class Gateway:
    """A gateway with these upstreams, while it is entered."""

    def __init__(self, args, dir, upstreams, service):
        self.args, self.dir, self.upstreams, self.service = args, dir, upstreams, service
        self.port, self.admin = free_port(), free_port()

    def __enter__(self):
        path = os.path.join(self.dir, "tidegate.yaml")
        text = CONFIG.format(port=self.port, admin=self.admin, upstreams=self.upstreams, service=self.service)
        with open(path, "w") as f:
            f.write(text)
        log = open(os.path.join(self.dir, "tidegate.out"), "ab")
        self.process = start([os.path.join(self.args.bin, "tidegate"), "run", "--config", path], log)
        wait_for(self.port, self.process, "tidegate")
        return self

    def __exit__(self, *_):
        stop(self.process)


def one_slow(args, dir, ports):
    targets = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
    slowest = {}
    print(f"{'one of three is slow':24} {'req/s':>8} {'slow gets':>10} {'p99 ms':>8}")
    for lb in ("round_robin", "least_request", "peak_ewma", "random"):
        upstreams = f"  app: {{ targets: [{targets}], lb: {lb}, health: {{ type: tcp, interval: 1s }} }}"
        with Gateway(args, dir, upstreams, "upstream: app") as gateway:
            requests, p99 = wrk(gateway.port, args.seconds, args.connections)
            text = settled(gateway.admin)
        shares = [sent(text, f'target="127.0.0.1:{port}"') for port in ports]
        assert sum(shares) >= requests, f"{requests} requests, {shares} at the servers"
        share, slowest[lb] = shares[-1] / sum(shares), p99
        print(f"{lb:24} {requests / args.seconds:8.0f} {share:9.1%} {p99:8.1f}")
        if lb == "round_robin":
            assert abs(share - 1 / 3) < 0.02, "the premise: by turns, the slow one has a third"
        elif lb != "random":
            assert share < 0.15, f"{lb} gives the slow one {share:.1%}"
    assert slowest["least_request"] < slowest["round_robin"], slowest


def ten_to_ninety(args, dir, backend):
    upstreams = "\n".join(f'  {name}: {{ targets: ["127.0.0.1:{backend}"] }}' for name in ("new", "old"))
    service = "split: [{ upstream: new, weight: 10 }, { upstream: old, weight: 90 }]"
    with Gateway(args, dir, upstreams, service) as gateway:
        requests = 0
        while requests < 100_000:
            requests += wrk(gateway.port, args.seconds, args.connections)[0]
        text = settled(gateway.admin)
    new, old = (sent(text, f'upstream="{name}"') for name in ("new", "old"))
    assert new + old >= requests, f"{requests} requests, {new} + {old} at the servers"
    share = new / (new + old)
    print(f"10 to 90 over {new + old:.0f} requests: {share:.2%}")
    assert abs(share - 0.1) < 0.003, f"{share:.2%}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--bin", default="target/release")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        return asyncio.run(serve(int(args.serve[0]), float(args.serve[1])))
    for tool in ("nginx", "wrk"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is missing: install it with your package manager")
    dir = tempfile.mkdtemp(prefix="tidegate-balance-")
    os.chmod(dir, 0o755)
    backend, ports = free_port(), [free_port() for _ in range(3)]
    with open(os.path.join(dir, "backend.conf"), "w") as f:
        f.write(NGINX_BACKEND.format(dir=dir, port=backend, body="x" * 100))
    log = open(os.path.join(dir, "servers.out"), "ab")
    serving = lambda port, seconds: start([sys.executable, __file__, "--serve", str(port), str(seconds)], log)
    servers = [serving(port, seconds) for port, seconds in zip(ports, (FAST, FAST, SLOW))]
    nginx = start(["nginx", "-e", f"{dir}/backend.err", "-c", f"{dir}/backend.conf"], log)
    try:
        for port, server in zip(ports + [backend], servers + [nginx]):
            wait_for(port, server, "a server")
        one_slow(args, dir, ports)
        ten_to_ninety(args, dir, backend)
    finally:
        for server in servers:
            stop(server, signal.SIGKILL)
        stop(nginx)
    shutil.rmtree(dir, ignore_errors=True)


if __name__ == "__main__":
    main()

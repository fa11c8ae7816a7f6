#!/usr/bin/env python3
"""What logins cost everybody else: the latency of other requests while 200 people log in at the same time.

Requests come at a fixed rate, whatever became of those before (so a request that has to wait is a late one, and none is
left out). First without logins, then with 200 of them at once, again and again until the run is over; rounds take turns.
Every run checks its premise: each login was 200 with a token, or 503 where the queue was full; a password was hashed for
each, and a wrong one doesn't log in; passwords waited to be hashed all the time; no other request failed.

usage: logins.py [--rounds N] [--seconds N] [--rate N] [--logins N] [--cost N] [--bin DIR]
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from compare import NGINX_BACKEND, free_port, start, stop, wait_for

NAME, PASSWORD = "ada@example.com", "a password of 28 characters"

CONFIG = """
server: {{ threads: 1 }}
listeners: [{{ name: main, bind: "127.0.0.1:{port}", max_requests_per_connection: 100000000 }}]
admin: {{ bind: "127.0.0.1:{admin}" }}
access_log: off
upstreams: {{ backend: {{ targets: ["127.0.0.1:{backend}"] }} }}
auth:
  service:
    issuer: "http://127.0.0.1:{port}"
    store: {{ file: {dir}/auth.redb }}
    signup: {{ enabled: true, per_hour: 1000 }}
    password: {{ cost: {cost}, queue: {queue} }}
    # Everybody comes from one address here, and nobody guesses.
    attempts: {{ client: 1000000000, account: 1000000000, account_total: 1000000000 }}
routing:
  routes:
    - {{ name: bench, match: {{ path: "/v1/bench/{{id}}" }}, upstream: backend }}
    - {{ name: auth, match: {{ path: "/auth/**" }}, endpoint: {{ auth: {{}} }} }}
"""


class Connection:
    """Requests one after the other, each whole."""

    def __init__(self, port):
        self.port, self.streams = port, None

    async def ask(self, method, path, body=b""):
        if not self.streams:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port)
            self.streams[1].get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader, writer = self.streams
        kind = "Content-Type: application/json\r\n" if body else ""
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: a\r\n{kind}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(re.search(r"content-length: (\d+)", head).group(1))
        answer = await reader.readexactly(length)
        if "connection: close" in head:
            writer.close()
            self.streams = None
        return int(head.split(" ", 2)[1]), answer


def processor():
    with open("/proc/cpuinfo") as f:
        found = re.search(r"^model name\s*: (.+)$", f.read(), re.M)
    return found.group(1) if found else "an unknown processor"


def hashing(admin):
    """How many passwords were hashed until now, in how many seconds, and how many wait."""
    with socket.create_connection(("127.0.0.1", admin), 5) as s:
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        text = b"".join(iter(lambda: s.recv(65536), b"")).decode()
    names = ("seconds_count", "seconds_sum", "queue")
    return [float(re.search(rf"^tidegate_auth_hash_{name}(?:{{}})? (\S+)", text, re.M).group(1)) for name in names]


async def others(port, rate, seconds):
    """Requests at a fixed rate: how late each answer was, in seconds from when its request was due."""
    free, late, tasks = [], [], set()

    async def one(due):
        connection = free.pop() if free else Connection(port)
        status, _ = await connection.ask("GET", "/v1/bench/7")
        late.append(time.perf_counter() - due)
        assert status == 200, f"{status} for a request beside logins"
        free.append(connection)

    begun = time.perf_counter()
    for nth in range(int(rate * seconds)):
        due = begun + nth / rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        task = asyncio.create_task(one(due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    return late


# By themselves, so that what they cost the client that measures is not in what it measures.
LOGINS = """
import asyncio, json, sys
sys.path.insert(0, sys.argv[1])
from logins import Connection, NAME, PASSWORD

async def person(port, until, counts):
    body = json.dumps({"name": NAME, "password": PASSWORD}).encode()
    connection = Connection(port)
    while asyncio.get_running_loop().time() < until:
        status, answer = await connection.ask("POST", "/auth/login", body)
        assert status in (200, 503), (status, answer)
        assert status == 503 or json.loads(answer)["access_token"], answer
        counts[status] = counts.get(status, 0) + 1
        if status == 503:
            await asyncio.sleep(0.1)

async def main(port, people, seconds):
    counts, until = {}, asyncio.get_running_loop().time() + seconds
    await asyncio.gather(*(person(port, until, counts) for _ in range(people)))
    print(json.dumps(counts))

asyncio.run(main(int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
"""


def run(port, admin, args, logins):
    """One run: the latencies of the others, and what became of the logins."""
    people, before = None, hashing(admin)
    if logins:
        command = [sys.executable, "-c", LOGINS, os.path.dirname(os.path.abspath(__file__))]
        # They begin before the others, so that all of them wait when the others come.
        command += [str(port), str(logins), str(args.seconds + 1)]
        people = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        time.sleep(1)
        assert hashing(admin)[2] > logins / 2, f"of {logins} logins only {hashing(admin)[2]:.0f} wait"
    late = asyncio.run(others(port, args.rate, args.seconds))
    counts = {}
    if people:
        assert hashing(admin)[2] > logins / 2, "logins have ended before the others"
        out, _ = people.communicate(timeout=600)
        assert people.returncode == 0, "a login failed"
        counts = json.loads(out)
        assert counts.get("200"), f"nobody could log in: {counts}"
        hashed = hashing(admin)[0] - before[0]
        assert hashed >= counts["200"], f"{counts} logins, {hashed} passwords hashed"
    return late, counts


def percentile(values, p):
    return sorted(values)[min(len(values) - 1, int(len(values) * p))] * 1e6


async def signup(port):
    body = json.dumps({"name": NAME, "email": NAME, "password": PASSWORD}).encode()
    status, answer = await Connection(port).ask("POST", "/auth/signup", body)
    assert status in (200, 201), (status, answer)
    wrong = json.dumps({"name": NAME, "password": PASSWORD + "!"}).encode()
    assert (await Connection(port).ask("POST", "/auth/login", wrong))[0] == 401, "a wrong password logs in"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float, default=500, help="other requests in a second")
    parser.add_argument("--logins", type=int, default=200, help="at the same time")
    parser.add_argument("--cost", type=int, default=12, help="of bcrypt")
    parser.add_argument("--bin", default="target/release")
    args = parser.parse_args()
    if not shutil.which("nginx"):
        sys.exit("nginx is missing: install it with your package manager")
    dir = tempfile.mkdtemp(prefix="tidegate-logins-")
    os.chmod(dir, 0o755)
    for folder in ("state", "config"):
        os.mkdir(os.path.join(dir, folder))
    backend, port, admin = free_port(), free_port(), free_port()
    with open(os.path.join(dir, "backend.conf"), "w") as f:
        f.write(NGINX_BACKEND.format(dir=dir, port=backend, body="x" * 100))
    path = os.path.join(dir, "config", "tidegate.yaml")
    with open(path, "w") as f:
        state = os.path.join(dir, "state")
        f.write(CONFIG.format(port=port, admin=admin, backend=backend, dir=state, cost=args.cost, queue=2 * args.logins))
    server = start(["nginx", "-e", f"{dir}/backend.err", "-c", f"{dir}/backend.conf"], subprocess.DEVNULL)
    gateway = start([os.path.join(args.bin, "tidegate"), "run", "--config", path], open(os.path.join(dir, "out"), "ab"))
    try:
        wait_for(backend, server, "the backend")
        wait_for(port, gateway, "tidegate")
        report(args, port, admin)
    finally:
        stop(gateway)
        stop(server)
    shutil.rmtree(dir, ignore_errors=True)


def report(args, port, admin):
    asyncio.run(signup(port))
    print(f"{'':14} {'p50 us':>8} {'p99 us':>8} {'logins':>8} {'queue full':>10}")
    ratios = []
    for _ in range(args.rounds):
        quiet, _ = run(port, admin, args, 0)
        busy, counts = run(port, admin, args, args.logins)
        for name, late in (("without", quiet), (f"{args.logins} logins", busy)):
            told = [counts.get(status, 0) if late is busy else 0 for status in ("200", "503")]
            print(f"{name:14} {percentile(late, 0.5):8.0f} {percentile(late, 0.99):8.0f} {told[0]:8} {told[1]:10}")
        ratios.append(percentile(busy, 0.99) / percentile(quiet, 0.99))
    count, seconds, _ = hashing(admin)
    print(f"bcrypt at cost {args.cost} takes {1e3 * seconds / count:.0f} ms here, beside all this ({processor()})")
    more = 100 * (statistics.median(ratios) - 1)
    print(f"{args.logins} logins at a time move the p99 of other requests by {more:+.1f}%; less than +10% is meant")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""A reload every 100 ms under load: no request may fail, and the memory comes back to where it was.

usage: reload.py [--seconds N] [--bin DIR]
"""

import argparse
import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from compare import NGINX_BACKEND, free_port, start, stop, wait_for

CONFIG = """
server: {{ threads: 1 }}
listeners: [{{ name: main, bind: "127.0.0.1:{port}", max_requests_per_connection: 100000000 }}]
admin: {{ bind: "127.0.0.1:{admin}" }}
access_log: off
upstreams:
  backend: {{ targets: ["127.0.0.1:{backend}"] }}
  other: {{ targets: ["127.0.0.1:{backend}"], timeouts: {{ read: {n}s }} }}
headers: {{ default: {{ response: {{ set: {{ X-Generation: "{n}" }} }} }} }}
routing:
  routes:
    - {{ name: bench, match: {{ path: "/v1/bench/{{id}}" }}, upstream: backend }}
    - {{ name: "other-{n}", match: {{ path: "/other/{n}/**" }}, upstream: other }}
"""


def rss(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"^VmRSS:\s+(\d+) kB", f.read(), re.M).group(1))


def metric(admin, name):
    connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=5)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    found = re.search(rf"^{re.escape(name)} (\d+)", text, re.M)
    return int(found.group(1)) if found else 0


def load(port, seconds):
    command = ["wrk", "-t1", "-c50", f"-d{seconds}s", f"http://127.0.0.1:{port}/v1/bench/7"]
    out = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60).stdout
    return int(re.search(r"(\d+) requests in", out).group(1)), "Non-2xx" in out or "Socket errors" in out, out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--bin", default="target/release")
    args = parser.parse_args()
    dir = tempfile.mkdtemp(prefix="tidegate-reload-")
    os.chmod(dir, 0o755)
    backend, port, admin = free_port(), free_port(), free_port()
    path = os.path.join(dir, "tidegate.yaml")

    def write(n):
        with open(path + ".new", "w") as f:
            f.write(CONFIG.format(port=port, admin=admin, backend=backend, n=n))
        os.rename(path + ".new", path)

    with open(os.path.join(dir, "backend.conf"), "w") as f:
        f.write(NGINX_BACKEND.format(dir=dir, port=backend, body="x" * 100))
    write(1)
    log = open(os.path.join(dir, "log"), "ab")
    server = start(["nginx", "-e", f"{dir}/backend.err", "-c", f"{dir}/backend.conf"], log)
    gateway = start([os.path.join(args.bin, "tidegate"), "run", "--config", path], log)
    try:
        wait_for(backend, server, "the backend")
        wait_for(port, gateway, "tidegate")
        load(port, 3)
        before = rss(gateway.pid)
        done = threading.Event()

        def reload():
            n = 1
            while not done.wait(0.1):
                n = n % 59 + 1
                write(n)
                gateway.send_signal(signal.SIGHUP)

        thread = threading.Thread(target=reload)
        thread.start()
        requests, failed, out = load(port, args.seconds)
        during = rss(gateway.pid)
        done.set()
        thread.join()
        load(port, 3)
        after = rss(gateway.pid)
        generation, failures = metric(admin, "tidegate_config_generation"), metric(admin, 'tidegate_config_reloads_total{result="failure"}')
        print(f"{requests} requests, {generation - 1} reloads, {failures} of them failed")
        print(f"RSS {before} kB before, {during} kB during, {after} kB after")
        assert not failed, out
        assert failures == 0, "a reload failed"
        assert generation > args.seconds * 5, "reloads did not happen: the figures mean nothing"
        assert after < before * 1.25 + 4096, "memory did not come back"
    finally:
        stop(gateway)
        stop(server)
        shutil.rmtree(dir, ignore_errors=True)
    print("0 errors")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""WebSockets of the library under test against independent implementations, in both roles.

    run.py --conformance PROGRAM --echo PROGRAM --work DIRECTORY
           [--tls NAME] [--only NAME]... [--strict]

The first program is the built `conformance`; `RTC_LIB` names the library under test and
`RTC_PEER_LIB`, if it is set, another one to talk to. The second is the example `websocket_echo`,
for the Autobahn cases: one of them wants a zero byte echoed in a text, which C strings cannot hold.
`install.sh websocket` installs the implementations below DIRECTORY.
One that is missing is reported as skipped; with --strict that is a failure. The reports of the
Autobahn cases are left in DIRECTORY/autobahn, to be opened with a browser; those over TLS in
folders that end with what --tls says.
"""

import argparse
import asyncio
import http.server
import json
import os
import pathlib
import shutil
import socket
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
PEM = HERE.parent.parent / "src/suite/pem"
PATIENCE = 120
# Performance (9) is measured elsewhere; compression (12, 13) is not offered.
LEFT_OUT = ["9.*", "12.*", "13.*"]
CASES = 247
# How many may fail the first time.
CHANCES = 5


class Missing(Exception):
    """An implementation is not installed."""


class Lab:
    def __init__(self, options):
        self.program = options.conformance
        self.echo = options.echo
        self.tls = options.tls
        self.work = pathlib.Path(options.work).resolve()

    def python(self, module):
        python = self.work / "venv/bin/python"
        if not python.exists() or subprocess.run([python, "-c", f"import {module}"], check=False,
                                                 stderr=subprocess.DEVNULL).returncode:
            raise Missing(f"no Python package {module}")
        return str(python)

    def node(self):
        if not shutil.which("node") or not (self.work / "node_modules/ws").exists():
            raise Missing("no Node package ws")
        return "node"

    def environment(self, other=False):
        environment = dict(os.environ)
        if other:
            if not environment.get("RTC_PEER_LIB"):
                raise Missing("RTC_PEER_LIB names no library")
            environment["RTC_LIB"] = environment["RTC_PEER_LIB"]
        environment["NODE_PATH"] = str(self.work / "node_modules")
        return environment

    def exchange(self, url, *more, other=False):
        """Has the library send messages to an echo and check what comes back."""
        run([self.program, "echo", "exchange", url, *more], self.environment(other))

    def serving(self, *more, other=False):
        """The library as an echo."""
        return Server([self.program, "echo", "serve", *more], self.environment(other))


def run(command, environment=None):
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, timeout=PATIENCE,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout}")
    return done.stdout


class Server:
    """A program that prints its port and ends with its input."""

    def __init__(self, command, environment):
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        line = self.process.stdout.readline()
        if not line.strip().isdigit():
            self.__exit__()
            raise RuntimeError(f"{self.process.args}: no port but {line!r}")
        return int(line)

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def wait_listening(port, process):
    for _ in range(PATIENCE * 10):
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"{process.args} does not listen")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# Autobahn's cases.

def judge(folder):
    """Reads a report: how many cases there are of each verdict, and those that are not as they
    should be. What is INFORMATIONAL has no right or wrong."""
    counts, bad = {}, {}
    for results in json.loads((folder / "index.json").read_text()).values():
        for case, result in results.items():
            verdicts = (result["behavior"], result["behaviorClose"])
            counts[verdicts[0]] = counts.get(verdicts[0], 0) + 1
            if any(verdict not in ("OK", "INFORMATIONAL") for verdict in verdicts):
                bad[case] = " ".join(verdicts)
    return counts, bad


def autobahn(lab, name, go):
    """Goes through all cases. They allow a second for each answer, which a busy machine may miss:
    a case that fails gets another chance by itself."""
    folder = lab.work / "autobahn" / name
    shutil.rmtree(folder, ignore_errors=True)
    go(folder, kosoku(lab, *(part for case in LEFT_OUT for part in ("-x", case))))
    counts, bad = judge(folder)
    told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    told += "".join(f"; {case}: {verdicts}" for case, verdicts in bad.items())
    if sum(counts.values()) != CASES or len(bad) > CHANCES:
        raise RuntimeError(told)
    for case in bad:
        again = folder / f"again-{case}"
        go(again, kosoku(lab, "-i", case))
        if judge(again)[1] or not judge(again)[0]:
            raise RuntimeError(f"{told}; {case} failed twice")
        told += f"; {case} passed by itself"
    return f"{told}; {folder}/index.html"


def kosoku(lab, *more):
    lab.python("kosoku")
    return [str(lab.work / "venv/bin/kosoku"), *more]


def autobahn_server(lab, tls=False):
    def go(folder, command):
        more = ["tls"] if tls else []
        with Server([lab.echo, "serve", *more], None) as port, Relay(port, "client", tls) as near:
            run([*command, "-m", "fuzzingclient", "-p", "2", "-o", str(folder),
                 f"127.0.0.1:{near}"])
    return autobahn(lab, f"server-{lab.tls}" if tls else "server", go)


def autobahn_client(lab, tls=False):
    def go(folder, command):
        port = free_port()
        command = [*command, "-m", "fuzzingserver", "-o", str(folder), f"127.0.0.1:{port}"]
        with open(lab.work / "kosoku.log", "w", encoding="utf-8") as log:
            fuzzer = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            wait_listening(port, fuzzer)
            with Relay(port, "server", tls) as near:
                run([lab.echo, "autobahn", f"{'wss' if tls else 'ws'}://127.0.0.1:{near}"])
            # Asked for its report, it writes it and ends.
            fuzzer.wait(PATIENCE)
        finally:
            fuzzer.kill()
            fuzzer.wait()
    return autobahn(lab, f"client-{lab.tls}" if tls else "client", go)


class Relay:
    """Stands before a port and speaks TLS, which Autobahn's cases do not: as the client of that
    port, or as the server in front of it. Without TLS it is not there at all."""

    def __init__(self, port, role, tls):
        self.port, self.role, self.tls = port, role, tls
        # The loop itself forgets tasks that nobody holds.
        self.tasks = set()

    def __enter__(self):
        if not self.tls:
            return self.port
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        return asyncio.run_coroutine_threadsafe(self.listen(), self.loop).result(PATIENCE)

    def __exit__(self, *_):
        if self.tls:
            asyncio.run_coroutine_threadsafe(self.end(), self.loop).result(PATIENCE)
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(PATIENCE)

    async def listen(self):
        self.near = self.far = None
        if self.role == "client":
            self.far = ssl.create_default_context()
            self.far.check_hostname = False
            self.far.verify_mode = ssl.CERT_NONE
        else:
            self.near = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.near.load_cert_chain(*secure_files(["--tls"]))
        server = await asyncio.start_server(self.carry, "127.0.0.1", 0, ssl=self.near)
        return server.sockets[0].getsockname()[1]

    async def end(self):
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def carry(self, reader, writer):
        self.tasks.add(asyncio.current_task())
        onward = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.far)
        await asyncio.gather(pump(reader, onward[1]), pump(onward[0], writer))
        self.tasks.discard(asyncio.current_task())


async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        # TLS has no half-open connections.
        writer.write_eof() if writer.can_write_eof() else writer.close()
    except OSError:
        writer.close()


# Other implementations: an echo of theirs for our client, and a client of theirs for our echo.

def python_server(lab, *more):
    command = [lab.python("websockets"), str(HERE / "python_peer.py")]
    with Server([*command, "serve", *secure_files(more)], None) as port:
        lab.exchange(f"{scheme(more)}://localhost:{port}/", "--protocols", "one,two", *more)


def python_client(lab, *more):
    command = [lab.python("websockets"), str(HERE / "python_peer.py")]
    with lab.serving(*more) as port:
        run([*command, "exchange", f"{scheme(more)}://127.0.0.1:{port}/"])


def node_server(lab, *more):
    command = [lab.node(), str(HERE / "node_peer.js"), "serve", *secure_files(more)]
    with Server(command, lab.environment()) as port:
        lab.exchange(f"{scheme(more)}://localhost:{port}/", "--protocols", "one,two", *more)


def node_client(lab, *more):
    with lab.serving(*more) as port:
        url = f"{scheme(more)}://127.0.0.1:{port}/"
        run([lab.node(), str(HERE / "node_peer.js"), "exchange", url], lab.environment())


def real_server(lab, *more):
    tls = ["--tls"] if more else []
    with lab.serving(*tls, other=True) as port:
        lab.exchange(f"{scheme(more)}://127.0.0.1:{port}/", *more)


def real_client(lab, *more):
    tls = ["--tls"] if more else []
    lab.environment(other=True)
    with lab.serving(*tls) as port:
        lab.exchange(f"{scheme(more)}://127.0.0.1:{port}/", *more, other=True)


def scheme(more):
    return "wss" if more else "ws"


def secure_files(more):
    return [str(PEM / "certificate.pem"), str(PEM / "key.pem")] if more else []


def chromium(lab):
    program = os.environ.get("CHROMIUM", "chromium")
    if not shutil.which(program):
        raise Missing("no Chromium")
    told, arrived = [], threading.Event()

    class Page(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            self.answer((HERE / "page.html").read_bytes())

        def do_POST(self):
            told.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.answer(b"")
            arrived.set()

        def answer(self, body):
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    with lab.serving() as port, tempfile.TemporaryDirectory() as profile:
        command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                   "--no-proxy-server", f"--user-data-dir={profile}",
                   f"http://127.0.0.1:{pages.server_port}/?{port}"]
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   stdin=subprocess.DEVNULL)
        try:
            arrived.wait(PATIENCE)
        finally:
            browser.terminate()
            browser.wait()
            pages.shutdown()
    if told != ["fine"]:
        raise RuntimeError(f"the page told {told}")


def proxy(lab, *more):
    """An HTTP proxy on the way to an echo."""
    asked = []

    class Connect(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_CONNECT(self):
            asked.append(self.path)
            host, port = self.path.rsplit(":", 1)
            with socket.create_connection((host, int(port))) as onward:
                self.send_response(200, "Connection established")
                self.end_headers()
                pump = threading.Thread(target=copy, args=(onward, self.connection), daemon=True)
                pump.start()
                copy(self.connection, onward)
                pump.join(5)
            self.close_connection = True

        def log_message(self, *_):
            pass

    class Proxy(socketserver.ThreadingTCPServer):
        daemon_threads = True

    through = Proxy(("127.0.0.1", 0), Connect)
    threading.Thread(target=through.serve_forever, daemon=True).start()
    with lab.serving(*(["--tls"] if more else [])) as port:
        url = f"{scheme(more)}://127.0.0.1:{port}/"
        lab.exchange(url, *more, "--proxy", f"http://127.0.0.1:{through.server_address[1]}")
    through.shutdown()
    if asked != [f"127.0.0.1:{port}"]:
        raise RuntimeError(f"the proxy was asked for {asked}")


def copy(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


TESTS = {
    "autobahn: as server": autobahn_server,
    "autobahn: as client": autobahn_client,
    "autobahn: as server, TLS": lambda lab: autobahn_server(lab, tls=True),
    "autobahn: as client, TLS": lambda lab: autobahn_client(lab, tls=True),
    "websockets (Python): their server": python_server,
    "websockets (Python): their client": python_client,
    "websockets (Python): their server, TLS": lambda lab: python_server(lab, "--insecure"),
    "websockets (Python): their client, TLS": lambda lab: python_client(lab, "--tls"),
    "ws (Node): their server": node_server,
    "ws (Node): their client": node_client,
    "ws (Node): their server, TLS": lambda lab: node_server(lab, "--insecure"),
    "ws (Node): their client, TLS": lambda lab: node_client(lab, "--tls"),
    "libdatachannel: their server": real_server,
    "libdatachannel: their client": real_client,
    "libdatachannel: their server, TLS": lambda lab: real_server(lab, "--insecure"),
    "libdatachannel: their client, TLS": lambda lab: real_client(lab, "--insecure"),
    "Chromium: their client": chromium,
    "HTTP proxy": proxy,
    "HTTP proxy, TLS": lambda lab: proxy(lab, "--insecure"),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--conformance", required=True)
    parser.add_argument("--echo", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--tls", default="tls")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--strict", action="store_true")
    options = parser.parse_args()
    lab = Lab(options)
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for name, test in TESTS.items():
        if options.only and not any(word in name for word in options.only):
            continue
        begun = time.monotonic()
        try:
            outcome, told = "passed", test(lab) or ""
        except Missing as missing:
            outcome, told = "failed" if options.strict else "skipped", str(missing)
        except (RuntimeError, subprocess.TimeoutExpired, OSError, ValueError, KeyError) as error:
            outcome, told = "failed", str(error)
        counts[outcome] += 1
        print(f"{outcome:<8} {name} ({time.monotonic() - begun:.1f} s) {told}", flush=True)
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())

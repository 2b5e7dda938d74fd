"""A headless Chromium as an agent, driven over its debugging pipe: no driver, no package.

`--certificate rsa` gives it an RSA certificate; `--mdns` leaves the hiding of local addresses
behind .local names on, as it is by default in browsers.
"""

import argparse
import asyncio
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from line import commands, report

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-first-run",
    "--autoplay-policy=no-user-gesture-required",
    "--remote-debugging-pipe",
]


class Browser:
    """A running browser: the debugging protocol is JSON, ended by NUL, over descriptors 3 and 4."""

    def __init__(self, profile, mdns):
        to_browser, self.outgoing = os.pipe()
        self.incoming, from_browser = os.pipe()
        flags = FLAGS + [f"--user-data-dir={profile}"]
        if not mdns:
            flags.append("--disable-features=WebRtcHideLocalIpsWithMdns")

        def place():
            # By way of numbers far above: 3 or 4 may be one of the two.
            os.dup2(to_browser, 100)
            os.dup2(from_browser, 101)
            os.dup2(100, 3)
            os.dup2(101, 4)

        program = os.environ.get("CHROMIUM", "chromium")
        self.process = subprocess.Popen(
            [program, *flags, "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            preexec_fn=place,
            close_fds=False,
        )
        for fd in (to_browser, from_browser):
            os.close(fd)
        self.number = 0
        self.replies = {}
        self.session = None

    async def listen(self):
        """Reads answers and reports until the browser ends."""
        reader = asyncio.StreamReader(limit=1 << 24)
        pipe = os.fdopen(self.incoming, "rb", 0)
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        try:
            while True:
                self.receive(json.loads((await reader.readuntil(b"\0"))[:-1]))
        except asyncio.IncompleteReadError:
            report("error", text="the browser has gone")

    def receive(self, message):
        if "id" in message:
            self.replies.pop(message["id"]).set_result(message)
        elif message["method"] == "Runtime.bindingCalled":
            sys.stdout.write(message["params"]["payload"] + "\n")
            sys.stdout.flush()

    async def call(self, method, **parameters):
        self.number += 1
        request = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            request["sessionId"] = self.session
        reply = asyncio.get_running_loop().create_future()
        self.replies[self.number] = reply
        os.write(self.outgoing, json.dumps(request).encode() + b"\0")
        answer = await reply
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    async def evaluate(self, expression):
        await self.call("Runtime.evaluate", expression=expression, awaitPromise=True)

    async def open_page(self):
        page = await self.call("Target.createTarget", url="about:blank")
        attached = await self.call(
            "Target.attachToTarget", targetId=page["targetId"], flatten=True
        )
        self.session = attached["sessionId"]
        await self.call("Runtime.enable")
        await self.call("Runtime.addBinding", name="report")
        await self.evaluate((HERE / "page.js").read_text())


async def main():
    options = argparse.ArgumentParser()
    options.add_argument("--certificate", choices=["ecdsa", "rsa"], default="ecdsa")
    options.add_argument("--mdns", action="store_true")
    options = options.parse_args()
    profile = tempfile.mkdtemp(prefix="interop-chromium-")
    browser = Browser(profile, options.mdns)
    listening = asyncio.create_task(browser.listen())
    try:
        await browser.open_page()
        start = {"do": "start", "certificate": options.certificate}
        await browser.evaluate(f"run({json.dumps(start)})")
        async for command in commands():
            await browser.evaluate(f"run({json.dumps(command)})")
    finally:
        listening.cancel()
        browser.process.kill()
        browser.process.wait()
        shutil.rmtree(profile, ignore_errors=True)


asyncio.run(main())

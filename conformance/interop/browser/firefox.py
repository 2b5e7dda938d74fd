"""A headless Firefox as an agent, driven over Marionette: no driver, no package.

`--certificate rsa` gives it an RSA certificate.
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

from line import commands

PREFERENCES = {
    # It writes the one it chose into its profile.
    "marionette.port": 0,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "app.update.disabledForTesting": True,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "",
    "toolkit.telemetry.enabled": False,
}

# How often the page is asked for reports, in seconds.
PACE = 0.01


class Browser:
    """A running browser: Marionette is JSON over TCP, each message after its length and a colon."""

    def __init__(self, profile):
        self.profile = pathlib.Path(profile)
        preferences = (
            f"user_pref({json.dumps(name)}, {json.dumps(value)});\n"
            for name, value in PREFERENCES.items()
        )
        (self.profile / "user.js").write_text("".join(preferences))
        program = os.environ.get("FIREFOX", "firefox-esr")
        self.process = subprocess.Popen(
            [program, "--headless", "--marionette", "--no-remote", "--profile", profile],
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            env={**os.environ, "HOME": profile},
        )
        self.turn = asyncio.Lock()
        self.number = 0

    async def connect(self):
        port = self.profile / "MarionetteActivePort"
        while not (port.exists() and port.read_text()):
            if self.process.poll() is not None:
                raise RuntimeError("the browser has gone")
            await asyncio.sleep(0.05)
        self.reader, self.writer = await asyncio.open_connection(
            "127.0.0.1", int(port.read_text())
        )
        await self.read()
        await self.call("WebDriver:NewSession", capabilities={"alwaysMatch": {}})
        await self.call("WebDriver:Navigate", url=(HERE / "page.html").as_uri())

    async def read(self):
        length = await self.reader.readuntil(b":")
        return json.loads(await self.reader.readexactly(int(length[:-1])))

    async def call(self, method, **parameters):
        async with self.turn:
            self.number += 1
            request = json.dumps([0, self.number, method, parameters]).encode()
            self.writer.write(b"%d:" % len(request) + request)
            _, _, error, result = await self.read()
        if error:
            raise RuntimeError(f"{method}: {error['message']}")
        return result

    async def evaluate(self, script, *arguments):
        result = await self.call("WebDriver:ExecuteScript", script=script, args=arguments)
        return result["value"]

    async def listen(self):
        """Fetches what the page reports."""
        while True:
            for line in await self.evaluate("return [...window.reports.splice(0)]"):
                sys.stdout.write(line + "\n")
            sys.stdout.flush()
            await asyncio.sleep(PACE)


async def main():
    options = argparse.ArgumentParser()
    options.add_argument("--certificate", choices=["ecdsa", "rsa"], default="ecdsa")
    options = options.parse_args()
    profile = tempfile.mkdtemp(prefix="interop-firefox-")
    browser = Browser(profile)
    run = "window.run(JSON.parse(arguments[0]))"
    try:
        await browser.connect()
        start = {"do": "start", "certificate": options.certificate}
        await browser.evaluate(f"return {run}", json.dumps(start))
        listening = asyncio.create_task(browser.listen())
        async for command in commands():
            await browser.evaluate(run, json.dumps(command))
        listening.cancel()
    finally:
        browser.process.kill()
        browser.process.wait()
        shutil.rmtree(profile, ignore_errors=True)


asyncio.run(main())

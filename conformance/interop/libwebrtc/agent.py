"""libwebrtc without a browser (PyPI: wrtc) as an agent.

`--certificate rsa` gives it an RSA certificate. Field trials are taken from WRTC_FIELD_TRIALS.
"""

import argparse
import asyncio
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import webrtc
from line import pattern, report, report_message, serve

RSA = webrtc.RsaHashedKeyGenParams(
    "RSASSA-PKCS1-v1_5",
    modulus_length=2048,
    public_exponent=bytes([1, 0, 1]),
    hash="SHA-256",
)


class Agent:
    def __init__(self, configuration):
        self.peer = webrtc.RTCPeerConnection(configuration)
        self.channels = {}
        self.gathered = asyncio.Event()
        self.peer.on("datachannel", lambda event: self.adopt(event.channel))
        self.peer.on("connectionstatechange", lambda _: self.state_changed())
        self.peer.on("icegatheringstatechange", lambda _: self.gathering_changed())

    def state_changed(self):
        report("state", state=str(self.peer.connection_state.value))

    def gathering_changed(self):
        if self.peer.ice_gathering_state == "complete":
            self.gathered.set()

    def adopt(self, channel):
        label = channel.label
        self.channels[label] = channel
        channel.binary_type = "arraybuffer"
        channel.on("message", lambda event: report_message(label, event.data))
        channel.on("close", lambda _: report("channel-closed", label=label))
        if channel.ready_state == "open":
            self.opened(channel)
        else:
            channel.on("open", lambda _: self.opened(channel))

    @staticmethod
    def opened(channel):
        report(
            "open",
            label=channel.label,
            protocol=channel.protocol,
            ordered=channel.ordered,
            retransmits=channel.max_retransmits,
        )

    async def describe(self, description):
        await self.peer.set_local_description(description)
        await self.gathered.wait()
        description = self.peer.local_description
        report(str(description.type.value), sdp=description.sdp)

    async def set_remote(self, kind, sdp):
        description = webrtc.RTCSessionDescriptionInit(kind, sdp)
        await self.peer.set_remote_description(description)

    async def offer(self, label):
        await self.open(label)
        await self.describe(await self.peer.create_offer())

    async def answer(self, sdp):
        await self.set_remote("offer", sdp)
        await self.describe(await self.peer.create_answer())

    async def accept(self, sdp):
        await self.set_remote("answer", sdp)

    async def open(self, label, protocol="", ordered=True, retransmits=None):
        settings = webrtc.RTCDataChannelInit(
            protocol=protocol, ordered=ordered, max_retransmits=retransmits
        )
        self.adopt(self.peer.create_data_channel(label, settings))

    async def text(self, label, text):
        self.channels[label].send(text)

    async def binary(self, label, size, number):
        self.channels[label].send(pattern(size, number))

    async def close_channel(self, label):
        self.channels[label].close()

    async def close(self):
        self.peer.close()


async def main():
    options = argparse.ArgumentParser()
    options.add_argument("--certificate", choices=["ecdsa", "rsa"], default="ecdsa")
    configuration = webrtc.RTCConfiguration()
    if options.parse_args().certificate == "rsa":
        certificate = await webrtc.RTCPeerConnection.generate_certificate(RSA)
        configuration.certificates = [certificate]
    await serve(Agent(configuration))


asyncio.run(main())

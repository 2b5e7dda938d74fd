"""aiortc as an agent. `--certificate rsa` gives it an RSA certificate."""

import argparse
import asyncio
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "media")]

import aiortc
from aiortc.rtcdtlstransport import generate_certificate
from cryptography.hazmat.primitives.asymmetric import rsa
import samples
from line import pattern, report, report_message, serve


class RsaCertificate(aiortc.RTCCertificate):
    """A certificate with the key and the cipher suites OpenSSL's older users have."""

    @classmethod
    def generateCertificate(cls):
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return cls(key=key, cert=generate_certificate(key))

    def _create_ssl_context(self, srtp_profiles):
        context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(b"ECDHE+AESGCM:ECDHE+CHACHA20")
        return context


class Pattern(aiortc.VideoStreamTrack):
    """The test pattern, 30 pictures a second."""

    number = 0

    async def recv(self):
        pts, time_base = await self.next_timestamp()
        frame = samples.picture(self.number)
        self.number += 1
        frame.pts, frame.time_base = pts, time_base
        return frame


class Tone(aiortc.AudioStreamTrack):
    """The tone, 50 frames a second."""

    async def recv(self):
        silence = await super().recv()
        frame = samples.sound(silence.sample_rate, silence.pts, silence.samples)
        frame.pts, frame.time_base = silence.pts, silence.time_base
        return frame


class Agent:
    def __init__(self, certificate):
        self.peer = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
        self.channels = {}
        if certificate == "rsa":
            certificates = [RsaCertificate.generateCertificate()]
            self.peer._RTCPeerConnection__certificates = certificates
        self.peer.on("datachannel", self.adopt)
        self.peer.on(
            "connectionstatechange",
            lambda: report("state", state=self.peer.connectionState),
        )

    def adopt(self, channel):
        label = channel.label
        self.channels[label] = channel
        channel.on("message", lambda data: report_message(label, data))
        channel.on("close", lambda: report("channel-closed", label=label))
        if channel.readyState == "open":
            self.opened(channel)
        else:
            channel.on("open", lambda: self.opened(channel))

    @staticmethod
    def opened(channel):
        report(
            "open",
            label=channel.label,
            protocol=channel.protocol,
            ordered=channel.ordered,
            retransmits=channel.maxRetransmits,
        )

    async def describe(self, description):
        await self.peer.setLocalDescription(description)
        description = self.peer.localDescription
        report(description.type, sdp=description.sdp)

    async def offer(self, label):
        await self.open(label)
        await self.describe(await self.peer.createOffer())

    async def answer(self, sdp):
        await self.peer.setRemoteDescription(aiortc.RTCSessionDescription(sdp, "offer"))
        await self.describe(await self.peer.createAnswer())

    def send_media(self, video, audio):
        for track, codec in ((Pattern(), video), (Tone(), audio)):
            known = aiortc.RTCRtpSender.getCapabilities(track.kind).codecs
            wanted = f"{track.kind}/{codec}".lower()
            self.peer.addTrack(track)
            transceiver = next(t for t in self.peer.getTransceivers() if t.kind == track.kind)
            transceiver.setCodecPreferences([c for c in known if c.mimeType.lower() == wanted])
        self.shown = samples.Shown()
        self.peer.on("track", lambda track: asyncio.ensure_future(self.watch(track)))

    async def watch(self, track):
        try:
            while True:
                self.shown.take(await track.recv())
                if told := self.shown.told():
                    report("media", **told)
        except aiortc.mediastreams.MediaStreamError:
            pass  # the end of the track
        except Exception as error:
            report("error", text=f"{type(error).__name__}: {error}")

    async def media_offer(self, video, audio, **_):
        self.send_media(video, audio)
        await self.describe(await self.peer.createOffer())

    async def media_answer(self, sdp, video, audio, **_):
        self.send_media(video, audio)
        await self.answer(sdp)

    async def accept(self, sdp):
        await self.peer.setRemoteDescription(aiortc.RTCSessionDescription(sdp, "answer"))

    async def open(self, label, protocol="", ordered=True, retransmits=None):
        self.adopt(
            self.peer.createDataChannel(
                label, protocol=protocol, ordered=ordered, maxRetransmits=retransmits
            )
        )

    async def text(self, label, text):
        self.channels[label].send(text)

    async def binary(self, label, size, number):
        self.channels[label].send(pattern(size, number))

    async def close_channel(self, label):
        self.channels[label].close()

    async def close(self):
        await self.peer.close()


async def main():
    options = argparse.ArgumentParser()
    options.add_argument("--certificate", choices=["ecdsa", "rsa"], default="ecdsa")
    await serve(Agent(options.parse_args().certificate))


asyncio.run(main())

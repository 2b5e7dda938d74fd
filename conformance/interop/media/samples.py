"""Samples for tracks: FFmpeg encodes a test pattern, and decodes what came.

samples.py raw DIRECTORY           writes the pictures (pictures.i420) and the tone (tone.s16)
samples.py frames CODEC FILE       encodes them, each frame behind its length in four bytes
samples.py decode CODEC FILE RAW   decodes such a file
samples.py packets CODEC FILE      encodes and makes RTP packets, framed as RFC 4571 has it
samples.py unpack CODEC FILE RAW   takes such packets apart and decodes them

Decoded pictures are I420, decoded sound is one channel of 16 bits at 48 kHz.
"""

import math
import os
import pathlib
import random
import socket
import struct
import sys
import threading
import time
from fractions import Fraction

os.environ["SVT_LOG"] = "1"  # errors only

import av

WIDTH, HEIGHT, PICTURES, RATE = 320, 240, 80, 30
TONE, LOUDNESS, SECONDS = 440, 12000, 2
# How far the bar moves from one picture to the next, and how wide it is.
STEP, BAR = 8, 40

ENCODERS = {
    "VP8": ("libvpx", {"deadline": "realtime", "cpu-used": "8", "b": "1500000"}),
    "VP9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    "H264": (
        "libx264",
        {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline", "crf": "28"},
    ),
    "H265": (
        "libx265",
        {"preset": "ultrafast", "tune": "zerolatency", "x265-params": "log-level=error"},
    ),
    # In the order they are shown: there are no hidden pictures in WebRTC.
    "AV1": ("libsvtav1", {"preset": "10", "crf": "35", "svtav1-params": "pred-struct=1"}),
    "opus": ("libopus", {}),
    "MP4A-LATM": ("aac", {}),
    "PCMU": ("pcm_mulaw", {}),
    "PCMA": ("pcm_alaw", {}),
    "G722": ("g722", {}),
}
DECODERS = {
    "VP8": "vp8",
    "VP9": "vp9",
    "H264": "h264",
    "H265": "hevc",
    "AV1": "libdav1d",
    "opus": "libopus",
    "MP4A-LATM": "aac",
    "PCMU": "pcm_mulaw",
    "PCMA": "pcm_alaw",
    "G722": "g722",
}
# Samples a second, and in a frame.
AUDIO = {
    "opus": (48000, 960),
    "MP4A-LATM": (48000, 1024),
    "PCMU": (8000, 160),
    "PCMA": (8000, 160),
    "G722": (16000, 320),
}
# AudioSpecificConfig (ISO 14496-3): AAC-LC, 48 kHz, one channel.
AAC_CONFIG = bytes.fromhex("1188")

SDP = """v=0
o=- 0 0 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=video {port} RTP/AVP 96
a=rtpmap:96 {codec}/90000
"""


DICE = random.Random(1)
TEXTURE = [bytes(DICE.randrange(100, 140) for _ in range(WIDTH)) for _ in range(HEIGHT)]


def barred(row, at):
    """The row with the bar at that place; what is beyond the edge comes in on the other side."""
    bar, end = b"\xc8" * BAR, at + BAR
    if end <= WIDTH:
        return row[:at] + bar + row[end:]
    return bar[: end - WIDTH] + row[end - WIDTH : at] + bar[: WIDTH - at]


def planes(number):
    """Green, with a brighter bar that moves."""
    at, quarter = number * STEP % WIDTH, WIDTH * HEIGHT // 4
    rows = (barred(row, at) for row in TEXTURE)
    return b"".join(rows), bytes([100]) * quarter, bytes([80]) * quarter


def picture(number):
    frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    for plane, data in zip(frame.planes, planes(number)):
        width, gap = plane.width, plane.line_size - plane.width
        if gap:
            rows = range(0, len(data), width)
            data = b"".join(data[at : at + width] + bytes(gap) for at in rows)
        plane.update(data)
    frame.pts, frame.time_base = number, Fraction(1, RATE)
    return frame


def tone(rate, start, count):
    """A sine of whole periods a second, as 16 bits a sample."""
    step = 2 * math.pi * TONE / rate
    values = (int(LOUDNESS * math.sin(step * (at % rate))) for at in range(start, start + count))
    return struct.pack(f"<{count}h", *values)


def sound(rate, start, count):
    frame = av.AudioFrame(format="s16", layout="mono", samples=count)
    frame.planes[0].update(tone(rate, start, count).ljust(frame.planes[0].buffer_size, b"\0"))
    frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
    return frame


def encode(codec):
    name, options = ENCODERS[codec]
    encoder = av.CodecContext.create(name, "w")
    encoder.options = options
    if codec in AUDIO:
        rate, size = AUDIO[codec]
        encoder.sample_rate, encoder.layout = rate, "mono"
        encoder.format = "fltp" if codec == "MP4A-LATM" else "s16"
        convert = av.AudioResampler(encoder.format, "mono", rate)
        sounds = (sound(rate, at, size) for at in range(0, SECONDS * rate, size))
        frames = (frame for whole in sounds for frame in convert.resample(whole))
    else:
        encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        encoder.framerate, encoder.time_base = RATE, Fraction(1, RATE)
        encoder.gop_size, encoder.max_b_frames = 20, 0
        frames = map(picture, range(PICTURES))
    for frame in frames:
        yield from encoder.encode(frame)
    yield from encoder.encode(None)


def latm(frame):
    """The frame as a PayloadMux (ISO 14496-3): behind its length."""
    return bytes([255]) * (len(frame) // 255) + bytes([len(frame) % 255]) + frame


def unlatm(frame):
    at = next(at for at, byte in enumerate(frame) if byte != 255)
    return frame[at + 1 :]


def write_frames(codec, path):
    with open(path, "wb") as file:
        for unit in encode(codec):
            data = latm(bytes(unit)) if codec == "MP4A-LATM" else bytes(unit)
            file.write(struct.pack(">I", len(data)) + data)


def pieces(path, form):
    """What is in a file, each piece behind its length; the last one may be cut off."""
    data, at = pathlib.Path(path).read_bytes(), 0
    size = struct.calcsize(form)
    while at + size <= len(data):
        (length,) = struct.unpack_from(form, data, at)
        if at + size + length > len(data):
            return
        yield data[at + size : at + size + length]
        at += size + length


def decoder(codec):
    context = av.CodecContext.create(DECODERS[codec], "r")
    if codec == "MP4A-LATM":
        context.extradata = AAC_CONFIG
    elif codec in AUDIO:
        context.sample_rate = AUDIO[codec][0]
        context.layout = "mono"
    return context


def decoded(codec, units):
    context = decoder(codec)
    for unit in units:
        try:
            yield from context.decode(av.Packet(unlatm(unit) if codec == "MP4A-LATM" else unit))
        except av.error.InvalidDataError as error:
            # As one whose key frame is missing: there are fewer pictures then.
            print(error, file=sys.stderr)
    yield from context.decode(None)


def write_raw(codec, frames, path):
    with open(path, "wb") as file:
        if codec in AUDIO:
            convert = av.AudioResampler("s16", "mono", 48000)
            for frame in frames:
                for part in convert.resample(frame):
                    file.write(bytes(part.planes[0])[: 2 * part.samples])
            return
        for frame in frames:
            for plane in frame.reformat(WIDTH, HEIGHT, "yuv420p").planes:
                rows = bytes(plane)
                for at in range(0, plane.line_size * plane.height, plane.line_size):
                    file.write(rows[at : at + plane.width])


class Shown:
    """What a stack that decodes for itself has shown and played."""

    def __init__(self):
        self.pictures, self.colour = 0, [0, 0, 0]
        self.samples, self.rises, self.low = 0, [], False
        self.convert = av.AudioResampler("s16", "mono", 48000)

    def take(self, frame):
        if isinstance(frame, av.VideoFrame):
            self.pictures += 1
            if self.pictures % 10 == 0:
                plane = frame.reformat(16, 16, "rgb24").planes[0]
                pixels, row = bytes(plane), plane.line_size
                lines = [pixels[at : at + 48] for at in range(0, 16 * row, row)]
                self.colour = [sum(sum(line[c::3]) for line in lines) / 256 for c in range(3)]
            return
        for part in self.convert.resample(frame):
            data = bytes(part.planes[0])[: 2 * part.samples]
            for (value,) in struct.iter_unpack("<h", data):
                # As the tone does and noise near zero does not.
                if value < -2000:
                    self.low = True
                elif value > 2000 and self.low:
                    self.low = False
                    self.rises.append(self.samples)
                self.samples += 1

    def told(self):
        """What is to be told, after every tenth picture."""
        if self.pictures % 10:
            return None
        rises = self.rises[-200:]
        span = rises[-1] - rises[0] if len(rises) > 1 else 0
        return {
            "pictures": self.pictures,
            "colour": self.colour,
            "seconds": self.samples / 48000,
            "tone": 48000 * (len(rises) - 1) / span if span else 0,
        }


def raw(directory):
    directory = pathlib.Path(directory)
    pictures = (b"".join(planes(number)) for number in range(PICTURES))
    (directory / "pictures.i420").write_bytes(b"".join(pictures))
    (directory / "tone.s16").write_bytes(tone(48000, 0, SECONDS * 48000))


def decode(codec, path, to):
    write_raw(codec, decoded(codec, pieces(path, ">I")), to)


def udp():
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    end.bind(("127.0.0.1", 0))
    return end


def write_packets(codec, path):
    """FFmpeg makes packets only to send them."""
    receiver, packets = udp(), []
    receiver.setblocking(False)

    def collect():
        # On the loopback interface what was sent has arrived.
        try:
            while True:
                packets.append(receiver.recv(65536))
        except BlockingIOError:
            pass

    where = f"rtp://127.0.0.1:{receiver.getsockname()[1]}?pkt_size=1200"
    options = {"strict": "experimental", "payload_type": "96"}
    with av.open(where, "w", format="rtp", options=options) as output:
        stream = output.add_stream(ENCODERS[codec][0], rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for unit in encode(codec):
            unit.stream = stream
            output.mux(unit)
            collect()
    collect()
    with open(path, "wb") as file:
        # RTCP goes to the next port; what came here is RTP.
        for packet in packets:
            file.write(struct.pack(">H", len(packet)) + packet)


def taken(port):
    """Whether some socket has this UDP port of IPv4."""
    lines = pathlib.Path("/proc/net/udp").read_text().splitlines()[1:]
    return any(int(line.split()[1].split(":")[1], 16) == port for line in lines)


def unpack(codec, path, to):
    """FFmpeg takes packets only from the network."""
    probe = udp()
    port = probe.getsockname()[1]
    probe.close()
    packets = list(pieces(path, ">H"))

    def send():
        # What comes before FFmpeg listens is lost.
        while not taken(port):
            time.sleep(0.02)
        sender = udp()
        for packet in packets:
            sender.sendto(packet, ("127.0.0.1", port))
            time.sleep(0.001)

    session = pathlib.Path(to).with_suffix(".sdp")
    session.write_text(SDP.format(port=port, codec=codec))
    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    options = {
        "protocol_whitelist": "file,udp,rtp",
        "strict": "experimental",
        "buffer_size": str(4 << 20),
        "reorder_queue_size": "0",
    }
    units, frames = [], len({packet[4:8] for packet in packets})
    with av.open(str(session), options=options, timeout=20) as source:
        for unit in source.demux(source.streams.video[0]):
            if unit.size:
                units.append(bytes(unit))
            # The last one would be complete only when another one began.
            if len(units) + 1 >= frames:
                break
    thread.join()
    write_raw(codec, decoded(codec, units), to)


def main():
    actions = {
        "raw": raw,
        "frames": write_frames,
        "decode": decode,
        "packets": write_packets,
        "unpack": unpack,
    }
    actions[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()

"""AV1 over RTP by FFmpeg: what the example `interop` calls.

rtp_files.py encode FILE   encodes a test pattern, packetizes it into FILE (RFC 4571)
rtp_files.py decode FILE   depacketizes and decodes FILE

Both print what was decoded: the number of pictures and a checksum. Exit code 3: FFmpeg is missing
or too old.
"""

import hashlib
import os
import socket
import struct
import sys
import threading
import time
from fractions import Fraction

os.environ["SVT_LOG"] = "1"  # errors only

try:
    import av
except ImportError:
    sys.exit(3)
if av.library_versions["libavformat"] < (62, 0, 0):
    sys.exit(3)

FRAMES = 60
SDP = """v=0
o=- 0 0 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=video {port} RTP/AVP 96
a=rtpmap:96 AV1/90000
"""


def udp():
    socket_ = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    socket_.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    socket_.bind(("127.0.0.1", 0))
    return socket_


def picture(number):
    frame = av.VideoFrame(320, 240, "yuv420p")
    for index, plane in enumerate(frame.planes):
        size, width = plane.buffer_size, plane.line_size
        shade = number * 3 + 40 * index
        plane.update(bytes((shade + (i % width) + i // width) & 255 for i in range(size)))
    return frame


def checksum(pictures):
    digest, count = hashlib.sha256(), 0
    for frame in pictures:
        for plane in frame.planes:
            rows = bytes(plane)
            for start in range(0, len(rows), plane.line_size):
                digest.update(rows[start:start + plane.width])
        count += 1
    return f"{count} pictures, checksum {digest.hexdigest()[:16]}"


def encode(path):
    receiver = udp()
    port = receiver.getsockname()[1]
    packets = []

    def collect():
        receiver.settimeout(2)
        try:
            while True:
                packets.append(receiver.recv(65536))
        except TimeoutError:
            pass

    thread = threading.Thread(target=collect)
    thread.start()
    encoder = av.CodecContext.create("libsvtav1", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 320, 240, "yuv420p"
    encoder.framerate, encoder.time_base, encoder.gop_size = 30, Fraction(1, 30), 20
    encoder.options = {"preset": "10", "crf": "20"}
    units = []
    for number in range(FRAMES):
        frame = picture(number)
        frame.pts, frame.time_base = number, encoder.time_base
        units += encoder.encode(frame)
    units += encoder.encode(None)
    output = av.open(f"rtp://127.0.0.1:{port}?pkt_size=1200", "w", format="rtp",
                     options={"strict": "experimental", "payload_type": "96"})
    stream = output.add_stream("libsvtav1", rate=30)
    stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
    for unit in units:
        unit.stream = stream
        output.mux(unit)
        time.sleep(0.002)
    output.close()
    thread.join()
    # RTCP goes to the next port; what came here is RTP.
    with open(path, "wb") as file:
        for packet in packets:
            file.write(struct.pack(">H", len(packet)) + packet)
    decoder = av.CodecContext.create("libdav1d", "r")
    pictures = [frame for unit in units for frame in decoder.decode(unit)]
    pictures += decoder.decode(None)
    print(checksum(pictures))


def decode(path):
    probe = udp()
    port = probe.getsockname()[1]
    probe.close()
    sender = udp()
    data = open(path, "rb").read()

    def send():
        time.sleep(1)
        at = 0
        while at < len(data):
            (length,) = struct.unpack_from(">H", data, at)
            sender.sendto(data[at + 2:at + 2 + length], ("127.0.0.1", port))
            at += 2 + length
            time.sleep(0.001)

    with open("session.sdp", "w") as file:
        file.write(SDP.format(port=port))
    thread = threading.Thread(target=send)
    thread.start()
    decoder = av.CodecContext.create("libdav1d", "r")
    pictures = []
    try:
        source = av.open("session.sdp", options={
            "protocol_whitelist": "file,udp,rtp", "strict": "experimental",
            "buffer_size": str(4 << 20), "reorder_queue_size": "0"}, timeout=4)
        for unit in source.demux(source.streams.video[0]):
            if unit.size:
                pictures += decoder.decode(unit)
            if len(pictures) == FRAMES:
                break
    except (av.error.FFmpegError, OSError) as error:
        print(error, file=sys.stderr)
    pictures += decoder.decode(None)
    thread.join()
    print(checksum(pictures))


{"encode": encode, "decode": decode}[sys.argv[1]](sys.argv[2])

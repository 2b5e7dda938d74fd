"""GStreamer's webrtcbin as an agent. Its certificates are RSA ones, made by OpenSSL."""

import json
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC

from line import pattern, report, report_message


class Agent:
    def __init__(self):
        self.pipeline = Gst.Pipeline()
        self.peer = Gst.ElementFactory.make("webrtcbin")
        self.peer.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
        self.pipeline.add(self.peer)
        self.channels = {}
        self.reported = set()
        self.lock = threading.Lock()
        self.described = False
        self.peer.connect("on-data-channel", lambda _, channel: self.adopt(channel))
        self.peer.connect("notify::ice-gathering-state", lambda *_: self.describe())
        self.peer.connect("notify::connection-state", lambda *_: self.state_changed())
        self.pipeline.set_state(Gst.State.PLAYING)

    def state_changed(self):
        report("state", state=self.peer.get_property("connection-state").value_nick)

    def adopt(self, channel):
        label = channel.get_property("label")
        self.channels[label] = channel
        channel.connect("on-message-string", lambda _, text: report_message(label, text or ""))
        channel.connect("on-message-data", lambda _, data: report_message(label, octets(data)))
        channel.connect("on-close", lambda _: report("channel-closed", label=label))
        channel.connect("on-error", lambda _, error: report("error", text=error.message))
        # The channel may open on another thread at any moment: listen first, then look.
        channel.connect("on-open", self.opened)
        if channel.get_property("ready-state") == GstWebRTC.WebRTCDataChannelState.OPEN:
            self.opened(channel)

    def opened(self, channel):
        label = channel.get_property("label")
        with self.lock:
            if label in self.reported:
                return
            self.reported.add(label)
        retransmits = channel.get_property("max-retransmits")
        report(
            "open",
            label=label,
            protocol=channel.get_property("protocol"),
            ordered=channel.get_property("ordered"),
            retransmits=None if retransmits == -1 else retransmits,
        )

    def demand(self, signal, *arguments):
        """Emits an action signal and returns the reply, with the promise that owns it."""
        promise = Gst.Promise.new()
        self.peer.emit(signal, *arguments, promise)
        if promise.wait() != Gst.PromiseResult.REPLIED:
            raise RuntimeError(f"{signal} was not answered")
        reply = promise.get_reply()
        if reply and reply.has_field("error"):
            raise RuntimeError(f"{signal}: {reply.get_value('error').message}")
        return promise, reply

    def describe(self):
        """Reports the description once all candidates are in it."""
        complete = GstWebRTC.WebRTCICEGatheringState.COMPLETE
        description = self.peer.get_property("local-description")
        if description and self.peer.get_property("ice-gathering-state") == complete:
            if not self.described:
                self.described = True
                kind = GstWebRTC.webrtc_sdp_type_to_string(description.type)
                report(kind, sdp=description.sdp.as_text())

    def set_local(self, kind):
        # What a value of the reply points to goes with the reply, and that with the promise.
        _promise, reply = self.demand(f"create-{kind}", None)
        description = reply.get_value(kind)
        self.demand("set-local-description", description)
        self.describe()

    def set_remote(self, kind, text):
        _, sdp = GstSdp.SDPMessage.new_from_text(text)
        description = GstWebRTC.WebRTCSessionDescription.new(kind, sdp)
        self.demand("set-remote-description", description)

    def offer(self, label):
        self.open(label)
        self.set_local("offer")

    def answer(self, sdp):
        self.set_remote(GstWebRTC.WebRTCSDPType.OFFER, sdp)
        self.set_local("answer")

    def accept(self, sdp):
        self.set_remote(GstWebRTC.WebRTCSDPType.ANSWER, sdp)

    def open(self, label, protocol="", ordered=True, retransmits=None):
        settings = Gst.Structure.new_empty("settings")
        settings.set_value("protocol", protocol)
        settings.set_value("ordered", ordered)
        if retransmits is not None:
            settings.set_value("max-retransmits", retransmits)
        self.adopt(self.peer.emit("create-data-channel", label, settings))

    def text(self, label, text):
        self.channels[label].emit("send-string", text)

    def binary(self, label, size, number):
        self.channels[label].emit("send-data", GLib.Bytes.new(pattern(size, number)))

    def close_channel(self, label):
        self.channels[label].emit("close")

    def close(self):
        self.pipeline.set_state(Gst.State.NULL)


def octets(data):
    return data.get_data() or b"" if data else b""


def main():
    Gst.init(None)
    if not Gst.ElementFactory.find("webrtcbin") or not Gst.ElementFactory.find("nicesrc"):
        sys.exit("webrtcbin or nicesrc is missing")
    if sys.argv[1:] == ["--probe"]:
        return
    loop = GLib.MainLoop()
    threading.Thread(target=loop.run, daemon=True).start()
    agent = Agent()
    for line in sys.stdin:
        command = json.loads(line)
        name = command.pop("do")
        try:
            getattr(agent, name.replace("-", "_"))(**command)
        except Exception as error:  # whatever the stack throws is the finding
            report("error", text=f"{name}: {error}")


main()

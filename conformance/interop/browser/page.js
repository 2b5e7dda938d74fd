// The agent inside the browser. `report` is a binding of the controlling program, which also
// calls `run` with each command.

const emit = (event, fields = {}) => report(JSON.stringify({ is: event, ...fields }));

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? (byte >>> 1) ^ 0xedb88320 : byte >>> 1;
  return byte;
});

const crc32 = (bytes) =>
  ~bytes.reduce((crc, byte) => (crc >>> 8) ^ table[(crc ^ byte) & 255], -1) >>> 0;

const pattern = (size, number) =>
  Uint8Array.from({ length: size }, (_, at) => at + (at >>> 8) + number);

const channels = {};
let peer;

function adopt(channel) {
  const label = channel.label;
  channels[label] = channel;
  channel.binaryType = "arraybuffer";
  channel.onmessage = ({ data }) => {
    if (typeof data === "string") emit("text", { label, text: data });
    else emit("binary", { label, size: data.byteLength, crc: crc32(new Uint8Array(data)) });
  };
  channel.onclose = () => emit("channel-closed", { label });
  const opened = () =>
    emit("open", {
      label,
      protocol: channel.protocol,
      ordered: channel.ordered,
      retransmits: channel.maxRetransmits,
    });
  if (channel.readyState === "open") opened();
  else channel.onopen = opened;
}

async function describe(description) {
  const gathered = new Promise((done) => {
    peer.onicegatheringstatechange = () => peer.iceGatheringState === "complete" && done();
  });
  await peer.setLocalDescription(description);
  await gathered;
  emit(peer.localDescription.type, { sdp: peer.localDescription.sdp });
}

// The test pattern of `media/samples.py`, as a stream: green, with a brighter bar that moves, and a
// tone.
function sendMedia({ video, audio }) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [320, 240];
  const context = canvas.getContext("2d");
  let number = 0;
  setInterval(() => {
    context.fillStyle = "rgb(50 164 70)";
    context.fillRect(0, 0, 320, 240);
    context.fillStyle = "rgb(133 247 150)";
    context.fillRect((number++ * 8) % 320, 0, 40, 240);
  }, 1000 / 30);
  const sound = new AudioContext();
  const tone = new OscillatorNode(sound, { frequency: 440 });
  const outlet = new MediaStreamAudioDestinationNode(sound, { channelCount: 1 });
  tone.connect(new GainNode(sound, { gain: 0.4 })).connect(outlet);
  tone.start();
  const tracks = [canvas.captureStream(30), outlet.stream].flatMap((from) => from.getTracks());
  for (const track of tracks) {
    const sender = peer.addTrack(track);
    const codec = `${track.kind}/${track.kind === "video" ? video : audio}`.toLowerCase();
    const known = RTCRtpReceiver.getCapabilities(track.kind).codecs;
    peer
      .getTransceivers()
      .find((transceiver) => transceiver.sender === sender)
      .setCodecPreferences(known.filter(({ mimeType }) => mimeType.toLowerCase() === codec));
  }
  const came = new MediaStream();
  const show = document.body.appendChild(document.createElement("video"));
  show.muted = true;
  peer.ontrack = ({ track }) => {
    came.addTrack(track);
    show.srcObject = came;
    show.play();
    if (track.kind === "audio") listen(sound, came, show);
  };
}

// How many seconds of sound came and were not made up.
const heard = ({ totalSamplesDuration = 0, totalSamplesReceived = 1, concealedSamples = 0 }) =>
  totalSamplesDuration * (1 - concealedSamples / Math.max(totalSamplesReceived, 1));

// Tells what is shown and played.
function listen(sound, came, show) {
  const ear = new AnalyserNode(sound, { fftSize: 32768 });
  new MediaStreamAudioSourceNode(sound, { mediaStream: came }).connect(ear);
  const samples = new Float32Array(ear.fftSize);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [16, 16];
  const context = canvas.getContext("2d");
  setInterval(async () => {
    const incoming = [...(await peer.getStats()).values()].filter((r) => r.type === "inbound-rtp");
    const of = (kind) => incoming.find((report) => report.kind === kind) ?? {};
    context.drawImage(show, 0, 0, 16, 16);
    const { data } = context.getImageData(0, 0, 16, 16);
    const colour = [0, 1, 2].map(
      (channel) => data.filter((_, at) => at % 4 === channel).reduce((a, b) => a + b) / 256,
    );
    ear.getFloatTimeDomainData(samples);
    let low = false;
    const rises = [];
    samples.forEach((value, at) => {
      // As the tone does and noise near zero does not.
      if (value < -0.06) low = true;
      else if (value > 0.06 && low) {
        low = false;
        rises.push(at);
      }
    });
    const span = rises.at(-1) - rises[0];
    emit("media", {
      pictures: of("video").framesDecoded ?? 0,
      colour,
      seconds: heard(of("audio")),
      tone: span > 0 ? ((rises.length - 1) * sound.sampleRate) / span : 0,
    });
  }, 300);
}

const actions = {
  async start({ certificate }) {
    const rsa = {
      name: "RSASSA-PKCS1-v1_5",
      modulusLength: 2048,
      publicExponent: new Uint8Array([1, 0, 1]),
      hash: "SHA-256",
    };
    const configuration =
      certificate === "rsa"
        ? { certificates: [await RTCPeerConnection.generateCertificate(rsa)] }
        : {};
    peer = new RTCPeerConnection(configuration);
    peer.ondatachannel = ({ channel }) => adopt(channel);
    peer.onconnectionstatechange = () => emit("state", { state: peer.connectionState });
  },
  async offer({ label }) {
    actions.open({ label });
    await describe(await peer.createOffer());
  },
  async answer({ sdp }) {
    await peer.setRemoteDescription({ type: "offer", sdp });
    await describe(await peer.createAnswer());
  },
  async "media-offer"(command) {
    sendMedia(command);
    await describe(await peer.createOffer());
  },
  async "media-answer"(command) {
    sendMedia(command);
    await actions.answer(command);
  },
  accept: ({ sdp }) => peer.setRemoteDescription({ type: "answer", sdp }),
  open({ label, protocol = "", ordered = true, retransmits = null }) {
    const settings = { protocol, ordered };
    if (retransmits !== null) settings.maxRetransmits = retransmits;
    adopt(peer.createDataChannel(label, settings));
  },
  text: ({ label, text }) => channels[label].send(text),
  binary: ({ label, size, number }) => channels[label].send(pattern(size, number)),
  "close-channel": ({ label }) => channels[label].close(),
  close: () => peer.close(),
};

async function run(command) {
  try {
    await actions[command.do](command);
  } catch (error) {
    emit("error", { text: `${command.do}: ${error}` });
  }
}

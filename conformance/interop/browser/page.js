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

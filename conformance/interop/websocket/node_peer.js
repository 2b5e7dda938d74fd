// The Node package `ws` as the other side: `serve [CERTIFICATE KEY]`, `exchange URL`.
const assert = require("node:assert");
const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const { once } = require("node:events");
const { WebSocket, WebSocketServer } = require("ws");

const maxPayload = 64 << 20;

// Cuts anywhere, also inside a character.
function sendFragments(socket, data, binary) {
	const third = Math.floor(data.length / 3);
	socket.send(data.subarray(0, third), { binary, fin: false });
	socket.send(data.subarray(third, 2 * third), { binary, fin: false });
	socket.send(data.subarray(2 * third), { binary, fin: true });
}

function serve([cert, key]) {
	const server = cert
		? https.createServer({ cert: fs.readFileSync(cert), key: fs.readFileSync(key) })
		: http.createServer();
	// Of the subprotocols that are asked for, takes the second one.
	const handleProtocols = (asked) => [...asked][1];
	const sockets = new WebSocketServer({ server, maxPayload, handleProtocols });
	sockets.on("connection", (socket) => {
		if (socket.protocol !== "two") socket.close(1008, `the subprotocol is ${socket.protocol}`);
		let whole = true;
		socket.on("message", (data, binary) => {
			if (whole) socket.send(data, { binary });
			else sendFragments(socket, data, binary);
			whole = !whole;
		});
		socket.on("error", () => {});
	});
	server.listen(0, "127.0.0.1", () => console.log(server.address().port));
	process.stdin.resume().on("end", () => process.exit(0));
}

async function exchange([url]) {
	const socket = new WebSocket(url, ["one", "two"], { rejectUnauthorized: false, maxPayload });
	await once(socket, "open");
	assert.strictEqual(socket.protocol, "one");
	for (const message of ["", "text ä€😀", Buffer.alloc(0), Buffer.alloc(1000000, 7)]) {
		socket.send(message);
		const [data, isBinary] = await once(socket, "message");
		assert.strictEqual(isBinary, typeof message !== "string");
		assert.ok(data.equals(Buffer.from(message)));
	}
	for (const [text, binary] of [["in ä€😀 pieces", false], ["bytes", true]]) {
		sendFragments(socket, Buffer.from(text), binary);
		const [data, isBinary] = await once(socket, "message");
		assert.strictEqual(isBinary, binary);
		assert.strictEqual(data.toString(), text);
	}
	socket.ping("payload");
	const [payload] = await once(socket, "pong");
	assert.strictEqual(payload.toString(), "payload");
	socket.close(1000);
	const [code] = await once(socket, "close");
	assert.strictEqual(code, 1000);
}

const [command, ...rest] = process.argv.slice(2);
if (command === "serve") serve(rest);
else exchange(rest).catch((error) => { console.error(error); process.exit(1); });

// The Node package `ws` as the other side: `serve [CERTIFICATE KEY]`, `exchange URL`.
const assert = require("node:assert");
const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const { once } = require("node:events");
const { WebSocket, WebSocketServer } = require("ws");

const maxPayload = 64 << 20;

function serve([cert, key]) {
	const server = cert
		? https.createServer({ cert: fs.readFileSync(cert), key: fs.readFileSync(key) })
		: http.createServer();
	const sockets = new WebSocketServer({ server, maxPayload });
	sockets.on("connection", (socket) => {
		socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
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

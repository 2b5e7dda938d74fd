"""The Python package `websockets` as the other side: `serve [CERTIFICATE KEY]`, `exchange URL`."""

import asyncio
import ssl
import sys

import websockets

LARGEST = 64 << 20


async def echo(connection):
    """Of the subprotocols that are asked for, takes the second one. Sends every other message
    back in fragments."""
    if connection.subprotocol != "two":
        await connection.close(1008, f"the subprotocol is {connection.subprotocol}")
        return
    whole = True
    async for message in connection:
        third = len(message) // 3
        pieces = [message[:third], message[third:2 * third], message[2 * third:]]
        await connection.send(message if whole else pieces)
        whole = not whole


async def serve(files):
    context = None
    if files:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
    async with websockets.serve(echo, "localhost", 0, ssl=context, max_size=LARGEST,
                                subprotocols=["two"], family=2) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def exchange(url):
    context = None
    if url.startswith("wss:"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    async with websockets.connect(url, ssl=context, max_size=LARGEST,
                                  subprotocols=["one", "two"]) as connection:
        assert connection.subprotocol == "one", connection.subprotocol
        for message in ["", "text \u00e4\u20ac\U0001f600", b"", bytes(range(256)) * 4000]:
            await connection.send(message)
            assert await connection.recv() == message
        # In fragments.
        await connection.send(["a", "b", "c"])
        assert await connection.recv() == "abc"
        await (await connection.ping(b"payload"))
    assert connection.close_code == 1000, connection.close_code


command, *rest = sys.argv[1:]
asyncio.run(serve(rest) if command == "serve" else exchange(*rest))

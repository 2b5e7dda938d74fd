"""The line protocol of the agents written in Python; see README.md beside this file."""

import asyncio
import json
import sys
import zlib


def report(event, **fields):
    """Writes one event."""
    sys.stdout.write(json.dumps({"is": event, **fields}) + "\n")
    sys.stdout.flush()


def report_message(label, data):
    """Writes one received message."""
    if isinstance(data, str):
        report("text", label=label, text=data)
    else:
        data = bytes(data)
        report("binary", label=label, size=len(data), crc=zlib.crc32(data))


def pattern(size, number):
    """The bytes of the `number`th binary message."""
    row = bytes(range(256))
    return bytes(
        byte
        for block in range((size + 255) // 256)
        for byte in row[(block + number) % 256 :] + row[: (block + number) % 256]
    )[:size]


async def commands():
    """Yields the commands read, until the standard input ends."""
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        yield json.loads(line)


async def serve(agent):
    """Hands each command to the method of `agent` named like it, dashes as underscores."""
    async for command in commands():
        name = command.pop("do")
        try:
            await getattr(agent, name.replace("-", "_"))(**command)
        except Exception as error:  # whatever the stack throws is the finding
            report("error", text=f"{name}: {type(error).__name__}: {error}")

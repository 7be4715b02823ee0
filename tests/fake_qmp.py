"""A fake QMP server on a real unix socket: answers from a script, so that the client can be tested without QEMU."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

GREETING = {"QMP": {"version": {"qemu": {"major": 0, "minor": 0, "micro": 0}, "package": "fake"}, "capabilities": []}}
SILENCE = object()


@asynccontextmanager
async def fake_qmp(
    path: Path, answer: Callable[[str, dict[str, Any]], Any]
) -> AsyncIterator[list[asyncio.StreamWriter]]:
    """Serve QMP; ``answer`` gives a reply, SILENCE, or raises ValueError for a QMP error."""
    clients: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        clients.append(writer)
        send(writer, GREETING)
        async for message in messages(reader):
            command = message.get("execute") or message["exec-oob"]
            reference = {"id": message["id"]} if "id" in message else {}
            try:
                reply = {} if command == "qmp_capabilities" else answer(command, message.get("arguments", {}))
            except ValueError as error:
                send(writer, {"error": {"class": "GenericError", "desc": str(error)}} | reference)
                continue
            if reply is not SILENCE:
                send(writer, {"return": reply} | reference)
        writer.close()

    server = await asyncio.start_unix_server(serve, path)
    try:
        yield clients
    finally:
        server.close()
        for writer in clients:
            writer.close()
        await server.wait_closed()


async def messages(reader: asyncio.StreamReader) -> AsyncIterator[dict[str, Any]]:
    """Yield the messages of a client, which ends them with nothing but their closing brace."""
    buffer, decoder = "", json.JSONDecoder()
    while chunk := await reader.read(4096):
        buffer = (buffer + chunk.decode()).lstrip()
        while buffer:
            try:
                message, end = decoder.raw_decode(buffer)
            except ValueError:
                break
            buffer = buffer[end:].lstrip()
            yield message


def send(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    """Write one message."""
    writer.write(json.dumps(message).encode() + b"\r\n")


def event(name: str, seconds: int, microseconds: int, **data: Any) -> dict[str, Any]:
    """Return a QMP event message."""
    return {"event": name, "timestamp": {"seconds": seconds, "microseconds": microseconds}, "data": data}

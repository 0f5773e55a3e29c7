#!/usr/bin/env python3
"""A bad network before an HTTP server: faulty_http.py HOST:PORT SEED RATE KIND,…

Prints its port, passes requests on and, for RATE of them (0 to 1), does one of the KINDs instead:

    refuse    503 SlowDown, as S3 words it, without asking the server
    cut       the answer's connection is reset somewhere in the body
    short     it ends in order too early
    less      the same, and the length in the header says so, too
    change    one byte of the body is another
    wait      the answer comes later

Ends with its parent. On SIGTERM it prints how many requests it carried and how many faults it made.
"""
import asyncio
import random
import re
import signal
import sys

import standin

target_host, target_port = sys.argv[1].removeprefix("http://").split(":")
seed, rate, kinds = int(sys.argv[2]), float(sys.argv[3]), sys.argv[4].split(",")
rng = random.Random(seed)
counts = {"requests": 0, "faults": 0}
SLOW_DOWN = b"<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


def length_of(head):
    found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return int(found.group(1)) if found else 0


async def relay(reader, writer, size, spoil=-1):
    done = 0
    while done < size:
        data = await reader.read(min(65536, size - done))
        if not data:
            raise ConnectionResetError
        if done <= spoil < done + len(data):
            data = bytearray(data)
            data[spoil - done] ^= 1
        writer.write(data)
        await writer.drain()
        done += len(data)


async def relay_chunked(reader, writer):
    while True:
        line = await reader.readline()
        writer.write(line)
        size = int(line.split(b";")[0] or b"0", 16)
        writer.write(await reader.readexactly(size + 2))
        await writer.drain()
        if size == 0:
            return


async def serve_one(reader, writer):
    head = await reader.readuntil(b"\r\n\r\n")
    counts["requests"] += 1
    kind = rng.choice(kinds) if rng.random() < rate else None
    counts["faults"] += kind is not None
    there_reader, there = await asyncio.open_connection(target_host, int(target_port))
    try:
        if kind == "refuse":
            await reader.readexactly(length_of(head))
            writer.write(b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n%s" % (len(SLOW_DOWN), SLOW_DOWN))
            return True
        there.write(head)
        await relay(reader, there, length_of(head))
        await there.drain()
        answer = await there_reader.readuntil(b"\r\n\r\n")
        size = 0 if head.startswith(b"HEAD ") or answer[9:12] in (b"204", b"304") else length_of(answer)
        if b"transfer-encoding: chunked" in answer.lower():
            writer.write(answer)
            await relay_chunked(there_reader, writer)
            return True
        if kind == "wait":
            await asyncio.sleep(rng.random())
        if kind in ("cut", "short", "less") and size > 0:
            some = rng.randrange(size)
            if kind == "less":
                answer = re.sub(rb"(?i)(\r\ncontent-length: *)\d+", rb"\g<1>%d" % some, answer)
            writer.write(answer)
            await relay(there_reader, writer, some)
            if kind == "cut":
                writer.transport.abort()
            return kind == "less"
        writer.write(answer)
        await relay(there_reader, writer, size, rng.randrange(size) if kind == "change" and size > 0 else -1)
        return True
    finally:
        there.transport.abort()


async def serve(reader, writer):
    try:
        while await serve_one(reader, writer):
            await writer.drain()
        writer.close()
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        writer.transport.abort()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    print(counts["requests"], counts["faults"], flush=True)


standin.end_with_parent()
asyncio.run(main())

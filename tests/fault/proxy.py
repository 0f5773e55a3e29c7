"""A network that can be disturbed: a proxy for TCP on 127.0.0.1, in a thread of its own.

    proxy = Proxy()                  # its port is known before whom it leads to is: proxy.port
    proxy.target = "127.0.0.1:9092"
    proxy.cut()                      # connections end, new ones are refused
    proxy.swallow()                  # connections stay, nothing gets through
    proxy.slow(0.2)                  # what is sent arrives later
    proxy.heal()                     # as if nothing had been; what was swallowed arrives now, as TCP would send it again
"""
import asyncio
import random
import threading

CHUNK = 65536


class Proxy:
    def __init__(self):
        self.target = None
        self.delay = 0
        self.carried = 0 # bytes
        self.server = None
        self.writers = set()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.port = self.run(self.open_somewhere())

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    async def open_somewhere(self):
        self.through = asyncio.Event()
        self.through.set()
        while True:
            self.port = random.randrange(15000, 32000) # below those that outgoing connections take: a cut port stays ours
            try:
                await self.listen()
                return self.port
            except OSError:
                pass

    async def listen(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.port)

    async def serve(self, reader, writer):
        host, port = self.target.split(":")
        self.writers.add(writer)
        try:
            there = await asyncio.open_connection(host, int(port))
            self.writers.add(there[1])
            try:
                await asyncio.gather(self.pump(reader, there[1]), self.pump(there[0], writer))
            finally:
                there[1].transport.abort()
                self.writers.discard(there[1])
        except OSError:
            pass
        finally:
            writer.transport.abort()
            self.writers.discard(writer)

    async def pump(self, reader, writer):
        while True:
            data = await reader.read(CHUNK)
            if not data:
                raise ConnectionResetError # the other way ends with this one
            if self.delay:
                await asyncio.sleep(self.delay)
            await self.through.wait()
            writer.write(data)
            await writer.drain()
            self.carried += len(data)

    async def do_cut(self):
        if self.server is not None:
            self.server.close()
            self.server = None
        for writer in self.writers:
            writer.transport.abort()

    async def do_heal(self):
        self.delay = 0
        self.through.set()
        if self.server is None:
            await self.listen()

    async def do_swallow(self):
        self.through.clear()

    def cut(self):
        self.run(self.do_cut())

    def swallow(self):
        self.run(self.do_swallow())

    def slow(self, seconds):
        self.delay = seconds

    def heal(self):
        self.run(self.do_heal())

    def close(self):
        self.cut()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

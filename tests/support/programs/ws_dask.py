"""Dask over ws:// and wss://, as its first argument says."""

import asyncio
import logging
import sys

import tornado.websocket
from distributed import Client, LocalCluster
from distributed.security import Security

assert tornado.websocket.__name__ == "tornado_c.websocket"


async def main():
    settings = dict(n_workers=2, processes=False, asynchronous=True, dashboard_address=None)
    if sys.argv[1] == "wss":
        settings.update(protocol="wss://", security=Security.temporary())
    else:
        settings.update(protocol="ws://")
    async with LocalCluster(**settings) as cluster, Client(cluster, asynchronous=True) as client:
        assert cluster.scheduler_address.startswith(sys.argv[1] + "://")
        squares = client.map(lambda x: x * x, range(200))
        assert sum(await client.gather(squares)) == sum(x * x for x in range(200))
        big = await client.scatter(b"x" * 30_000_000)
        assert len(await client.submit(lambda data: data + data, big)) == 60_000_000
        # On a busy machine something may be under way when the cluster ends, and says so at length.
        for name in [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]:
            logging.getLogger(name).setLevel(logging.CRITICAL)
    print("finished")


asyncio.run(main())

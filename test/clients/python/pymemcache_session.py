"""A session of pymemcache with a server that nobody else uses.

usage: pymemcache_session.py HOST PORT [--tls CA [CHAIN KEY]]

With --tls the connection is encrypted, and CA says whom to trust.
Exits with 0 if every answer was right, otherwise with the assertion that was not.
"""
import sys
import threading

from pymemcache.client.base import Client, PooledClient
from pymemcache.client.hash import HashClient
from pymemcache.exceptions import MemcacheClientError, MemcacheServerError
from pymemcache.serde import pickle_serde

from expect import equal, raises, take_tls

(host, port), tls = take_tls(sys.argv[1:])
server = (host, int(port))


def basic(c):
    equal(c.get("nothing"), None)
    equal(c.set("k", b"v", noreply=False), True)
    equal(c.get("k"), b"v")
    equal(c.set("k", b"with flags", flags=4294967295, noreply=False), True)
    equal(c.get("k"), b"with flags")
    equal(c.add("k", b"v", noreply=False), False)
    equal(c.add("new", b"v", noreply=False), True)
    equal(c.replace("none", b"v", noreply=False), False)
    equal(c.replace("k", b"b", noreply=False), True)
    equal(c.append("k", b"c", noreply=False), True)
    equal(c.prepend("k", b"a", noreply=False), True)
    equal(c.append("none", b"c", noreply=False), False)
    equal(c.get("k"), b"abc")
    equal(c.delete("k", noreply=False), True)
    equal(c.delete("k", noreply=False), False)
    equal(c.set("empty", b"", noreply=False), True)
    equal(c.get("empty"), b"")


def cas(c):
    c.set("cas", b"1", noreply=False)
    value, token = c.gets("cas")
    equal(value, b"1")
    equal(c.cas("cas", b"2", token, noreply=False), True)
    equal(c.cas("cas", b"3", token, noreply=False), False)
    equal(c.cas("no-cas-here", b"3", token, noreply=False), None)
    equal(c.get("cas"), b"2")


def numbers(c):
    c.set("n", b"10", noreply=False)
    equal(c.incr("n", 5), 15)
    equal(c.decr("n", 20), 0)
    equal(c.incr("none", 1), None)
    c.set("n", str(2**64 - 1).encode(), noreply=False)
    equal(c.incr("n", 2), 1)
    c.set("word", b"word", noreply=False)
    raises(MemcacheClientError, c.incr, "word", 1)


def many(c):
    values = {f"many-{i}": b"x" * i for i in range(1000)}
    equal(c.set_many(values, noreply=False), [])
    equal(c.get_many(list(values) + ["none"]), values)
    equal(set(c.gets_many(["many-1", "many-2", "none"])), {"many-1", "many-2"})
    equal(c.delete_many(["many-1", "many-2"], noreply=False), True)
    equal(c.get_many(["many-1", "many-2", "many-3"]), {"many-3": b"xxx"})


def quiet(c):
    for i in range(500):
        c.set(f"quiet-{i}", str(i), noreply=True)
    c.delete("quiet-7", noreply=True)
    c.incr("quiet-8", 100, noreply=True)
    equal(c.get("quiet-6"), b"6")
    equal(c.get("quiet-7"), None)
    equal(c.get("quiet-8"), b"108")


def expiry(c):
    c.set("gone", b"v", expire=-1, noreply=False)
    equal(c.get("gone"), None)
    c.set("stays", b"v", expire=1000, noreply=False)
    equal(c.touch("stays", 2000, noreply=False), True)
    equal(c.touch("none", 2000, noreply=False), False)
    equal(c.touch("stays", -1, noreply=False), True)
    equal(c.get("stays"), None)


def sizes(c):
    for size in (1, 2111, 2112, 2113, 16384, 500000, 1024 * 1024 - 200):
        value = bytes(range(256)) * (size // 256) + b"e" * (size % 256)
        equal(c.set("size", value, noreply=False), True)
        equal(c.get("size"), value)
    raises(MemcacheServerError, c.set, "size", b"x" * (1024 * 1024), noreply=False)
    equal(c.get("size"), None)
    raises(MemcacheClientError, c.set, "k" * 251, b"v", noreply=False)
    equal(c.set("k" * 250, b"long key", noreply=False), True)
    equal(c.get("k" * 250), b"long key")


def serialised():
    c = Client(server, serde=pickle_serde, tls_context=tls)
    for value in ({"a": [1, 2.5, None], "b": "text"}, "text", 17, b"\r\n\0END\r\n", "long " * 100000):
        equal(c.set("object", value, noreply=False), True)
        equal(c.get("object"), value)
    c.close()


def threads():
    pool = PooledClient(server, max_pool_size=8, tls_context=tls)
    failures = []

    def work(n):
        try:
            for i in range(200):
                pool.set(f"thread-{n}-{i}", f"{n}:{i}", noreply=False)
                equal(pool.get(f"thread-{n}-{i}"), f"{n}:{i}".encode())
        except Exception as e:  # reported by the main thread
            failures.append(e)

    workers = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    equal(failures, [])


def hashed():
    c = HashClient([server], tls_context=tls)
    equal(c.set_many({f"hash-{i}": b"v" for i in range(50)}, noreply=False), [])
    equal(len(c.get_many([f"hash-{i}" for i in range(50)])), 50)
    c.close()


def administration(c):
    assert c.version(), "no version"
    stats = c.stats()
    assert stats[b"cmd_get"] > 0 and stats[b"curr_items"] > 0, stats
    assert stats[b"threads"] >= 1, stats
    equal(c.stats("settings")[b"item_size_max"], 1024 * 1024)
    c.stats("items")
    c.stats("slabs")
    equal(c.flush_all(noreply=False), True)
    equal(c.get("hash-1"), None)
    c.quit()


client = Client(server, connect_timeout=10, timeout=30, tls_context=tls)
for step in (basic, cas, numbers, many, quiet, expiry, sizes):
    step(client)
for step in (serialised, threads, hashed):
    step()
administration(client)

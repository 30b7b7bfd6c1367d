"""A session of python-binary-memcached with a server that nobody else uses: the
binary protocol, quiet commands, SASL.

usage: binary_memcached_session.py HOST PORT [USER PASSWORD] [--tls CA [CHAIN KEY]]

With a user the server is one that asks for authentication. With --tls the
connection is encrypted, and CA says whom to trust. Exits with 0 if
every answer was right, otherwise with the assertion that was not.
"""
import sys

import bmemcached
from bmemcached.exceptions import MemcachedException

from expect import equal, raises, take_tls

TIMEOUT = 600  # seconds, for one answer
STATUS_TOO_LARGE, STATUS_NON_NUMERIC, STATUS_AUTH = 3, 6, 0x20

(host, port, *user), tls = take_tls(sys.argv[1:])
address = f"{host}:{port}"


def connect(*credentials):
    return bmemcached.Client((address,), *credentials, socket_timeout=TIMEOUT, tls_context=tls)


def basic(c):
    equal(c.get("none"), None)
    equal(c.get("none", default="x"), "x")
    equal(c.set("k", "v"), True)
    equal(c.get("k"), "v")
    equal(c.add("k", "v"), False)
    equal(c.add("new", "v"), True)
    equal(c.replace("none", "v"), False)
    equal(c.replace("k", ""), True)
    equal(c.get("k"), "")
    equal(c.delete("k"), True)
    equal(c.get("k"), None)


def serialised(c):
    """Type and compression are in the flags."""
    for value in (b"\x00\xff\r\n", "t\u00e4xt", 17, -3, 2**70, True, 2.5, [1, {"a": (None,)}], "long " * 1000):
        equal(c.set("object", value), True)
        got = c.get("object")
        equal((got, type(got)), (value, type(value)))


def cas(c):
    c.set("cas", "1")
    value, token = c.gets("cas")
    equal(value, "1")
    equal(c.cas("cas", "2", token), True)
    equal(c.cas("cas", "3", token), False)
    equal(c.get("cas", get_cas=True)[0], "2")
    equal(c.delete("cas", cas=token), False)
    equal(c.delete("cas", cas=c.gets("cas")[1]), True)
    equal(c.cas("cas", "4", None), True)
    equal(c.cas("cas", "5", None), False)


def numbers(c):
    equal(c.incr("n", 1, default=10), 10)
    equal(c.incr("n", 5), 15)
    equal(c.decr("n", 1), 14)
    equal(c.decr("n", 100), 0)
    equal(c.incr("n", 2**64 - 1), 2**64 - 1)
    equal(c.incr("n", 2), 1)
    c.set("word", "word")
    equal(raises(MemcachedException, c.incr, "word", 1).code, STATUS_NON_NUMERIC)


def many(c):
    """Quiet commands: only what fails is answered, and a noop ends it."""
    values = {f"many-{i}": "x" * i for i in range(1000)}
    equal(c.set_multi(values), [])
    equal(c.get_multi(list(values) + ["none"]), values)
    equal(c.set_multi({"small": b"s", "large": b"x" * 2000000}, compress_level=0), ["large"])
    equal(c.get("small"), b"s")
    equal(c.delete_multi(["many-1", "many-2"]), True)
    equal(c.delete_multi(["many-1", "many-3"]), False)
    equal(c.get_multi(["many-1", "many-2", "many-3", "many-4"]), {"many-4": "xxxx"})


def expiry(c):
    past = 60 * 60 * 24 * 30 + 1  # a Unix time of 1970
    equal(c.set("gone", "v", time=past), True)
    equal(c.get("gone"), None)
    equal(c.set("stays", "v", time=1000), True)
    equal(c.get("stays"), "v")


def sizes(c):
    value = bytes(range(256)) * 4095
    equal(c.set("size", value, compress_level=0), True)
    equal(c.get("size"), value)
    error = raises(MemcachedException, c.set, "size", b"x" * 2**20, compress_level=0)
    equal(error.code, STATUS_TOO_LARGE)
    equal(c.set("k" * 250, "long key"), True)
    equal(c.get("k" * 250), "long key")


def administration(c):
    stats = c.stats()[address]
    assert int(stats["cmd_get"]) > 0 and int(stats["curr_items"]) > 0, stats
    assert stats["version"], stats
    equal(c.stats("settings")[address]["item_size_max"], b"1048576")
    equal(c.flush_all(), True)
    equal(c.get("small"), None)
    c.disconnect_all()


def authentication():
    name, password = user
    for wrong in ((), (name, "wrong"), ("bob", password)):
        equal(raises(MemcachedException, connect(*wrong).set, "intruder", "v").code, STATUS_AUTH)
        equal(raises(MemcachedException, connect(*wrong).get, "intruder").code, STATUS_AUTH)
    equal(connect(*user).get("intruder"), None)


client = connect(*user)
for step in (basic, serialised, cas, numbers, many, expiry, sizes, administration):
    step(client)
if user:
    authentication()

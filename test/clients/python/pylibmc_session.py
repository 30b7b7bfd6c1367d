"""A session of pylibmc, which is libmemcached for Python, with a server that
nobody else uses: both protocols, waiting for answers and not, SASL.

usage: pylibmc_session.py HOST PORT [USER PASSWORD]

With a user the server is one that asks for authentication, which libmemcached
has for the binary protocol only. Exits with 0 if every answer was right,
otherwise with the assertion that was not.
"""
import sys

import pylibmc

from expect import equal, raises

TIMEOUT = 600000  # milliseconds, for one answer

host, port, *user = sys.argv[1:]


def connect(binary, *credentials, **behaviors):
    behaviors |= {"cas": True, "tcp_nodelay": True, "_poll_timeout": TIMEOUT, "connect_timeout": TIMEOUT}
    return pylibmc.Client([f"{host}:{port}"], behaviors, binary, *credentials)


def basic(c, missing):
    equal(c.get("none"), None)
    equal(c.get("none", 5), 5)
    equal(c.set("k", "v"), True)
    equal(c.get("k"), "v")
    equal("k" in c, True)
    equal(c.add("k", "v"), False)
    equal(c.add("new", "v"), True)
    missing(c.replace, "none", "v")
    equal(c.append("none", "v"), False)
    equal(c.replace("k", "b"), True)
    equal(c.append("k", "c"), True)
    equal(c.prepend("k", "a"), True)
    equal(c.get("k"), "abc")
    equal(c.delete("k"), True)
    equal(c.delete("k"), False)
    equal(c.set("empty", b""), True)
    equal(c.get("empty"), b"")


def serialised(c):
    """Type and compression are in the flags."""
    for value in (b"\x00\xff\r\nEND\r\n", "t\u00e4xt", 17, -3, 2**70, 2.5, [1, {"a": (None,)}]):
        equal(c.set("object", value), True)
        got = c.get("object")
        equal((got, type(got)), (value, type(value)))
    text = "long " * 500000
    equal(c.set("object", text, min_compress_len=1000), True)
    equal(c.get("object"), text)


def cas(c):
    c.set("cas", "1")
    value, token = c.gets("cas")
    equal(value, "1")
    equal(c.cas("cas", "2", token), True)
    equal(c.cas("cas", "3", token), False)
    equal(c.get("cas"), "2")
    equal(c.delete("cas"), True)
    raises(pylibmc.NotFound, c.cas, "cas", "4", token)


def numbers(c):
    c.set("n", 10)
    equal(c.incr("n", 5), 15)
    equal(c.decr("n"), 14)
    equal(c.get("n"), 14)
    equal(c.decr("n", 100), 0)
    raises(pylibmc.NotFound, c.incr, "none")
    c.set("word", "word")
    raises(pylibmc.Error, c.incr, "word")


def many(c):
    values = {f"many-{i}": "x" * i for i in range(1000)}
    equal(c.set_multi(values), [])
    equal(c.get_multi(list(values) + ["none"]), values)
    equal(c.add_multi({"many-1": "v", "many-new": "v"}), ["many-1"])
    equal(c.delete_multi(["many-1", "many-2"]), True)
    equal(c.delete_multi(["many-1", "many-3"]), False)
    equal(c.get_multi(["1", "2", "3", "4"], key_prefix="many-"), {"4": "xxxx"})


def expiry(c):
    past = 60 * 60 * 24 * 30 + 1  # a Unix time of 1970
    equal(c.set("gone", "v", time=past), True)
    equal(c.get("gone"), None)
    equal(c.set("stays", "v", time=1000), True)
    equal(c.touch("stays", 2000), True)
    equal(c.touch("none", 2000), False)
    equal(c.get("stays"), "v")
    equal(c.touch("stays", past), True)
    equal(c.get("stays"), None)


def odd_expiry(c):
    """In the text protocol libmemcached sends -1 as 4294967295. In the binary one,
    where times have no sign, that is a date."""
    for time in (-1, -1000, 2**31, 2**32 - 1):
        equal(c.set("odd", "v", time=time), True)
        equal(c.get("odd"), None)
        equal(c.add("odd", "v", time=time), True)
        equal(c.get("odd"), None)
        equal(c.set("odd", "v"), True)
        equal(c.replace("odd", "v", time=time), True)
        equal(c.get("odd"), None)
        equal(c.set_multi({"odd": "v", "odd-2": "v"}, time=time), [])
        equal(c.get_multi(["odd", "odd-2"]), {})
    for time in (2**32, 2**32 + 1000):  # 0 and 1000
        equal(c.set("odd", "v", time=time), True)
        equal(c.get("odd"), "v")
    after_2038 = 2208988800  # the year 2040; with 32 bits it lies in the past
    equal(c.set("odd", "v", time=after_2038), True)
    before_2038 = 2**31 - 1
    equal(c.set("odd", "v", time=before_2038), True)
    equal(c.get("odd"), "v")


def sizes(c):
    value = bytes(range(256)) * 4095
    equal(c.set("size", value), True)
    equal(c.get("size"), value)
    raises(pylibmc.TooBig, c.set, "size", b"x" * 2**20)
    equal(c.set("k" * 250, "long key"), True)
    equal(c.get("k" * 250), "long key")


def administration(c):
    (_, stats), = c.get_stats()
    assert int(stats["cmd_get"]) > 0 and int(stats["curr_items"]) > 0, stats
    equal(c.flush_all(), True)
    equal(c.get("new"), None)
    twin = c.clone()
    equal(twin.set("twin", "v"), True)
    equal(c.get("twin"), "v")
    equal(c.delete("twin"), True)
    twin.disconnect_all()
    c.disconnect_all()


def text_missing(call, *args):
    equal(call(*args), False)


def binary_missing(call, *args):
    raises(pylibmc.NotFound, call, *args)


def session(c, missing):
    basic(c, missing)
    for step in (serialised, cas, numbers, many, expiry, sizes, administration):
        step(c)


def unanswered(c):
    """Sets that are sent before the answers to earlier ones are read."""
    for i in range(2000):
        c.set(f"unanswered-{i}", i)
    equal(c.get("unanswered-1999"), 1999)
    equal(c.get_multi([f"unanswered-{i}" for i in range(2000)]), {f"unanswered-{i}": i for i in range(2000)})
    equal(c.flush_all(), True)


def authentication():
    name, password = user
    for wrong in ((), (name, "wrong"), ("bob", password)):
        error = raises(pylibmc.Error, connect(True, *wrong).set, "intruder", "v")
        assert "error 41" in str(error), error  # MEMCACHED_AUTH_FAILURE
    equal(connect(True, *user).get("intruder"), None)


if user:
    session(connect(True, *user), binary_missing)
    authentication()
else:
    session(connect(False), text_missing)
    odd_expiry(connect(False))
    session(connect(True), binary_missing)
    for binary in (False, True):
        unanswered(connect(binary, no_block=True))

"""A session of Django's cache backends with a server that nobody else uses.

usage: django_session.py HOST PORT BACKEND [--tls CA [CHAIN KEY]]

BACKEND is PyMemcacheCache or PyLibMCCache; of the two only the first
speaks TLS. Exits with 0 if every answer was
right, otherwise with the assertion that was not.
"""
import sys

from django.conf import settings

from expect import equal, raises, take_tls

(host, port, backend), tls = take_tls(sys.argv[1:])
options = {
    "PyMemcacheCache": {"timeout": 600, "connect_timeout": 600, "tls_context": tls},
    "PyLibMCCache": {"behaviors": {"_poll_timeout": 600000, "connect_timeout": 600000}},
}
settings.configure(
    CACHES={
        "default": {
            "BACKEND": f"django.core.cache.backends.memcached.{backend}",
            "LOCATION": f"{host}:{port}",
            "KEY_PREFIX": "site",
            "OPTIONS": options[backend],
        }
    }
)

from django.core.cache import cache  # noqa: E402, settings come first


def basic():
    equal(cache.get("none"), None)
    equal(cache.get("none", "default"), "default")
    for value in ("text", "t\u00e4xt", b"\0\xff\r\nEND\r\n", 17, -3, 2.5, None, True, {"a": [1, (2, None)]}, "long " * 100000):
        cache.set("k", value)
        equal(cache.get("k", "default"), value)
    equal(cache.add("k", "other"), False)
    equal(cache.add("new", "v"), True)
    equal("new" in cache, True)
    equal(cache.delete("new"), True)
    equal(cache.delete("new"), False)
    equal("new" in cache, False)
    equal(cache.get_or_set("made", lambda: "v"), "v")
    equal(cache.get_or_set("made", "other"), "v")


def numbers():
    cache.set("n", 10)
    equal(cache.incr("n"), 11)
    equal(cache.incr("n", 100), 111)
    equal(cache.decr("n", 10), 101)
    equal(cache.get("n"), 101)
    raises(ValueError, cache.incr, "none")
    raises(ValueError, cache.decr, "none")


def many():
    values = {f"many-{i}": "x" * i for i in range(500)}
    equal(cache.set_many(values), [])
    equal(cache.get_many(list(values) + ["none"]), values)
    cache.delete_many(["many-1", "many-2"])
    equal(cache.get_many(["many-1", "many-2", "many-3"]), {"many-3": "xxx"})


def versions():
    cache.set("v", "first", version=1)
    cache.set("v", "second", version=2)
    equal(cache.get("v"), "first")
    equal(cache.incr_version("v"), 2)
    equal(cache.get("v", version=2), "first")


def timeouts():
    """Django sends -1 for a timeout that is not positive, 0 for None, and a date
    for more than thirty days."""
    for timeout in (0, -1, -100):
        cache.set("t", "v", timeout=timeout)
        equal(cache.get("t"), None)
        equal(cache.add("t", "v", timeout=timeout), True)
        equal(cache.get("t"), None)
        equal(cache.set_many({"t": "v", "t2": "v"}, timeout=timeout), [])
        equal(cache.get_many(["t", "t2"]), {})
        cache.set("t", "v")
        equal(cache.touch("t", timeout=timeout), True)
        equal(cache.get("t"), None)
    for timeout in (None, 1000, 60 * 60 * 24 * 30, 60 * 60 * 24 * 365):
        cache.set("t", "v", timeout=timeout)
        equal(cache.get("t"), "v")
        equal(cache.touch("t", timeout=timeout), True)
        equal(cache.get("t"), "v")
    equal(cache.touch("none", timeout=1000), False)
    # Dates after 2038 are cut to 32 bits, and may lie in the past then: such a set succeeds all the same.
    cache.set("t", "v", timeout=60 * 60 * 24 * 365 * 20)
    cache.set("t", "v")
    equal(cache.get("t"), "v")


def administration():
    cache.set("flushed", "v")
    equal(cache.clear(), None)
    equal(cache.get("flushed"), None)
    cache.close()


for step in (basic, numbers, many, versions, timeouts, administration):
    step()

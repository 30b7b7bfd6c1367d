"""pymemcache's HashClient: rendezvous hashing, dead nodes are left out for a time.

usage: pymemcache_hash.py NODE NODE NODE
"""
from pymemcache.client.hash import HashClient

from nodes import KEYS, PATIENCE, ask, eventually, held, pairs, report_shares


def connect(**options):
    return HashClient(pairs, connect_timeout=PATIENCE, timeout=PATIENCE, **options)


# All keys have a node of their own, evenly: each lands on a node by chance (the
# standard deviation of a share is 1.1 %).
client = connect()
assert client.set_many({key: b"before" for key in KEYS}, noreply=False) == []
keys_of = [held(node) for node in range(3)]
for share in report_shares(keys_of):
    assert 1 / 3 - 0.07 < share < 1 / 3 + 0.07

# A killed node: its keys are missing and move to the other two, the rest stays.
client = connect(retry_attempts=0, retry_timeout=0, dead_timeout=3600)
ask("kill", 1)
failures = 0
for key in KEYS:
    try:
        value = client.get(key)
    except OSError:
        failures += 1
        value = client.get(key)
    assert value == (None if key in keys_of[1] else b"before"), (key, value)
assert failures == 1, failures
for key in keys_of[1]:
    client.set(key, b"during", noreply=False)
taken = [held(node) & keys_of[1] for node in (0, 2)]
assert len(taken[0]) + len(taken[1]) == len(keys_of[1])
assert min(map(len, taken)) > len(keys_of[1]) / 4, taken
print("taken over:", *map(len, taken), flush=True)

# With ignore_exc a dead node is a miss and not an exception.
assert connect(ignore_exc=True).get(next(iter(keys_of[1]))) is None

# It is back: the same client asks it again after dead_timeout, a new one at once.
client = connect(retry_attempts=0, retry_timeout=0, dead_timeout=1)
key = next(iter(keys_of[1]))
try:
    client.get(key)
except OSError:
    pass
assert client.get(key) == b"during"
ask("start", 1)
assert connect().get(key) is None
eventually(lambda: client.get(key) is None)
client.set(key, b"after", noreply=False)
assert key in held(1)

# What the others took over is still there: out of date when it dies again.
ask("kill", 1)
client = connect(retry_attempts=0, retry_timeout=0, dead_timeout=3600)
try:
    client.get(key)
except OSError:
    pass
assert client.get(key) == b"during"

"""pylibmc (libmemcached) with ketama: a dead node is not left out.

usage: pylibmc_ketama.py NODE NODE NODE
"""
import pylibmc

from nodes import KEYS, PATIENCE, addresses, ask, eventually, held, report_shares

MILLISECONDS = 1000 * PATIENCE


def connect(servers=addresses, **behaviors):
    behaviors |= {"ketama": True, "hash": "md5", "tcp_nodelay": True, "retry_timeout": 1,
                  "connect_timeout": MILLISECONDS, "_poll_timeout": MILLISECONDS}
    return pylibmc.Client(servers, behaviors=behaviors)


# The ring is made of addresses and ports: the nodes have here others in each run,
# so their shares differ more than a fixed ring's would.
client = connect()
assert client.set_multi({key: "before" for key in KEYS}) == []
keys_of = [held(node) for node in range(3)]
for share in report_shares(keys_of):
    assert 0.13 < share < 0.60

# The order in which the nodes are named does not matter. A client with another
# distribution finds few of the keys.
assert len(connect(addresses[::-1]).get_multi(KEYS)) == len(KEYS)
assert len(pylibmc.Client(addresses, behaviors={"_poll_timeout": MILLISECONDS}).get_multi(KEYS)) < len(KEYS) / 2

# Without one of the nodes in the list ketama finds the keys of the others where
# they were; modula, which is the default, finds few.
assert set(connect(addresses[:2]).get_multi(KEYS)) == keys_of[0] | keys_of[1]
modula = pylibmc.Client(addresses, behaviors={"_poll_timeout": MILLISECONDS})
fewer = pylibmc.Client(addresses[:2], behaviors={"_poll_timeout": MILLISECONDS})
numbered = [f"modula:{i}" for i in range(len(KEYS))]
assert modula.set_multi(dict.fromkeys(numbered, "v")) == []
assert len(modula.get_multi(numbered)) == len(KEYS)
assert len(fewer.get_multi(numbered)) < len(KEYS) / 2

# A killed node: errors for its keys, nothing moves.
ask("kill", 1)
for key in KEYS[:300]:
    if key in keys_of[1]:
        for call in (client.get, lambda k: client.set(k, "during")):
            try:
                got = call(key)
            except pylibmc.Error:
                continue
            raise AssertionError(f"{key}: {got}")
    else:
        assert client.get(key) == "before"
assert not (held(0) | held(2)) & keys_of[1]

# It is back: after retry_timeout the client asks it again, for the same keys.
ask("start", 1)
key = next(iter(keys_of[1]))


def stored():
    try:
        return client.set(key, "after")
    except pylibmc.Error:
        return False


eventually(stored)
assert held(1) == {key}

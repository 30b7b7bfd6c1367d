"""What the sessions have in common: the nodes, and which of them holds a key."""
import sys
import time

from pymemcache.client.base import Client

PATIENCE = 120  # seconds
KEYS = [f"user:{i}:profile" for i in range(2000)]

addresses = sys.argv[1:]
pairs = [(host, int(port)) for host, port in (a.rsplit(":", 1) for a in addresses)]


def ask(verb, node):
    """Has a node killed or started."""
    print(verb, node, flush=True)
    assert sys.stdin.readline() == "done\n"


def held(node):
    """The keys that a node itself holds."""
    client = Client(pairs[node], timeout=PATIENCE)
    found = set()
    for i in range(0, len(KEYS), 100):
        found.update(client.get_many(KEYS[i:i + 100]))
    client.close()
    return found


def eventually(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def report_shares(keys_of):
    """Prints the shares; each key has one node, and no node far more or less than its third."""
    assert sum(map(len, keys_of)) == len(KEYS) == len(set().union(*keys_of))
    shares = [len(keys) / len(KEYS) for keys in keys_of]
    print("shares of the keys:", *(f"{share:.1%}" for share in shares), flush=True)
    return shares

"""What the sessions say of an answer."""


def equal(got, want):
    assert got == want, f"got {got!r:.200}, want {want!r:.200}"


def raises(error, call, *args, **kwargs):
    """Calls, expects the error and returns it."""
    try:
        got = call(*args, **kwargs)
    except error as e:
        return e
    raise AssertionError(f"got {got!r:.200}, want {error.__name__}")

"""What the sessions say of an answer, and how they connect."""
import ssl


def equal(got, want):
    assert got == want, f"got {got!r:.200}, want {want!r:.200}"


def raises(error, call, *args, **kwargs):
    """Calls, expects the error and returns it."""
    try:
        got = call(*args, **kwargs)
    except error as e:
        return e
    raise AssertionError(f"got {got!r:.200}, want {error.__name__}")


def take_tls(args):
    """Takes --tls CA, or --tls CA CHAIN KEY, off the end of a command line.

    Returns the rest, and a context for a client that trusts CA, and shows the
    certificate of CHAIN; without --tls there is none.
    """
    if "--tls" not in args:
        return args, None
    at = args.index("--tls")
    ca, *certificate = args[at + 1 :]
    context = ssl.create_default_context(cafile=ca)
    if certificate:
        context.load_cert_chain(*certificate)
    return args[:at], context

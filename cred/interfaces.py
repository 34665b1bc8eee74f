"""Where a stranger plugs in: identity stores, ways to log in, services and perspectives.

zope.interface is used for contracts; `_types.py` says the same for type checkers where it matters.
"""

from __future__ import annotations

from zope.interface import Attribute, Interface


class IIdentityStore(Interface):  # type: ignore[misc]
    """Keep identities. Every method is a coroutine function, and every change is one transaction:
    done or not, and kept once the call returns.

    Names are in their one form already (`cred.identity_name`). Several processes may use one store at once
    and lose nothing of each other's changes. `cred.testing.check_identity_store` tells whether one is right.

    Methods that take a name raise NoSuchIdentity where there is none, unless they say otherwise; all raise
    StoreError where the store cannot be reached.

    A store may have an attribute `never_waits`. Where it is True none of its coroutines ever waits for
    anything, a lock or a thread, nor asks which task it runs in: then a login is done without a task. Of a
    class with a `__getattr__` it is not believed: it may be that of another store in this one.
    """

    def get(name):  # type: ignore[no-untyped-def]
        """Return the IdentityRecord, or None."""

    def get_password(name):  # type: ignore[no-untyped-def]
        """Return a PasswordRecord; that of nobody where there is no such identity.

        Strangers ask this, and measure how long it takes: it must be the same for all names.
        """

    def add(record):  # type: ignore[no-untyped-def]
        """Keep a new identity; its epoch is given by the store. Raises IdentityExists."""

    def remove(name):  # type: ignore[no-untyped-def]
        """Forget an identity with all that belongs to it."""

    def names():  # type: ignore[no-untyped-def,misc]
        """Return the names of all identities, sorted."""

    def set_password_hash(name, password_hash):  # type: ignore[no-untyped-def]
        """Replace the password hash, or take it away with None. The epoch grows."""

    def set_disabled(name, disabled):  # type: ignore[no-untyped-def]
        """Disable or enable. The epoch grows when it is disabled."""

    def add_key(name, key):  # type: ignore[no-untyped-def]
        """Put a Key on the keyring; nothing happens if it is there."""

    def remove_key(name, key):  # type: ignore[no-untyped-def]
        """Take a Key off the keyring. The epoch grows. Raises NoSuchKey."""

    def add_credential(name, credential):  # type: ignore[no-untyped-def]
        """Add a Credential; one of the same kind and id gets the new label."""

    def remove_credential(name, credential):  # type: ignore[no-untyped-def]
        """Take a Credential away. The epoch grows. Raises NoSuchCredential."""

    def names_with(credential):  # type: ignore[no-untyped-def]
        """Return the names of the identities that have this Credential, sorted; normally one or none."""

    def epochs(names):  # type: ignore[no-untyped-def]
        """Return a dict of name to epoch; names that are not there are left out."""

    def iteration_counts():  # type: ignore[no-untyped-def,misc]
        """Return a dict of iteration count to the number of password hashes that have it."""

    def secret():  # type: ignore[no-untyped-def,misc]
        """Return the secret of this store: 32 bytes, made once and never changed."""

    def close():  # type: ignore[no-untyped-def,misc]
        """Give back files and connections. Nothing happens the second time."""


class INameStore(Interface):  # type: ignore[misc]
    """Keep the hashes of secret names. Most IIdentityStores do; methods are coroutine functions, as there."""

    def add_sturdy(record, forget_before):  # type: ignore[no-untyped-def]
        """Keep a SturdyRecord, and forget those that expired before a time, in seconds since 1970."""

    def get_sturdy(hash):  # type: ignore[no-untyped-def]
        """Return the SturdyRecord of a hash, or None. Whether it has expired is not looked at."""

    def list_sturdy():  # type: ignore[no-untyped-def,misc]
        """Return all SturdyRecords, oldest first."""

    def kept_sturdy(hashes):  # type: ignore[no-untyped-def]
        """Return the set of those of some hashes, any number, that are there."""

    def remove_sturdy(hash):  # type: ignore[no-untyped-def]
        """Forget a hash; return whether it was there."""


class ICredentials(Interface):  # type: ignore[misc]
    """What a client logs in with: a password, a key, or nothing."""

    def begin(offered, channel):  # type: ignore[no-untyped-def]
        """Return an IProver for one login.

        Args:
            offered: names of mechanisms, as the server announced them.
            channel: a Channel.

        Raises:
            NotOffered: nothing that fits is offered; the connection stays.
            UntrustedServer: less is offered than this channel deserves.
        """


class IProver(Interface):  # type: ignore[misc]
    """The client's side of one login. Without I/O."""

    mechanism = Attribute("the name to send")

    def start():  # type: ignore[no-untyped-def,misc]
        """Return the first message."""

    def respond(data):  # type: ignore[no-untyped-def]
        """Return the answer to a challenge. May be slow: call it in a thread. Raises UntrustedServer."""

    def finish(data):  # type: ignore[no-untyped-def]
        """Check what came with the server's "done". Raises UntrustedServer: use nothing of the connection."""


class IVerifier(Interface):  # type: ignore[misc]
    """The server's side of a way to log in. One object serves all logins."""

    def offered(channel):  # type: ignore[no-untyped-def]
        """Return the names of mechanisms for this channel, best first; empty where it cannot be used."""

    def begin(mechanism, channel, directory):  # type: ignore[no-untyped-def]
        """Return an IExchange for one login.

        Args:
            mechanism: one of those offered.
            directory: a Directory: what a login may ask of the store.
        """


class IExchange(Interface):  # type: ignore[misc]
    """The server's side of one login."""

    user = Attribute("the name the client claims; None as long as it claimed none")

    def receive(data):  # type: ignore[no-untyped-def]
        """A coroutine function: read a message and return (data, record).

        `record` is the IdentityRecord that was proven, or None to go on with data as the challenge. An
        unknown user must cost the same steps, bytes and work as a known one, up to the last step.

        Raises:
            LoginFailed: for every reason.

        An exchange may have an attribute `never_waits`, as an IIdentityStore may: for all it does here.
        """


class IAuthorizer(Interface):  # type: ignore[misc]
    """Know identities and services, log in, attach, and tell of what is revoked."""

    store = Attribute("its IIdentityStore")
    services = Attribute("a mapping of name to IService")

    def add_service(service):  # type: ignore[no-untyped-def]
        """Take an IService in. Raises ValueError where its name is taken."""

    def declare_identity(name, password=None, *, keys=()):  # type: ignore[no-untyped-def]
        """Return an identity at once, and have it written before the store is next asked."""

    def settle():  # type: ignore[no-untyped-def,misc]
        """A coroutine function: write what was declared."""

    def get_identity(name):  # type: ignore[no-untyped-def]
        """A coroutine function: return an IIdentity. Raises NoSuchIdentity."""

    def mechanisms(channel, more=()):  # type: ignore[no-untyped-def]
        """Return the names of the mechanisms for a Channel, best first; `more` are further IVerifiers."""

    def begin_login(mechanism, channel, more=()):  # type: ignore[no-untyped-def]
        """Return a Login, or what has its `user` and `receive`; and `receive_at_once`, where it has
        `never_waits` and that is True. Raises LoginFailed."""

    def attach(identity, service, perspective=None, client=None, *, prepare=None):  # type: ignore[no-untyped-def]
        """A coroutine function: return an Attachment, or what has its `perspective`, `is_live` and `end`.

        `prepare` gets the perspective before attached() does and returns what is given as the client.
        Raises NotPermitted, AttachRefused.
        """

    def attach_count(service, perspective):  # type: ignore[no-untyped-def]
        """Return how many attachments there are of a perspective, by names."""

    def subscribe(listener):  # type: ignore[no-untyped-def]
        """Call a function with each Revocation, at once; return what ends that."""

    def recheck():  # type: ignore[no-untyped-def,misc]
        """A coroutine function: look for what other processes took away, and revoke it here."""

    def close():  # type: ignore[no-untyped-def,misc]
        """A coroutine function: end all attachments and close the store."""


class IIdentity(Interface):  # type: ignore[misc]
    """Who somebody is."""

    name = Attribute("unique at its authorizer")
    as_of = Attribute("the IdentityRecord at login; None for one that did not come from a login")

    def keys():  # type: ignore[no-untyped-def,misc]
        """A coroutine function: return the Keys, sorted. Raises NoSuchIdentity."""


class IService(Interface):  # type: ignore[misc]
    """Something with perspectives. An authorizer asks get_perspective, for the first who attaches."""

    name = Attribute("unique at its authorizer")
    authorizer = Attribute("where it belongs; None until it is added, which sets it")

    def get_perspective_named(name):  # type: ignore[no-untyped-def]
        """Find or make a perspective. Raises NoSuchPerspective: then load_perspective is asked."""

    def load_perspective(name):  # type: ignore[no-untyped-def]
        """A coroutine function: fetch a perspective from elsewhere. Raises NoSuchPerspective."""

    def get_perspective(name, identity):  # type: ignore[no-untyped-def]
        """A coroutine function: do the one, then the other, or decide by identity.

        It is called once for an identity, however often that attaches, and not again as long as one of its
        attachments is there. Only what the method of cred.Service itself finds is given to all identities.
        """


class IPerspective(Interface):  # type: ignore[misc]
    """What stands for a user of a service."""

    perspective_name = Attribute("unique at its service")
    service = Attribute("where it belongs")

    def attached(client, identity):  # type: ignore[no-untyped-def]
        """Take note of a client; return the perspective to give it, None for this one. May be async."""

    def detached(client, identity):  # type: ignore[no-untyped-def]
        """Take note that a client has gone. Called once for every attached that succeeded. Not async."""

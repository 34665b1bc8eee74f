"""Who may see what: authorizers, identities, services and perspectives. No wire and no connection.

An Authorizer knows Identities; an Identity has a keyring of (service, perspective); a Service has
Perspectives; a Perspective is what a user of a service may do.

    authorizer = cred.Authorizer()
    service = cred.Service("echo", authorizer)
    service.create_perspective("guest").make_identity("guest")
"""

from . import interfaces
from ._directory import Directory
from .anonymous import Anonymous, AnonymousVerifier
from .attachment import Attachment
from .authorizer import Authorizer
from .certificate import credentials_of_certificate
from .channel import Binding, Channel, hello_hash
from .credential import Credential
from .ed25519 import Ed25519Verifier, PrivateKey, public_credential
from .errors import (
    AttachRefused,
    BadName,
    BadPassword,
    CredError,
    DowngradeDetected,
    IdentityExists,
    LoginFailed,
    NoSuchCredential,
    NoSuchIdentity,
    NoSuchKey,
    NoSuchPerspective,
    NotOffered,
    NotPermitted,
    StoreError,
    UntrustedServer,
)
from .external import External, ExternalVerifier
from .identity import Identity, IdentityRecord, PasswordRecord
from .interfaces import (
    IAuthorizer,
    ICredentials,
    IExchange,
    IIdentity,
    IIdentityStore,
    INameStore,
    IPerspective,
    IProver,
    IService,
    IVerifier,
)
from .keyring import Key, Keyring
from .login import Login, Step
from .names import identity_name
from .password import Password, ScramVerifier
from .passwords import PasswordHash
from .perspective import Perspective
from .revocation import Revocation
from .scram import KeyCache, ScramClient, ScramServer
from .service import Service
from .stores.memory import MemoryStore
from .sturdy import SturdyNames, SturdyRecord
from .throttle import Attempts, Throttle, source_of

__all__ = [
    # who and what
    "Attachment",
    "Authorizer",
    "Credential",
    "Identity",
    "IdentityRecord",
    "Key",
    "Keyring",
    "PasswordRecord",
    "Perspective",
    "Revocation",
    "Service",
    "identity_name",
    # logging in, at the client
    "Anonymous",
    "External",
    "Password",
    "PrivateKey",
    "credentials_of_certificate",
    "public_credential",
    # logging in, at the server
    "AnonymousVerifier",
    "Attempts",
    "Directory",
    "Ed25519Verifier",
    "ExternalVerifier",
    "Login",
    "ScramVerifier",
    "Step",
    "Throttle",
    "source_of",
    # the connection, and SCRAM by itself
    "Binding",
    "Channel",
    "KeyCache",
    "PasswordHash",
    "ScramClient",
    "ScramServer",
    "hello_hash",
    # where identities are kept: this one, and cred.stores.sqlite, cred.stores.postgres
    "MemoryStore",
    # names that are secrets, kept there too
    "SturdyNames",
    "SturdyRecord",
    # errors
    "AttachRefused",
    "BadName",
    "BadPassword",
    "CredError",
    "DowngradeDetected",
    "IdentityExists",
    "LoginFailed",
    "NoSuchCredential",
    "NoSuchIdentity",
    "NoSuchKey",
    "NoSuchPerspective",
    "NotOffered",
    "NotPermitted",
    "StoreError",
    "UntrustedServer",
    # where a stranger plugs in
    "interfaces",
    "IAuthorizer",
    "ICredentials",
    "IExchange",
    "IIdentity",
    "IIdentityStore",
    "INameStore",
    "IPerspective",
    "IProver",
    "IService",
    "IVerifier",
]

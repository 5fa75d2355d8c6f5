"""TLS for MLLP: which certificates to trust, and which to present.

Source: NCSC, Using TLS to protect data (TLS 1.2 at least); Python ``ssl``, purposes SERVER_AUTH and CLIENT_AUTH.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from schemas.errors import SettingsError


def listening(certificate: Path, key: Path, clients: Path | None = None) -> ssl.SSLContext:
    """For a listener that presents ``certificate``. With ``clients``, clients need a certificate of an authority in that file.

    Raises `SettingsError` when a file cannot be read or does not match the others.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _show(context, certificate, key)
    if clients is not None:
        _trust(context, clients)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def sending(authorities: Path | None = None, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """For a sender that trusts ``authorities`` (else those of the system) and presents ``certificate`` if given.

    Raises `SettingsError` when a file cannot be read or does not match the others.
    """
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if authorities is not None:
        _trust(context, authorities)
    if certificate is not None:
        _show(context, certificate, key)
    return context


def watched(failed: Callable[[str], None]) -> type[ssl.SSLObject]:
    """A class for ``ssl.SSLContext.sslobject_class`` that calls ``failed`` with the reason why a TLS handshake failed.

    asyncio does not report it.

    Source: Python ``ssl``, SSLContext.sslobject_class.
    """

    class Watched(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLError as error:
                failed(_why(error))
                raise

    return Watched


_WHY: Mapping[str, str] = MappingProxyType(
    {
        "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it showed no certificate",
        "CERTIFICATE_VERIFY_FAILED": "its certificate is not to be trusted",
        "UNSUPPORTED_PROTOCOL": "it speaks no TLS from 1.2 on",
        "NO_SHARED_CIPHER": "no cipher is known to both sides",
        "WRONG_VERSION_NUMBER": "it does not speak TLS",
        "HTTP_REQUEST": "it does not speak TLS",
    }
)
"""OpenSSL's reasons in plain words. Others are shown as OpenSSL names them; an alert is what the peer says of our
certificate."""


def _why(error: ssl.SSLError) -> str:
    reason = error.reason or "no reason given"
    why = _WHY.get(reason, reason)
    detail = getattr(error, "verify_message", "")
    return f"{why}: {detail}" if detail else why


def _show(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"the certificate and its key cannot be used: {error.strerror}", where=str(certificate)) from None


def _trust(context: ssl.SSLContext, authorities: Path) -> None:
    try:
        context.load_verify_locations(authorities)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"the certificates of the authorities cannot be used: {error.strerror}", where=str(authorities)
        ) from None

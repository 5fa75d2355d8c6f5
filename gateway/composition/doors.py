"""Puts together the doors besides HTTP: the MLLP listener and the drop folders of the sources in force."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from adapters.sources.folder import DropFolder
from adapters.sources.mllp import MllpListener
from adapters.sources.mllp_connection import MllpLimits
from adapters.sources.mllp_senders import MllpSource, Senders
from adapters.sources.mllp_tls import listening
from gateway.composition.factory import Factory, now
from gateway.serving.doors import FoldersPart, MllpPart, Watched
from gateway.settings.shapes import Settings, SourceSettings

if TYPE_CHECKING:
    import socket
    import ssl

    from adapters.intake.receive import Intake
    from gateway.serving.part import ServerPart


class Doors:
    """The listener and the watched folders of the sources in force, which hand everything to ``intake``.

    Of a server's processes only one may take dropped files: ``folders`` says whether it is this one.
    """

    def __init__(self, make: Factory, intake: Intake, bound: socket.socket, *, folders: bool = True) -> None:
        self._make = make
        self._intake = intake
        self._takes_files = folders
        self._listener = self._listening(bound)
        self._folders = FoldersPart(self._watched())

    @property
    def parts(self) -> list[ServerPart]:
        """The server's parts."""
        return [MllpPart(self._listener), self._folders]

    def renew(self) -> None:
        """Follow a change of the sources in force: from now on these may send, and no others."""
        self._listener.senders = self._senders()
        self._folders.watch(self._watched())

    def _listening(self, bound: socket.socket) -> MllpListener:
        settings = self._make.settings
        patience = MllpLimits(
            message_bytes=settings.limits.mllp_frame,
            connections_per_peer=settings.limits.mllp_connections,
            first_byte=settings.limits.first_byte,
            next_byte=settings.limits.next_byte,
        )
        return MllpListener(self._intake, self._senders(), bound, patience, _mllp_tls(settings), self._make.metrics)

    def _senders(self) -> Senders:
        return Senders(
            MllpSource(row.source, row.match.sending_application, row.match.sending_facility, row.tls_client)
            for row in self._make.declared.values()
            if row.match is not None
        )

    def _watched(self) -> list[Watched]:
        if not self._takes_files:
            return []
        folders = [(row, row.folder) for row in self._make.declared.values() if row.folder is not None]
        return [Watched(row.source, folder, self._drop_folder(row, folder)) for row, folder in folders]

    def _drop_folder(self, row: SourceSettings, folder: Path) -> DropFolder:
        pace, metrics = self._make.settings.folders, self._make.metrics
        return DropFolder(self._intake, row.source, folder, now, settle=pace.settle, interval=pace.interval, observer=metrics)


def _mllp_tls(settings: Settings) -> ssl.SSLContext | None:
    tls = settings.mllp_tls
    if tls.certificate is None or tls.key is None:
        return None
    return listening(tls.certificate, tls.key, tls.client_authority)

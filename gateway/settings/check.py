"""Settings that contradict one another, each rule one small function in `RULES`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from adapters.sources.mllp_senders import UNKNOWN
from gateway.settings.lines import KeyPath
from gateway.settings.shapes import UNKNOWN_OVER_HTTP, Settings, SourceSettings
from gateway.settings.values import Door


class SettingsFault(NamedTuple):
    """One contradiction."""

    path: KeyPath
    message: str
    cure: str


Rule = Callable[[Settings], Iterable[SettingsFault]]


def contradictions(settings: Settings) -> Iterator[SettingsFault]:
    """Everything that `RULES` find."""
    for rule in RULES:
        yield from rule(settings)


def _numbered(settings: Settings) -> Iterator[tuple[int, SourceSettings]]:
    return enumerate(settings.sources.values())


def _secret_shared(settings: Settings) -> Iterator[SettingsFault]:
    if settings.embedded or settings.key_secret is not None:
        return
    engine = settings.store if settings.log.embedded else settings.log
    yield SettingsFault(
        ("key_secret",),
        f"with {engine.parts.scheme}:// the key secret must be given: every process needs the same one",
        "Put 32 random characters or more into a file of mode 0600, and name it in BACKBONE_KEY_SECRET_FILE.",
    )


def _secret_long(settings: Settings) -> Iterator[SettingsFault]:
    if settings.key_secret is not None and len(settings.key_secret) < 32:
        cure = "Give at least 32 random characters, for example from `openssl rand -hex 32`."
        yield SettingsFault(("key_secret",), "the key secret is too short to keep anything secret", cure)


def _addresses_differ(settings: Settings) -> Iterator[SettingsFault]:
    if settings.http == settings.mllp and settings.http.port:
        yield SettingsFault(("mllp",), f"HTTP and MLLP cannot both listen on {settings.http}", "Give one of them another port.")
    if settings.health in (settings.http, settings.mllp) and settings.health and settings.health.port:
        message = f"health and another door cannot both listen on {settings.health}"
        yield SettingsFault(("health",), message, "Give one of them another port.")


def _tls_complete(settings: Settings) -> Iterator[SettingsFault]:
    tls = settings.mllp_tls
    if (tls.certificate is None) != (tls.key is None):
        missing = "key" if tls.key is None else "certificate"
        yield SettingsFault(
            ("mllp_tls", missing),
            f"TLS of the MLLP door has no {missing}",
            "Give both the certificate and its key, or neither.",
        )
    if tls.client_authority and not tls.certificate:
        cure = "Give mllp_tls.certificate and mllp_tls.key, or remove mllp_tls.client_authority."
        yield SettingsFault(("mllp_tls", "client_authority"), "client certificates are asked for by TLS only", cure)
    for name in tls.__struct_fields__:
        file = getattr(tls, name)
        if file is not None and not file.is_file():
            yield SettingsFault(
                ("mllp_tls", name),
                f"there is no file {file}",
                "Correct the path; a relative one starts from the settings file.",
            )


def _tls_clients(settings: Settings) -> Iterator[SettingsFault]:
    for place, source in _numbered(settings):
        if source.tls_client and not settings.mllp_tls.client_authority:
            cure = "Give mllp_tls.client_authority, or remove tls_client."
            yield SettingsFault(
                ("source", place, "tls_client"), "no client certificate is asked for, so none can be matched", cure
            )


_NEEDS = ((Door.MLLP, "match", 'match = { sending_application = "…" }'), (Door.FOLDER, "folder", 'folder = "inbox/…"'))
"""A door, the key it needs and an example of it; without the door the key says nothing."""


def _doors_complete(settings: Settings) -> Iterator[SettingsFault]:
    for place, source in _numbered(settings):
        for door, key, example in _NEEDS:
            given, named = getattr(source, key) is not None, door in source.doors
            if named and not given:
                yield SettingsFault(
                    ("source", place, "doors"), f"the {door} door needs {key}", f"Add {example}, or take {door} out of doors."
                )
            if given and not named:
                yield SettingsFault(
                    ("source", place, key),
                    f"{key} without the {door} door does nothing",
                    f'Add "{door}" to doors, or remove {key}.',
                )


def _mllp_reads_hl7(settings: Settings) -> Iterator[SettingsFault]:
    for place, source in _numbered(settings):
        if Door.MLLP in source.doors and source.reads != "hl7v2":
            cure = 'Write reads = "hl7v2", or take mllp out of doors.'
            yield SettingsFault(("source", place, "reads"), f"MLLP carries HL7 v2, and this source reads {source.reads}", cure)


def _matches_differ(settings: Settings) -> Iterator[SettingsFault]:
    seen: dict[object, str] = {}
    for place, source in _numbered(settings):
        if source.match is None:
            continue
        other = seen.setdefault(source.match, source.source.id)
        if other != source.source.id:
            yield SettingsFault(
                ("source", place, "match"), f"{other} matches the same messages", "Make the two matches differ."
            )


def _endpoints_differ(settings: Settings) -> Iterator[SettingsFault]:
    seen: dict[str, str] = {}
    for place, source in _numbered(settings):
        other = seen.setdefault(source.endpoint, source.source.id) if source.endpoint else source.source.id
        if other != source.source.id:
            yield SettingsFault(
                ("source", place, "endpoint"), f"{other} has the same endpoint", "Make the two endpoints differ."
            )


def _folders_differ(settings: Settings) -> Iterator[SettingsFault]:
    folders = [(place, source, source.folder) for place, source in _numbered(settings) if source.folder]
    for index, (place, _, folder) in enumerate(folders):
        for _, other, earlier in folders[:index]:
            if folder.is_relative_to(earlier) or earlier.is_relative_to(folder):
                message = f"this folder and that of {other.source.id} lie in one another"
                yield SettingsFault(("source", place, "folder"), message, "Give each source a folder of its own.")
        if folder.is_relative_to(settings.data) or settings.data.is_relative_to(folder):
            message = "a drop folder and the data folder lie in one another"
            yield SettingsFault(("source", place, "folder"), message, "Give the source a folder outside the data folder.")


def _ids_free(settings: Settings) -> Iterator[SettingsFault]:
    for place, source in _numbered(settings):
        if source.source.id in (UNKNOWN.id, UNKNOWN_OVER_HTTP.id):
            message = f"{source.source.id} is where messages of unknown senders are kept"
            yield SettingsFault(("source", place, "id"), message, "Give this source another id.")


RULES: tuple[Rule, ...] = (
    _ids_free,
    _secret_shared,
    _secret_long,
    _addresses_differ,
    _tls_complete,
    _tls_clients,
    _doors_complete,
    _mllp_reads_hl7,
    _matches_differ,
    _endpoints_differ,
    _folders_differ,
)

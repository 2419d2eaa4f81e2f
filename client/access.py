"""How a client gets in at a server: TLS, headers, a token; and how requests are compressed."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Compression = Literal["gzip", "deflate"]


@dataclass(frozen=True)
class Access:
    """What goes with every request to a server, beside the request itself.

    Attributes:
        ca: certificates of the authorities that `https://` and `grpcs://` trust, in a PEM file; None for the system's
            (gRPC: its own list).
        certificate: the client's own certificate chain, PEM, where the server asks for one.
        key: its private key, PEM, without a password; None if `certificate` holds it.
        headers: HTTP headers, gRPC metadata.
        token: sent as `Authorization: Bearer TOKEN`.
        compression: of requests; answers are compressed as the server likes. None for neither.

    Raises:
        ValueError: for a key without a certificate, a header that is given twice, holds a line break or is not ASCII,
            or another compression.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    token: str | None = field(default=None, repr=False)
    compression: Compression | None = None

    def __post_init__(self) -> None:
        if self.key is not None and self.certificate is None:
            raise ValueError("a key needs its certificate")
        if self.compression not in (None, "gzip", "deflate"):
            raise ValueError(f"compression {self.compression!r} is neither gzip nor deflate")
        names = [name.lower() for name in self.headers] + (["authorization"] if self.token else [])
        if len(set(names)) < len(names):
            raise ValueError(f"a header is given twice: {', '.join(sorted(names))}")
        for name, value in self.sent_headers().items():
            if not name or any(character in f"{name}{value}" for character in "\r\n\0"):
                raise ValueError(f"header {name!r} is empty or holds a line break")
            if not f"{name}{value}".isascii():
                raise ValueError(f"header {name!r} holds a character that is not ASCII")

    @property
    def has_tls_files(self) -> bool:
        """Whether a certificate is given, which only TLS can use."""
        return self.ca is not None or self.certificate is not None

    def sent_headers(self) -> dict[str, str]:
        """Headers with the token among them, names in lower case, as gRPC wants them."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        return headers | ({"authorization": f"Bearer {self.token}"} if self.token else {})

    def ssl_context(self) -> ssl.SSLContext:
        """For HTTP.

        Raises:
            OSError: if a file cannot be read or holds no certificate or key; the message names it.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except OSError as error:
            raise OSError(f"certificates of authorities {self.ca} cannot be read: {error}") from error
        if self.certificate is not None:
            try:
                context.load_cert_chain(self.certificate, self.key, password="")
            except OSError as error:
                files = f"{self.certificate}, key {self.key or self.certificate}"
                raise OSError(f"client certificate {files} cannot be read: {error}") from error
        return context

    def pem(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        """Authorities, key and certificate chain, as gRPC wants them.

        Raises:
            OSError: if a file cannot be read or holds no certificate or key.
        """
        self.ssl_context()  # gRPC itself says only later, and not what, if a file is no certificate
        ca, certificate, key = (None if path is None else path.read_bytes() for path in self._files())
        return ca, key, certificate

    def _files(self) -> tuple[Path | None, Path | None, Path | None]:
        paths = (self.ca, self.certificate, self.key or self.certificate)
        return tuple(None if path is None else Path(path) for path in paths)  # type: ignore[return-value]

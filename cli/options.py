"""Options that several commands share."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from readability_triton.client.access import Access
from readability_triton.client.protocol import DEFAULT_URL
from readability_triton.serving.repository import default_repository

Command = TypeVar("Command", bound=Callable[..., Any])

_FILE = click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)

model_repository_option = click.option(
    "--model-repository",
    type=_FOLDER,
    default=default_repository,
    show_default="the project's",
    help="Folder with a folder for each model.",
)

_BUNDLE = Path(__file__).parents[1] / "training" / "bundles" / "minilm"  # `training` is not in every extra

bundle_option = click.option(
    "--bundle",
    type=_FOLDER,
    default=_BUNDLE,
    show_default="the one that comes with the project",
    help="What `readability train` wrote.",
)

new_bundle_option = click.option(
    "--bundle",
    type=click.Path(file_okay=False, path_type=Path),
    default=_BUNDLE,
    show_default="the one that comes with the project",
    help="Where to write what was learned.",
)

device_option = click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)

data_licence_option = click.option(
    "--data-licence",
    default="The licence of the data, which these weights carry on, was not stated.",
    help="A sentence for the model card.",
)


def server_options(command: Command) -> Command:
    """Options that say where servers are and how to get in: `url`, and those that `AskedAccess` takes."""
    url = click.option(
        "--url",
        "urls",
        multiple=True,
        default=(DEFAULT_URL,),
        show_default=True,
        help="grpc://HOST:PORT or http://HOST:PORT; grpcs:// or https:// for TLS. Several share the requests.",
    )
    return url(access_options(command))


def access_options(command: Command) -> Command:
    """Options that say how to get in at a server: those that `AskedAccess` takes."""
    options = (
        click.option("--ca", type=_FILE, help="Certificates to trust, PEM.  [default: the system's]"),
        click.option("--certificate", type=_FILE, help="The client's own certificate, PEM."),
        click.option("--key", type=_FILE, help="Its private key, PEM."),
        click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="Sent with every request."),
        click.option(
            "--token",
            envvar="READABILITY_TOKEN",
            show_envvar=True,
            help="Sent as a bearer token; better by the variable, which a list of processes does not show.",
        ),
        click.option("--compression", type=click.Choice(["gzip", "deflate"]), help="Of requests."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@dataclass(frozen=True, kw_only=True)
class AskedAccess:
    """What `access_options` gave."""

    ca: Path | None
    certificate: Path | None
    key: Path | None
    headers: tuple[str, ...]
    token: str | None
    compression: Any

    def access(self) -> Access:
        """How to get in at a server.

        Raises:
            click.BadParameter: if a header is not NAME:VALUE.
            ValueError: as `Access` does.
        """
        pairs: dict[str, str] = {}
        for header in self.headers:
            name, colon, value = header.partition(":")
            if not colon or not name.strip():
                raise click.BadParameter(f"{header!r} is not NAME:VALUE", param_hint="--header")
            if name.strip().lower() in {each.lower() for each in pairs}:
                raise click.BadParameter(f"{name.strip()} is there twice", param_hint="--header")
            pairs[name.strip()] = value.strip()
        return Access(self.ca, self.certificate, self.key, pairs, self.token or None, self.compression)

    def access_to(self, server: Any) -> Access:
        """How to get in at `server`, the value of --url; empty without one, where the command asks no server.

        Raises:
            click.UsageError: if it is said how, but not at which.
            click.BadParameter, ValueError: as `access` does.
        """
        found = self.access()
        if server:
            return found
        if found.has_tls_files or self.headers or self.compression:
            raise click.UsageError("certificates, headers and compression need --url: no other server wants them")
        return Access()  # a token in the environment is for the commands that ask a server

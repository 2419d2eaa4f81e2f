"""A model that, while a file lies in its folder, hangs (HANG), fails (RAISE) or cannot send its answers (DROP)."""

import importlib.util
import json
import time
from pathlib import Path

POLL_S = 0.02


class TritonPythonModel:
    """Wraps the model of `original.py`."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the original."""
        self.folder = Path(args["model_repository"])
        spec = importlib.util.spec_from_file_location("original", self.folder / args["model_version"] / "original.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.original = module.TritonPythonModel()
        if hasattr(self.original, "initialize"):
            config = json.loads(args["model_config"]) | {"default_model_filename": ""}  # it names this file
            self.original.initialize(args | {"model_config": json.dumps(config)})

    def execute(self, requests: list) -> list:
        """Do what the original does, unless a trap is set."""
        while (self.folder / "HANG").exists():
            time.sleep(POLL_S)
        if (self.folder / "RAISE").exists():
            raise RuntimeError("this stage is set to fail")
        if (self.folder / "DROP").exists():
            requests = [WithoutSender(request) for request in requests]
        return self.original.execute(requests)

    def finalize(self) -> None:
        """Let the original end."""
        if hasattr(self.original, "finalize"):
            self.original.finalize()


class WithoutSender:
    """A request whose response sender is lost."""

    def __init__(self, request) -> None:
        self.request = request

    def __getattr__(self, name: str):
        return getattr(self.request, name)

    def get_response_sender(self):
        """There is none."""
        raise RuntimeError("the sender of this request is set to be lost")

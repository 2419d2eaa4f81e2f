"""A model that hangs while a file HANG lies in its folder, and fails while a file RAISE does."""

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
        return self.original.execute(requests)

"""Makes the contract's Python code, `client/modelkeep/v1`, from `proto/` at every build."""

import os
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ContractHook(BuildHookInterface):
    """Runs protoc from grpcio-tools, which the build environment brings."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generate the code anew."""
        import grpc_tools
        from grpc_tools import protoc

        root = Path(self.root)
        out = root / "client" / "modelkeep" / "v1"
        out.mkdir(exist_ok=True)
        for stale in out.glob("*_pb2*"):
            stale.unlink()
        # protoc finds the plugins of mypy-protobuf beside this Python.
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        protos = sorted(
            str(path.relative_to(root / "proto"))
            for path in root.glob("proto/modelkeep/v1/*.proto")
        )
        arguments = [
            "protoc",
            f"-I{root / 'proto'}",
            f"-I{root / 'proto' / 'third_party'}",
            f"-I{Path(grpc_tools.__file__).parent / '_proto'}",
            *(
                f"--{plugin}_out={options}{root / 'client'}"
                for plugin, options in {
                    "python": "",
                    "grpc_python": "",
                    "mypy": "quiet:",
                    "mypy_grpc": "quiet:",
                }.items()
            ),
            *protos,
        ]
        if protoc.main(arguments) != 0:
            raise RuntimeError("protoc could not make the contract's Python code")
        (out / "__init__.py").write_text('"""The contract as protoc made it: the raw layer."""\n')

"""Compile the interface files of gRPC, service/interfaces/*.proto, into their descriptors.

python scripts/compile_interfaces.py            writes service/interfaces/descriptors.binpb
python scripts/compile_interfaces.py --check    fails if it is not what would be written
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from grpc_tools import _proto, protoc

FOLDER = Path(__file__).parents[1] / "service" / "interfaces"
DESCRIPTORS = FOLDER / "descriptors.binpb"
# google/protobuf/*.proto, which some files import
INCLUDED = Path(next(iter(_proto.__path__)))


def compile_files(scratch: Path) -> bytes:
    """Return the descriptors of all interface files and of what they import."""
    output = scratch / "descriptors.binpb"
    files = sorted(path.name for path in FOLDER.glob("*.proto"))
    options = [
        f"-I{FOLDER}",
        f"-I{INCLUDED}",
        "--include_imports",
        f"--descriptor_set_out={output}",
    ]
    if protoc.main(["protoc", *options, *files]):
        sys.exit("the interface files must compile")
    return output.read_bytes()


def main() -> None:
    """Write the descriptors, or compare them with what is there."""
    with TemporaryDirectory() as scratch:
        descriptors = compile_files(Path(scratch))
    is_current = DESCRIPTORS.is_file() and DESCRIPTORS.read_bytes() == descriptors
    if "--check" in sys.argv[1:] and not is_current:
        sys.exit(f"{DESCRIPTORS.name} must be compiled again: make interfaces")
    if not is_current:
        DESCRIPTORS.write_bytes(descriptors)


main()

"""Someone who gets a version now and then, from a process of their own, and times it.

    python -m tests.hostile.bystander ADDRESS VERSION SECONDS

prints the times that its calls took, in seconds, as a JSON list. Now and then it lists versions
too, which takes a thread of the server, and fails where that isn't answered soon.
"""

import json
import sys
import time

import grpc

from modelkeep.v1 import version_service_pb2 as pb
from modelkeep.v1.version_service_pb2_grpc import VersionServiceStub

CALLS_A_SECOND = 200


def main() -> None:
    """Ask at an even pace, whatever the last answer took."""
    address, version, seconds = sys.argv[1:]
    request = pb.GetVersionRequest(name=version)
    listing = pb.ListVersionsRequest(parent=version.rpartition("/versions/")[0], page_size=1)
    times = []
    with grpc.insecure_channel(address) as channel:
        stub = VersionServiceStub(channel)
        stub.GetVersion(request, timeout=20)
        begun = time.monotonic()
        for number in range(int(float(seconds) * CALLS_A_SECOND)):
            time.sleep(max(0.0, begun + number / CALLS_A_SECOND - time.monotonic()))
            started = time.perf_counter()
            stub.GetVersion(request, timeout=20)
            times.append(time.perf_counter() - started)
            if number % 50 == 25:
                stub.ListVersions(listing, timeout=2)
    sys.stdout.write(json.dumps(times))


if __name__ == "__main__":
    main()

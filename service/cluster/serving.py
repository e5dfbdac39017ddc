"""The server as an application of Ray Serve.

    serve run service.cluster.serving:app

Ray Serve has the port and the replicas, and a replica the unchanged application. Its settings are
the server's: `LACUNA_` variables.
"""

from __future__ import annotations

from ray import get_runtime_context, serve

from service.cluster.replica import Replica


@serve.ingress()
class LacunaReplica(Replica):
    """Replica with the CPUs that Ray has given to it."""

    def __init__(self) -> None:
        cpus = get_runtime_context().get_assigned_resources().get("CPU", 1)
        super().__init__(max(int(cpus), 1))


app = serve.deployment(LacunaReplica, name="lacuna").bind()

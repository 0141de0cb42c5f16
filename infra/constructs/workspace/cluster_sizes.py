"""What a declared size (small, medium, large) means in an environment: node type, workers, and the pool or none.

The numbers are in the settings of the environment, under ``compute.sizes``.
"""

from collections.abc import Mapping

from infra.config.model import SizeInNodes
from infra.constructs.deployment import Deployment
from infra.synthesis.stack import Resource
from pipelines.declarations.job import Size


def nodes_of(size: Size, deployment: Deployment) -> SizeInNodes:
    """Return the node type and the number of workers of a size."""
    return deployment.settings.compute.sizes[size]


def machines(nodes: SizeInNodes, deployment: Deployment, pool: Resource) -> Mapping[str, str]:
    """Return which machines a cluster uses: the pool's if the pool has its node type, else machines of its own."""
    if nodes.node_type == deployment.settings.compute.pool.node_type:
        return {"instance_pool_id": pool.id}
    return {"node_type_id": nodes.node_type}

"""Nodes that differ from this machine or from each other are refused."""

import asyncio
from dataclasses import replace

import pytest

from lacuna.errors import InferenceError
from service.cluster.model_workers import check_same, check_versions
from service.cluster.pool import ClusterError
from service.cluster.worker import WorkerModel, list_versions
from tests.support.scenes import GriddedRunner

MODEL = GriddedRunner().model


class Node:
    def __init__(self, answer):
        self.answer = answer

    async def call(self, method, *arguments):
        assert method == "list_versions"
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def end(self):
        pass


def test_a_node_with_the_same_versions_fits():
    asyncio.run(check_versions(Node(list_versions())))


@pytest.mark.parametrize("name", ["lacuna", "Python", "tensorflow", "numpy", "pillow"])
def test_a_node_with_another_version_does_not(name):
    versions = list_versions()

    with pytest.raises(ClusterError, match=rf"{name} {versions[name]}.*one has 0\.0"):
        asyncio.run(check_versions(Node({**versions, name: "0.0"})))


def test_a_node_without_lacuna_does_not():
    error = InferenceError("a process of the cluster must not fail; it raised RuntimeError: no")

    with pytest.raises(ClusterError, match=r"must have lacuna-segmentation\[ray\].*RuntimeError"):
        asyncio.run(check_versions(Node(error)))


def test_nodes_that_compute_other_bits_are_refused():
    with pytest.raises(ClusterError, match="must compute the same bits"):
        check_same(WorkerModel(MODEL, None, "one"), WorkerModel(MODEL, None, "other"))


def test_nodes_on_which_the_contract_differs_are_refused():
    other = replace(MODEL, is_exact=False)

    with pytest.raises(ClusterError, match="must find the same model"):
        check_same(WorkerModel(MODEL, None, "one"), WorkerModel(other, None, "one"))

"""Models of this process, for commands that run without a server."""

import asyncio

import pytest

from service.local.engine import open_engine
from tests.support import onnx_models


@pytest.mark.parametrize(("named", "loaded"), [("one", ["one"]), (None, ["one", "two"])])
def test_only_the_model_that_is_named_is_loaded(tmp_path, monkeypatch, named, loaded):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("one", "two"):
        onnx_models.save(tmp_path / "models" / name / "1")

    async def list_models():
        async with open_engine(tmp_path / "models", named) as engine:
            return [status.name for status in engine.repository.statuses]

    assert sorted(asyncio.run(list_models())) == loaded


def test_of_the_demo_the_default_alone_is_loaded():
    async def find():
        async with open_engine(None, None) as engine:
            return engine.repository.find(None).name, len(engine.repository.statuses)

    assert asyncio.run(find()) == ("aerial", 1)

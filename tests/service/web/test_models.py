from service.runtime.fake import FakeRuntime
from tests.support.apps import load_repository, make_repository_folder, serve


class ReadsTheBatch(FakeRuntime):
    """Breaks the promise: darkens an image by how much of the whole batch is valid."""

    def run(self, images, masks, *, probabilities):
        return super().run(images * masks.mean(), masks, probabilities=probabilities)


def test_a_model_is_described_with_what_it_promises(tmp_path):
    with serve(load_repository(make_repository_folder(tmp_path))) as client:
        (model,) = client.get("/v1/models").json()["models"]

    assert (model["name"], model["version"], model["state"]) == ("fake", "1", "ready")
    assert model["image"] == {"channels": 1, "dtype": "uint8"}
    assert model["classes"][0] == {"id": 0, "name": "dark", "color": "#202020"}
    assert (model["total_stride"], model["receptive_radius"]) == (4, 2)
    assert model["contract"]["padding_invariant"] is True
    assert {key: model["contract"]["checks"][5][key] for key in ("name", "passed")} == {
        "name": "receptive radius",
        "passed": True,
    }


def test_a_model_that_breaks_the_contract_says_so(tmp_path):
    repository = load_repository(make_repository_folder(tmp_path), lambda _: ReadsTheBatch())
    with serve(repository) as client:
        (model,) = client.get("/v1/models").json()["models"]

    assert model["contract"]["padding_invariant"] is False
    assert model["state"] == "ready"


def test_a_model_that_is_not_there_is_listed_with_the_reason(tmp_path):
    with serve(load_repository(tmp_path, names=("ghost",))) as client:
        (model,) = client.get("/v1/models").json()["models"]

    assert (model["state"], model["reason"]) == ("failed", "no version of it is in the repository")

import pytest

from model.training.plans import claim_folder

PLAN = {"config": {"steps": 200, "seed": 0}, "dataset": {"digest": "abc", "nodata": float("nan")}}


def test_the_same_plan_may_go_on(tmp_path):
    claim_folder(tmp_path / "new", PLAN)
    claim_folder(tmp_path / "new", PLAN)


def test_another_plan_is_refused_with_what_differs(tmp_path):
    claim_folder(tmp_path, PLAN)
    other = {**PLAN, "config": {"steps": 300, "seed": 0}}

    with pytest.raises(ValueError, match=r"where config\.steps was 200 and is now 300$"):
        claim_folder(tmp_path, other)


def test_the_folder_of_a_run_of_another_kind_is_refused(tmp_path):
    (tmp_path / "network.keras").write_bytes(b"")

    with pytest.raises(ValueError, match="a folder of its own"):
        claim_folder(tmp_path, PLAN)

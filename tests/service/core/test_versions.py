import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.versions import (
    FILES_CHANGING,
    GRAPH_MISSING,
    DiscoveredVersion,
    KnownVersion,
    Snapshot,
    VersionPlan,
    VersionPolicy,
    accept_all,
    find_unchanged,
    is_model_name,
    is_version,
    plan_versions,
    resolve_label,
)

LATEST = VersionPolicy()
ALL = VersionPolicy(None)


def find_on_disk(*versions, files="new"):
    return [DiscoveredVersion(version, files) for version in versions]


def serve(*versions, files="new"):
    return [KnownVersion(version, True, files) for version in versions]


def fail(*versions, files="new"):
    return [KnownVersion(version, False, files) for version in versions]


def plan(policy, found, held=(), labelled=()):
    return plan_versions(policy, labelled, found, held)


def list_loads(plan):
    return [item.version for item in plan.load]


@pytest.mark.parametrize("name", ["0", "1", "20240131", "9" * 18])
def test_versions_are_plain_numbers(name):
    assert is_version(name)


@pytest.mark.parametrize(
    "name", ["", "01", "1.0", "-1", "+1", "1 ", "1\n", "../1", "..", "v1", "²", "١", "9" * 19]
)
def test_nothing_else_is_a_version(name):
    assert not is_version(name)


@pytest.mark.parametrize("name", ["m", "ground-cover_2.1", "_", "7"])
def test_models_are_named_like_plain_folders(name):
    assert is_model_name(name)


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "a/b", "a\\b", "a b", "ä", "m\n", "m\0", "lost+found", "-m"]
)
def test_no_model_has_a_name_that_could_be_a_path(name):
    assert not is_model_name(name)


@pytest.mark.parametrize("text", ["latest", "latest:2", "all", "7", "1,3"])
def test_a_policy_reads_as_it_is_written(text):
    assert str(VersionPolicy.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "same"), [("latest:1", "latest"), (" 3, 1,3 ", "1,3"), ("10,9", "9,10")]
)
def test_a_policy_has_one_form(text, same):
    assert VersionPolicy.parse(text) == VersionPolicy.parse(same)


@pytest.mark.parametrize(
    "text", ["", "newest", "latest:0", "latest:", "latest:x", "1,,3", "01", "1;3"]
)
def test_what_is_no_policy_is_refused(text):
    with pytest.raises(ValueError, match="must be"):
        VersionPolicy.parse(text)


def test_a_policy_cannot_name_what_is_no_version():
    with pytest.raises(ValueError, match="digits"):
        VersionPolicy(None, ("1", "../1"))


@pytest.mark.parametrize(
    ("policy", "loads"),
    [
        (LATEST, ["10"]),
        (VersionPolicy(2), ["10", "9"]),
        (VersionPolicy(9), ["10", "9", "2"]),
        (ALL, ["10", "9", "2"]),
        (VersionPolicy(None, ("2", "9", "11")), ["9", "2"]),
    ],
)
def test_the_policys_versions_are_loaded_highest_first(policy, loads):
    assert list_loads(plan(policy, find_on_disk("2", "10", "9"))) == loads


def test_what_is_served_and_unchanged_is_left_alone():
    assert plan(LATEST, find_on_disk("1", "2"), serve("2")) == VersionPlan()


def test_nothing_is_retired_before_the_new_one_answers():
    found = find_on_disk("1", "2")

    before = plan(LATEST, found, serve("1"))
    after = plan(LATEST, found, serve("1", "2"))

    assert (list_loads(before), before.retire) == (["2"], ())
    assert (list_loads(after), after.retire) == ([], ("1",))


def test_a_new_version_that_fails_leaves_the_old_one():
    assert plan(LATEST, find_on_disk("1", "2"), serve("1") + fail("2")) == VersionPlan()


def test_at_the_start_the_next_lower_version_stands_in_for_one_that_fails():
    assert list_loads(plan(LATEST, find_on_disk("1", "2", "3"), fail("3"))) == ["2"]


def test_what_failed_is_tried_again_when_its_files_have_changed():
    held = serve("1") + fail("2", files="old")

    assert list_loads(plan(LATEST, find_on_disk("1", "2"), held)) == ["2"]


def test_what_is_replaced_is_loaded_beside_itself():
    planned = plan(LATEST, find_on_disk("1"), serve("1", files="old"))

    assert (list_loads(planned), planned.retire) == (["1"], ())


@pytest.mark.parametrize("reason", [FILES_CHANGING, GRAPH_MISSING])
def test_what_is_still_being_copied_waits_and_the_old_one_stays(reason):
    coming = DiscoveredVersion("2", "half", reason)

    planned = plan(LATEST, [*find_on_disk("1"), coming], serve("1"))

    assert planned == VersionPlan(waiting=(coming,))


def test_while_the_highest_is_being_copied_the_next_lower_one_is_loaded():
    planned = plan(LATEST, [*find_on_disk("1"), DiscoveredVersion("2", "half", FILES_CHANGING)])

    assert list_loads(planned) == ["1"]


def test_a_served_version_whose_files_change_goes_on_serving():
    coming = DiscoveredVersion("2", "half", FILES_CHANGING)

    planned = plan(LATEST, [*find_on_disk("1"), coming], serve("2", files="old"))

    assert planned == VersionPlan(waiting=(coming,))


def test_a_deleted_version_serves_until_another_has_taken_its_place():
    found = find_on_disk("1")

    before = plan(LATEST, found, serve("2"))
    after = plan(LATEST, found, serve("2", "1"))

    assert (list_loads(before), before.retire) == (["1"], ())
    assert after.retire == ("2",)


def test_the_last_version_goes_on_serving_without_its_folder():
    assert plan(LATEST, [], serve("2")) == VersionPlan()
    assert plan(LATEST, find_on_disk("1"), serve("2") + fail("1")) == VersionPlan()


def test_what_is_deleted_and_does_not_answer_is_forgotten():
    assert plan(LATEST, find_on_disk("1"), serve("1") + fail("2")).forget == ("2",)


def test_a_labelled_version_is_served_beside_what_the_policy_wants():
    found = find_on_disk("1", "2", "3")

    planned = plan(LATEST, found, serve("1", "2", "3"), labelled=["1"])

    assert list_loads(plan(LATEST, found, labelled=["1"])) == ["3", "1"]
    assert planned.retire == ("2",)


def test_versions_hold_still_once_two_looks_agree():
    before = {"1": Snapshot("a"), "2": Snapshot("a"), "3": Snapshot("a"), "5": Snapshot("a", False)}
    now = {"1": Snapshot("a"), "2": Snapshot("b"), "4": Snapshot("a"), "5": Snapshot("a", False)}

    assert {item.version: item.waiting for item in find_unchanged(before, now)} == {
        "1": "",
        "2": FILES_CHANGING,
        "3": FILES_CHANGING,
        "4": FILES_CHANGING,
        "5": GRAPH_MISSING,
    }


def test_a_version_that_is_missed_once_is_not_taken_for_gone():
    looks = [{"1": Snapshot("a"), "2": Snapshot("a")}, {"1": Snapshot("a")}]
    served = serve("2", files="a")

    once = plan(LATEST, find_unchanged(looks[0], looks[1]), served)
    twice = plan(LATEST, find_unchanged(looks[1], looks[1]), served)

    assert (list_loads(once), list_loads(twice)) == ([], ["1"])


def test_on_trust_everything_may_be_loaded():
    assert accept_all({"1": Snapshot("a", False)}) == [DiscoveredVersion("1", "a")]


@pytest.mark.parametrize(
    ("label", "version"),
    [("latest", "10"), ("stable", "9"), ("canary", "3"), ("newest", None)],
)
def test_labels_stand_for_versions(label, version):
    assert resolve_label(label, {"stable": "9", "canary": "3"}, ["9", "10"]) == version


def test_stable_is_the_highest_that_answers_unless_it_is_set():
    assert resolve_label("stable", {}, ["9", "10"]) == "10"
    assert resolve_label("stable", {}, []) is None


policies = st.sampled_from([LATEST, VersionPolicy(2), ALL, VersionPolicy(None, ("1", "3"))])
numbers = st.sampled_from(["1", "2", "3", "4", "5"])
states = st.dictionaries(numbers, st.tuples(st.booleans(), st.sampled_from("ab")))


@given(
    policies,
    st.sets(numbers, max_size=2),
    st.dictionaries(
        numbers, st.tuples(st.sampled_from("ab"), st.sampled_from(["", FILES_CHANGING]))
    ),
    states,
    st.sets(numbers),
)
def test_following_plans_ends_and_never_leaves_a_serving_model_without_an_answer(
    policy, labelled, disk, server, broken
):
    found = [DiscoveredVersion(version, *item) for version, item in disk.items()]
    held = {version: KnownVersion(version, *item) for version, item in server.items()}
    served = any(item.is_serving for item in held.values())

    for _ in range(20):
        planned = plan_versions(policy, labelled, found, held.values())
        for version in planned.forget:
            del held[version]
        if not planned.load:
            break
        assert not planned.retire
        item = planned.load[0]
        answers = item.version not in broken or (
            item.version in held and held[item.version].is_serving
        )
        held[item.version] = KnownVersion(item.version, answers, item.fingerprint)
    else:
        pytest.fail("it does not end")
    for version in planned.retire:
        held[version] = KnownVersion(version, False, None)

    assert any(item.is_serving for item in held.values()) or not served
    assert plan_versions(policy, labelled, found, held.values()).retire == ()
    assert not plan_versions(policy, labelled, found, held.values()).load

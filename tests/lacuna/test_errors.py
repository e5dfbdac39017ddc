import inspect

from lacuna import errors


def list_leaves():
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    return [
        kind
        for kind in kinds
        if issubclass(kind, errors.LacunaError)
        and not any(other is not kind and issubclass(other, kind) for other in kinds)
    ]


def test_every_leaf_has_a_code_of_its_own():
    codes = [leaf.code for leaf in list_leaves()]

    assert len(codes) == len(set(codes)) > 15


def test_every_class_is_drawn_in_the_tree():
    names = [name for name, _ in inspect.getmembers(errors, inspect.isclass)]

    assert [
        name for name in names if f" {name} " not in (errors.__doc__ or "").replace("\n", " ")
    ] == []


def test_the_message_is_what_people_read():
    assert str(errors.InvalidMaskError("mask must fit")) == "mask must fit"
    assert errors.InvalidMaskError("mask must fit").message == "mask must fit"

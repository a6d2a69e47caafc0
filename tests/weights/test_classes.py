import pytest

from alexnet.data.splits import ClassInfo, unnamed_classes
from alexnet.errors import DataError
from alexnet.weights.classes import find_classes, match_classes


def classes(*names: str, wnids: tuple[str | None, ...] = ()) -> tuple[ClassInfo, ...]:
    wnids = wnids or (None,) * len(names)
    return tuple(ClassInfo(index, name, wnid) for index, (name, wnid) in enumerate(zip(names, wnids, strict=True)))


def test_names_match_in_any_order_and_for_a_subset() -> None:
    known = classes("black swan", "crane", "goose")
    assert match_classes(classes("Goose", "black_swan"), known).tolist() == [2, 0]


def test_wordnet_ids_win_over_names() -> None:
    known = classes("crane", "crane", wnids=("n02012849", "n03126707"))
    assert match_classes(classes("machine", "bird", wnids=("n03126707", "n02012849")), known).tolist() == [1, 0]


def test_a_folder_named_by_its_wordnet_id_matches() -> None:
    assert match_classes(classes("n03126707"), classes("a", "crane", wnids=("n1", "n03126707"))).tolist() == [1]


def test_the_same_word_with_another_id_is_another_class() -> None:
    with pytest.raises(DataError, match="crane"):
        match_classes(classes("crane", wnids=("n02012849",)), classes("crane", "x", wnids=("n03126707", "n1")))


def test_a_name_that_two_classes_share_matches_nothing_unless_all_agree() -> None:
    known = classes("crane", "crane", "goose")
    assert match_classes(known, known).tolist() == [0, 1, 2]
    with pytest.raises(DataError, match="1 of the data's 1 classes"):
        match_classes(classes("crane"), known)


def test_numbered_classes_match_by_position_when_the_counts_agree() -> None:
    assert match_classes(unnamed_classes(3), classes("a", "b", "c")).tolist() == [0, 1, 2]
    assert match_classes(classes("a", "b", "c"), unnamed_classes(3)).tolist() == [0, 1, 2]
    assert match_classes(classes("0", "1", "10", "2"), classes("0", "1", "2", "10")).tolist() == [0, 1, 3, 2]
    with pytest.raises(DataError):
        match_classes(unnamed_classes(2), classes("a", "b", "c"))


def test_an_error_names_a_few_of_the_unmatched() -> None:
    with pytest.raises(DataError, match=r"5 of the data's 5 .* 2 of the weights: v, w, x and 2 more;"):
        match_classes(classes(*"vwxyz"), classes("a", "b"))


def test_an_error_names_the_folders_of_unmatched_classes_by_id_and_first_name() -> None:
    wanted = classes("tiger shark, Galeocerdo cuvieri", "n2", "dog", wnids=("n1", "n2", "n3"))
    with pytest.raises(DataError, match=r"of the weights: n1 \(tiger shark\), n2; name them .*, or leave them out$"):
        match_classes(wanted, classes("dog", wnids=("n3",)))


def test_a_class_is_known_by_the_first_of_its_synonyms() -> None:
    known = classes("goldfish, Carassius auratus", "maillot, tank suit", "maillot", "crane, bird", "crane, machine")
    assert match_classes(classes("Goldfish", "maillot"), known).tolist() == [0, 2]
    assert match_classes(classes("goldfish, another synonym"), known).tolist() == [0]
    with pytest.raises(DataError, match="of the weights: crane;"):
        match_classes(classes("crane"), known)


def test_two_classes_that_would_become_one_are_refused() -> None:
    with pytest.raises(DataError, match="'CAT' and 'cat' are both 'cat'"):
        match_classes(classes("CAT", "cat"), classes("cat", "dog"))


def test_classes_that_are_not_all_known_are_none() -> None:
    known = classes("cat", "dog", "fox")
    found = find_classes(classes("dog", "cat"), known)
    assert found is not None
    assert found.tolist() == [1, 0]
    assert find_classes(classes("dog", "cow"), known) is None

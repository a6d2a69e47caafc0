from dataclasses import replace

import numpy as np
import pytest

from alexnet.arch import find
from alexnet.errors import InputError
from alexnet.experiments.claims import CLAIMS
from alexnet.experiments.claims import retrieval as module
from alexnet.experiments.claims.looking import load_all
from alexnet.experiments.claims.retrieval import (
    Described,
    describe_both,
    describe_images,
    hidden_layer,
    neighbours,
    precisions,
)

RNG = np.random.default_rng(0)


def test_neighbours_are_those_of_a_plain_loop(monkeypatch):
    monkeypatch.setattr(module, "_QUERIES_AT_ONCE", 4)
    queries, gallery = (RNG.normal(size=(count, 6)).astype(np.float32) for count in (10, 40))
    expected = [np.argsort([np.linalg.norm(query - other) for other in gallery])[:3] for query in queries]
    assert neighbours(queries, gallery, 3).tolist() == [order.tolist() for order in expected]


def test_codes_are_ordered_by_how_many_bits_differ():
    queries, gallery = (RNG.integers(0, 2, (count, 20)).astype(np.float32) for count in (5, 30))
    expected = [np.argsort((query != gallery).sum(axis=1), kind="stable")[:6] for query in queries]
    assert neighbours(queries, gallery).tolist() == [order.tolist() for order in expected]


def test_precision_is_the_share_of_the_same_class():
    def described(labels, values):
        vectors = {"features": np.array(values, np.float32)[:, None]}
        return Described(labels=np.array(labels), indices=np.arange(len(labels)), vectors=vectors)

    gallery = described([0, 0, 0, 0, 1, 1, 1, 1, 1], [0, 1, 2, 3, 4, 5, 100, 101, 102])
    queries = described([0, 1], [0, 0])
    assert precisions(queries, gallery, "features") == pytest.approx([4 / 6, 2 / 6])


def test_images_are_described_in_four_ways(open_on_digits, digits_runs):
    study = open_on_digits(CLAIMS["codes"], weights=(digits_runs[0],))
    [classifier] = load_all(study)
    found = describe_images(classifier, study.dataset.split("test"), 20, study)
    assert {way: vectors.shape for way, vectors in found.vectors.items()} == {
        "features": (20, 128),
        "codes": (20, 128),
        "pixels": (20, 3072),
        "pixel codes": (20, 3072),
    }
    split = study.dataset.split("test")
    assert found.labels.tolist() == split.labels[found.indices].tolist()
    alone = classifier.features(split.image(int(found.indices[7])), "fc4")[0]
    assert found.vectors["features"][7] == pytest.approx(alone, abs=1e-3)
    assert set(np.unique(found.vectors["codes"])) <= {0.0, 1.0}
    assert (found.vectors["codes"] == (found.vectors["features"] > 0)).all()


def test_a_gallery_of_few_images_is_refused(open_on_digits, digits_runs, monkeypatch):
    monkeypatch.setattr(module, "LEAST_GALLERY", 100_000)
    study = open_on_digits(CLAIMS["codes"], weights=(digits_runs[0],))
    with pytest.raises(InputError, match="digits has 1438 training images; neighbours take 100000 or more"):
        describe_both(load_all(study)[0], study)


def test_the_hidden_layer_is_the_last_dense_one_before_the_classifier():
    assert hidden_layer(find("krizhevsky-145")) == "fc7"
    assert hidden_layer(find("digits")) == "fc4"
    with pytest.raises(InputError, match="no hidden dense row"):
        hidden_layer(replace(find("cifar-18pct"), name="bare"))

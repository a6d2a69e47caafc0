"""A net as a feature extractor: logistic regression of scikit-learn on what one of its layers says of an image.

python examples/features_for_a_classifier.py my-photos --weights runs/RUN --layer fc7
"""

import argparse

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import alexnet
from alexnet.data.datasets import Split, open_data


def features(classifier: alexnet.Classifier, split: Split, layer: str) -> np.ndarray:
    """(N, units), 64 images at a time."""
    starts = range(0, len(split), 64)
    batches = ([split.image(i) for i in range(start, min(start + 64, len(split)))] for start in starts)
    return np.concatenate([classifier.features(images, layer) for images in batches]).reshape(len(split), -1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--layer", default="fc7")
    args = parser.parse_args()
    classifier, dataset = alexnet.load(args.weights), open_data(args.folder)
    train, held_out = dataset.split("train"), dataset.split("val", "test")
    regression = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    regression.fit(features(classifier, train, args.layer), train.labels)
    accuracy = regression.score(features(classifier, held_out, args.layer), held_out.labels)
    print(f"error on {len(held_out)} held-out images: {1 - accuracy:.1%}")

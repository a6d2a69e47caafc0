"""The images of a folder that a net finds most like a given one, by the distance of their features (figure 4, right).

python examples/nearest_images.py photo.jpg my-photos --weights runs/RUN --layer fc7
"""

import argparse

import numpy as np

import alexnet
from alexnet.data.collection import image_files

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image")
    parser.add_argument("folder")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--layer", default="fc7")
    parser.add_argument("--count", type=int, default=5)
    args = parser.parse_args()
    classifier = alexnet.load(args.weights)
    files = image_files(args.folder)
    [wanted] = classifier.features(args.image, args.layer).reshape(1, -1)
    found = np.concatenate([classifier.features(file, args.layer).reshape(1, -1) for file in files])
    distances = np.linalg.norm(found - wanted, axis=1)
    for place in distances.argsort()[: args.count]:
        print(f"{distances[place]:10.3f}  {files[place]}")

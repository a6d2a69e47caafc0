"""A net of this package in a training loop of your own: it is an ordinary torch module.

python examples/use_the_net_in_your_loop.py --steps 300
"""

import argparse

import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F

import alexnet

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300)
    args = parser.parse_args()
    scans = load_digits()
    images = torch.from_numpy(scans.images).float()[:, None] * (255 / 16)  # the 2012 nets want 0 to 255, less the mean
    images = F.interpolate(images, size=16, mode="bilinear").expand(-1, 3, -1, -1) - images.mean()
    labels = torch.from_numpy(scans.target)
    test = torch.arange(len(labels)) % 5 == 0

    net = alexnet.create("digits", seed=0)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.005, momentum=0.9, weight_decay=0.0005)
    for step in range(args.steps):
        batch = torch.randint(len(labels) - int(test.sum()), (64,))
        loss = F.cross_entropy(net(images[~test][batch]), labels[~test][batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % 100 == 0:
            print(f"step {step + 1}: loss {loss:.3f}")
    with torch.no_grad():
        wrong = net.eval()(images[test]).argmax(1) != labels[test]
    print(f"test error {wrong.float().mean():.1%}")

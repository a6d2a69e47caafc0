"""AlexNet and its training of 2012 in one file of plain PyTorch: net 145, the run behind the paper's tables.

    python alexnet_in_one_file.py FOLDER --epochs 10        FOLDER holds one folder of photographs a class

Every tenth image is kept for the test; the weights go to alexnet.pt. Numbers are those of the 2012 release; where the
paper's text differs, a comment says so. The package does the same faster.
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

CANVAS, CROP = 256, 224  # pixels
BATCH, CHUNK = 128, 32  # images of a step; images that share one crop

# What was changed by hand, and from which epoch of 91 on. The first layer is slowed, then frozen; the colour noise ends
# with the slowing. Biases learn at twice the first rate and keep it. The paper has one rate for all.
EPOCHS = 91
RATES = {
    "weight": ((0, 0.01), (25, 0.001), (51, 0.0001), (79, 0.00001)),
    "bias": ((0, 0.02),),
    "conv1.weight": ((0, 0.01), (25, 0.001), (51, 0.0001), (67, 0.00001), (72, 0.0)),
    "conv1.bias": ((0, 0.02), (72, 0.0)),
}
COLOR_NOISE = ((0, 0.1), (67, 0.0))


class AlexNet(nn.Module):
    """Images (N, 3, 224, 224), 0 to 255 less the mean image, to logits (N, num_classes)."""

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        # groups=2: the halves lived on two GPUs, and where groups is 2 a kernel saw the maps of its own GPU only.
        self.conv1 = nn.Conv2d(3, 96, 11, stride=4)
        self.conv2 = nn.Conv2d(96, 256, 5, padding=2, groups=2)
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1)
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1, groups=2)
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1, groups=2)
        self.fc6 = nn.Linear(256 * 6 * 6, 4096)
        self.fc7 = nn.Linear(4096, 4096)
        self.fc8 = nn.Linear(4096, num_classes)
        for name, layer in self.named_children():  # the paper has std 0.01 everywhere: training then sits at chance
            nn.init.normal_(layer.weight, std=0.03 if name in {"conv3", "conv4", "conv5"} else 0.01)
            nn.init.constant_(layer.bias, float(name in {"conv2", "conv4", "conv5", "fc6", "fc7"}))

    def forward(self, x: Tensor) -> Tensor:
        """Logits; the softmax belongs to the loss."""
        pool = partial(F.max_pool2d, kernel_size=3, stride=2, ceil_mode=True)  # windows overlap by one
        x = F.pad(x, (0, 3, 0, 3))  # sizes round up: three zero pixels at the far edges make 55 x 55 of 224 x 224
        x = F.relu(pool(lrn(self.conv1(x))))  # the paper has the ReLU first; here LRN sees both signs
        x = lrn(F.relu(self.conv2(x)))
        x = pool(same_map_norm(x))
        x = F.relu(self.conv3(x))
        x = F.relu(self.conv4(x))
        x = F.relu(pool(self.conv5(x)))
        x = self.dropout(F.relu(self.fc6(x.flatten(1))))
        x = self.dropout(F.relu(self.fc7(x)))
        return self.fc8(x)

    def dropout(self, x: Tensor) -> Tensor:
        """Half of the units, unscaled, in training; at test all of them, halved."""
        return x * (torch.rand(x.shape, device=x.device) < 0.5) if self.training else x * 0.5


def lrn(x: Tensor) -> Tensor:
    """Across maps, each half by itself. torch divides alpha by the size, as the 2012 code did; the paper does not."""
    return torch.cat([F.local_response_norm(half, 5, alpha=1e-4, beta=0.75, k=2.0) for half in x.chunk(2, 1)], 1)


def same_map_norm(x: Tensor) -> Tensor:
    """Across the 5 x 5 neighbours in the same map; the paper does not mention it."""
    return x * (1 + 0.001 * F.avg_pool2d(x * x, 5, stride=1, padding=2)) ** -0.75


def progress_at(step: int, total_steps: int) -> float:
    """Where the run stands in its 91 epochs, 0 to 1.

    Ours: the first rate lasts 10,000 steps, or 0.7 of a run too short for that, or the net would not get going.
    """
    progress, first, held = step / total_steps, RATES["weight"][1][0] / EPOCHS, min(10_000 / total_steps, 0.7)
    if held <= first:
        return progress
    return progress * first / held if progress < held else first + (progress - held) * (1 - first) / (1 - held)


def value_at(table: tuple[tuple[int, float], ...], progress: float) -> float:
    """The last value of the table whose epoch has come."""
    return [value for epoch, value in table if progress >= epoch / EPOCHS][-1]


@torch.no_grad()
def update(net: AlexNet, velocities: dict[str, Tensor], progress: float) -> None:
    """v <- 0.9 v - rate (gradient + 0.0005 w); w <- w + v. torch's SGD has the rate outside of v."""
    for name, parameter in net.named_parameters():
        kind = name.split(".")[1]
        if rate := value_at(RATES.get(name, RATES[kind]), progress):  # at rate 0 velocity and decay rest too
            decay = 0.0005 if kind == "weight" else 0.0
            velocities[name].mul_(0.9).sub_(rate * (parameter.grad + decay * parameter))
            parameter.add_(velocities[name])
        parameter.grad = None


def load(files: list[Path], classes: list[str]) -> tuple[Tensor, Tensor]:
    """Canvases, uint8 (N, 3, 256, 256) RGB: shorter side 256, then the central square; and labels (N,)."""
    pictures = [Image.open(file).convert("RGB") for file in files]
    squares = [np.array(ImageOps.fit(picture, (CANVAS, CANVAS), Image.Resampling.BILINEAR)) for picture in pictures]
    labels = [classes.index(file.parent.name) for file in files]
    return torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2), torch.tensor(labels)


def statistics(batches: DataLoader) -> tuple[Tensor, Tensor, Tensor]:
    """Mean image (3, 256, 256); standard deviations (3,) and directions (3, 3, in columns) of the pixels' colours."""
    total, products, count = torch.zeros(3, CANVAS, CANVAS, dtype=torch.float64), torch.zeros(3, 3).double(), 0
    for canvases, _ in batches:
        total += canvases.sum(0)
        products += sum(flat @ flat.T for flat in canvases.flatten(2).double())
        count += len(canvases)
    mean = total / count
    color = mean.mean((1, 2))
    variances, directions = torch.linalg.eigh(products / (count * CANVAS * CANVAS) - torch.outer(color, color))
    return mean.float(), variances.clamp(min=0).sqrt().float(), directions.float()


def draw_crops(canvases: Tensor) -> Tensor:
    """(N, 3, 224, 224): one draw of place and mirror for 32 images in a row."""
    crops = []
    for chunk in canvases.split(CHUNK):
        y, x = torch.randint(CANVAS - CROP + 1, (2,)).tolist()  # 33 x 33 places; the paper counts 32 x 32
        crop = chunk[..., y : y + CROP, x : x + CROP]
        crops.append(crop.flip(-1) if torch.rand(()) < 0.5 else crop)
    return torch.cat(crops)


def draw_noise(count: int, stdevs: Tensor, directions: Tensor) -> Tensor:
    """Colour offsets (count, 3) in grey levels. The paper says eigenvalues; the code has their square roots."""
    return (torch.randn(count, 3) * stdevs) @ directions.T


def ten_views(canvases: Tensor) -> Tensor:
    """(10, N, 3, 224, 224): four corners and the centre, then all five mirrored."""
    edge = CANVAS - CROP
    places = (0, 0), (0, edge), (edge // 2, edge // 2), (edge, 0), (edge, edge)
    views = [canvases[..., y : y + CROP, x : x + CROP] for y, x in places]
    return torch.stack(views + [view.flip(-1) for view in views])


@torch.no_grad()
def error_of(net: AlexNet, batches: DataLoader, mean: Tensor) -> float:
    """Share of images whose most probable class is wrong, the probabilities averaged over ten views."""
    net.eval()
    wrong = 0
    for canvases, labels in batches:
        probs = torch.stack([net(view - mean).softmax(1) for view in ten_views(canvases.to(mean.device))]).mean(0)
        wrong += int((probs.argmax(1).cpu() != labels).sum())
    return wrong / len(batches.dataset)


def train(folder: Path, epochs: int) -> AlexNet:
    """A net trained on the class folders of `folder`, its test error printed after every epoch."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    files = sorted(file for file in folder.glob("*/*") if file.suffix.lower() in Image.registered_extensions())
    classes = sorted({file.parent.name for file in files})
    collate = partial(load, classes=classes)
    test = DataLoader(files[::10], BATCH, collate_fn=collate, num_workers=2)
    batches = DataLoader(sorted({*files} - {*files[::10]}), BATCH, shuffle=True, collate_fn=collate, num_workers=2)
    mean, stdevs, directions = statistics(batches)
    mean = ten_views(mean)[2].to(device)  # its centre, wherever the crop is taken
    net = AlexNet(len(classes)).to(device)
    velocities = {name: torch.zeros_like(parameter) for name, parameter in net.named_parameters()}
    for epoch in range(epochs):
        net.train()
        for step, (canvases, labels) in enumerate(batches, epoch * len(batches)):
            progress = progress_at(step, epochs * len(batches))
            strength = value_at(COLOR_NOISE, progress)
            noise = strength * draw_noise(len(labels), stdevs, directions)[:, :, None, None]
            x = (draw_crops(canvases).to(device) - mean + noise.to(device)) / (1 + strength)
            loss = F.cross_entropy(net(x), labels.to(device))
            loss.backward()
            update(net, velocities, progress)
        print(f"epoch {epoch + 1}: loss {loss:.3f}, test error {error_of(net, test, mean):.1%}", flush=True)
    return net


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--out", type=Path, default=Path("alexnet.pt"))
    args = parser.parse_args()
    torch.save(train(args.folder, args.epochs).state_dict(), args.out)

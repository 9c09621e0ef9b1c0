"""The models of the benchmark of image encoders in torch: ours layer by layer, by torchvision's names."""

import torch
from torch import nn


class ConvNet(nn.Module):
    """`encoders.ConvNet` with its defaults: blocks of convolution, group norm, ReLU and 2 x 2 pooling."""

    def __init__(self, dim, pixels, widths=(64, 64, 64, 64)):
        super().__init__()
        self.blocks = len(widths)
        for number, (inputs, width) in enumerate(zip((3, *widths), widths, strict=False)):
            self.add_module(f"conv_{number}", nn.Conv2d(inputs, width, 3, padding=1, bias=False))
            self.add_module(f"norm_{number}", nn.GroupNorm(8, width, eps=1e-6))
            pixels = -(-pixels // 2)
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.head = nn.Linear(widths[-1] * pixels**2, dim)

    def forward(self, x):
        for number in range(self.blocks):
            x = getattr(self, f"norm_{number}")(getattr(self, f"conv_{number}")(x))
            x = self.pool(torch.relu(x))
        return self.head(x.permute(0, 2, 3, 1).flatten(1))


class Block(nn.Module):
    """Two 3 x 3 convolutions with batch norms, added to their input."""

    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = None
        if stride != 1 or inputs != width:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    """torchvision's resnet18."""

    def __init__(self, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(Block(64, 64, 1), Block(64, 64, 1))
        self.layer2 = nn.Sequential(Block(64, 128, 2), Block(128, 128, 1))
        self.layer3 = nn.Sequential(Block(128, 256, 2), Block(256, 256, 1))
        self.layer4 = nn.Sequential(Block(256, 512, 2), Block(512, 512, 1))
        self.fc = nn.Linear(512, classes)

    def forward(self, x):
        x = self.pool(torch.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean(dim=(2, 3)))

"""Images as torch-fidelity takes them."""

from __future__ import annotations

from torch.utils.data import Dataset


class Rgb(Dataset):
    """Grey images repeated to three channels, which torch-fidelity requires."""

    def __init__(self, images):
        self.images = images.expand(-1, 3, -1, -1)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index]

"""Run by `bringing.py`: publishes a network for pictures, and keeps what it answers to others."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path += sys.argv[1:2]

import numpy as np
import torch
from torch import nn

import fairlead
from fairlead.config import Settings

home, kept = Path(sys.argv[2]), Path(sys.argv[3])
torch.manual_seed(0)
network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 10), nn.Softmax(1))
pictures = np.random.default_rng(0).random((20, 1, 10, 10), np.float32)
fairlead.publish(network, name="torch", sample=pictures[:10], labels=tuple("0123456789"), settings=Settings(home=home))
network.eval()
with torch.no_grad():
    answers = network(torch.from_dlpack(pictures[10:]))
np.savez(kept, rows=pictures[10:], answers=np.from_dlpack(answers))

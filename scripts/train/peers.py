"""Processes that train one network together: local SGD.

`torchrun --nproc-per-node N -m -- scripts.train.train ...` starts N of them. Each makes its own
steps on its own samples; every `every` steps weights and Adam's moments become the means over all
(Stich 2019, arXiv:1805.09767). A process alone is the first of one, and nothing is sent.

SPDX-License-Identifier: Apache-2.0
"""

import os

import torch
import torch.distributed as dist

# Its functions keep the group that exists at their import as their default, and a group that is
# kept is not destroyed: its threads live on and now and then abort the process as it exits. PyTorch
# imports it at some first use, which may be late; here there is no group yet.
import torch.distributed.nn  # noqa: F401
from torch import Tensor


class Peers:
    """This process among the others. Every method is called by all of them at the same step."""

    def __init__(self, device: torch.device, every: int):
        self.count = int(os.environ.get("WORLD_SIZE", 1))
        self.rank = int(os.environ.get("RANK", 0))
        self.device, self.every = device, every
        if every < 1:
            raise ValueError(f"--sync {every}: at least 1")
        if self.count > 1:
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")

    @property
    def first(self) -> bool:
        """Whether this process writes files and lines."""
        return self.rank == 0

    def meet(self, step: int) -> bool:
        """Whether all are to be made equal after so many steps."""
        return step % self.every == 0 or self.count == 1

    def average(self, tensors: list[Tensor]) -> None:
        """Each tensor becomes its mean over all processes."""
        if self.count == 1:
            return
        flat = torch.cat([x.detach().reshape(-1) for x in tensors])
        dist.all_reduce(flat)
        flat /= self.count
        with torch.no_grad():
            for x, mean in zip(tensors, flat.split([x.numel() for x in tensors])):
                x.copy_(mean.view(x.shape))

    def any(self, asked: bool) -> bool:
        """Whether any process asks."""
        if self.count == 1:
            return asked
        answer = torch.tensor(float(asked), device=self.device)
        dist.all_reduce(answer, dist.ReduceOp.MAX)
        return bool(answer.item())

    def leave(self) -> None:
        if self.count > 1:
            dist.destroy_process_group()


def device_of(name: str) -> torch.device:
    """`cuda` is each process's own GPU."""
    local = os.environ.get("LOCAL_RANK")
    return torch.device(f"cuda:{local}" if name == "cuda" and local else name)

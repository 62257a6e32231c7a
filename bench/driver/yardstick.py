"""The same U-Net in PyTorch, made as fast as PyTorch makes it without changing what it computes.

The model is scripts/reference's. For speed only: everything our engine keeps per request is
computed once here too (text features, text keys and values of every layer, the encoded canvas), and
attention goes through PyTorch's fused kernel. What is timed is one forward pass, like ours.

SPDX-License-Identifier: Apache-2.0
"""

import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scripts.reference import blocks, weights
from scripts.reference.cascade import conditioning_image
from scripts.reference.config import UNetConfig
from scripts.reference.unet import UNet

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def fused_attention(q: Tensor, k: Tensor, v: Tensor, valid: Tensor, heads: int) -> Tensor:
    """As blocks.attend, by scaled_dot_product_attention."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=valid[:, None, None, :])
    return y.transpose(1, 2).flatten(2)


class Kept(nn.Module):
    """A layer whose result does not change during a request."""

    def __init__(self, value: Tensor):
        super().__init__()
        self.register_buffer("value", value.clone())

    def forward(self, _: Tensor) -> Tensor:
        return self.value


class Forward(nn.Module):
    """One forward pass: z to prediction, all else kept."""

    def __init__(self, unet: UNet, inputs: dict[str, Tensor], dtype: torch.dtype):
        super().__init__()
        self.unet = unet
        rgb, mask = inputs["canvas.rgb"], inputs["canvas.mask"][..., 0]
        self.conditioning = unet.encode_canvas(conditioning_image(rgb, mask, dtype))
        self.text = unet.text(inputs["text.tokens"].to(dtype), inputs["text.length"].long())
        for module in unet.modules():
            if isinstance(module, blocks.Attention):
                tokens = self.text.tokens
                if hasattr(module, "text_norm"):
                    tokens = module.text_norm(tokens)
                module.text_kv = Kept(module.text_kv(tokens))
        self.v = inputs["v"].to(dtype)
        self.v_aug = inputs["v_aug"].to(dtype) if "v_aug" in inputs else None
        self.low = inputs["low"].to(dtype).permute(0, 3, 1, 2) if "low" in inputs else None

    def lay_out(self, layout: torch.memory_format) -> None:
        self.unet.to(memory_format=layout)
        self.conditioning = self.conditioning.contiguous(memory_format=layout)
        if self.low is not None:
            self.low = self.low.contiguous(memory_format=layout)

    def forward(self, z: Tensor) -> Tensor:
        return self.unet(z, self.v, self.text, self.conditioning, self.low, self.v_aug)


class Contestant:
    """A way of running the forward pass: layout, and eager or compiled."""

    def __init__(self, name: str, run: Callable[[Tensor], Tensor], z: Tensor):
        self.name = name
        self.call = run
        self.z = z

    @torch.inference_mode()
    def run(self) -> tuple[float, float]:
        """Wall and processor seconds of one pass."""
        busy, start = time.process_time(), time.perf_counter()
        self.call(self.z)
        return time.perf_counter() - start, time.process_time() - busy

    @torch.inference_mode()
    def prediction(self) -> Tensor:
        return self.call(self.z).float().permute(0, 2, 3, 1).contiguous()


@torch.inference_mode()
def contestant(
    folder: Path, inputs: dict[str, Tensor], dtype: torch.dtype, layout: str, compiled: bool
) -> Contestant:
    unet = UNet(UNetConfig.read(folder / "config.json"))
    weights.load_into(unet, folder)
    blocks.attend = fused_attention
    model = Forward(unet.to(dtype).eval(), inputs, dtype).eval()
    model.lay_out(LAYOUTS[layout])
    z = inputs["z"].to(dtype).permute(0, 3, 1, 2).contiguous(memory_format=LAYOUTS[layout])
    run: Callable[[Tensor], Tensor] = model
    if compiled:
        torch._inductor.config.freezing = True  # weights are constants: packed once
        run = torch.compile(model)
    made = Contestant(("compile " if compiled else "eager ") + layout, run, z)
    made.run()  # compiles
    return made

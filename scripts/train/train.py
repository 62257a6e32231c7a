"""Train one stage of a cascade.

    python3 -m scripts.train.train --config scripts/train/configs/demo/base-64.json \\
        --data data/train-cache --text out/train/text --run out/train/base-64 --minutes 120

The run's folder holds everything: checkpoint.pt, log.jsonl, samples/. The same command again
continues where the last checkpoint is, with the same batches and the same noise as if it had never
stopped; it may be killed at any moment. README.md says more.

SPDX-License-Identifier: Apache-2.0
"""

import argparse
import json
import math
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..reference.unet import UNet
from . import checkpoint, fast, samples, text
from .cache import Cache
from .config import TrainingConfig, differences, dump, with_settings
from .data import Samples, batches
from .peers import Peers, device_of
from .stage import NOISE, Objective, new_unet, rate, start_from

CHECKPOINT, BEST = "checkpoint.pt", "best.pt"
REPORT_SECONDS = 10.0


class Run:
    """A stage in training: its networks, optimiser, averages and step, and its folder."""

    def __init__(self, options: argparse.Namespace, config: TrainingConfig):
        self.directory, self.config = Path(options.run), config
        self.device = device_of(options.device)
        self.peers = Peers(self.device, options.sync)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.samples = Samples(Cache(options.data, config.data.canvas), config)
        torch.manual_seed(config.seed)
        self.text = self._text_side(options.text or options.init)
        unet = new_unet(config)
        if options.init and not (self.directory / CHECKPOINT).exists():
            start_from(unet, Path(options.init) / config.stage.directory)
        unet = self._placed(unet, options.compile)
        self.text.encoder.to(self.device)
        self.objective = Objective(config, unet, self.text, self.device)
        if options.compile:
            self.objective.forward = torch.compile(unet.forward)
        self.average = checkpoint.Average(unet, config.optimiser.ema)
        self.optimiser = self._optimiser()
        self.step, self.seconds, self.best = 0, 0.0, math.inf
        self.text_digest = checkpoint.digest(self.text.encoder.state_dict())

    def _text_side(self, given: Path | None) -> text.TextSide:
        if given is None:
            raise ValueError("--text says where the text encoder is")
        side, width = text.load(given, self.config.text), self.config.unet.text.width
        if side.encoder.config.d_model != width:
            raise ValueError(
                f"{given}: the text encoder's d_model is {side.encoder.config.d_model}, "
                f"the configuration's unet.text.width {width}"
            )
        return side

    def _placed(self, unet: UNet, compiled: bool) -> UNet:
        """On its device; on a CPU with faster parts, where a C compiler can make them."""
        if self.device.type == "cuda":
            return unet.to(self.device, memory_format=torch.channels_last)
        precision = self.config.precision
        if precision == "bf16" and not fast.bf16_pays():
            print("train: this CPU is slower in bf16 than in f32: --set precision=f32",
                  file=sys.stderr)  # fmt: skip
        if not compiled:
            try:
                return fast.install(unet, precision)
            except OSError as error:
                print(f"train: the reference's parts, which are slower: {error}", file=sys.stderr)
        return unet

    def _optimiser(self) -> torch.optim.Optimizer:
        """AdamW; norms, biases and other vectors are not decayed."""
        o = self.config.optimiser
        values = list(self.objective.unet.parameters())
        groups = [
            {"params": [p for p in values if p.dim() > 1], "weight_decay": o.weight_decay},
            {"params": [p for p in values if p.dim() <= 1], "weight_decay": 0.0},
        ]
        betas = (o.betas[0], o.betas[1])
        return torch.optim.AdamW(groups, lr=o.rate, betas=betas, eps=o.eps, fused=True)

    def number(self, step: int) -> int:
        """Of this process's batch of a step: no two processes have the same."""
        return step * self.peers.count + self.peers.rank

    def meet(self) -> None:
        """Weights and Adam's moments become the means over all processes."""
        if self.peers.count > 1:
            weights = [p for group in self.optimiser.param_groups for p in group["params"]]
            states = [self.optimiser.state[p] for p in weights]
            moments = [state[name] for state in states for name in ("exp_avg", "exp_avg_sq")]
            self.peers.average(weights + moments)

    def train_step(self, batch: dict[str, Any]) -> Tensor:
        o = self.config.optimiser
        for group in self.optimiser.param_groups:
            group["lr"] = rate(self.config, self.step)
        loss = self.objective.loss(batch, (self.config.seed, NOISE, self.number(self.step)))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if o.clip:
            values = [p for group in self.optimiser.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(values, o.clip)
        self.optimiser.step()
        self.average.update(self.step)
        self.step += 1
        return loss.detach()

    # ---- files ----------------------------------------------------------------------------------

    def content(self) -> dict[str, Any]:
        """What export needs: the averages, and what they are."""
        return {
            "config": self.config.source,
            "average": self.average.values,
            "text_digest": self.text_digest,
            "step": self.step,
            "seconds": self.seconds,
        }

    def save(self) -> None:
        live, optimiser = self.objective.unet.state_dict(), self.optimiser.state_dict()
        resumable = {"live": live, "optimiser": optimiser, "best": self.best}
        checkpoint.save(self.directory / CHECKPOINT, self.content() | resumable)

    def resume(self, reconfigure: bool) -> bool:
        """Continue from the folder's checkpoint, if there is one."""
        path = self.directory / CHECKPOINT
        if not path.exists():
            self.describe()
            return False
        saved = checkpoint.load(path, self.device)
        before = TrainingConfig.parse(saved["config"], str(self.directory / CHECKPOINT))
        changed = differences(before.source, self.config.source)
        changed = [name for name in changed if not name.startswith("record.")]
        if saved["text_digest"] != self.text_digest:
            changed.append("the frozen text encoder")
        if changed and not reconfigure:
            raise ValueError(
                f"{path}: the run differs in {', '.join(changed)}: --reconfigure accepts that"
            )
        shapes = {name: x.shape for name, x in self.objective.unet.state_dict().items()}
        if shapes != {name: x.shape for name, x in saved["live"].items()}:
            raise ValueError(
                f"{path}: the run's U-Net is another than the configuration's: take another --run, "
                "and --init to begin with a model's weights"
            )
        self.objective.unet.load_state_dict(saved["live"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.average.load(saved["average"])
        self.step, self.seconds, self.best = saved["step"], saved["seconds"], saved["best"]
        self.describe()
        return True

    def describe(self) -> None:
        if self.peers.first:
            (self.directory / "config.json").write_text(dump(self.config), encoding="utf-8")

    def log(self, **values: Any) -> None:
        with open(self.directory / "log.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps({"step": self.step, **values}) + "\n")

    def examine(self) -> None:
        """The held-out loss, the best checkpoint so far, and a picture of samples."""
        shown = samples.averaged(self.objective, self.average)
        loss = samples.validation_loss(shown, self.samples)
        self.log(validation=loss)
        print(f"{self.config.stage.name}: step {self.step}, held-out loss {loss:.5f}", flush=True)
        if loss < self.best:
            self.best = loss
            checkpoint.save(self.directory / BEST, self.content())
        if self.config.record.sample_count:
            path = self.directory / "samples" / f"step-{self.step:07d}.png"
            samples.write_grid(path, shown, self.samples)


class Progress:
    """The mean loss since the last line, and a line every few seconds."""

    def __init__(self, run: Run):
        self.run, self.total, self.count = run, 0.0, 0
        self.since = time.monotonic()

    def add(self, loss: Tensor) -> None:
        self.total, self.count = self.total + loss, self.count + 1  # stays on the device
        if time.monotonic() - self.since >= REPORT_SECONDS:
            self.report()

    def report(self) -> None:
        """Print and log; a loss that is no number ends the run before it reaches a checkpoint."""
        if not self.count or not self.run.peers.first:
            return
        run, o = self.run, self.run.config.optimiser
        loss, seconds = float(self.total) / self.count, time.monotonic() - self.since
        if not math.isfinite(loss):
            raise ValueError(f"the loss at step {run.step} is {loss}: lower optimiser.rate")
        pace = self.count / max(seconds, 1e-9)
        left = (o.steps - run.step) / pace
        samples = pace * o.batch * run.peers.count
        print(
            f"{run.config.stage.name}: step {run.step} of {o.steps}, loss {loss:.5f}, "
            f"rate {rate(run.config, run.step):.2e}, {pace:.2f} steps/s, "
            f"{samples:.1f} samples/s, {left / 60:.0f} min left",
            flush=True,
        )
        run.log(loss=loss, samples_per_second=round(samples, 2))
        self.total, self.count, self.since = 0.0, 0, time.monotonic()


class Clock:
    """Says when something is due that happens every so many minutes."""

    def __init__(self, minutes: float):
        self.seconds, self.last = minutes * 60, time.monotonic()

    def due(self) -> bool:
        return time.monotonic() - self.last >= self.seconds

    def reset(self) -> None:
        self.last = time.monotonic()


def train(run: Run, minutes: float, until: int, workers: int) -> None:
    """Until the last step or step `until`, for so many minutes, or until a signal asks to stop."""
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda given, _: asked.append(given))
    record, begin = run.config.record, time.monotonic()
    saving, looking = Clock(record.checkpoint_minutes), Clock(record.sample_minutes)
    before, progress = run.seconds, Progress(run)
    last = run.config.optimiser.steps
    last = min(until, last) if until else last
    for batch in batches(run.samples, map(run.number, range(run.step, last)), workers):
        progress.add(run.train_step(batch))
        run.seconds = before + time.monotonic() - begin
        if not run.peers.meet(run.step):
            continue
        run.meet()
        if run.peers.first and saving.due():
            progress.report()
            run.save()
            saving.reset()
        if run.peers.first and looking.due():
            run.examine()
            looking.reset()
        late = bool(minutes) and time.monotonic() - begin >= 60 * minutes
        if run.peers.any(bool(asked) or late):
            break
    if not run.peers.meet(run.step):
        run.meet()
    if not run.peers.first:
        return
    progress.report()
    run.examine()
    run.save()
    print(f"{run.config.stage.name}: stopped at step {run.step}, {run.directory}", flush=True)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, required=True, help="the stage's training file")
    parser.add_argument("--data", type=Path, required=True, help="a cache of scripts.train.cache")
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument("--text", type=Path, help="folder of scripts.train.denoise, or a model; "
                        "default: --init")  # fmt: skip
    parser.add_argument("--init", type=Path, help="model directory whose U-Net to start from")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:N")
    parser.add_argument("--minutes", type=float, default=0, help="stop after so many; 0: never")
    parser.add_argument("--until", type=int, default=0, metavar="STEP",
                        help="stop there; the rate falls until optimiser.steps")  # fmt: skip
    parser.add_argument("--set", nargs="+", default=[], action="extend", metavar="KEY=VALUE",
                        dest="settings",
                        help="values instead of the file's, as in optimiser.batch=256")  # fmt: skip
    parser.add_argument("--sync", type=int, default=16, metavar="STEPS",
                        help="of several processes, between their means (default 16)")  # fmt: skip
    parser.add_argument("--workers", type=int, default=0, help="processes that prepare samples")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: all cores)")
    parser.add_argument("--compile", action="store_true", help="compile the U-Net first")
    parser.add_argument("--reconfigure", action="store_true", help="resume with changed settings")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.set_float32_matmul_precision("high")
    try:
        config = with_settings(TrainingConfig.read(options.config), options.settings)
        run = Run(options, config)
        resumed = run.resume(options.reconfigure)
        size = sum(p.numel() for p in run.objective.unet.parameters())
        verb = f"resuming at step {run.step}" if resumed else "starting"
        if run.peers.first:
            print(f"{config.stage.name}: {size / 1e6:.2f} M parameters, {verb}", flush=True)
        train(run, options.minutes, options.until, options.workers)
        run.peers.leave()
    except (OSError, ValueError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

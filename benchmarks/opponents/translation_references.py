# SPDX-License-Identifier: Apache-2.0
"""The opponents of `translation_step.py`: the public implementations, from your own clones.

Nothing of theirs is kept here. CycleGAN runs from a clone of junyanz/pytorch-CycleGAN-and-pix2pix
or of its authors' later taesungp/contrastive-unpaired-translation, MUNIT from NVlabs/MUNIT (for
non-commercial use only). Packages that a training step does not need are replaced by empty ones.
"""

import argparse
import importlib
import importlib.machinery
import inspect
import sys
import types
from collections.abc import Callable
from pathlib import Path

import torch
import yaml
from torch import Tensor

Step = Callable[[Tensor, Tensor], None]

_EMPTY = (
    "torchvision",
    "torchvision.transforms",
    "torchvision.utils",
    "apex",
    "apex.amp",
    "dominate",
    "dominate.tags",
    "wandb",
)


def _empty_packages() -> None:
    """Let `import torchvision` and the like succeed where they are not installed."""
    for name in _EMPTY:
        try:
            importlib.import_module(name)
        except ImportError:
            module = types.ModuleType(name)
            module.__spec__ = importlib.machinery.ModuleSpec(name, None)
            module.__path__ = []
            sys.modules[name] = module
            above, _, last = name.rpartition(".")
            if above:
                setattr(sys.modules[above], last, module)
    import torch.utils.serialization as old

    old.load_lua = None  # of PyTorch before 1.0, for weights that are not used here


def cyclegan_step(clone: Path) -> Step:
    """Build CycleGAN with its own defaults and return one step of training, on the CPU."""
    _empty_packages()
    sys.path.insert(0, str(clone))
    networks = importlib.import_module("models.networks")
    for name in ("define_G", "define_D"):
        function = getattr(networks, name)
        known = set(inspect.signature(function).parameters)
        setattr(networks, name, _only(function, known))
    model_class = importlib.import_module("models.cycle_gan_model").CycleGANModel
    model = model_class(_options())

    def step(source: Tensor, target: Tensor) -> None:
        model.set_input({"A": source, "B": target, "A_paths": "", "B_paths": ""})
        model.optimize_parameters()

    return step


def _only(function: Callable[..., object], known: set[str]) -> Callable[..., object]:
    def called(*given: object, **named: object) -> object:
        return function(*given, **{k: v for k, v in named.items() if k in known})

    return called


def _options() -> argparse.Namespace:
    return argparse.Namespace(
        gpu_ids=[],
        device=torch.device("cpu"),
        isTrain=True,
        checkpoints_dir="",
        name="",
        preprocess="none",
        direction="AtoB",
        input_nc=3,
        output_nc=3,
        ngf=64,
        ndf=64,
        netG="resnet_9blocks",
        netD="basic",
        n_layers_D=3,
        norm="instance",
        normG="instance",
        normD="instance",
        no_dropout=True,
        no_antialias=True,
        no_antialias_up=True,
        init_type="normal",
        init_gain=0.02,
        gan_mode="lsgan",
        pool_size=50,
        lambda_A=10.0,
        lambda_B=10.0,
        lambda_identity=0.5,
        lr=2e-4,
        beta1=0.5,
        beta2=0.999,
        amp=False,
    )


def munit_step(clone: Path) -> Step:
    """Build MUNIT as configured for summer and winter, and return one step, on the CPU."""
    _empty_packages()
    sys.path.insert(0, str(clone))
    torch.Tensor.cuda = lambda self, *_: self  # its trainer moves everything to a graphics card
    path = clone / "configs" / "summer2winter_yosemite256_folder.yaml"
    options = yaml.safe_load(path.read_text())
    trainer = importlib.import_module("trainer").MUNIT_Trainer(options)

    def step(source: Tensor, target: Tensor) -> None:
        trainer.dis_update(source, target, options)
        trainer.gen_update(source, target, options)

    return step

"""The options of ``veduta train``, in the groups that its help shows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from veduta.cli import options as given
from veduta.training.presets import PRESETS

_MODEL = "What to learn, and from what"
_TRANSFER = "transfer"
_FINETUNE = "finetune"
_STEPS = "finetune, scratch: how long and how fast"
_PHOTOS = "finetune, scratch: photos and loss"
_CHANGES = "finetune, scratch: random changes of training photos (see veduta dataset preview)"
_SEARCH = "finetune, scratch: search for better settings"
_MACHINE = "This run"

Data = Annotated[
    Path,
    typer.Argument(
        parser=given.path,
        metavar="DATA",
        help="A folder with a folder of photos for each class, a CSV table (file, then 0 or 1 for each label), or a "
        "manifest of veduta dataset.",
        show_default=False,
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        parser=given.path,
        metavar="<path>",
        help="The run's folder: checkpoints, log, curves, and the finished model in bundle/.",
        rich_help_panel=_MODEL,
    ),
]
Recipe = Annotated[
    str,
    typer.Option(
        help="transfer: a classifier behind a model's embedding, in a minute and without torch (extra learn). "
        "finetune: that, then the layers too, kept where they get better (extra train). scratch: all layers from fresh "
        "weights.",
        rich_help_panel=_MODEL,
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        help="Classic settings, which options override. "
        + " ".join(f"{name} ({', '.join(each.recipes)}): {each.summary}." for name, each in PRESETS.items()),
        show_default=False,
        rich_help_panel=_MODEL,
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        help="What to start from: a weights file, a model by name or folder, hub (ImageNet, downloaded), hub:NAME "
        "(those of veduta models pull), or none, which is the recipe scratch.",
        show_default="places100",
        rich_help_panel=_MODEL,
    ),
]
Architecture = Annotated[
    str | None,
    typer.Option(
        "--arch",
        "--architecture",
        help="The network, one of veduta models architectures; it must be that of the weights. With transfer its "
        "embedding is learnt behind (extra train).",
        show_default="that of the model or of hub:NAME, or mobilenet_v2; transfer: the model itself",
        rich_help_panel=_MODEL,
    ),
]
Size = Annotated[
    int | None,
    typer.Option(
        min=16,
        help="Side of the square, in pixels, that the model looks at; larger ones tell more of sharp photos. "
        "ImageNet's weights learnt at 224.",
        show_default="128; transfer: that of the model, or what the network learnt at",
        rich_help_panel=_MODEL,
    ),
]
Task = Annotated[
    str | None,
    typer.Option(
        help="single_label: each photo has one, and probabilities add up to 1; multi_label: any number of them. Data "
        "that are not for it are refused.",
        show_default="what the data are for",
        rich_help_panel=_MODEL,
    ),
]
Views = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Changed views of each photo that are learnt from as well.",
        show_default="2",
        rich_help_panel=_TRANSFER,
    ),
]
Folds = Annotated[
    int | None,
    typer.Option(
        min=2,
        help="Parts that are held out in turn, to choose the regularisation, to judge and to calibrate.",
        show_default="5",
        rich_help_panel=_TRANSFER,
    ),
]
TrainLast = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Train the last so many blocks and the classifier alone; the others stay, to the bit. It takes less time, "
        "and few photos spoil less. 0 is the classifier alone.",
        show_default="all layers",
        rich_help_panel=_FINETUNE,
    ),
]
HeadEpochs = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Before the layers, train the classifier for so many epochs at the most, while the held-out loss falls.",
        show_default="fit it by regression",
        rich_help_panel=_FINETUNE,
    ),
]
Refit = Annotated[
    bool | None,
    typer.Option(
        "--refit/--no-refit",
        help="At the end, fit the classifier again, to the held-out photos too, where cross-validation finds that "
        "better; not with --class-weights.",
        show_default="refit",
        rich_help_panel=_FINETUNE,
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="How often each photo is seen, at the most.",
        show_default="10; scratch 60",
        rich_help_panel=_STEPS,
    ),
]
Patience = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Stop after so many epochs without a better one; 0 never stops early.",
        show_default="3; scratch 10",
        rich_help_panel=_STEPS,
    ),
]
BatchSize = Annotated[
    int | None, typer.Option(min=2, help="Photos in a step.", show_default="64", rich_help_panel=_STEPS)
]
Optimizer = Annotated[
    str | None,
    typer.Option(
        help="adamw, or sgd: Nesterov's momentum.",
        show_default="adamw",
        rich_help_panel=_STEPS,
    ),
]
Rate = Annotated[
    float | None,
    typer.Option(
        help="Learning rate; lower it where the loss jumps.",
        show_default="0.0001, sgd 0.002; scratch 0.001, sgd 0.1",
        rich_help_panel=_STEPS,
    ),
]
Decay = Annotated[
    str | None,
    typer.Option(
        help="How the rate falls: cosine, to 0 at the end; exponential, after each epoch; constant, not at all.",
        show_default="cosine, sgd exponential",
        rich_help_panel=_STEPS,
    ),
]
EpochFactor = Annotated[
    float | None,
    typer.Option(
        help="exponential: what the rate is multiplied by after each epoch.",
        show_default="0.9; scratch 0.94",
        rich_help_panel=_STEPS,
    ),
]
Momentum = Annotated[
    float | None,
    typer.Option(
        min=0, max=1, help="sgd: share of the last step that goes on.", show_default="0.9", rich_help_panel=_STEPS
    ),
]
WeightDecay = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="How fast weights are drawn to 0; more where photos are few.",
        show_default="0.05, sgd 0.0001",
        rich_help_panel=_STEPS,
    ),
]
Side = Annotated[
    int | None,
    typer.Option(
        min=16,
        help="Side of the random crops that it trains on, in pixels; fewer take less time.",
        show_default="as large as the network sees photos",
        rich_help_panel=_PHOTOS,
    ),
]
Crop = Annotated[
    float | None,
    typer.Option(
        min=0.01,
        max=1,
        help="Smallest part of a photo that a random crop keeps; 1 keeps all of it.",
        show_default="0.5; scratch 0.25",
        rich_help_panel=_CHANGES,
    ),
]
Flip = Annotated[
    bool | None,
    typer.Option("--flip/--no-flip", help="Mirror one photo in two.", show_default="flip", rich_help_panel=_CHANGES),
]
Jitter = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Brightness, contrast and saturation vary by up to this share.",
        show_default="0.2",
        rich_help_panel=_CHANGES,
    ),
]
Rotation = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=180,
        help="Turn by up to so many degrees to either side.",
        show_default="0",
        rich_help_panel=_CHANGES,
    ),
]
Shift = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Move by up to this share of width and height.",
        show_default="0",
        rich_help_panel=_CHANGES,
    ),
]
Zoom = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Make things larger or smaller by a factor of up to 1 + this.",
        show_default="0",
        rich_help_panel=_CHANGES,
    ),
]
Shear = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=60,
        help="Slant by up to so many degrees, along rows.",
        show_default="0",
        rich_help_panel=_CHANGES,
    ),
]
Brightness = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Make lighter or darker by up to this share.",
        show_default="0",
        rich_help_panel=_CHANGES,
    ),
]
Mixup = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="Blend each photo with another, α of Beta(α, α); try 0.2 where photos are few.",
        show_default="0",
        rich_help_panel=_CHANGES,
    ),
]
Cutmix = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="Paste a rectangle of another photo into each, α of Beta(α, α).",
        show_default="0",
        rich_help_panel=_CHANGES,
    ),
]
LabelSmoothing = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Spread this share of each target over all classes; 0.1 helps from fresh weights.",
        show_default="0; scratch 0.1",
        rich_help_panel=_PHOTOS,
    ),
]
ClassWeights = Annotated[
    str | None,
    typer.Option(
        help="balanced: every class counts the same; effective: milder; none.",
        show_default="none",
        rich_help_panel=_PHOTOS,
    ),
]
Validation = Annotated[
    float | None,
    typer.Option(
        min=0.01,
        max=0.9,
        help="Share of each class held out to choose the best epoch, where a manifest does not say which photos are; "
        "more where photos are few.",
        show_default="0.15",
        rich_help_panel=_PHOTOS,
    ),
]
Search = Annotated[
    bool | None,
    typer.Option(
        "--search",
        help="Try other learning rates, weight decays, momentums and batch sizes in short trainings first, judged on "
        "the held-out photos, and train with the best; search.csv tells all.",
        show_default=False,
        rich_help_panel=_SEARCH,
    ),
]
Trials = Annotated[int | None, typer.Option(min=2, help="Settings to try.", show_default="12", rich_help_panel=_SEARCH)]
Precision = Annotated[
    str | None,
    typer.Option(
        help="finetune, scratch: float32, bfloat16, or auto: what a few measured steps show to be faster here.",
        show_default="auto",
        rich_help_panel=_MACHINE,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="finetune, scratch: cores to use.",
        show_default="all this process may use",
        rich_help_panel=_MACHINE,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Another one gives other draws, the same one the same model.",
        show_default="0",
        rich_help_panel=_MACHINE,
    ),
]
TensorBoard = Annotated[
    bool | None,
    typer.Option(
        "--tensorboard",
        help="finetune, scratch: write events for TensorBoard into the run's folder.",
        show_default=False,
        rich_help_panel=_MACHINE,
    ),
]
Resume = Annotated[
    bool | None,
    typer.Option(
        "--resume/--no-resume",
        help="finetune, scratch: go on where a run in --out was stopped, or refuse a folder with a run.",
        show_default="resume",
        rich_help_panel=_MACHINE,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar, no summary.", rich_help_panel=_MACHINE)]

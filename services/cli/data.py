"""`imcnas data`: the data sets there are, what is in one, and how to get it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.arguments import AsJson
from services.cli.console import CONSOLE, MESSAGES
from services.common.errors import InvalidDataset, InvalidRequest, NotFound, Violation

if TYPE_CHECKING:
    from services.trainer.data import Dataset
    from services.trainer.data.check import DatasetCheck

app = typer.Typer(
    no_args_is_help=True,
    help="""List, check and fetch data sets.

Files are looked for in the folder data/, or where IMCNAS_TRAINER_DATA says:
cifar-10-batches-bin/, sign_mnist_train.csv, CK+48/, and your own as NAME/
(a folder for each class) or NAME.npz. docs/data.md shows each form.

For example:

  imcnas data list

  imcnas data check asl --figure asl.png

  imcnas data fetch cifar10

  imcnas search --dataset cifar10""",
)

NAME = typer.Argument(
    metavar="NAME", help="Name of a data set, or KIND:PATH: cifar10:, asl:, ckplus:, folder: or npz:."
)


@app.command("list")
def list_datasets(as_json: AsJson = False) -> None:
    """Name the data sets with their images, classes and parts, or how to get them.

    Those whose files are there are read: seconds for the large ones.

    For example:

      imcnas data list
    """
    from services.cli.arguments import datasets_here
    from services.trainer.data.registry import OFFICIAL

    registry = datasets_here()
    rows: list[dict[str, Any]] = []
    for name in dict.fromkeys((*OFFICIAL, *registry.names())):
        try:
            with MESSAGES.status(f"Reading {name}"):
                info = registry.load(name).info
            rows.append({"name": name, "state": "ready", "info": info, "text": info.description})
        except (NotFound, InvalidDataset) as error:
            state, text = "damaged", str(error)
            if not registry.find(name):
                state = "not here"
                text = f"{OFFICIAL[name].about}. To get it: {registry.how_to_get(name)}"
            rows.append({"name": name, "state": state, "info": None, "text": text})
    if as_json:
        print(json.dumps([r | {"info": asdict(r["info"]) if r["info"] else None} for r in rows]))
        return
    wide = max(len(row["name"]) for row in rows)
    print(f"{'NAME':{wide}}  {'IMAGE':8}  {'CLASSES':>7}  {'TRAIN':>7}  {'VALID.':>7}  {'TEST':>7}")
    for row in rows:
        figures = row["state"]
        if info := row["info"]:
            sizes = (info.classes, info.train_images, info.validation_images, info.test_images)
            figures = f"{info.input_shape!s:8}  " + "  ".join(f"{size:>7,}" for size in sizes)
        print(f"{row['name']:{wide}}  {figures}")
        _print_wrapped("    ", row["text"])


@app.command("check")
def check(
    name: Annotated[str, NAME],
    figure: Annotated[
        Path | None, typer.Option(help="Write a contact sheet (PNG): images of each class and part.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read a data set and report classes, balance, normalisation and leaks between its parts.

    Exits with 1 if something should be looked at.

    For example:

      imcnas data check asl

      imcnas data check folder:pictures/flowers --figure flowers.png
    """
    from services.cli.arguments import find_dataset
    from services.trainer.data.check import check_dataset

    wanted, registry = find_dataset(name)
    with MESSAGES.status(f"Reading {wanted}"):
        data = registry.load(wanted)
    with MESSAGES.status(f"Comparing the parts of {wanted}"):
        found = check_dataset(data)
    if figure is not None:
        _write_sheet(data, figure)
    if as_json:
        row = asdict(data.info) | {"class_names": data.class_names, "augmentation": asdict(data.augmentation)}
        row |= {"mean": data.mean, "deviation": data.deviation} | asdict(found)
        print(json.dumps(row, allow_nan=False))
    else:
        _show(data, found)
    if found.findings:
        raise typer.Exit(1)


@app.command("fetch")
def fetch(name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a data set.")]) -> None:
    """Download a data set, or say how to get one that may not be downloaded.

    Only cifar10 (170 MB) has a public address; its checksum is verified. A
    cifar-10-binary.tar.gz that is in the data folder already is taken.

    For example:

      imcnas data fetch cifar10

      imcnas data fetch asl
    """
    from services.cli.arguments import datasets_here
    from services.trainer.data.fetch import CIFAR10, is_fetched
    from services.trainer.data.fetch import fetch as download
    from services.trainer.data.registry import OFFICIAL

    registry = datasets_here()
    folder = registry.folder or Path()
    if name != "cifar10":
        if name in OFFICIAL and OFFICIAL[name].places and not registry.find(name):
            text = f"cannot be downloaded from here. To get it: {registry.how_to_get(name)}"
            raise NotFound.of(Violation(name, text))
        with MESSAGES.status(f"Reading {name}"):
            registry.load(name)  # an unknown name, or damaged files
        print(f"{name} is there: nothing to fetch")
        return
    if is_fetched(CIFAR10, folder):
        print(f"{folder / CIFAR10.folder} is there: nothing to fetch")
        return
    with _Progress(CIFAR10.file) as progress:
        target = download(CIFAR10, folder, progress)
    print(f"{target}: fetched and verified; try: imcnas data check cifar10")


def _show(data: Dataset, found: DatasetCheck) -> None:
    info, augmentation = data.info, data.augmentation
    print(f"{info.name}: {info.description}\n")
    statistics = "  ".join(f"{m:.1f} ± {d:.1f}" for m, d in zip(data.mean, data.deviation, strict=True))
    flip = ", mirrored left to right" if augmentation.flip else ""
    _row("image", f"{info.input_shape}, {info.classes} classes")
    _row("normalisation", f"{statistics} (mean ± deviation of the training part, pixels 0 to 255)")
    _row("augmentation", f"shifted by up to {augmentation.shift_px} px{flip}")
    _row("fingerprint", info.fingerprint)
    print()
    parts = list(found.counts)
    rows = [(name, *(f"{found.counts[p][c]:,}" for p in parts)) for c, name in enumerate(data.class_names)]
    rows.append(("all", *(f"{sum(found.counts[p]):,}" for p in parts)))
    if found.groups:
        rows.append(("groups", *(f"{found.groups[p]:,}" for p in parts)))
    _table(("CLASS", "TRAIN", "VALIDATION", "TEST"), rows)
    print(f"\nThe largest class has {found.imbalance:.2f} training images for each one of the smallest.\n")
    judged = found.judged.values()
    _table(
        ("WHAT LITTLE GETS", "", *(part.upper() for part in found.judged)),
        [
            ("the commonest class", "", *(f"{j.majority_frac:.1%}" for j in judged)),
            (
                "class of the nearest training image",
                "",
                *(f"{j.neighbour_accuracy_frac:.1%}" for j in judged),
            ),
            ("with a twin in training", "", *(f"{j.twins_frac:.1%}" for j in judged)),
            ("identical to a training image", "", *(f"{j.identical_images:,}" for j in judged)),
        ],
    )
    for finding in found.findings:
        CONSOLE.print(f"\nLook at this: {finding}", style="bold yellow", markup=False, soft_wrap=True)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    wide = max(len(row[0]) for row in (head, *rows))
    for name, *cells in (head, *rows):
        print(f"{name:{wide}}" + "".join(f"  {cell:>10}" for cell in cells))


def _row(name: str, text: str) -> None:
    _print_wrapped(f"{name:13}  ", text)


def _print_wrapped(head: str, text: str) -> None:
    """Print a line whose end wraps in a column of its own, where the terminal has room for one."""
    from textwrap import wrap

    room = CONSOLE.width - len(head)
    lines = wrap(text, room, break_long_words=False, break_on_hyphens=False) if room >= 30 else [text]
    print(head + f"\n{' ' * len(head)}".join(lines))


def _write_sheet(data: Dataset, path: Path) -> None:
    from services.common.files import write_file
    from services.trainer.data.sheet import contact_sheet

    try:
        write_file(path, contact_sheet(data))
    except OSError as error:
        raise InvalidRequest.of(Violation("--figure", f"cannot write {path}: {error}")) from None


class _Progress:
    """What pooch tells of a download, as a bar."""

    def __init__(self, name: str) -> None:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._bar = Progress(*columns, console=MESSAGES, transient=True)
        self._task = self._bar.add_task(name, total=None)
        self.total = 0

    def update(self, count: int) -> None:
        """Count bytes that came."""
        self._bar.update(self._task, advance=count, total=self.total or None)

    def reset(self) -> None:
        """Begin again from 0."""
        self._bar.reset(self._task)

    def close(self) -> None:
        """Nothing more comes."""

    def __enter__(self) -> _Progress:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

"""Every settings file of the recipes trains a model, and nothing in it is of no use."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from running import RECIPES, make_corpora, start
from tiny_encoders import LARGE

pytest.importorskip("speechbrain", reason="training needs the extra 'train'")

from sed.model import EmotionModel  # noqa: E402
from sed.training.settings import load_settings, read_settings  # noqa: E402

FILES = sorted(RECIPES.glob("*/*/hparams/*.yaml"))
CODE = "".join(path.read_text() for path in (RECIPES.parent / "sed" / "training").glob("*.py"))

SMALL = ["--corpora=[emodb]", "--complete_corpora=false", "--vad=none", "--judged_vad=none"]
SMALL += ['--valid={emodb: ["03"]}', '--test={emodb: ["08"]}']
SMALL += ["--num_epochs=1", "--steps_per_epoch=1", "--batch_size=2", "--num_valid=2"]
SMALL += ["--num_workers=0", "--num_test=2", "--test_corpus=zed"]

SOURCES = {
    "microsoft/wavlm-large": "wavlm",
    "facebook/hubert-large-ll60k": "hubert",
    "facebook/wav2vec2-large-lv60": "wav2vec2",
}
"""Published encoders of the settings, with their architectures."""

by_file = pytest.mark.parametrize(
    "path", FILES, ids=lambda path: str(path.relative_to(RECIPES)).replace("/hparams", "")
)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpora(tmp_path_factory.mktemp("corpora"))


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small encoders in the form in which large ones are published."""
    from transformers import (
        HubertConfig,
        HubertModel,
        Wav2Vec2Config,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2Model,
        WavLMConfig,
        WavLMModel,
    )

    classes = {
        "wavlm": (WavLMConfig, WavLMModel),
        "hubert": (HubertConfig, HubertModel),
        "wav2vec2": (Wav2Vec2Config, Wav2Vec2Model),
    }
    folder = tmp_path_factory.mktemp("encoders")
    for name, (config, model) in classes.items():
        model(config(**LARGE)).save_pretrained(folder / name)
        Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder / name)
    return folder


@by_file
def test_it_trains_saves_and_scores(
    corpora: Path, encoders: Path, tmp_path: Path, path: Path
) -> None:
    """A step of it, as it stands but for encoder and corpora."""
    options = [*SMALL, f"--data_folder={corpora}", f"--output_folder={tmp_path / 'out'}"]
    options.append(f"--speech_folder={tmp_path / 'speech'}")
    settings = load_settings(read_settings(path), "data_folder: corpora")
    name, source = settings["frontend"].get("name"), settings["frontend"].get("source")
    if source is not None:
        name = SOURCES[source]
        options.append(f"--frontend={{source: {encoders / name}}}")
    if settings["augmentation"] is not None:
        options.append(f"--noise_folder={corpora / 'noise'}")
    folder = path.parents[1]
    printed = start(
        "train.py", f"hparams/{path.name}", *options, folder=folder, log=tmp_path / "log"
    ).end()
    assert printed.count("all neutral") == 2 + len(settings["judged_conditions"])
    model = EmotionModel.from_pretrained(tmp_path / "out" / "model")
    assert model.specifications.classes == ("neutral", "happy", "sad", "angry")
    assert model.config["frontend"]["name"] == name
    assert model.config["head"]["name"] == ("timnet" if "timnet" in path.stem else "linear")
    assert model.decoding == settings["decoding"]
    if source is not None:
        assert model.config["frontend"]["waveform_norm"] == "standard"


@by_file
def test_every_setting_is_used(path: Path) -> None:
    """By the training, or by another setting."""
    text = read_settings(path)
    names = re.findall(r"^(\w+):", text, flags=re.MULTILINE)
    assert len(names) > 40
    for name in names:
        patterns = (rf'"{name}"', rf"hparams\.{name}\b")
        derived = re.fullmatch(r"(encoder|head)_(opt_class|schedule)", name)  # of each part
        spelled = re.fullmatch(r"(noise|room)_folder", name) and 'f"{kind[:-1]}_folder"' in CODE
        used = any(re.search(pattern, CODE) for pattern in patterns) or f"<{name}>" in text
        assert used or derived or spelled, f"{name} is used nowhere"


def test_an_unused_setting_would_be_noticed(tmp_path: Path) -> None:
    path = tmp_path / "more.yaml"
    path.write_text(f"extends: {FILES[-1]}\nfondness: 1\n")
    with pytest.raises(AssertionError, match="fondness is used nowhere"):
        test_every_setting_is_used(path)

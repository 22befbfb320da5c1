from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_hub import fill_cache, model_files
from published_checkpoint import copied, recording, save_checkpoint
from pyannote.core import Segment

from sed.audio import Recording
from sed.decoding import Decoding
from sed.inference import Inference
from sed.interop.speechbrain import encoder_source, read_checkpoint, read_classes
from sed.labels import canonical
from sed.model import EmotionModel
from sed.pipeline import Pipeline
from sed.segmentation import Segmentation
from sed.vad import vad_named

# transformers says so of SpeechBrain
pytestmark = pytest.mark.filterwarnings("ignore:`gradient_checkpointing_disable`:FutureWarning")

MODELS: dict[str, dict[str, Any]] = {
    "wavlm": {},
    "wavlm, mean taken out": {"do_normalize": False},
    "wavlm-base": {"do_stable_layer_norm": False, "feat_extract_norm": "group", "conv_bias": False},
    "hubert": {"architecture": "hubert", "labels": "nhsa"},
    "wav2vec2": {"architecture": "wav2vec2", "output_norm": False},
    "pooled": {"window": 4, "stride": 2, "bias": True},
}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test asks anybody, and the hub's client knows."""
    from huggingface_hub import constants

    def refuse(*_: object) -> None:
        raise AssertionError("a test wants to use the network")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="module", params=list(MODELS))
def published(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A checkpoint, and what SpeechBrain and we make of it."""
    from speechbrain.inference.diarization import Speech_Emotion_Diarization

    folder = tmp_path_factory.mktemp("published")
    checkpoint = save_checkpoint(folder, **MODELS[request.param])
    theirs = Speech_Emotion_Diarization.from_hparams(
        source=str(checkpoint), savedir=str(folder / "collected")
    )
    return checkpoint, theirs, EmotionModel.from_pretrained(checkpoint)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("saved"))


@pytest.fixture
def checkpoint(saved: Path, tmp_path: Path) -> Path:
    """One to change, beside its encoder."""
    return copied(saved, tmp_path)


def their_log_probabilities(theirs: Any, waveform: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        features = theirs.hparams.avg_pool(theirs.encode_batch(waveform, torch.ones(1)))
        return theirs.hparams.log_softmax(theirs.mods.output_mlp(features))


def our_log_probabilities(ours: EmotionModel, waveform: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return ours.logits(waveform).log_softmax(dim=-1)


@pytest.mark.parametrize("num_samples", [400, 719, 16_000, 16_001, 48_123, 99_999])
def test_log_probabilities_and_labels_are_those_of_speechbrain(
    published: Any, num_samples: int
) -> None:
    _, theirs, ours = published
    waveform = torch.from_numpy(recording(num_samples))[None]
    if num_samples < 400 + 320 * (ours.head.window - 1):
        with pytest.raises(RuntimeError, match="too small"):  # fewer frames than are pooled
            their_log_probabilities(theirs, waveform)
        assert our_log_probabilities(ours, waveform).shape[1] == 1
        return
    expected = their_log_probabilities(theirs, waveform)
    result = our_log_probabilities(ours, waveform)
    assert result.shape == expected.shape
    assert torch.allclose(result, expected, rtol=0, atol=1e-5)
    letters = theirs.hparams.label_encoder.decode_torch(expected.argmax(dim=-1))[0]
    classes = [ours.specifications.classes[index] for index in result[0].argmax(dim=-1)]
    assert classes == [canonical(letter) for letter in letters]
    assert num_samples < 16_000 or len(set(classes)) > 1  # one class alone would show nothing


def test_it_is_the_same_function(published: Any) -> None:
    """What is left of the difference in float32 is rounding."""
    import copy

    _, theirs, ours = published
    theirs, ours = copy.deepcopy(theirs), copy.deepcopy(ours).double()
    theirs.mods.double()
    waveform = torch.from_numpy(recording(30_011))[None].double()
    expected = their_log_probabilities(theirs, waveform)  # rounded to float32 by its softmax
    assert torch.allclose(our_log_probabilities(ours, waveform).float(), expected, atol=1e-6)


@pytest.mark.parametrize("num_samples", [48_123, 99_999])
def test_pipeline_gives_what_diarize_file_gives(
    published: Any, num_samples: int, tmp_path: Path
) -> None:
    """Frame by frame; SpeechBrain ends a little early, where the last frame goes on here."""
    import soundfile

    _, theirs, ours = published
    samples, hop = recording(num_samples), ours.specifications.hop
    path = tmp_path / "recording.wav"
    soundfile.write(path, samples, 16_000, subtype="FLOAT")
    pipeline = Pipeline(
        inference=Inference(ours),
        segmentation=Segmentation(ours.specifications.window),
        vad=vad_named("none"),
        decoding=Decoding(**ours.decoding, with_neutral=True),
    )
    annotation = pipeline(Recording.open(path))
    num_frames = len(ours.logits(torch.from_numpy(samples)[None])[0])
    num_cells = -(-num_samples // hop)
    assert 0 < num_cells - num_frames <= 2
    expected: list[str] = []  # where pooling windows overlap, their segments do
    for segment in reversed(theirs.diarize_file(str(path))[str(path)]):
        first = round(segment["start"] * 16_000 / hop)
        end = num_cells - len(expected)
        expected = [canonical(segment["emotion"])] * (end - first) + expected
    result = [""] * num_cells
    for segment, _, emotion in annotation.itertracks(yield_label=True):
        first, end = round(segment.start * 16_000 / hop), -(-round(segment.end * 16_000) // hop)
        result[first:end] = [emotion] * (end - first)
    assert result == expected
    assert len(annotation) > 2
    assert annotation.get_timeline().extent() == Segment(0, num_samples / 16_000)


def test_decoding_of_the_checkpoint_is_that_of_the_pipeline(published: Any) -> None:
    checkpoint, _, ours = published
    decoding = Pipeline.from_pretrained(checkpoint, vad=vad_named("none")).decoding
    assert decoding == Decoding(**ours.decoding)
    assert (decoding.path, decoding.min_duration_on, decoding.min_duration_off) == ("argmax", 0, 0)


def test_saved_again_it_is_a_model_of_ours(published: Any, tmp_path: Path) -> None:
    _, _, ours = published
    ours.save_pretrained(tmp_path / "model")
    again = EmotionModel.from_pretrained(tmp_path / "model")
    waveform = torch.from_numpy(recording(16_001))[None]
    assert torch.equal(
        our_log_probabilities(again, waveform), our_log_probabilities(ours, waveform)
    )
    assert again.decoding == ours.decoding


def test_config_holds_what_makes_the_encoder_and_no_more(saved: Path) -> None:
    content, weights = read_checkpoint(saved)
    assert content["model"] == {
        "classes": ["angry", "happy", "neutral", "sad"],
        "frontend": {
            "name": "wavlm",
            "config": {
                "hidden_size": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "intermediate_size": 64,
                "feat_extract_norm": "layer",
                "conv_dim": [32] * 7,
                "conv_bias": True,
                "num_conv_pos_embeddings": 16,
                "num_conv_pos_embedding_groups": 2,
                "do_stable_layer_norm": True,
            },
            "waveform_norm": "standard",
            "output_norm": True,
        },
        "head": {"name": "linear", "bias": False, "pooling_window": 1, "pooling_stride": 1},
        "window": 20.0,
    }
    assert json.loads(json.dumps(content)) == content
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


def test_the_fine_tuned_weights_count_not_those_of_the_encoder(saved: Path) -> None:
    from safetensors.torch import load_file

    name = "encoder.layers.0.feed_forward.output_dense.weight"
    _, weights = read_checkpoint(saved)
    tuned = load_file(saved.parent / "tuned" / "model.safetensors")[name]
    original = load_file(saved.parent / "encoder" / "model.safetensors")[name]
    assert torch.equal(weights[f"frontend.model.{name}"], tuned)
    assert not torch.equal(tuned, original)


def test_settings_of_losses_heads_and_tokens_are_left_out(checkpoint: Path) -> None:
    path = checkpoint.parent / "encoder" / "config.json"
    before = read_checkpoint(checkpoint)[0]
    config = json.loads(path.read_text())
    config |= {"vocab_size": 99, "tdnn_dim": [1], "ctc_loss_reduction": "mean", "codevector_dim": 5}
    config |= {"pad_token_id": 7, "auto_map": {"AutoModel": "evil.Model"}, "torch_dtype": "float16"}
    config |= {"apply_spec_augment": False, "classifier_proj_size": 3, "final_dropout": 0.3}
    path.write_text(json.dumps(config))
    assert read_checkpoint(checkpoint)[0] == before
    config |= {"hidden_dropout": 0.25, "mask_time_prob": 0.1}  # of use in training
    path.write_text(json.dumps(config))
    frontend = read_checkpoint(checkpoint)[0]["model"]["frontend"]
    assert (frontend["config"]["hidden_dropout"], frontend["config"]["mask_time_prob"]) == (
        0.25,
        0.1,
    )


def test_older_names_and_other_precisions_are_the_same_weights(
    saved: Path, checkpoint: Path
) -> None:
    path = checkpoint / "wav2vec2.ckpt"
    _, expected = read_checkpoint(saved)  # whose tensors stay in their file
    convolution = "model.encoder.pos_conv_embed.conv."
    tensors = torch.load(path, weights_only=True)
    for old, new in (("weight_g", "original0"), ("weight_v", "original1")):
        tensors[convolution + old] = tensors.pop(f"{convolution}parametrizations.weight.{new}")
    torch.save(tensors, path, _use_new_zipfile_serialization=False)  # as before torch 1.6
    _, weights = read_checkpoint(checkpoint)
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    torch.save({name: tensor.half() for name, tensor in tensors.items()}, path)
    _, weights = read_checkpoint(checkpoint)
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    assert all(
        torch.allclose(weights[name], expected[name], rtol=1e-3, atol=1e-6) for name in expected
    )


def test_files_of_the_recipe_and_of_older_versions_say_the_same(checkpoint: Path) -> None:
    expected = read_checkpoint(checkpoint)[0]
    path = checkpoint / "hyperparams.yaml"
    text = path.read_text()
    seeds = "seed: 1\n__set_seed: !apply:speechbrain.utils.seed_everything [!ref <seed>]\n"
    text = f"{seeds}zed_folder: !PLACEHOLDER # the corpus\nwindows: &id1 [1]\nlast: *id1\n{text}"
    text = text.replace("integrations.huggingface.wavlm.WavLM", "lobes.HuggingFaceWav2Vec2")
    text = text.replace("wav2vec2: !", "wav2vec: !").replace("<wav2vec2>", "<wav2vec>")
    text = text.replace("    stride: !ref <stride>\n", "")  # by default that of the window
    text = text.replace("    ceil_mode: True\n", "").replace("freeze: True", "freeze: !ref <seed>")
    path.write_text(text)
    assert read_checkpoint(checkpoint)[0] == expected


def test_the_encoder_may_be_one_of_the_hub(checkpoint: Path, tmp_path: Path) -> None:
    expected, _ = read_checkpoint(checkpoint)
    path = checkpoint / "hyperparams.yaml"
    encoder = checkpoint.parent / "encoder"
    path.write_text(path.read_text().replace(str(encoder), "owner/wavlm-tiny"))
    assert encoder_source(checkpoint) == "owner/wavlm-tiny"
    cache = tmp_path / "cache"
    with pytest.raises(ValueError, match=r"hyperparams.yaml .* owner/wavlm-tiny: .*config.json"):
        read_checkpoint(checkpoint, cache_dir=cache, local_files_only=True)
    fill_cache(cache, "owner/wavlm-tiny", model_files(encoder))
    for local_files_only in (True, False):
        content, _ = read_checkpoint(checkpoint, cache_dir=cache, local_files_only=local_files_only)
        assert content == expected


def test_full_words_are_labels_too_and_the_file_gives_the_order(tmp_path: Path) -> None:
    path = tmp_path / "label_encoder.txt"
    path.write_text("'Happiness' => 2\n'neu' => 0\n'fear' => 1\n====\n'starting_index' => 0\n")
    assert read_classes(path) == ["neutral", "fearful", "happy"]


def test_the_wave_goes_in_as_the_extractor_says(checkpoint: Path) -> None:
    path = checkpoint.parent / "encoder" / "preprocessor_config.json"
    for content, norm in (({}, "standard"), ({"do_normalize": False}, "mean")):
        path.write_text(json.dumps(content))
        model = EmotionModel.from_pretrained(checkpoint)
        assert model.frontend.waveform_norm == norm


def test_recordings_under_one_frame_are_diarized(checkpoint: Path) -> None:
    """SpeechBrain raises an error."""
    model = EmotionModel.from_pretrained(checkpoint)
    assert model(torch.from_numpy(np.ones((1, 1), dtype=np.float32))).shape == (1, 1, 4)

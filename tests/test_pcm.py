"""Raw samples: every encoding against libsndfile, cut anywhere."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from sed.pcm import ENCODINGS, MAX_CHANNELS, RawDecoder, mono

SUBTYPES = {
    "u8": "PCM_U8",
    "s8": "PCM_S8",
    "s16": "PCM_16",
    "s24": "PCM_24",
    "s32": "PCM_32",
    "f32": "FLOAT",
    "f64": "DOUBLE",
    "mulaw": "ULAW",
    "alaw": "ALAW",
}
"""What libsndfile calls them."""


def subtype_of(encoding: str) -> tuple[str, str]:
    """Subtype and byte order."""
    order = "BIG" if encoding.endswith("be") else "LITTLE"
    return SUBTYPES[encoding.removesuffix("be").removesuffix("le")], order


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_samples_are_those_that_libsndfile_reads(encoding: str, rng: np.random.Generator) -> None:
    """And the same for every place at which the bytes are cut."""
    subtype, order = subtype_of(encoding)
    file = io.BytesIO()
    samples = rng.uniform(-0.99, 0.99, (256, 2))
    soundfile.write(file, samples, 8_000, subtype=subtype, endian=order, format="RAW")
    data = file.getvalue()
    kind = {"samplerate": 8_000, "channels": 2, "subtype": subtype, "endian": order}
    expected, _ = soundfile.read(io.BytesIO(data), **kind, format="RAW", dtype="float32")
    for channel in (1, 2):
        decoder = RawDecoder(encoding, num_channels=2, channel=channel)
        cuts = np.sort(rng.integers(0, len(data), 20))
        pieces = [decoder(data[a:b]) for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        np.testing.assert_array_equal(np.concatenate(pieces), expected[:, channel - 1])
        assert decoder.num_waiting == 0
    mixed = RawDecoder(encoding, num_channels=2)(data)
    np.testing.assert_allclose(mixed, expected.mean(axis=1), atol=1e-7)


@pytest.mark.parametrize("encoding", ["mulaw", "alaw"])
def test_every_code_of_telephony_is_right(encoding: str) -> None:
    codes = bytes(range(256))
    expected, _ = soundfile.read(
        io.BytesIO(codes), samplerate=8_000, channels=1, subtype=SUBTYPES[encoding], format="RAW"
    )
    np.testing.assert_array_equal(RawDecoder(encoding)(codes), expected)


def test_a_begun_sample_waits() -> None:
    decoder = RawDecoder("s24le", num_channels=2)
    assert (len(decoder(bytes(11))), decoder.num_waiting) == (1, 5)
    assert (len(decoder(bytes(1))), decoder.num_waiting) == (1, 0)


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="no encoding 'wav'; choose u8, s8, s16le"):
        RawDecoder("wav")
    with pytest.raises(ValueError, match="raw sound has 2 channels; choose mix or 1 to 2, not 3"):
        RawDecoder("u8", num_channels=2, channel=3)
    for number in (0, MAX_CHANNELS + 1):
        with pytest.raises(ValueError, match=f"1 to {MAX_CHANNELS} channels, not {number}"):
            RawDecoder("u8", num_channels=number)


def test_a_mix_is_the_mean_and_keeps_what_is_no_number() -> None:
    block = np.array([[1.0, 0.0], [np.inf, -np.inf]], dtype=np.float32)
    assert mono(block, None)[0] == 0.5
    assert np.isnan(mono(block, None)[1])
    assert mono(block, 2).tolist() == [0.0, -np.inf]

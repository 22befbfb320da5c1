"""An archive's arguments: manifests and URIs too, and each recording has its own name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sed.archive.items import find_items
from sed.archive.names import Names
from sed.archive.remote import fetched


def found(*arguments: str | Path) -> tuple[list[tuple[str, str]], list[str]]:
    """Paths with their names, and what was said of others."""
    said: list[str] = []
    items = find_items(map(str, arguments), on_error=lambda name, text: said.append(text))
    return [(item.path, item.uri) for item in items], said


TABLES = {
    "calls.csv": "\ufeffid,path,uri\n1,a.wav,first\n2,deep/b c.wav,\n3,,nobody\n4,s3://x/d.wav,\n",
    "calls.tsv": "path\turi\na.wav\tfirst\ndeep/b c.wav\t\n\tnobody\ns3://x/d.wav\t\n",
    "calls.jsonl": "\n".join(
        [
            '{"path": "a.wav", "uri": "first"}',
            '{"path": "deep/b c.wav"}',
            '{"pfad": "c.wav"}',
            '{"path": "s3://x/d.wav", "uri": null}',
        ]
    ),
    "calls.txt": "# calls\na.wav\n\ndeep/b c.wav\ns3://x/d.wav\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_a_manifest_lists_recordings_beside_itself(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(TABLES[name])
    items, said = found(tmp_path / name)
    first = "a" if name == "calls.txt" else "first"
    assert items == [
        (str(tmp_path / "a.wav"), first),
        (str(tmp_path / "deep" / "b c.wav"), "deep/b_c"),
        ("s3://x/d.wav", "d"),
    ]
    line = {"calls.csv": 4, "calls.tsv": 4, "calls.jsonl": 3}.get(name)
    assert said == ([] if line is None else [f"{tmp_path / name}:{line}: no path of a recording"])


def test_a_parquet_manifest_is_read_too(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="datasets need the extra 'archive'")
    from pyarrow import parquet

    table = pyarrow.table({"uri": ["first", None], "size": [1, 2], "path": ["a.wav", "/x/b.wav"]})
    parquet.write_table(table, tmp_path / "calls.parquet")
    items, said = found(tmp_path / "calls.parquet")
    assert items == [(str(tmp_path / "a.wav"), "first"), ("/x/b.wav", "b")]
    assert said == []


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.csv", b"file,uri\na.wav,a\n", "no column 'path', only 'file', 'uri'"),
        ("a.csv", b"", "no column 'path', only none"),
        ("a.txt", b"\n# nothing\n", "no recording in this manifest"),
        ("a.txt", "früh.wav\n".encode("latin-1"), "no text in UTF-8"),
        ("a.csv", b'path\n"' + b"x" * 200_000, "field larger than field limit"),
        ("a.parquet", b"no parquet", "damaged, or no Parquet"),
        ("a.jsonl", b'{"path": "a.wav", "uri": "../a"}', ":1: the uri '../a' leads out"),
        ("a.jsonl", b'{"path": "a.wav", "uri": 7}', ":1: the uri is 7, not a name"),
        ("a.jsonl", b'{"path": ' + b"[" * 100_000, ":1: no path of a recording"),
    ],
)
def test_a_malformed_manifest_is_one_line(
    tmp_path: Path, name: str, content: bytes, complaint: str
) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / "b.wav").touch()
    items, [said] = found(tmp_path / name, tmp_path / "b.wav")
    assert items == [(str(tmp_path / "b.wav"), "b")]
    assert said.startswith(str(tmp_path / name)) and complaint in said and "\n" not in said


def test_a_missing_manifest_is_one_line(tmp_path: Path) -> None:
    assert found(tmp_path / "a.csv") == ([], [f"{tmp_path / 'a.csv'}: no such file or directory"])


def test_an_object_store_is_walked_and_its_recordings_come_and_go() -> None:
    fsspec = pytest.importorskip("fsspec", reason="URIs need the extra 'archive'")
    memory = fsspec.filesystem("memory")
    memory.pipe({"/calls/b/x.wav": b"bx", "/calls/a.FLAC": b"a", "/calls/.h.wav": b"", "/no": b""})
    everything = [("memory:///calls/a.FLAC", "a"), ("memory:///calls/b/x.wav", "b/x")]
    assert found("memory://calls") == (everything, [])
    assert found("memory://calls/*/*.wav") == ([("memory:///calls/b/x.wav", "x")], [])
    with fetched("memory://calls/b/x.wav") as path:
        assert (path.read_bytes(), path.suffix) == (b"bx", ".wav")
    assert not path.parent.exists()
    _, [missing] = found("memory://nowhere")
    assert missing.startswith("memory://nowhere: ") and "does not exist" in missing
    _, [unknown] = found("carrier-pigeon://calls")
    assert unknown.startswith("carrier-pigeon://calls: ")


def test_items_come_as_a_stream(tmp_path: Path) -> None:
    """The first recording of a long manifest is there before the others are read."""
    (tmp_path / "a.txt").write_text("a.wav\n" * 100_000)
    arguments = iter([str(tmp_path / "a.txt"), "missing.wav"])
    items = find_items(arguments, on_error=lambda name, text: None)
    assert next(items).uri == "a"
    assert next(arguments) == "missing.wav"
    items.close()


def test_names_are_those_of_a_set_however_many_there_are() -> None:
    """Through several enlargements of the table."""
    names, taken = Names(), set()
    for index in range(30_000):
        name = names.unique(f"call {index % 20_000}", ".wav")
        assert name not in taken
        assert name == f"call {index % 20_000}" + ".wav" * (index >= 20_000)
        taken.add(name)


def test_a_manifest_may_say_what_cannot_be_a_string(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"path": ["a.wav"]}))
    assert found(tmp_path / "a.jsonl")[1] == [f"{tmp_path / 'a.jsonl'}:1: no path of a recording"]

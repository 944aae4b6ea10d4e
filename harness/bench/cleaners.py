"""The contestants of `harness bench clean`: `python -m harness.bench.cleaners NAME FILE` prints one JSON line."""

from __future__ import annotations

import csv
import json
import os
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.entry import enter
from harness.errors import EnvironmentProblem, UsageError

# One thread each: the comparison is of work, not of cores.
os.environ.setdefault("POLARS_MAX_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b-\u200f\ufeff\u00ad]"
_SPACE = r"[\s\u00a0]+"


def ours(path: Path) -> int:
    """Clean with the pipeline's own modules, record batches included; returns the number of rows."""
    from handlers.clean_worker import Cleaned, Job, message_bodies
    from handlers.record_batch import Source
    from handlers.settings import Settings
    from handlers.splitter import BLOCK_BYTES, split_object

    def blocks() -> Iterator[bytes]:
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                yield block

    header, chunks = split_object(blocks())
    job = Job(Source("bench", path.name, "1"), header, Settings())
    rows = 0
    for chunk in chunks:
        cleaned = Cleaned()
        for _ in message_bodies(chunk, job, cleaned):
            pass
        rows += cleaned.rows
    return rows


def csv_regex(path: Path) -> int:
    """Clean as most scripts do: csv.reader and two regular expressions a cell."""
    csv.field_size_limit(2**31 - 1)
    control, space = re.compile(_CONTROL), re.compile(_SPACE)
    rows = 0
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        reader = csv.reader(file)
        next(reader)
        for row in reader:
            [space.sub(" ", control.sub("", cell)).strip() for cell in row]
            rows += 1
    return rows


def polars(path: Path) -> int:
    """Clean with polars, on one thread."""
    import polars as pl

    # Even lossy reading checks quoted fields strictly, so what is not UTF-8 is replaced first.
    data = path.read_bytes()
    try:
        data.decode()
    except UnicodeDecodeError:
        data = data.decode("utf-8", "replace").encode()
    frame = pl.read_csv(data, infer_schema=False, truncate_ragged_lines=True)
    text = pl.col(pl.String).str.replace_all(_CONTROL, "").str.replace_all(_SPACE, " ").str.strip_chars()
    return frame.with_columns(text).height


def pyarrow(path: Path) -> int:
    """Clean with pyarrow's compute functions."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv as pcsv

    pa.set_cpu_count(1)
    with path.open("rb") as file:
        names = file.readline().decode().strip().split(",")
    table = pcsv.read_csv(
        path,
        read_options=pcsv.ReadOptions(use_threads=False, encoding="latin1", block_size=16 << 20),
        parse_options=pcsv.ParseOptions(newlines_in_values=True, invalid_row_handler=lambda _: "skip"),
        convert_options=pcsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
    )
    for i, name in enumerate(table.column_names):
        column = pc.replace_substring_regex(table[name], r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", "")
        column = pc.utf8_trim_whitespace(pc.replace_substring_regex(column, r"\s+", " "))
        table = table.set_column(i, name, column)
    return int(table.num_rows)


def pandas(path: Path) -> int:
    """Clean with pandas' string methods."""
    import pandas as pd

    frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding_errors="replace", on_bad_lines="skip")
    for name in frame.columns:
        cleaned = frame[name].str.replace(_CONTROL, "", regex=True).str.replace(_SPACE, " ", regex=True)
        frame[name] = cleaned.str.strip()
    return len(frame)


_BY_NAME: dict[str, Callable[[Path], int]] = {
    "ours": ours,
    "csv-regex": csv_regex,
    "polars": polars,
    "pyarrow": pyarrow,
    "pandas": pandas,
}


def main() -> None:
    """Run one contestant and print its figures; raises UsageError, and EnvironmentProblem without its library."""
    if len(sys.argv) != 3 or sys.argv[1] not in _BY_NAME:
        raise UsageError(f"two arguments are needed: one of {', '.join(_BY_NAME)}, and a CSV file")
    clean, path = _BY_NAME[sys.argv[1]], Path(sys.argv[2])
    began, cpu = time.perf_counter(), time.process_time()
    try:
        rows = clean(path)
    except ImportError as error:
        raise EnvironmentProblem(str(error)) from error
    seconds, spent = time.perf_counter() - began, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS reports bytes, Linux kilobytes.
    peak_mb = peak / (1024 * 1024) if sys.platform == "darwin" else peak / 1024
    print(json.dumps({"rows": rows, "seconds": seconds, "cpu": spent, "peak_mb": peak_mb}))  # noqa: T201


if __name__ == "__main__":
    enter(main)

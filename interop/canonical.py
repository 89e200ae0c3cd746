"""The canonical form of a row, and the checksum of a table, as interop/canonical.ts defines them.

A value is written as
  null ~ · boolean t/f · integer i<decimal> · float d<16 hex digits of the IEEE 754 double, big-endian; every NaN is one> ·
  decimal n<digits without trailing zeros> · string s<length in UTF-8 bytes>:<text> · bytes b<hex> · date D<days since 1970-01-01> ·
  timestamp T<microseconds since 1970-01-01, UTC> · time H<microseconds since midnight> · uuid as its bytes ·
  list [a,b] · struct {a,b} in field order · map as a list of structs of key and value.
A row is its values joined by U+001F. The checksum of a table is the count of its rows and the sum, modulo 2^64, of the
first eight bytes of each row's SHA-256: it does not depend on the order of the rows.
"""

import datetime
import decimal
import hashlib
import struct
import uuid

decimal.getcontext().prec = 76  # What is rounded would compare as equal.

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
EPOCH_DAY = datetime.date(1970, 1, 1)


def canonical(value):
    if value is None:
        return "~"
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, int):
        return f"i{value}"
    if isinstance(value, float):
        return "d7ff8000000000000" if value != value else "d" + struct.pack(">d", value).hex()
    if isinstance(value, decimal.Decimal):
        return "n" + format(value.normalize(), "f")
    if isinstance(value, str):
        return f"s{len(value.encode())}:{value}"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "b" + bytes(value).hex()
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            value = value.replace(tzinfo=datetime.timezone.utc)
        delta = value.astimezone(datetime.timezone.utc) - EPOCH
        return f"T{(delta.days * 86400 + delta.seconds) * 1000000 + delta.microseconds}"
    if isinstance(value, datetime.date):
        return f"D{(value - EPOCH_DAY).days}"
    if isinstance(value, datetime.time):
        return f"H{((value.hour * 60 + value.minute) * 60 + value.second) * 1000000 + value.microsecond}"
    if isinstance(value, uuid.UUID):
        return "b" + value.bytes.hex()
    if isinstance(value, dict):
        return "{" + ",".join(canonical(item) for item in value.values()) + "}"
    if isinstance(value, tuple):
        return "{" + ",".join(canonical(item) for item in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(canonical(item) for item in value) + "]"
    raise TypeError(f"no canonical form for {type(value)}: {value!r}")


def conform(value, kind):
    """What engines give in several ways, by the column's Iceberg type: a uuid as text, a map as a dict, a struct as a dict.

    Maps have no order: here they have their keys'.
    """
    if value is None:
        return None
    if kind == "uuid":
        return uuid.UUID(value) if isinstance(value, str) else value
    if kind == "float":  # As text it comes with as many digits as 32 bits need.
        return struct.unpack("f", struct.pack("f", value))[0]
    if isinstance(kind, str):
        return value
    if kind["type"] == "list":
        return [conform(item, kind["element"]) for item in value]
    if kind["type"] == "map":
        pairs = value.items() if isinstance(value, dict) else [tuple(pair.values()) if isinstance(pair, dict) else pair for pair in value]
        return sorted((key, conform(item, kind["value"])) for key, item in pairs)
    items = value.values() if isinstance(value, dict) else value
    return tuple(conform(item, field["type"]) for item, field in zip(items, kind["fields"], strict=True))


def checksum(rows, names=()):
    """rows: an iterable of sequences of values, in the table's column order; names: of columns that are summed by themselves too."""
    count, total, columns = 0, 0, dict.fromkeys(names, 0)
    for row in rows:
        texts = [canonical(value) for value in row]
        total += digest("\x1f".join(texts))
        for name, text in zip(names, texts):
            columns[name] += digest(text)
        count += 1
    sums = {name: shown(each) for name, each in columns.items()}
    return {"rows": count, "checksum": shown(total)} | ({"columns": sums} if names else {})


def digest(text):
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def shown(total):
    return format(total % 2**64, "016x")


def arrow_rows(table):
    """Rows of a pyarrow table, a batch at a time."""
    for batch in table.to_batches(max_chunksize=16384):
        columns = [column.to_pylist() for column in batch.columns]
        yield from zip(*columns)

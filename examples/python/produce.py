"""One transaction for Momus with nothing but fastavro, cryptography and confluent-kafka, after docs/producing.md.

python produce.py BOOTSTRAP_SERVERS GENESIS_JSON [SEED_HEX_32_BYTES] [TEXT]

It shares no code with Momus. It creates an object that holds a small JSON document and prints the transaction's
digest and position.
"""

import json
import secrets
import sys
import time
from hashlib import sha256
from io import BytesIO
from pathlib import Path

from confluent_kafka import Producer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastavro import parse_schema, schemaless_writer

TRANSACTION_PREFIX = bytes.fromhex("c301cce8b4772052c73b")  # C3 01, CRC-64-AVRO fingerprint, little-endian
VALID_FOR_MS = 10 * 60 * 1000  # at most the chain's window_ms


def avro(schema, value):
    out = BytesIO()
    schemaless_writer(out, schema, value, strict=True)
    return out.getvalue()


def build(genesis_file, seed, body, schemas):
    """Every step from a body to a record, by name."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    steps = {"genesis digest": sha256(b"momus/genesis/v1" + genesis_file).digest()}
    steps["public key"] = key.public_key().public_bytes_raw()
    steps["address"] = sha256(b"momus/address/v1" + steps["public key"]).digest()
    steps["body"] = avro(schemas["Body"], body)
    steps["message"] = b"momus/transaction/v1" + steps["genesis digest"] + steps["public key"] + steps["body"]
    steps["transaction digest"] = sha256(steps["message"]).digest()
    steps["signature"] = key.sign(steps["message"])
    signed = {"body": steps["body"], "public_key": steps["public key"], "signature": steps["signature"]}
    steps["record value"] = TRANSACTION_PREFIX + avro(schemas["Transaction"], signed)
    steps["partition number"] = sha256(steps["address"]).digest()[:4]
    return steps


def greeting(text, nonce, expires_at_ms):
    """A body with one command: an object that holds a small JSON document and belongs to the signer."""
    content = json.dumps({"text": text}).encode()
    command = {"type": "greeting", "media_type": "application/json", "content": content, "writers": None}
    return {
        "nonce": nonce,
        "expires_at_ms": expires_at_ms,
        "reference": b"python-example",
        "commands": [("momus.v1.CreateObject", command)],
    }


def schemas_beside(file):
    """The two schemas of docs/producing.md, saved beside this program."""
    names = ("Body", "Transaction")
    return {name: parse_schema(json.loads(Path(file).with_name(f"{name}.avsc").read_text())) for name in names}


def main(bootstrap_servers, genesis_path, seed_hex="", text="hello from Python"):
    genesis_file = Path(genesis_path).read_bytes()
    genesis = json.loads(genesis_file)
    seed = bytes.fromhex(seed_hex) or secrets.token_bytes(32)
    body = greeting(text, secrets.token_bytes(16), int(time.time() * 1000) + VALID_FOR_MS)
    steps = build(genesis_file, seed, body, schemas_beside(__file__))
    partition = int.from_bytes(steps["partition number"], "big") % genesis["partitions"]
    taken = []
    producer = Producer({"bootstrap.servers": bootstrap_servers, "acks": "all", "enable.idempotence": True})
    producer.produce(
        genesis["transactions_topic"]["name"],
        value=steps["record value"],
        key=steps["address"],
        partition=partition,
        on_delivery=lambda error, message: taken.append((error, message)),
    )
    producer.flush(30)
    if not taken or taken[0][0] is not None:
        sys.exit(f"the log did not take the record: {taken[0][0] if taken else 'no answer in 30 s'}")
    print("digest", steps["transaction digest"].hex())
    print("position", taken[0][1].partition(), taken[0][1].offset())


if __name__ == "__main__":
    main(*sys.argv[1:])

"""librdkafka through confluent-kafka: librdkafka.py produce|consume|group ... ; prints one JSON line.

produce BOOTSTRAP TOPIC CODEC COUNT PREFIX        idempotent, keyed, spread over partitions
consume BOOTSTRAP TOPIC COUNT                     every partition from the beginning, without a group
group   BOOTSTRAP TOPIC GROUP SECONDS [INSTANCE]  joins, commits what it read after SECONDS, leaves
"""

import json
import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition


def produce(bootstrap, topic, codec, count, prefix):
    errors, offsets = [], []

    def delivered(error, message):
        (errors if error else offsets).append(str(error) if error else [message.partition(), message.offset()])

    producer = Producer({"bootstrap.servers": bootstrap, "compression.type": codec, "enable.idempotence": True, "linger.ms": 5})
    for index in range(int(count)):
        producer.produce(topic, key=f"{prefix}-{index}", value=f"{prefix} value {index} " * 4, headers=[("h", b"1"), ("h", None)], on_delivery=delivered)
        producer.poll(0)
    producer.flush(30)
    return {"delivered": len(offsets), "errors": errors[:5]}


def consume(bootstrap, topic, count):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False, "check.crcs": True})
    partitions = list(consumer.list_topics(topic, timeout=20).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
    keys, deadline = [], time.time() + 30
    while len(keys) < int(count) and time.time() < deadline:
        message = consumer.poll(0.5)
        if message is None:
            continue
        if message.error():
            raise RuntimeError(message.error())
        keys.append((message.key() or b"").decode())
    consumer.close()
    return {"keys": sorted(keys)}


def group(bootstrap, topic, name, seconds, instance=None):
    settings = {"bootstrap.servers": bootstrap, "group.id": name, "auto.offset.reset": "earliest", "enable.auto.commit": False, "session.timeout.ms": 10000}
    if instance:
        settings["group.instance.id"] = instance
    assigned = []
    consumer = Consumer(settings)
    consumer.subscribe([topic], on_assign=lambda _, partitions: assigned.append(sorted(p.partition for p in partitions)))
    read, deadline = 0, time.time() + float(seconds)
    while time.time() < deadline:
        message = consumer.poll(0.2)
        if message is not None and not message.error():
            read += 1
    if read:
        consumer.commit(asynchronous=False)
    consumer.close()
    return {"read": read, "assigned": assigned}


if __name__ == "__main__":
    print(json.dumps({"produce": produce, "consume": consume, "group": group}[sys.argv[1]](*sys.argv[2:])))

"""kafka-python and aiokafka: python_clients.py BOOTSTRAP kafka-python|aiokafka TOPIC COUNT; prints one JSON line.

Each creates TOPIC with three partitions, writes COUNT records with every codec it has, reads them all in a group, commits,
and asks for the group, its offsets and the ends of the partitions; then it deletes the topic.
"""

import asyncio
import json
import sys
import time

codecs = (None, "gzip", "snappy", "lz4", "zstd")


def kafka_python(bootstrap, topic, count):
    from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
    from kafka.admin import NewTopic

    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic(topic, 3, 1)])
    for codec in codecs:
        producer = KafkaProducer(bootstrap_servers=bootstrap, compression_type=codec, acks="all")
        sent = [producer.send(topic, key=b"%d" % i, value=b"value %d" % i) for i in range(count)]
        for record in sent:
            record.get(30)
        producer.close()
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=topic,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    read, until = 0, time.monotonic() + 60
    while read < count * len(codecs) and time.monotonic() < until:
        read += sum(len(records) for records in consumer.poll(timeout_ms=500).values())
    consumer.commit()
    partitions = [TopicPartition(topic, i) for i in range(3)]
    result = {
        "read": read,
        "ends": sum(consumer.end_offsets(partitions).values()),
        "committed": sum(consumer.committed(partition) for partition in partitions),
    }
    consumer.close()
    admin.delete_topics([topic])
    admin.close()
    return result


async def aiokafka(bootstrap, topic, count):
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic

    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 3, 1)])
    for codec in codecs:
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, compression_type=codec)
        await producer.start()
        for i in range(count):
            await producer.send(topic, key=b"%d" % i, value=b"value %d" % i)
        await producer.stop()
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=topic,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    read, until = 0, time.monotonic() + 60
    while read < count * len(codecs) and time.monotonic() < until:
        read += sum(len(records) for records in (await consumer.getmany(timeout_ms=500)).values())
    await consumer.commit()
    ends = await consumer.end_offsets(consumer.assignment())
    await consumer.stop()
    offsets = await admin.list_consumer_group_offsets(topic)
    result = {
        "read": read,
        "ends": sum(ends.values()),
        "committed": sum(each.offset for each in offsets.values()),
    }
    await admin.delete_topics([topic])
    await admin.close()
    return result


bootstrap, client, topic, count = sys.argv[1:5]
if client == "aiokafka":
    print(json.dumps(asyncio.run(aiokafka(bootstrap, topic, int(count)))))
else:
    print(json.dumps(kafka_python(bootstrap, topic, int(count))))

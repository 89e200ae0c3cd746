"""librdkafka's transactional producer: librdkafka-transactions.py BOOTSTRAP TOPIC GROUP ; prints one JSON line.

Commits ten transactions of ten records and of the group's offset, aborts every third besides, and leaves one open at the end, which a
second instance of the producer fences.
"""

import json
import sys

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition


def instance(bootstrap):
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": "librdkafka", "transaction.timeout.ms": 30000})
    producer.init_transactions(30)
    return producer


def main(bootstrap, topic, group):
    first = instance(bootstrap)
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False})
    metadata = consumer.consumer_group_metadata()
    for number in range(10):
        for isAbort in [True, False] if number % 3 == 0 else [False]:
            first.begin_transaction()
            for index in range(10):
                first.produce(topic, key=f"{'aborted' if isAbort else 'kept'}-{number}-{index}", value="v")
            first.send_offsets_to_transaction([TopicPartition(topic, 0, 1000 + number if isAbort else number)], metadata, 30)
            if isAbort:
                first.abort_transaction(30)
            else:
                first.commit_transaction(30)
    first.begin_transaction()
    first.produce(topic, key="open", value="v")
    first.flush(30)
    instance(bootstrap)
    fenced = None
    try:
        first.commit_transaction(30)
    except KafkaException as cause:
        fenced = cause.args[0].name()
    committed = consumer.committed([TopicPartition(topic, 0)], 30)[0].offset
    consumer.close()
    return {"fenced": fenced, "committed": committed}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
